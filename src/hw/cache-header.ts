/**
 * Words of a cache's header: what {@link SetAssoc} shares with the compiled loop of the data plane. Plain constants, so
 * that AssemblyScript can import this file as TypeScript does.
 */

/** Entries that hold something, stale ones not yet reclaimed included. */
export const CACHE_LIVE = 0;
/** 1: entries of past generations may be left. */
export const CACHE_STALE = 1;
/** Recency stamp given out last. */
export const CACHE_CLOCK = 2;
/** Number of entries, of ways of a set, and of sets (or hash buckets of an indexed cache). */
export const CACHE_ENTRIES = 3;
export const CACHE_WAYS = 4;
export const CACHE_SETS = 5;
/** 1: one large set with a hash index and a recency list. */
export const CACHE_INDEXED = 6;
/** 1: the low bits of the first key word select the set. */
export const CACHE_LOW_BITS = 7;
/** POLICY_ number. */
export const CACHE_POLICY = 8;
/** Byte offsets of the arrays. */
export const CACHE_TAGS = 9;
export const CACHE_VALUES = 10;
export const CACHE_READY = 11;
export const CACHE_HEADS = 12;
export const CACHE_NEXT = 13;
export const CACHE_OLDER = 14;
export const CACHE_NEWER = 15;
/** Byte offset of the eviction counts, float64: by capacity, by conflict, by invalidation. */
export const CACHE_EVICTIONS = 16;
export const CACHE_WORDS = 17;

export const EVICTED_BY_CAPACITY = 0;
export const EVICTED_BY_CONFLICT = 1;
export const EVICTED_BY_INVALIDATION = 2;

export const POLICY_LRU = 0;
export const POLICY_FIFO = 1;
export const POLICY_TREE_PLRU = 2;
export const POLICY_RANDOM = 3;
export const POLICY_RESET = 4;

/** Stamps are 31 bits; a cache renumbers them when it gets here. */
export const LAST_STAMP = 0x7fff_ffff;
