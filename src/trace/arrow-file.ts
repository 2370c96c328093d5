/**
 * One Arrow IPC file open for random access by record batch. Apache Arrow decodes the metadata; a batch is one
 * positioned read, and its columns are views of what was read.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type FileBlock, Footer } from 'apache-arrow/ipc/metadata/file';
import { type DictionaryBatch, Message, type RecordBatch } from 'apache-arrow/ipc/metadata/message';
import { InputError } from '../input-error.ts';
import { dictionaryColumns, regularBatchRows, schemaMismatch } from './arrow-schema.ts';
import { COLUMN_BYTES, type ColumnArray, type Columns, columnView, schemaColumns } from './columns.ts';
import type { ColumnType, StreamSchema } from './schema/column-type.ts';

const MAGIC = 'ARROW1';
/** [bytes] Footer length word and magic at the end of the file. */
const TRAILER_BYTES = 10;
/** [bytes] Continuation marker and metadata length in front of every message. */
const MESSAGE_PREFIX_BYTES = 8;
/** [bytes] No metadata of these streams comes near; a larger length is damage. */
const MAX_HEADER_BYTES = 1 << 24;

/** Where a record batch lies in the file and which rows it holds. */
export interface BatchEntry {
  readonly firstRow: number;
  readonly rowCount: number;
  /** [bytes] Position of the batch's header; its body follows the header. */
  readonly offset: number;
  readonly headerBytes: number;
  readonly bodyBytes: number;
}

/** An Arrow file of a known schema; every error is an {@link InputError} with the file and, where known, the row. */
export class ArrowFile<S extends StreamSchema> {
  readonly file: string;
  readonly schema: S;
  readonly batches: readonly BatchEntry[];
  /** Strings of each dictionary column, indexed by code. */
  readonly dictionaries: ReadonlyMap<string, readonly string[]>;

  readonly #fd: number;
  readonly #columns: readonly [string, ColumnType][];
  #open = true;

  constructor(file: string, schema: S) {
    this.file = file;
    this.schema = schema;
    this.#columns = schemaColumns(schema);
    this.#fd = openFile(file);
    try {
      const size = fstatSync(this.#fd).size;
      const footer = this.#readFooter(size);
      const mismatch = schemaMismatch(schema, footer.schema);
      if (mismatch !== undefined) throw this.#error(mismatch);
      this.batches = this.#listBatches(footer, size);
      this.dictionaries = this.#readDictionaries(footer, size);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Columns of batch `index`, in `buffer` if it is large enough ({@link batchBytes}) and in new memory if not. */
  load(index: number, buffer?: ArrayBuffer): Columns<S> {
    const entry = this.batches[index]!;
    const bytes = entry.headerBytes + entry.bodyBytes;
    const memory = buffer !== undefined && buffer.byteLength >= bytes ? buffer : new ArrayBuffer(bytes);
    this.#read(new Uint8Array(memory, 0, bytes), entry.offset);
    const batch = this.#decodeBatch(new Uint8Array(memory, 0, entry.headerBytes), entry.firstRow);
    if (batch.length !== entry.rowCount) {
      throw this.#error(`record batch has ${batch.length} rows, expected ${entry.rowCount}`, entry.firstRow);
    }
    const offsets = this.#columnOffsets(batch, entry);
    const columns: Record<string, ColumnArray<ColumnType>> = {};
    for (const [column, [name, type]] of this.#columns.entries()) {
      columns[name] = columnView(type, memory, entry.headerBytes + offsets[column]!, entry.rowCount);
    }
    return columns as unknown as Columns<S>;
  }

  /** [bytes] Memory that holds the largest batch. */
  batchBytes(): number {
    return this.batches.reduce((most, batch) => Math.max(most, batch.headerBytes + batch.bodyBytes), 0);
  }

  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  /**
   * Rows per batch are in the batch headers, not in the footer. Files of this program promise equal batches, so only
   * the last header is read on opening; {@link load} holds every batch against the promise.
   */
  #listBatches(footer: Footer, size: number): BatchEntry[] {
    const regular = regularBatchRows(footer.schema);
    const count = footer.numRecordBatches;
    const entries: BatchEntry[] = [];
    let firstRow = 0;
    for (let index = 0; index < count; index++) {
      const block = footer.getRecordBatch(index) as FileBlock;
      this.#checkBlock(block, size, firstRow);
      const known = regular !== undefined && index < count - 1;
      const rowCount = known ? regular : this.#decodeBatch(this.#readHeader(block, firstRow), firstRow).length;
      const { offset, metaDataLength: headerBytes, bodyLength: bodyBytes } = block;
      entries.push({ firstRow, rowCount, offset, headerBytes, bodyBytes });
      firstRow += rowCount;
    }
    return entries;
  }

  #readDictionaries(footer: Footer, size: number): Map<string, readonly string[]> {
    const columns = dictionaryColumns(footer.schema);
    const dictionaries = new Map<string, readonly string[]>();
    for (const block of footer.dictionaryBatches()) {
      this.#checkBlock(block, size);
      const header = this.#readHeader(block);
      const batch = this.#decode('dictionary', () => {
        const message = Message.decode(header.subarray(MESSAGE_PREFIX_BYTES));
        return message.isDictionaryBatch() ? (message.header() as DictionaryBatch) : undefined;
      });
      const name = batch === undefined ? undefined : columns.get(batch.id);
      if (batch === undefined || name === undefined || batch.isDelta) throw this.#error('unexpected dictionary');
      const body = new Uint8Array(block.bodyLength);
      this.#read(body, block.offset + block.metaDataLength);
      dictionaries.set(
        name,
        this.#decode('dictionary', () => decodeStrings(batch, body)),
      );
    }
    return dictionaries;
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

  #checkBlock(block: FileBlock, size: number, row?: number): void {
    const { offset, metaDataLength, bodyLength } = block;
    const plausible = metaDataLength > MESSAGE_PREFIX_BYTES && metaDataLength <= MAX_HEADER_BYTES;
    if (!plausible || metaDataLength % 8 !== 0 || offset < 8 || bodyLength < 0) {
      throw this.#error('Arrow footer has a bad block', row);
    }
    if (offset + metaDataLength + bodyLength > size) throw this.#error('a block lies beyond the end of the file', row);
  }

  #readHeader(block: FileBlock, row?: number): Uint8Array {
    const header = new Uint8Array(block.metaDataLength);
    this.#read(header, block.offset, row);
    return header;
  }

  #decodeBatch(header: Uint8Array, row: number): RecordBatch {
    const batch = this.#decode(
      'record batch',
      () => {
        const message = Message.decode(header.subarray(MESSAGE_PREFIX_BYTES));
        return message.isRecordBatch() ? (message.header() as RecordBatch) : undefined;
      },
      row,
    );
    if (batch === undefined) throw this.#error('the footer points at something that is no record batch', row);
    if (batch.compression !== null) throw this.#error('compressed record batches are not supported', row);
    return batch;
  }

  /** Offset of each column's data in the body. Every column has two buffers, validity and data; none is nullable. */
  #columnOffsets(batch: RecordBatch, entry: BatchEntry): number[] {
    return this.#columns.map(([name, type], column) => {
      const node = batch.nodes[column];
      const data = batch.buffers[2 * column + 1];
      if (node === undefined || data === undefined) throw this.#error(`column '${name}' has no data`, entry.firstRow);
      if (node.nullCount !== 0) throw this.#error(`column '${name}' has nulls`, entry.firstRow);
      const needed = batch.length * COLUMN_BYTES[type];
      const inBody = data.offset >= 0 && data.length >= needed && data.offset + needed <= entry.bodyBytes;
      if (node.length !== batch.length || !inBody || data.offset % 8 !== 0) {
        throw this.#error(`column '${name}' does not hold ${batch.length} rows`, entry.firstRow);
      }
      return data.offset;
    });
  }

  #decode<T>(what: string, decode: () => T, row?: number): T {
    try {
      return decode();
    } catch (error) {
      throw this.#error(`${what} cannot be decoded (${error instanceof Error ? error.message : String(error)})`, row);
    }
  }

  #read(into: Uint8Array, position: number, row?: number): void {
    let done = 0;
    while (done < into.length) {
      const count = readSync(this.#fd, into, done, into.length - done, position + done);
      if (count === 0) throw this.#error('the file is cut short', row);
      done += count;
    }
  }

  #error(reason: string, row?: number): InputError {
    return new InputError({ file: this.file, row, reason });
  }
}

function decodeStrings(batch: DictionaryBatch, body: Uint8Array): string[] {
  const [, offsets, data] = batch.data.buffers;
  if (offsets === undefined || data === undefined) throw new RangeError('no data');
  const view = new DataView(body.buffer);
  const text = new TextDecoder();
  const strings: string[] = [];
  for (let i = 0; i < batch.data.length; i++) {
    const from = view.getInt32(offsets.offset + 4 * i, true);
    const to = view.getInt32(offsets.offset + 4 * i + 4, true);
    if (from < 0 || to < from || to > data.length) throw new RangeError('bad string offsets');
    strings.push(text.decode(body.subarray(data.offset + from, data.offset + to)));
  }
  return strings;
}

function openFile(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    throw new InputError({ file, reason: `cannot be opened (${(error as NodeJS.ErrnoException).code})` });
  }
}
