/**
 * Structures that user space hands to an ioctl: little-endian fields at fixed offsets, decoded to plain objects and
 * encoded back.
 */

/** One unsigned field. */
export interface StructField {
  /** [bytes] */
  readonly offset: number;
  /** [bytes] */
  readonly width: 1 | 2 | 4 | 8;
}

/** Fields by name. */
export type StructLayout = Readonly<Record<string, StructField>>;

/** Decoded fields: BigInt for 64-bit ones, number for the others. */
export type StructValues<L extends StructLayout> = {
  -readonly [K in keyof L]: L[K]['width'] extends 8 ? bigint : number;
};

/** A 1-byte field. */
export const u8 = (offset: number) => ({ offset, width: 1 }) as const;
/** A 2-byte field. */
export const u16 = (offset: number) => ({ offset, width: 2 }) as const;
/** A 4-byte field. */
export const u32 = (offset: number) => ({ offset, width: 4 }) as const;
/** An 8-byte field. */
export const u64 = (offset: number) => ({ offset, width: 8 }) as const;

/** Reads every field; `bytes` covers them all. */
export function decodeStruct<L extends StructLayout>(layout: L, bytes: Uint8Array): StructValues<L> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: Record<string, number | bigint> = {};
  for (const name in layout) {
    const field = layout[name] as StructField;
    if (field.width === 8) values[name] = view.getBigUint64(field.offset, true);
    else if (field.width === 4) values[name] = view.getUint32(field.offset, true);
    else if (field.width === 2) values[name] = view.getUint16(field.offset, true);
    else values[name] = view.getUint8(field.offset);
  }
  return values as StructValues<L>;
}

/** Writes fields into `bytes`, modulo their width; absent ones stay as they are. */
export function encodeStruct(
  layout: StructLayout,
  values: Readonly<Record<string, number | bigint | undefined>>,
  bytes: Uint8Array,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const name in layout) {
    const value = values[name];
    if (value === undefined) continue;
    const field = layout[name] as StructField;
    // The setters take the value modulo the field's width.
    if (field.width === 8) view.setBigUint64(field.offset, typeof value === 'bigint' ? value : BigInt(value), true);
    else if (field.width === 4) view.setUint32(field.offset, low32(value), true);
    else if (field.width === 2) view.setUint16(field.offset, low32(value), true);
    else view.setUint8(field.offset, low32(value));
  }
}

function low32(value: number | bigint): number {
  return typeof value === 'bigint' ? Number(BigInt.asUintN(32, value)) : value;
}
