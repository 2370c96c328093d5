/**
 * Consecutive DMA rows of one unit on their way through the replay: input columns, what the replayer adds to them, and
 * the outcomes. Chunks are recycled; none of their arrays is allocated per row or per call.
 */
import type { DmaColumns, ResultColumns } from '../hw/unit.ts';
import { allocateColumns, type Columns, copyColumns } from '../trace/columns.ts';
import { DMA_SCHEMA } from '../trace/schema.ts';

/** Rows `firstRow` .. `firstRow + rowCount - 1` of a DMA stream. */
export class DmaChunk {
  firstRow = 0;
  rowCount = 0;
  /** Rows without an outcome. */
  pending = 0;
  /** What the unit sees; only `notBefore` is the chunk's own when the columns are borrowed from the reader. */
  readonly input: DmaColumns;
  readonly results: ResultColumns;
  /** u64 [ns] */
  timeNs: Uint32Array;
  afterControl: Uint32Array;
  sequence: Uint32Array;

  /** Memory for copies; absent while rows are borrowed. */
  #own: Columns<typeof DMA_SCHEMA> | undefined;

  constructor(capacityRows: number) {
    this.timeNs = new Uint32Array(0);
    this.afterControl = this.timeNs;
    this.sequence = this.timeNs;
    this.input = {
      rowCount: 0,
      notBefore: new Float64Array(capacityRows),
      device: new Uint16Array(0),
      pasid: this.timeNs,
      iova: this.timeNs,
      bytes: this.timeNs,
      flags: new Uint8Array(0),
    };
    this.results = allocateResults(capacityRows);
  }

  /** Takes the columns as they are: they must stay valid until the chunk is retired. */
  borrow(firstRow: number, rowCount: number, columns: Columns<typeof DMA_SCHEMA>): void {
    this.firstRow = firstRow;
    this.rowCount = rowCount;
    this.pending = rowCount;
    this.timeNs = columns.timeNs;
    this.afterControl = columns.afterControl;
    this.sequence = columns.sequence;
    const input = this.input;
    input.rowCount = rowCount;
    input.device = columns.device;
    input.pasid = columns.pasid;
    input.iova = columns.iova;
    input.bytes = columns.bytes;
    input.flags = columns.flags;
  }

  /** Copies the columns, for units whose chunks overlap in time. */
  copy(firstRow: number, rowCount: number, columns: Columns<typeof DMA_SCHEMA>): void {
    this.#own ??= allocateColumns(DMA_SCHEMA, this.input.notBefore.length);
    copyColumns(DMA_SCHEMA, columns, 0, this.#own, 0, rowCount);
    this.borrow(firstRow, rowCount, this.#own);
  }
}

/** Outcome columns of their own memory. */
export function allocateResults(capacityRows: number): ResultColumns {
  return {
    issueTick: new Float64Array(capacityRows),
    arriveTick: new Float64Array(capacityRows),
    readyTick: new Float64Array(capacityRows),
    doneTick: new Float64Array(capacityRows),
    outcome: new Uint8Array(capacityRows),
    fault: new Uint8Array(capacityRows),
    walkReads: new Uint8Array(capacityRows),
    pageShift: new Uint8Array(capacityRows),
    pfn: new Uint32Array(2 * capacityRows),
  };
}
