/**
 * PASID entries as 512-bit numbers, by the bit numbers of VT-d spec 9.6: an encoder and a decoder that share nothing with
 * the driver or the unit, and what a reader sees while the four 128-bit pieces of one are being rewritten.
 */

/** What an entry says. Table pointers are page numbers. */
export interface EntryFields {
  readonly type: 'first' | 'second' | 'nested' | 'pass';
  readonly domainId: number;
  readonly secondRoot?: number;
  readonly firstRoot?: number;
}

const TYPES = { first: 1n, second: 2n, nested: 3n, pass: 4n } as const;
const PIECES = 4;

/** The sixteen u32 words of a present entry of 4-level tables. */
export function encodeEntry({ type, domainId, secondRoot = 0, firstRoot = 0 }: EntryFields): Uint32Array {
  const fourLevels = 2n;
  const bits =
    1n |
    (fourLevels << 2n) |
    (TYPES[type] << 6n) |
    (BigInt(secondRoot) << 12n) |
    (BigInt(domainId) << 64n) |
    (BigInt(firstRoot) << 140n);
  return Uint32Array.from({ length: 16 }, (_, word) => Number((bits >> BigInt(word * 32)) & 0xffff_ffffn));
}

/** What hardware makes of sixteen words; undefined = not present, or of no type. */
export function decodeEntry(words: ArrayLike<number>): EntryFields | undefined {
  let bits = 0n;
  for (let word = 15; word >= 0; word--) bits = (bits << 32n) | BigInt((words[word] as number) >>> 0);
  const field = (low: bigint, count: bigint): bigint => (bits >> low) & ((1n << count) - 1n);
  if (field(0n, 1n) === 0n) return undefined;
  const type = (Object.keys(TYPES) as (keyof typeof TYPES)[]).find((name) => TYPES[name] === field(6n, 3n));
  if (type === undefined) return undefined;
  return {
    type,
    domainId: Number(field(64n, 16n)),
    secondRoot: Number(field(12n, 52n)),
    firstRoot: Number(field(140n, 52n)),
  };
}

/** One store of software: the pieces of the new entry it writes, or `clear`: the present bit goes off. */
export type EntryStore = readonly number[] | 'clear' | 'zero';

/**
 * Everything a fetch can see that falls anywhere between the stores: the entry as it was, after each of them, and as it
 * is. APPROX: as in the unit, the four pieces of one fetch are read at one instant.
 */
export function seenBetween(old: Uint32Array, next: Uint32Array, stores: readonly EntryStore[]): Uint32Array[] {
  const states = [old];
  let now = old;
  for (const store of stores) {
    now = Uint32Array.from(now);
    if (store === 'clear') now[0] = (now[0] as number) & ~1;
    else if (store === 'zero') now.fill(0);
    else for (const piece of store) now.set(next.subarray(piece * PIECES, (piece + 1) * PIECES), piece * PIECES);
    states.push(now);
  }
  return states;
}
