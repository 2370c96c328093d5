/** `translations`, `iotlb` and `faults`: each recorded access against what the recorder's IOMMU model does with it. */
import { pfnFromAddress } from '../../address.ts';
import { DmaOutcome } from '../../hw/unit.ts';
import type { AccessResult } from '../../hw/vtd/unit.ts';
import { ObservedOutcome } from '../../trace/schema/observed-streams.ts';
import type { ControlRow } from '../control-row.ts';
import type { DmaRow, ObservedDmaRow } from './merged-rows.ts';
import { CheckCounter, type RoundResult } from './result.ts';

/** The three checks over the access stream. */
export class AccessChecks {
  /** Requests that the recorder made a device issue: one entry each, with what they came to. */
  readonly rounds: RoundResult[] = [];
  /** Rounds whose accesses are still to come, by device and page. */
  readonly #waiting = new Map<string, RoundResult[]>();
  readonly translations = new CheckCounter();
  readonly iotlb = new CheckCounter();
  readonly faults = new CheckCounter();
  inWindow = 0;
  outside = 0;

  /** Holds one access of the model against the recorded one. `position` names the row. */
  compare(position: string, row: DmaRow, observed: ObservedDmaRow, modelled: AccessResult): void {
    const before = this.translations.matched + this.faults.matched;
    this.#compare(position, row, observed, modelled);
    const waiting = this.#waiting.get(roundKey(row.device, row.iova));
    const round = waiting?.[0];
    if (round === undefined || observed.inWindow === 0) return;
    const faulted = observed.outcome === ObservedOutcome.fault;
    round.requests++;
    round.bytes += row.bytes;
    if (faulted) round.faulted++;
    const agreed = this.translations.matched + this.faults.matched > before;
    if (agreed && (modelled.outcome === DmaOutcome.fault) === faulted) round.matched++;
    if (round.bytes >= round.lengthBytes) waiting?.shift();
  }

  /**
   * A request that the recorder asks a device for, announced before the first access: its accesses are the next ones of
   * that device to that page, as many as it has bytes.
   */
  expectRound(row: ControlRow): void {
    const { row: controlRow, device, text, length } = row;
    const counts = { requests: 0, bytes: 0, faulted: 0, matched: 0 };
    const round: RoundResult = { controlRow, device, action: actionOf(text), lengthBytes: Number(length), ...counts };
    this.rounds.push(round);
    const key = roundKey(device, row.iova);
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) this.#waiting.set(key, [round]);
    else waiting.push(round);
  }

  #compare(position: string, row: DmaRow, observed: ObservedDmaRow, modelled: AccessResult): void {
    if (observed.inWindow === 0) {
      this.outside++;
      return;
    }
    this.inWindow++;
    const describe = (): string => `${position}: ${describeAccess(row)}: ${describeBoth(observed, modelled)}`;
    if (observed.outcome === ObservedOutcome.fault) {
      this.faults.compare(modelled.outcome === DmaOutcome.fault && modelled.fault === observed.fault, describe);
      return;
    }
    if (modelled.outcome === DmaOutcome.fault) this.faults.diverge(describe);
    if (observed.learned === 1) {
      this.translations.learned++;
    } else {
      const samePage =
        modelled.outcome !== DmaOutcome.fault &&
        BigInt(modelled.pfn) === observed.pfn &&
        (observed.pageShift === 0 || modelled.pageShift === observed.pageShift);
      this.translations.compare(samePage, describe);
    }
    if (observed.outcome === ObservedOutcome.hit || observed.outcome === ObservedOutcome.fill) {
      const expected = observed.outcome === ObservedOutcome.hit ? DmaOutcome.hit : DmaOutcome.miss;
      this.iotlb.compare(modelled.outcome === expected, describe);
    }
  }
}

function roundKey(device: number, iova: bigint): string {
  return `${device} ${pfnFromAddress(iova)}`;
}

/** What was done while the request was outstanding, as the recorder's record says; empty when it does not. */
function actionOf(text: string): string {
  return /"action_while_outstanding":"([^"]*)"/.exec(text)?.[1] ?? '';
}

function describeAccess(row: DmaRow): string {
  const direction = (row.flags & 1) === 0 ? 'read' : 'write';
  return `device ${row.device} ${direction} iova 0x${row.iova.toString(16)} (page 0x${pfnFromAddress(row.iova).toString(16)})`;
}

function describeBoth(observed: ObservedDmaRow, modelled: AccessResult): string {
  const outcomes = ['unknown', 'hit', 'fill', 'fault'];
  const seen =
    observed.outcome === ObservedOutcome.fault
      ? `fault 0x${observed.fault.toString(16)}`
      : `${outcomes[observed.outcome]} of page 0x${observed.pfn.toString(16)} (2^${observed.pageShift} bytes)`;
  const answer =
    modelled.outcome === DmaOutcome.fault
      ? `fault 0x${modelled.fault.toString(16)}`
      : `${modelled.outcome === DmaOutcome.hit ? 'hit' : 'fill'} of page 0x${modelled.pfn.toString(16)} (2^${modelled.pageShift} bytes)`;
  return `recorded ${seen}, modelled ${answer}`;
}
