/** A {@link StreamSchema} in the terms of the Arrow library, and back. */
import { Field, Schema } from 'apache-arrow/schema';
import { DataType, Dictionary, Int32, Uint8, Uint16, Uint32, Uint64, Utf8 } from 'apache-arrow/type';
import { schemaColumns } from './columns.ts';
import type { ColumnType, StreamSchema } from './schema/column-type.ts';

/** Key of the Arrow schema metadata that holds the bundle's format version. */
const VERSION_KEY = 'iommu-replay.formatVersion';
/** Key of the Arrow schema metadata that promises this many rows in every batch but the last. */
const BATCH_ROWS_KEY = 'iommu-replay.batchRows';

/**
 * Arrow schema of a stream: no nullable fields, dictionary<int32, utf8> with ids in column order; `batchRows` [rows] is
 * the size of every record batch but the last.
 */
export function arrowSchema(schema: StreamSchema, formatVersion: number, batchRows: number): Schema {
  let dictionaryId = 0;
  const fields = schemaColumns(schema).map(
    ([name, type]) =>
      new Field(
        name,
        arrowType(type, () => dictionaryId++),
      ),
  );
  const metadata = new Map([
    [VERSION_KEY, String(formatVersion)],
    [BATCH_ROWS_KEY, String(batchRows)],
  ]);
  return new Schema(fields, metadata);
}

/** [rows] Size of every batch but the last, when the file promises one. */
export function regularBatchRows(schema: Schema): number | undefined {
  const rows = Number(schema.metadata.get(BATCH_ROWS_KEY));
  return Number.isSafeInteger(rows) && rows > 0 ? rows : undefined;
}

/** First difference between a file's columns and those of `expected`, in words; undefined when there is none. */
export function schemaMismatch(expected: StreamSchema, actual: Schema): string | undefined {
  const columns = schemaColumns(expected);
  for (const [index, [name, type]] of columns.entries()) {
    const field = actual.fields[index];
    if (field === undefined) return `column '${name}' is missing`;
    if (field.name !== name) return `column ${index} is '${field.name}', expected '${name}'`;
    const found = columnType(field.type);
    if (found !== type) return `column '${name}' is ${found ?? String(field.type)}, expected ${type}`;
  }
  const extra = actual.fields[columns.length];
  return extra === undefined ? undefined : `unknown column '${extra.name}'`;
}

/** Dictionary id to column name. */
export function dictionaryColumns(schema: Schema): Map<number, string> {
  const columns = new Map<number, string>();
  for (const field of schema.fields) if (DataType.isDictionary(field.type)) columns.set(field.type.id, field.name);
  return columns;
}

function arrowType(type: ColumnType, nextDictionaryId: () => number): DataType {
  switch (type) {
    case 'u8':
      return new Uint8();
    case 'u16':
      return new Uint16();
    case 'u32':
      return new Uint32();
    case 'u64':
      return new Uint64();
    case 'i32':
      return new Int32();
    case 'dictionary':
      return new Dictionary(new Utf8(), new Int32(), nextDictionaryId());
  }
}

function columnType(type: DataType): ColumnType | undefined {
  if (DataType.isDictionary(type)) {
    const wellFormed = DataType.isUtf8(type.dictionary) && columnType(type.indices as DataType) === 'i32';
    return wellFormed ? 'dictionary' : undefined;
  }
  if (!DataType.isInt(type)) return undefined;
  const name = `${type.isSigned ? 'i' : 'u'}${type.bitWidth}`;
  return name === 'u8' || name === 'u16' || name === 'u32' || name === 'u64' || name === 'i32' ? name : undefined;
}
