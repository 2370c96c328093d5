/**
 * Consecutive DMA rows of one unit on their way through the replay: input columns, what the replayer adds to them, and
 * the outcomes. Chunks are recycled; none of their arrays is allocated per row or per call.
 */
import type { DmaBatch, DmaColumns, ResultColumns } from '../hw/unit.ts';
import type { Columns } from '../trace/columns.ts';
import type { DMA_SCHEMA } from '../trace/schema/dma-stream.ts';

/** Rows `firstRow` .. `firstRow + rowCount - 1` of a DMA stream. */
export class DmaChunk {
  firstRow = 0;
  rowCount = 0;
  /** Rows without an outcome. */
  pending = 0;
  /** What the unit sees: copies, in the memory where the unit wants them. */
  readonly input: DmaColumns;
  readonly results: ResultColumns;
  /** u64 [ns] */
  readonly timeNs: Uint32Array;
  readonly afterControl: Uint32Array;
  readonly sequence: Uint32Array;

  /** `batch`: columns of the unit for `capacityRows` rows. */
  constructor(capacityRows: number, { input, results }: DmaBatch) {
    this.timeNs = new Uint32Array(2 * capacityRows);
    this.afterControl = new Uint32Array(capacityRows);
    this.sequence = new Uint32Array(capacityRows);
    this.input = input;
    this.results = results;
  }

  /** Takes rows of the stream, which may be overwritten afterwards. */
  load(firstRow: number, rowCount: number, columns: Columns<typeof DMA_SCHEMA>): void {
    this.firstRow = firstRow;
    this.rowCount = rowCount;
    this.pending = rowCount;
    this.timeNs.set(columns.timeNs);
    this.afterControl.set(columns.afterControl);
    this.sequence.set(columns.sequence);
    const input = this.input;
    input.rowCount = rowCount;
    input.device.set(columns.device);
    input.pasid.set(columns.pasid);
    input.iova.set(columns.iova);
    input.bytes.set(columns.bytes);
    input.flags.set(columns.flags);
  }
}
