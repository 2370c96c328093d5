/**
 * Watches the switches of one job: knows the lanes, opens a {@link SwitchRecord} when a switch starts, hands it the
 * requests of its lane as they are issued, and closes it when its window is over.
 *
 * Which table a request was translated by is read from the unit's binding: domain id and table as hardware had cached
 * them when the request arrived.
 */
import type { DmaColumns, ResultColumns } from '../../hw/unit.ts';
import { DmaFlag, DmaOutcome } from '../../hw/unit.ts';
import type { VtdUnit } from '../../hw/vtd/unit.ts';
import { Lane } from './lane.ts';
import { type LaneTranslation, type TranslationKey, translationKey } from './lane-translation.ts';
import { type DisruptionResult, REFILL_CURVE_ROWS, type SwitchKind, type SwitchOutcome } from './protocol.ts';
import { MAX_REFILL_BLOCKS, SwitchRecord } from './switch-record.ts';
import { BINS_PER_SIDE, CurveBins } from './window-curves.ts';

/** Switches listed one by one. */
const MAX_LISTED = 20_000;
/** [requests] Of a unit, remembered for the part of the curves before a switch; a power of two. */
const UNIT_HISTORY_ROWS = 16_384;

/** What a watch must know. */
export interface WatchOptions {
  readonly originTick: number;
  /** [ps] */
  readonly windowPs: number;
  /** Latency counts from the earliest issue (recorded arrivals) instead of the issue. */
  readonly fromArrival: boolean;
  readonly unitAt: (unitIndex: number) => VtdUnit;
  /** Unit and names by device. */
  readonly unitOf: (device: number) => number;
  readonly nameOf: (device: number) => string;
}

/** Watches one job. */
export class SwitchWatch {
  /** Requests issued so far, of all units. */
  issuedRows = 0;
  readonly #options: WatchOptions;
  readonly #windowPs: number;
  readonly #binPs: number;
  readonly #byDevice: (Lane | undefined)[] = [];
  readonly #byPasid = new Map<number, Lane>();
  /** Open records by unit. */
  readonly #open = new Map<number, SwitchRecord[]>();
  readonly #unitHistory = new Map<number, { done: Float64Array; bytes: Float64Array; count: number }>();
  readonly #outcomes: SwitchOutcome[] = [];
  #omitted = 0;
  readonly #curves = new CurveBins();
  readonly #refillHits = new Float64Array(MAX_REFILL_BLOCKS);
  readonly #refillRows = new Float64Array(MAX_REFILL_BLOCKS);
  readonly #sequences: { switchIndex: number; steps: SwitchRecord['steps'] }[] = [];
  #sequenceOfSuccess = false;
  #sequenceOfFailure = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#binPs = Math.ceil(options.windowPs / BINS_PER_SIDE);
    this.#windowPs = this.#binPs * BINS_PER_SIDE;
  }

  /** Lanes that have issued requests, by device and PASID. */
  get lanes(): Lane[] {
    const lanes = [...this.#byDevice.filter((lane) => lane !== undefined), ...this.#byPasid.values()];
    return lanes.sort((a, b) => a.device - b.device || a.pasid - b.pasid);
  }

  lane(device: number, pasid: number): Lane {
    const key = device * 1048576 + pasid;
    let lane = pasid === 0 ? this.#byDevice[device] : this.#byPasid.get(key);
    if (lane === undefined) {
      lane = new Lane(device, pasid, this.#options.unitOf(device));
      if (pasid === 0) this.#byDevice[device] = lane;
      else this.#byPasid.set(key, lane);
    }
    return lane;
  }

  /** A switch starts now. */
  begin(
    row: number,
    kind: SwitchKind,
    device: number,
    pasid: number,
    old: LaneTranslation,
    atTick: number,
  ): SwitchRecord {
    const lane = this.lane(device, pasid);
    const open = this.#openOf(lane.unit);
    for (const earlier of [...open]) if (earlier.lane === lane) this.#close(earlier);
    const record = new SwitchRecord(row, kind, lane, old, atTick, this.#windowPs, this.#binPs);
    const history = this.#unitHistory.get(lane.unit);
    if (history !== undefined) {
      const kept = Math.min(history.count, UNIT_HISTORY_ROWS);
      for (let i = 0; i < kept; i++) record.onUnit(history.done[i]!, history.bytes[i]!);
    }
    this.#openOf(lane.unit).push(record);
    return record;
  }

  /** Rows `from` .. `to`-1 of a unit were issued just now. @hot */
  onIssued(unitIndex: number, input: DmaColumns, results: ResultColumns, from: number, to: number): void {
    const { outcome, arriveTick, doneTick, issueTick, walkReads } = results;
    const { fromArrival, unitAt } = this.#options;
    const open = this.#openOf(unitIndex);
    const history = this.#historyOf(unitIndex);
    const start = fromArrival ? input.notBefore : issueTick;
    for (let row = from; row < to; row++) {
      const device = input.device[row]!;
      const pasid = input.pasid[row]!;
      const lane = (pasid === 0 ? this.#byDevice[device] : undefined) ?? this.lane(device, pasid);
      const done = doneTick[row]!;
      const faulted = outcome[row] === DmaOutcome.fault;
      const bytes = faulted || (input.flags[row]! & DmaFlag.translationRequest) !== 0 ? 0 : input.bytes[row]!;
      const at = history.count & (UNIT_HISTORY_ROWS - 1);
      history.done[at] = done;
      history.bytes[at] = bytes;
      history.count++;
      for (let i = open.length - 1; i >= 0; i--) {
        const record = open[i]!;
        // Row by row, so that nothing depends on how many rows came in one call.
        if (record.settledAt(issueTick[row]!)) {
          this.#close(record);
          continue;
        }
        record.onUnit(done, bytes);
        if (record.lane !== lane) continue;
        const page = input.iova[2 * row + 1]! * 1048576 + (input.iova[2 * row]! >>> 12);
        if (faulted) record.onDmaFault(page, arriveTick[row]!, done);
        else {
          const latency = done - start[row]!;
          const fate = outcome[row];
          const hit = fate === DmaOutcome.hit || fate === DmaOutcome.passThrough || fate === DmaOutcome.deviceHit;
          const arrive = arriveTick[row]!;
          const key = this.#keyOf(unitAt(unitIndex), device, pasid, arrive);
          record.onSuccess(arrive, done, latency, bytes, hit, walkReads[row]!, key);
          if (record.endTick >= 0) {
            record.checkAfterReturn(page, results.pfn[2 * row + 1]! * 4294967296 + results.pfn[2 * row]!, arrive);
          }
        }
      }
      if (!faulted) {
        const hit = outcome[row] === DmaOutcome.hit || outcome[row] === DmaOutcome.deviceHit ? 1 : 0;
        lane.push(done, done - start[row]!, bytes, hit, walkReads[row]!);
      }
    }
    this.issuedRows += to - from;
  }

  /** The driver of a mediated device pinned or copied; `result` is its errno or 0 and more. */
  onAccess(device: number, startTick: number, endTick: number, bytes: number, result: number, key: number): void {
    const lane = this.lane(device, 0);
    const open = this.#openOf(lane.unit);
    for (const record of [...open]) {
      if (record.settledAt(startTick)) this.#close(record);
      else if (record.lane !== lane) continue;
      else if (result < 0) record.onFault(startTick, endTick);
      else record.onSuccess(startTick, endTick, endTick - startTick, bytes, true, 0, key);
    }
    if (result >= 0) lane.push(endTick, endTick - startTick, bytes, 1, 0);
  }

  /** Closes what is open and gives everything seen. */
  finish(policy: DisruptionResult['policy'], queue: string, onFault: DisruptionResult['onFault']): DisruptionResult {
    for (const open of this.#open.values()) for (const record of [...open]) this.#close(record);
    const order = [...this.#outcomes.keys()].sort((a, b) => compareOutcomes(this.#outcomes[a]!, this.#outcomes[b]!));
    const place = new Map(order.map((from, to) => [from, to]));
    let blocks = MAX_REFILL_BLOCKS;
    while (blocks > 0 && this.#refillRows[blocks - 1] === 0) blocks--;
    return {
      policy,
      queue,
      onFault,
      windowPs: this.#windowPs,
      binPs: this.#binPs,
      switches: order.map((index) => this.#outcomes[index]!),
      omitted: this.#omitted,
      curves: this.#curves.toState(),
      refill: { hits: [...this.#refillHits.subarray(0, blocks)], rows: [...this.#refillRows.subarray(0, blocks)] },
      sequences: this.#sequences.map(({ switchIndex, steps }) => ({ switchIndex: place.get(switchIndex)!, steps })),
    };
  }

  #keyOf(unit: VtdUnit, device: number, pasid: number, arrive: number): TranslationKey {
    const { bindings } = unit.translator;
    const slot = bindings.slotOf(bindings.requesterOf[device]!, pasid);
    if (arrive < bindings.resolvedTick[slot]!) {
      const earlier = bindings.earlierFirstPage[slot]!;
      return translationKey(bindings.earlierDomainId[slot]!, earlier < 0 ? bindings.earlierRootSlot[slot]! : earlier);
    }
    const firstPage = bindings.firstPage[slot]!;
    return translationKey(bindings.domainId[slot]!, firstPage < 0 ? bindings.rootSlot[slot]! : firstPage);
  }

  #close(record: SwitchRecord): void {
    const open = this.#openOf(record.lane.unit);
    open.splice(open.indexOf(record), 1);
    record.closed = true;
    const { unitAt, nameOf, originTick } = this.#options;
    this.#curves.add(record.curves);
    for (let block = 0; block < record.refillHits.length; block++) {
      this.#refillHits[block]! += record.refillHits[block]!;
      this.#refillRows[block]! += Math.min(REFILL_CURVE_ROWS, record.refillRows - block * REFILL_CURVE_ROWS);
    }
    if (this.#outcomes.length >= MAX_LISTED) {
      this.#omitted++;
      return;
    }
    const { device, unit } = record.lane;
    const unitName = unit < 0 ? 'software' : unitAt(unit).name;
    this.#outcomes.push(record.outcome(nameOf(device), unitName, originTick));
    const failed = record.result < 0;
    if (failed ? this.#sequenceOfFailure : this.#sequenceOfSuccess) return;
    if (failed) this.#sequenceOfFailure = true;
    else this.#sequenceOfSuccess = true;
    this.#sequences.push({ switchIndex: this.#outcomes.length - 1, steps: record.steps });
  }

  #openOf(unitIndex: number): SwitchRecord[] {
    let open = this.#open.get(unitIndex);
    if (open === undefined) {
      open = [];
      this.#open.set(unitIndex, open);
    }
    return open;
  }

  #historyOf(unitIndex: number): { done: Float64Array; bytes: Float64Array; count: number } {
    let history = this.#unitHistory.get(unitIndex);
    if (history === undefined) {
      history = { done: new Float64Array(UNIT_HISTORY_ROWS), bytes: new Float64Array(UNIT_HISTORY_ROWS), count: 0 };
      this.#unitHistory.set(unitIndex, history);
    }
    return history;
  }
}

/** By start, then unit, device and PASID. */
export function compareOutcomes(a: SwitchOutcome, b: SwitchOutcome): number {
  if (a.startTick !== b.startTick) return a.startTick - b.startTick;
  if (a.unit !== b.unit) return a.unit < b.unit ? -1 : 1;
  if (a.device !== b.device) return a.device < b.device ? -1 : 1;
  return a.pasid - b.pasid;
}
