/**
 * Writes one Arrow IPC file by record batch. Rows go into typed arrays of a fixed number of rows; a full set is written
 * as a batch and used again, so memory does not grow with the stream. Each dictionary column has one dictionary for the
 * whole file, written once behind the last batch: the file format finds dictionaries through the footer, and it has no
 * replacement dictionaries.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { FileBlock, Footer } from 'apache-arrow/ipc/metadata/file';
import { BufferRegion, DictionaryBatch, FieldNode, Message, RecordBatch } from 'apache-arrow/ipc/metadata/message';
import type { Schema } from 'apache-arrow/schema';
import { assert } from '../assert.ts';
import { arrowSchema, dictionaryColumns } from './arrow-schema.ts';
import {
  allocateColumns,
  COLUMN_BYTES,
  type ColumnArray,
  type Columns,
  schemaColumns,
  type WritableRow,
  writeU64,
} from './columns.ts';
import type { ColumnType, StreamSchema } from './schema/column-type.ts';
import { FORMAT_VERSION } from './schema/manifest.ts';

/** [rows] Rows of a record batch unless told otherwise: large enough to amortise a read, 2.5 MB of DMA rows. */
export const DEFAULT_BATCH_ROWS = 65_536;

const MAGIC = Buffer.from('ARROW1');
const PADDING = new Uint8Array(8);
/** Metadata version V5 of Arrow, as Message.encode writes. */
const METADATA_V5 = 4;
/** Continuation marker and length 0: end of stream, in front of the footer. */
const END_OF_STREAM = Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0);

/** What became of a finished stream. */
export interface WrittenStream {
  readonly rows: number;
  /** Hex digest of the file's bytes. */
  readonly sha256: string;
}

/** A column of the batch being filled. */
interface Cell {
  readonly name: string;
  readonly type: ColumnType;
  readonly column: ColumnArray<ColumnType>;
}

/** One stream of a bundle, open for writing. */
export class StreamWriter<S extends StreamSchema> {
  readonly schema: S;
  /** Columns of the batch being filled; write row {@link row} and call {@link commit}. */
  readonly columns: Columns<S>;
  /** Next free row of {@link columns}. */
  row = 0;

  readonly #cells: readonly Cell[];
  readonly #fd: number;
  readonly #batchRows: number;
  readonly #arrow: Schema;
  readonly #hash = createHash('sha256');
  readonly #dictionaries = new Map<string, Map<string, number>>();
  readonly #recordBlocks: FileBlock[] = [];
  readonly #dictionaryBlocks: FileBlock[] = [];
  #position = 0;
  #flushedRows = 0;
  #open = true;

  /** Creates `file`, which must not exist; `batchRows` [rows] is the size of a record batch. */
  constructor(file: string, schema: S, batchRows: number = DEFAULT_BATCH_ROWS) {
    this.schema = schema;
    this.columns = allocateColumns(schema, batchRows);
    this.#cells = schemaColumns(schema).map(([name, type]) => {
      return { name, type, column: this.columns[name] as ColumnArray<ColumnType> };
    });
    this.#batchRows = batchRows;
    this.#arrow = arrowSchema(schema, FORMAT_VERSION, batchRows);
    for (const [name, type] of schemaColumns(schema))
      if (type === 'dictionary') this.#dictionaries.set(name, new Map());
    this.#fd = openSync(file, 'wx');
    this.#write(MAGIC);
    this.#pad();
    this.#writeMessage(Message.from(this.#arrow));
  }

  /** Rows written so far; also the number of the next row. */
  get rowCount(): number {
    return this.#flushedRows + this.row;
  }

  /** [rows] Free rows in {@link columns}. */
  get room(): number {
    return this.#batchRows - this.row;
  }

  /** Counts `count` rows, filled from {@link row} on, as written. @hot */
  commit(count = 1): void {
    this.row += count;
    if (this.row >= this.#batchRows) this.#flush();
  }

  /** Writes one row given as an object and returns its number. */
  append(row: WritableRow<S>): number {
    const number = this.rowCount;
    for (let cell = 0; cell < this.#cells.length; cell++) this.#writeCell(this.#cells[cell]!, row);
    this.commit();
    return number;
  }

  /** Code of `text` in a dictionary column, for callers that fill {@link columns} themselves. */
  code(column: keyof S & string, text: string): number {
    const dictionary = this.#dictionaries.get(column);
    assert(dictionary !== undefined, `'${column}' is no dictionary column`);
    let code = dictionary.get(text);
    if (code === undefined) {
      code = dictionary.size;
      dictionary.set(text, code);
    }
    return code;
  }

  /** Writes what is left, the dictionaries and the footer, and closes the file. */
  finish(): WrittenStream {
    if (this.row > 0) this.#flush();
    for (const [id, name] of dictionaryColumns(this.#arrow)) this.#writeDictionary(id, name);
    this.#write(END_OF_STREAM);
    const footer = Footer.encode(new Footer(this.#arrow, METADATA_V5, this.#recordBlocks, this.#dictionaryBlocks));
    this.#write(footer);
    this.#write(Uint8Array.from(new Uint8Array(Int32Array.of(footer.byteLength).buffer)));
    this.#write(MAGIC);
    this.close();
    return { rows: this.#flushedRows, sha256: this.#hash.digest('hex') };
  }

  /** Closes the file as it is. */
  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  #writeCell({ name, type, column }: Cell, row: WritableRow<S>): void {
    const value: unknown = row[name];
    if (type === 'u64') writeU64(column as Uint32Array, this.row, value as number | bigint);
    else column[this.row] = type === 'dictionary' ? this.code(name, value as string) : (value as number);
  }

  #flush(): void {
    const rows = this.row;
    const nodes: FieldNode[] = [];
    const regions: BufferRegion[] = [];
    const bodies: Uint8Array[] = [];
    let bytes = 0;
    for (const [name, type] of schemaColumns(this.schema)) {
      const length = rows * COLUMN_BYTES[type];
      nodes.push(new FieldNode(rows, 0));
      regions.push(new BufferRegion(bytes, 0), new BufferRegion(bytes, length));
      bodies.push(new Uint8Array((this.columns[name] as ColumnArray<ColumnType>).buffer, 0, length));
      bytes += align8(length);
    }
    const block = this.#writeMessage(Message.from(new RecordBatch(rows, nodes, regions, null), bytes));
    for (const body of bodies) {
      this.#write(body);
      this.#pad();
    }
    this.#recordBlocks.push(block);
    this.#flushedRows += rows;
    this.row = 0;
  }

  #writeDictionary(id: number, name: string): void {
    const strings = [...(this.#dictionaries.get(name) as Map<string, number>).keys()].map((text) => Buffer.from(text));
    const offsets = new Int32Array(strings.length + 1);
    for (const [index, text] of strings.entries()) offsets[index + 1] = offsets[index]! + text.length;
    const textBytes = offsets[strings.length]!;
    const textOffset = align8(offsets.byteLength);
    const regions = [
      new BufferRegion(0, 0),
      new BufferRegion(0, offsets.byteLength),
      new BufferRegion(textOffset, textBytes),
    ];
    const data = new RecordBatch(strings.length, [new FieldNode(strings.length, 0)], regions, null);
    const block = this.#writeMessage(Message.from(new DictionaryBatch(data, id), textOffset + align8(textBytes)));
    this.#write(new Uint8Array(offsets.buffer));
    this.#pad();
    this.#write(Buffer.concat(strings));
    this.#pad();
    this.#dictionaryBlocks.push(block);
  }

  /** Writes a message header, padded so that the body behind it starts on a multiple of 8. */
  #writeMessage(message: Message): FileBlock {
    const header = Message.encode(message);
    const headerBytes = align8(header.byteLength + 8);
    const block = new FileBlock(headerBytes, message.bodyLength, this.#position);
    this.#write(new Uint8Array(Int32Array.of(-1, headerBytes - 8).buffer));
    this.#write(header);
    this.#pad();
    return block;
  }

  #pad(): void {
    const missing = align8(this.#position) - this.#position;
    if (missing > 0) this.#write(PADDING.subarray(0, missing));
  }

  #write(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#fd, bytes, done, bytes.length - done);
    this.#position += bytes.length;
  }
}

function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
