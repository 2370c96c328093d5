/** Reads one stream of a bundle as columns, by record batch or in chunks of any size; one batch in memory at a time. */
import { ArrowFile } from './arrow-file.ts';
import {
  allocateColumns,
  type ColumnArray,
  type Columns,
  copyColumns,
  type ReadRow,
  readU64,
  schemaColumns,
  sliceColumns,
} from './columns.ts';
import type { ColumnType, StreamSchema } from './schema/column-type.ts';

/** [rows] Rows decoded at a time by {@link StreamReader.rows}. */
const ROW_CHUNK = 4096;

/** Rows as columns; row i of the batch is row `firstRow + i` of the stream. */
export interface StreamBatch<S extends StreamSchema> {
  readonly firstRow: number;
  readonly rowCount: number;
  readonly columns: Columns<S>;
}

/** Part of a stream: rows `fromRow` .. `toRow`-1; everything when left out. */
export interface RowRange {
  readonly fromRow?: number | undefined;
  readonly toRow?: number | undefined;
}

/** One stream of a bundle, open for reading. */
export class StreamReader<S extends StreamSchema> {
  readonly schema: S;
  /** Path as given by the user, for messages. */
  readonly file: string;
  /** Rows in the file. */
  readonly rowCount: number;

  readonly #arrow: ArrowFile<S>;

  /** Opens `file`; throws {@link InputError} when it is missing, cut, or not of this schema. */
  constructor(file: string, schema: S) {
    this.file = file;
    this.schema = schema;
    this.#arrow = new ArrowFile(file, schema);
    const last = this.#arrow.batches.at(-1);
    this.rowCount = last === undefined ? 0 : last.firstRow + last.rowCount;
  }

  /** Record batches in the file. */
  get batchCount(): number {
    return this.#arrow.batches.length;
  }

  /** Strings of a dictionary column, indexed by code. */
  dictionary(column: keyof S & string): readonly string[] {
    return this.#arrow.dictionaries.get(column) ?? [];
  }

  /** First row and row count of a record batch. */
  batchRange(index: number): { readonly firstRow: number; readonly rowCount: number } {
    return this.#arrow.batches[index]!;
  }

  /** Reads one record batch into memory of its own; throws {@link InputError} when it is damaged. */
  readBatch(index: number): StreamBatch<S> {
    return this.#load(index, undefined);
  }

  /** Every record batch in order. The columns of a batch are overwritten when the next one is asked for. */
  *batches(): Generator<StreamBatch<S>, void, undefined> {
    const buffer = new ArrayBuffer(this.#arrow.batchBytes());
    for (let index = 0; index < this.batchCount; index++) yield this.#load(index, buffer);
  }

  /**
   * The rows of `range` in chunks of exactly `chunkRows` (the last may be shorter), whatever the file's own batches
   * are. A chunk inside one batch is a view; one that crosses batches is put together in memory of its own. Either is
   * overwritten when the next one is asked for.
   */
  *chunks(chunkRows: number, range: RowRange = {}): Generator<StreamBatch<S>, void, undefined> {
    const toRow = Math.min(range.toRow ?? this.rowCount, this.rowCount);
    let row = Math.max(range.fromRow ?? 0, 0);
    if (row >= toRow) return;
    const limit = Math.min(chunkRows, toRow - row);
    const buffer = new ArrayBuffer(this.#arrow.batchBytes());
    let assembly: Columns<S> | undefined;
    let assembled = 0;
    for (let index = this.#batchOfRow(row); row < toRow; index++) {
      const batch = this.#load(index, buffer);
      const end = Math.min(batch.firstRow + batch.rowCount, toRow);
      while (row < end) {
        const count = Math.min(limit - assembled, end - row);
        const from = row - batch.firstRow;
        row += count;
        if (assembled === 0 && (count === limit || row === toRow)) {
          const columns = sliceColumns(this.schema, batch.columns, from, from + count);
          yield { firstRow: row - count, rowCount: count, columns };
          continue;
        }
        assembly ??= allocateColumns(this.schema, limit);
        copyColumns(this.schema, batch.columns, from, assembly, assembled, count);
        assembled += count;
        if (assembled < limit && row < toRow) continue;
        const columns = sliceColumns(this.schema, assembly, 0, assembled);
        yield { firstRow: row - assembled, rowCount: assembled, columns };
        assembled = 0;
      }
    }
  }

  /** Rows of `range` as objects, u64 as BigInt and dictionary columns as strings: for the control plane. */
  *rows(range: RowRange = {}): Generator<ReadRow<S>, void, undefined> {
    const columns = schemaColumns(this.schema);
    for (const chunk of this.chunks(ROW_CHUNK, range)) {
      for (let row = 0; row < chunk.rowCount; row++) {
        const object: Record<string, number | bigint | string> = {};
        for (const [name, type] of columns) object[name] = this.#readCell(name, type, chunk.columns, row);
        yield object as ReadRow<S>;
      }
    }
  }

  /** Closes the file. */
  close(): void {
    this.#arrow.close();
  }

  #readCell(name: string, type: ColumnType, columns: Columns<S>, row: number): number | bigint | string {
    const array = columns[name] as ColumnArray<ColumnType>;
    if (type === 'u64') return readU64(array as Uint32Array, row);
    const value = array[row]!;
    return type === 'dictionary' ? (this.dictionary(name)[value] ?? '') : value;
  }

  #load(index: number, buffer: ArrayBuffer | undefined): StreamBatch<S> {
    const { firstRow, rowCount } = this.batchRange(index);
    return { firstRow, rowCount, columns: this.#arrow.load(index, buffer) };
  }

  /** Batch that holds `row`. */
  #batchOfRow(row: number): number {
    let low = 0;
    let high = this.batchCount - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      const { firstRow, rowCount } = this.batchRange(middle);
      if (firstRow + rowCount <= row) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
