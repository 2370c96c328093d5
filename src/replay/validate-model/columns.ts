/** Columns of a batch, for workloads that feed a unit directly. */
import type { DmaColumns, ResultColumns } from '../../hw/unit.ts';

/** Input columns of `rows` rows, all zero: device 0, no PASID, as early as possible. */
export function dmaColumns(rows: number): DmaColumns {
  return {
    rowCount: rows,
    notBefore: new Float64Array(rows),
    device: new Uint16Array(rows),
    pasid: new Uint32Array(rows),
    iova: new Uint32Array(rows * 2),
    bytes: new Uint32Array(rows),
    flags: new Uint8Array(rows),
  };
}

/** Outcome columns of `rows` rows. */
export function resultColumns(rows: number): ResultColumns {
  return {
    issueTick: new Float64Array(rows),
    arriveTick: new Float64Array(rows),
    readyTick: new Float64Array(rows),
    doneTick: new Float64Array(rows),
    outcome: new Uint8Array(rows),
    fault: new Uint8Array(rows),
    walkReads: new Uint8Array(rows),
    pageShift: new Uint8Array(rows),
    pfn: new Uint32Array(rows * 2),
  };
}
