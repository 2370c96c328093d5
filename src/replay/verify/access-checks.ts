/** `translations`, `iotlb` and `faults`: each recorded access against what the recorder's IOMMU model does with it. */
import { pfnFromAddress } from '../../address.ts';
import { DmaOutcome } from '../../hw/unit.ts';
import type { AccessResult } from '../../hw/vtd/unit.ts';
import { ObservedOutcome } from '../../trace/schema.ts';
import type { DmaRow, ObservedDmaRow } from './merged-rows.ts';
import { CheckCounter } from './result.ts';

/** The three checks over the access stream. */
export class AccessChecks {
  readonly translations = new CheckCounter();
  readonly iotlb = new CheckCounter();
  readonly faults = new CheckCounter();
  inWindow = 0;
  outside = 0;

  /** Holds one access of the model against the recorded one. `position` names the row. */
  compare(position: string, row: DmaRow, observed: ObservedDmaRow, modelled: AccessResult): void {
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
