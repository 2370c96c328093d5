/**
 * Columns of one record batch as typed arrays, derived from a {@link StreamSchema}. A u64 column is a Uint32Array of
 * two words a row, low word first, which is its Arrow buffer as it lies in the file; a dictionary column is an
 * Int32Array of codes.
 */
import type { ColumnType, StreamSchema } from './schema/column-type.ts';

/** Typed array of a column type. */
export type ColumnArray<T extends ColumnType> = T extends 'u8'
  ? Uint8Array
  : T extends 'u16'
    ? Uint16Array
    : T extends 'i32' | 'dictionary'
      ? Int32Array
      : Uint32Array;

/** All columns of a stream. */
export type Columns<S extends StreamSchema> = { readonly [K in keyof S]: ColumnArray<S[K]> };

/** One row to be written: u64 as number or BigInt, dictionary columns as their string. */
export type WritableRow<S extends StreamSchema> = {
  readonly [K in keyof S]: S[K] extends 'u64' ? number | bigint : S[K] extends 'dictionary' ? string : number;
};

/** One row as it was read: u64 as BigInt, dictionary columns as their string. For control-plane use, not per DMA. */
export type ReadRow<S extends StreamSchema> = {
  readonly [K in keyof S]: S[K] extends 'u64' ? bigint : S[K] extends 'dictionary' ? string : number;
};

/** [bytes] of one row of a column. */
export const COLUMN_BYTES: Readonly<Record<ColumnType, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  i32: 4,
  dictionary: 4,
};

/** Names and types of a schema in file order. */
export function schemaColumns(schema: StreamSchema): [string, ColumnType][] {
  return Object.entries(schema);
}

/** Typed array over `rowCount` rows of a column at `byteOffset` of `buffer`. */
export function columnView(
  type: ColumnType,
  buffer: ArrayBuffer,
  byteOffset: number,
  rowCount: number,
): ColumnArray<ColumnType> {
  switch (type) {
    case 'u8':
      return new Uint8Array(buffer, byteOffset, rowCount);
    case 'u16':
      return new Uint16Array(buffer, byteOffset, rowCount);
    case 'u32':
      return new Uint32Array(buffer, byteOffset, rowCount);
    case 'u64':
      return new Uint32Array(buffer, byteOffset, rowCount * 2);
    case 'i32':
    case 'dictionary':
      return new Int32Array(buffer, byteOffset, rowCount);
  }
}

/** Columns of their own memory for `rowCount` rows. */
export function allocateColumns<S extends StreamSchema>(schema: S, rowCount: number): Columns<S> {
  const columns: Record<string, ColumnArray<ColumnType>> = {};
  for (const [name, type] of schemaColumns(schema)) {
    columns[name] = columnView(type, new ArrayBuffer(rowCount * COLUMN_BYTES[type]), 0, rowCount);
  }
  return columns as unknown as Columns<S>;
}

/** Rows `from` .. `to`-1 of all columns, without copying. */
export function sliceColumns<S extends StreamSchema>(
  schema: S,
  columns: Columns<S>,
  from: number,
  to: number,
): Columns<S> {
  const slice: Record<string, ColumnArray<ColumnType>> = {};
  for (const [name, type] of schemaColumns(schema)) {
    const width = type === 'u64' ? 2 : 1;
    slice[name] = (columns[name] as ColumnArray<ColumnType>).subarray(from * width, to * width);
  }
  return slice as unknown as Columns<S>;
}

/** Copies `count` rows between columns of one schema. */
export function copyColumns<S extends StreamSchema>(
  schema: S,
  from: Columns<S>,
  fromRow: number,
  to: Columns<S>,
  toRow: number,
  count: number,
): void {
  for (const [name, type] of schemaColumns(schema)) {
    const width = type === 'u64' ? 2 : 1;
    const source = from[name] as ColumnArray<ColumnType>;
    (to[name] as ColumnArray<ColumnType>).set(
      source.subarray(fromRow * width, (fromRow + count) * width),
      toRow * width,
    );
  }
}

/** BigInt of a u64 row. */
export function readU64(words: Uint32Array, row: number): bigint {
  return (BigInt(words[2 * row + 1]!) << 32n) | BigInt(words[2 * row]!);
}

/** Writes a u64 row: a BigInt, or an integer 0 .. 2^53 - 1. */
export function writeU64(words: Uint32Array, row: number, value: number | bigint): void {
  if (typeof value === 'bigint') {
    words[2 * row] = Number(value & 0xffff_ffffn);
    words[2 * row + 1] = Number((value >> 32n) & 0xffff_ffffn);
  } else {
    words[2 * row] = value >>> 0;
    words[2 * row + 1] = Math.floor(value / 4294967296);
  }
}
