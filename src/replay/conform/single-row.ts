/** Columns for one DMA row: accesses that a transcript makes one at a time. */
import type { DmaColumns, ResultColumns } from '../../hw/unit.ts';

/** Input columns with room for one row. */
export function columnsOf(): DmaColumns {
  return {
    rowCount: 1,
    notBefore: new Float64Array(1),
    device: new Uint16Array(1),
    pasid: new Uint32Array(1),
    iova: new Uint32Array(2),
    bytes: new Uint32Array(1),
    flags: new Uint8Array(1),
  };
}

/** Result columns with room for one row. */
export function resultsOf(): ResultColumns {
  return {
    issueTick: new Float64Array(1),
    arriveTick: new Float64Array(1),
    readyTick: new Float64Array(1),
    doneTick: new Float64Array(1),
    outcome: new Uint8Array(1),
    fault: new Uint8Array(1),
    walkReads: new Uint8Array(1),
    pageShift: new Uint8Array(1),
    pfn: new Uint32Array(2),
  };
}
