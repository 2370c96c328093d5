/**
 * Reads one Arrow IPC file by record batch. Apache Arrow decodes the metadata (footer, batch headers); the bodies are
 * read with one positioned read a batch and viewed in place, so a column costs nothing but its bytes. Never more than
 * one batch is in memory.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Footer } from 'apache-arrow/ipc/metadata/file';
import { type BufferRegion, type DictionaryBatch, Message, type RecordBatch } from 'apache-arrow/ipc/metadata/message';
import { InputError } from '../input-error.ts';
import { dictionaryColumns, schemaMismatch } from './arrow-schema.ts';
import {
  allocateColumns,
  COLUMN_BYTES,
  type ColumnArray,
  type Columns,
  columnView,
  copyColumns,
  type ReadRow,
  readU64,
  schemaColumns,
  sliceColumns,
} from './columns.ts';
import type { ColumnType, StreamSchema } from './schema.ts';

const MAGIC = 'ARROW1';
/** [bytes] Footer length word and magic at the end of the file. */
const TRAILER_BYTES = 10;
/** [bytes] Continuation marker and metadata length in front of every message. */
const MESSAGE_PREFIX_BYTES = 8;

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

/** Where a record batch lies in the file. */
interface BatchLayout {
  readonly firstRow: number;
  readonly rowCount: number;
  readonly bodyOffset: number;
  readonly bodyBytes: number;
  /** Offset of each column's data in the body, in schema order. */
  readonly columnOffsets: readonly number[];
}

/** One stream of a bundle, open for reading. */
export class StreamReader<S extends StreamSchema> {
  readonly schema: S;
  /** Path as given by the user, for messages. */
  readonly file: string;
  /** Rows in the file, by the headers of its batches. */
  readonly rowCount: number;

  readonly #fd: number;
  readonly #layouts: readonly BatchLayout[];
  readonly #dictionaries: ReadonlyMap<string, readonly string[]>;
  #open = true;

  /** Opens `file` and reads its metadata; throws {@link InputError} when it is missing, cut, or not of this schema. */
  constructor(file: string, schema: S) {
    this.file = file;
    this.schema = schema;
    this.#fd = openFile(file);
    try {
      const { layouts, dictionaries } = this.#readMetadata();
      this.#layouts = layouts;
      this.#dictionaries = dictionaries;
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
    const last = this.#layouts.at(-1);
    this.rowCount = last === undefined ? 0 : last.firstRow + last.rowCount;
  }

  /** Record batches in the file. */
  get batchCount(): number {
    return this.#layouts.length;
  }

  /** Strings of a dictionary column, indexed by code. */
  dictionary(column: keyof S & string): readonly string[] {
    return this.#dictionaries.get(column) ?? [];
  }

  /** First row and row count of a record batch. */
  batchRange(index: number): { readonly firstRow: number; readonly rowCount: number } {
    return this.#layouts[index]!;
  }

  /** Reads one record batch into memory of its own. */
  readBatch(index: number): StreamBatch<S> {
    const layout = this.#layouts[index]!;
    return this.#loadBatch(layout, new ArrayBuffer(layout.bodyBytes));
  }

  /** Every record batch in order. The columns of a batch are overwritten when the next one is asked for. */
  *batches(): Generator<StreamBatch<S>, void, undefined> {
    let body = new ArrayBuffer(0);
    for (const layout of this.#layouts) {
      if (body.byteLength < layout.bodyBytes) body = new ArrayBuffer(layout.bodyBytes);
      yield this.#loadBatch(layout, body);
    }
  }

  /**
   * The rows of `range` in chunks of exactly `chunkRows` (the last may be shorter), whatever the file's own batches
   * are. A chunk inside one batch is a view; one that crosses batches is put together in a buffer that the next chunk
   * overwrites.
   */
  *chunks(chunkRows: number, range: RowRange = {}): Generator<StreamBatch<S>, void, undefined> {
    const toRow = Math.min(range.toRow ?? this.rowCount, this.rowCount);
    let row = Math.max(range.fromRow ?? 0, 0);
    let assembly: Columns<S> | undefined;
    let assembled = 0;
    let body = new ArrayBuffer(0);
    for (let index = this.#batchOfRow(row); index < this.#layouts.length && row < toRow; index++) {
      const layout = this.#layouts[index]!;
      if (body.byteLength < layout.bodyBytes) body = new ArrayBuffer(layout.bodyBytes);
      const batch = this.#loadBatch(layout, body);
      const end = Math.min(layout.firstRow + layout.rowCount, toRow);
      while (row < end) {
        const count = Math.min(chunkRows - assembled, end - row);
        const from = row - layout.firstRow;
        const whole = assembled === 0 && (count === chunkRows || row + count === toRow);
        row += count;
        if (whole) {
          yield {
            firstRow: row - count,
            rowCount: count,
            columns: sliceColumns(this.schema, batch.columns, from, from + count),
          };
          continue;
        }
        assembly ??= allocateColumns(this.schema, chunkRows);
        copyColumns(this.schema, batch.columns, from, assembly, assembled, count);
        assembled += count;
        if (assembled === chunkRows || row === toRow) {
          yield {
            firstRow: row - assembled,
            rowCount: assembled,
            columns: sliceColumns(this.schema, assembly, 0, assembled),
          };
          assembled = 0;
        }
      }
    }
  }

  /** Rows of `range` as objects, u64 as BigInt and dictionary columns as strings: for the control plane. */
  *rows(range: RowRange = {}): Generator<ReadRow<S>, void, undefined> {
    const columns = schemaColumns(this.schema);
    for (const { rowCount, columns: arrays } of this.chunks(4096, range)) {
      for (let row = 0; row < rowCount; row++) {
        const object: Record<string, number | bigint | string> = {};
        for (const [name, type] of columns) object[name] = this.#readCell(name, type, arrays, row);
        yield object as ReadRow<S>;
      }
    }
  }

  /** Closes the file. */
  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  #readCell(name: string, type: ColumnType, arrays: Columns<S>, row: number): number | bigint | string {
    const array = arrays[name] as ColumnArray<ColumnType>;
    if (type === 'u64') return readU64(array as Uint32Array, row);
    const value = array[row]!;
    return type === 'dictionary' ? (this.#dictionaries.get(name)?.[value] ?? '') : value;
  }

  /** Batch that holds `row`; `batchCount` when there is none. */
  #batchOfRow(row: number): number {
    let low = 0;
    let high = this.#layouts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const layout = this.#layouts[middle]!;
      if (layout.firstRow + layout.rowCount <= row) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #loadBatch(layout: BatchLayout, body: ArrayBuffer): StreamBatch<S> {
    this.#read(new Uint8Array(body, 0, layout.bodyBytes), layout.bodyOffset);
    const columns: Record<string, ColumnArray<ColumnType>> = {};
    for (const [index, [name, type]] of schemaColumns(this.schema).entries()) {
      columns[name] = columnView(type, body, layout.columnOffsets[index]!, layout.rowCount);
    }
    return { firstRow: layout.firstRow, rowCount: layout.rowCount, columns: columns as unknown as Columns<S> };
  }

  #readMetadata(): { layouts: BatchLayout[]; dictionaries: Map<string, readonly string[]> } {
    const size = fstatSync(this.#fd).size;
    const footer = this.#readFooter(size);
    const mismatch = schemaMismatch(this.schema, footer.schema);
    if (mismatch !== undefined) throw this.#error(mismatch);
    const layouts: BatchLayout[] = [];
    let firstRow = 0;
    for (const block of footer.recordBatches()) {
      const bodyOffset = block.offset + block.metaDataLength;
      if (bodyOffset + block.bodyLength > size)
        throw this.#error('record batch lies beyond the end of the file', firstRow);
      const header = this.#readHeader(block.offset, block.metaDataLength, firstRow);
      if (!header.isRecordBatch()) throw this.#error('footer points at something that is no record batch', firstRow);
      const layout = this.#layout(header.header(), firstRow, bodyOffset, block.bodyLength);
      layouts.push(layout);
      firstRow += layout.rowCount;
    }
    const columns = dictionaryColumns(footer.schema);
    const dictionaries = new Map<string, readonly string[]>();
    for (const block of footer.dictionaryBatches()) {
      const bodyOffset = block.offset + block.metaDataLength;
      if (bodyOffset + block.bodyLength > size) throw this.#error('dictionary lies beyond the end of the file');
      const header = this.#readHeader(block.offset, block.metaDataLength);
      if (!header.isDictionaryBatch()) throw this.#error('footer points at something that is no dictionary');
      const batch: DictionaryBatch = header.header();
      const name = columns.get(batch.id);
      if (name === undefined || batch.isDelta) throw this.#error(`unexpected dictionary ${batch.id}`);
      const body = new Uint8Array(block.bodyLength);
      this.#read(body, bodyOffset);
      dictionaries.set(name, this.#decodeStrings(batch, body));
    }
    return { layouts, dictionaries };
  }

  #readFooter(size: number): Footer {
    const head = new Uint8Array(MAGIC.length);
    if (size >= MAGIC.length) this.#read(head, 0);
    if (Buffer.from(head).toString('latin1') !== MAGIC) throw this.#error('not an Arrow IPC file');
    const trailer = Buffer.alloc(TRAILER_BYTES);
    if (size >= 2 * TRAILER_BYTES) this.#read(trailer, size - TRAILER_BYTES);
    if (trailer.toString('latin1', 4) !== MAGIC) throw this.#error('the file is cut short: no Arrow footer at its end');
    const footerBytes = trailer.readInt32LE(0);
    if (footerBytes <= 0 || footerBytes > size - TRAILER_BYTES - 8) throw this.#error('Arrow footer has a bad length');
    const footer = new Uint8Array(footerBytes);
    this.#read(footer, size - TRAILER_BYTES - footerBytes);
    return this.#decode('Arrow footer', () => Footer.decode(footer));
  }

  #readHeader(offset: number, bytes: number, row?: number): Message {
    if (bytes <= MESSAGE_PREFIX_BYTES || bytes > 1 << 24) throw this.#error('message header has a bad length', row);
    const header = new Uint8Array(bytes);
    this.#read(header, offset);
    return this.#decode('message header', () => {
      const message = Message.decode(header.subarray(MESSAGE_PREFIX_BYTES));
      message.header();
      return message;
    });
  }

  #layout(batch: RecordBatch, firstRow: number, bodyOffset: number, bodyBytes: number): BatchLayout {
    if (batch.compression !== null) throw this.#error('compressed record batches are not supported', firstRow);
    const columns = schemaColumns(this.schema);
    const columnOffsets: number[] = [];
    for (const [index, [name, type]] of columns.entries()) {
      // Every column here has two buffers, validity and data; nothing is nullable.
      const node = batch.nodes[index];
      const data: BufferRegion | undefined = batch.buffers[2 * index + 1];
      if (node === undefined || data === undefined) throw this.#error(`column '${name}' has no data`, firstRow);
      if (node.nullCount !== 0) throw this.#error(`column '${name}' has nulls`, firstRow);
      const needed = batch.length * COLUMN_BYTES[type];
      const inBody = data.offset >= 0 && data.length >= needed && data.offset + needed <= bodyBytes;
      if (node.length !== batch.length || !inBody || data.offset % 8 !== 0) {
        throw this.#error(`column '${name}' does not hold ${batch.length} rows`, firstRow);
      }
      columnOffsets.push(data.offset);
    }
    return { firstRow, rowCount: batch.length, bodyOffset, bodyBytes, columnOffsets };
  }

  #decodeStrings(batch: DictionaryBatch, body: Uint8Array): string[] {
    const [, offsets, data] = batch.data.buffers;
    if (offsets === undefined || data === undefined) throw this.#error(`dictionary ${batch.id} has no data`);
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const text = new TextDecoder();
    return this.#decode('dictionary', () => {
      const strings: string[] = [];
      for (let i = 0; i < batch.data.length; i++) {
        const from = view.getInt32(offsets.offset + 4 * i, true);
        const to = view.getInt32(offsets.offset + 4 * i + 4, true);
        strings.push(text.decode(body.subarray(data.offset + from, data.offset + to)));
      }
      return strings;
    });
  }

  #decode<T>(what: string, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      throw this.#error(`${what} cannot be decoded (${error instanceof Error ? error.message : String(error)})`);
    }
  }

  #read(into: Uint8Array, position: number): void {
    let done = 0;
    while (done < into.length) {
      const count = readSync(this.#fd, into, done, into.length - done, position + done);
      if (count === 0) throw this.#error('the file is cut short');
      done += count;
    }
  }

  #error(reason: string, row?: number): InputError {
    return new InputError({ file: this.file, row, reason });
  }
}

function openFile(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    throw new InputError({ file, reason: `cannot be opened (${(error as NodeJS.ErrnoException).code})` });
  }
}
