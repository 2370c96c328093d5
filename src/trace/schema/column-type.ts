/**
 * Column types of a bundle's streams. Every stream is an uncompressed Arrow IPC *file*; u64 columns are read through a
 * Uint32Array.
 */

/** "No value" in u32 columns that are not nullable. */
export const NONE_U32 = 0xffff_ffff;

/** Column types in the words of the Arrow format. */
export type ColumnType = 'u8' | 'u16' | 'u32' | 'u64' | 'i32' | 'dictionary';

/** One stream: column name to type, in file order. */
export type StreamSchema = Readonly<Record<string, ColumnType>>;
