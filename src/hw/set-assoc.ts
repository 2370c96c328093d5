/**
 * The one cache structure of every modelled IOMMU: IOTLB, paging-structure, context and PASID caches are instances.
 *
 * A key is two int32 words, a value two more; each entry carries the tick from which it is valid (a fill under way is
 * an entry of the future) and the generation of its *group* at fill time. The group of an entry is
 * `key1 >>> GROUP_SHIFT`. Raising a group's generation drops all its entries in O(1): they no longer match, and are
 * reclaimed before the next victim is chosen, so that contents are at all times those of an eager invalidation.
 *
 * Sets of at most {@link LINEAR_WAYS} ways are scanned; a larger single set (fully associative) is a hash index with an
 * intrusive recency list, so that a lookup does not depend on the number of entries.
 */
import { assert } from '../assert.ts';
import * as Header from './cache-header.ts';
import { type ArraySource, HEAP_ARRAYS } from './linear-memory.ts';

/** Replacement policies. `reset-when-full` empties the whole cache when it is full, as software models do. */
export type ReplacementPolicy = 'lru' | 'tree-plru' | 'fifo' | 'random' | 'reset-when-full';
/** How a key selects its set: a mixing hash, or the low bits of the first key word. */
export type SetIndexing = 'hash' | 'low-bits';

/** Shape of a cache. */
export interface CacheGeometry {
  readonly entries: number;
  /** Ways of a set; 0 = fully associative. Must divide `entries`. */
  readonly ways: number;
  readonly policy: ReplacementPolicy;
  readonly indexing: SetIndexing;
}

/** Current generation of each group; grown by its owner, read by every cache that shares it. */
export interface GroupGenerations {
  current: Int32Array;
}

/** `key1 >>> GROUP_SHIFT` is the group of a key. */
export const GROUP_SHIFT = 15;

const LINEAR_WAYS = 16;
const FREE = -1;
// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const LIVE = Header.CACHE_LIVE;
const STALE = Header.CACHE_STALE;
const CLOCK = Header.CACHE_CLOCK;
const BY_CAPACITY = Header.EVICTED_BY_CAPACITY;
const BY_CONFLICT = Header.EVICTED_BY_CONFLICT;
const BY_INVALIDATION = Header.EVICTED_BY_INVALIDATION;
const LAST_STAMP = Header.LAST_STAMP;
const LRU = Header.POLICY_LRU;
const FIFO = Header.POLICY_FIFO;
const TREE_PLRU = Header.POLICY_TREE_PLRU;
const RANDOM = Header.POLICY_RANDOM;
const RESET = Header.POLICY_RESET;
const POLICY = { lru: LRU, fifo: FIFO, 'tree-plru': TREE_PLRU, random: RANDOM, 'reset-when-full': RESET } as const;

/** A cache of fixed geometry. */
export class SetAssoc {
  readonly entries: number;
  /** Per entry: key0, key1, generation, recency stamp. A free entry has key1 = -1 and stamp 0. */
  readonly tags: Int32Array;
  /** Per entry: value0, value1. */
  readonly values: Int32Array;
  /** [ps] Per entry: valid from this tick on. */
  readonly readyTick: Float64Array;

  /** Geometry, counts and places of the arrays, by the CACHE_ numbers of cache-header.ts. */
  readonly header: Int32Array;
  /** Times a `reset-when-full` cache emptied itself. */
  resets = 0;
  /** value0 and key1 of the entry that the last {@link fill} replaced, -1 when it replaced none. */
  replacedValue0 = -1;
  replacedKey1 = -1;
  readonly #policy: number;
  readonly #generations: GroupGenerations;
  readonly #ways: number;
  readonly #sets: number;
  /** Sets are a power of two and selected by the top bits of a hash. */
  readonly #hashed: boolean;
  /** Right shift that makes a set (or bucket) number of a hash. */
  readonly #shift: number;
  readonly #setMask: number;
  readonly #lowBits: boolean;
  readonly #indexed: boolean;
  /** Fully associative: bucket heads, bucket links, recency links (a ring through the sentinel `entries`). */
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  readonly #treeBits: Int32Array;
  /** By the EVICTED_BY_ numbers. */
  readonly #evictions: Float64Array;
  #random: number;

  constructor(
    geometry: CacheGeometry,
    generations: GroupGenerations,
    seed = 0x9e3779b9,
    arrays: ArraySource = HEAP_ARRAYS,
  ) {
    const { entries } = geometry;
    const ways = geometry.ways === 0 ? entries : geometry.ways;
    assert(Number.isInteger(entries) && entries > 0 && entries % ways === 0, `bad geometry ${entries} x ${ways}`);
    this.entries = entries;
    this.tags = arrays.int32(entries * 4);
    this.values = arrays.int32(entries * 2);
    this.readyTick = arrays.float64(entries);
    this.#evictions = arrays.float64(3);
    this.#generations = generations;
    this.#policy = POLICY[geometry.policy];
    this.#ways = ways;
    this.#sets = entries / ways;
    this.#lowBits = geometry.indexing === 'low-bits';
    this.#indexed = this.#sets === 1 && (ways > LINEAR_WAYS || this.#policy === RESET);
    this.#random = seed | 1;
    assert(this.#policy !== RESET || this.#sets === 1, 'reset-when-full needs a fully associative cache');
    assert(this.#policy !== TREE_PLRU || ((ways & (ways - 1)) === 0 && ways <= 32), 'tree-plru: 2, 4, ... 32 ways');
    const buckets = this.#indexed ? 2 ** Math.ceil(Math.log2(entries * 2)) : this.#sets;
    this.#hashed = !this.#lowBits && (buckets & (buckets - 1)) === 0;
    this.#shift = buckets === 1 ? 0 : 32 - Math.floor(Math.log2(buckets));
    this.#setMask = buckets === 1 ? 0 : -1;
    const links = this.#indexed ? entries + 1 : 0;
    this.#heads = arrays.int32(this.#indexed ? buckets : 0);
    this.#next = arrays.int32(links);
    this.#older = arrays.int32(links);
    this.#newer = arrays.int32(links);
    this.#treeBits = new Int32Array(this.#policy === TREE_PLRU ? this.#sets : 0);
    const header = arrays.int32(Header.CACHE_WORDS);
    header[Header.CACHE_ENTRIES] = entries;
    header[Header.CACHE_WAYS] = ways;
    header[Header.CACHE_SETS] = buckets;
    header[Header.CACHE_INDEXED] = this.#indexed ? 1 : 0;
    header[Header.CACHE_LOW_BITS] = this.#lowBits ? 1 : 0;
    header[Header.CACHE_POLICY] = this.#policy;
    header[Header.CACHE_TAGS] = this.tags.byteOffset;
    header[Header.CACHE_VALUES] = this.values.byteOffset;
    header[Header.CACHE_READY] = this.readyTick.byteOffset;
    header[Header.CACHE_HEADS] = this.#heads.byteOffset;
    header[Header.CACHE_NEXT] = this.#next.byteOffset;
    header[Header.CACHE_OLDER] = this.#older.byteOffset;
    header[Header.CACHE_NEWER] = this.#newer.byteOffset;
    header[Header.CACHE_EVICTIONS] = this.#evictions.byteOffset;
    this.header = header;
    this.clear();
  }

  /** Entries that hold something, stale ones not yet reclaimed included. */
  get live(): number {
    return this.header[LIVE]!;
  }

  /** Valid entries replaced because the whole cache was full. */
  get evictedByCapacity(): number {
    return this.#evictions[BY_CAPACITY]!;
  }

  /** Valid entries replaced because their set was full. */
  get evictedByConflict(): number {
    return this.#evictions[BY_CONFLICT]!;
  }

  /** Entries invalidated. */
  get evictedByInvalidation(): number {
    return this.#evictions[BY_INVALIDATION]!;
  }

  /** Entry of the key at `generation`, made the most recently used; -1 when absent. @hot */
  find(key0: number, key1: number, generation: number): number {
    if (this.#indexed) {
      const found = this.#peekIndexed(key0, key1, generation);
      if (found >= 0 && this.#policy === LRU) this.#moveToFront(found);
      return found;
    }
    const tags = this.tags;
    let word = this.#firstWord(key0, key1);
    const end = word + (this.#ways << 2);
    for (; word < end; word += 4) {
      if (tags[word] === key0 && tags[word + 1] === key1 && tags[word + 2] === generation) {
        if (this.#policy === LRU) tags[word + 3] = this.#tick();
        else if (this.#policy === TREE_PLRU) this.#pointAway(word >> 2);
        return word >> 2;
      }
    }
    return -1;
  }

  /** As {@link find}, leaving the recency order alone. @hot */
  peek(key0: number, key1: number, generation: number): number {
    if (this.#indexed) return this.#peekIndexed(key0, key1, generation);
    const tags = this.tags;
    let word = this.#firstWord(key0, key1);
    const end = word + (this.#ways << 2);
    for (; word < end; word += 4) {
      if (tags[word] === key0 && tags[word + 1] === key1 && tags[word + 2] === generation) return word >> 2;
    }
    return -1;
  }

  /** Stores a key that is not present and returns its entry; the caller sets {@link readyTick}. @hot */
  fill(key0: number, key1: number, generation: number, value0: number, value1: number): number {
    if (this.header[STALE] !== 0) this.#reclaim();
    const entry = this.#indexed ? this.#placeIndexed() : this.#place(key0, key1);
    const word = entry << 2;
    const tags = this.tags;
    tags[word] = key0;
    tags[word + 1] = key1;
    tags[word + 2] = generation;
    this.values[entry << 1] = value0;
    this.values[(entry << 1) + 1] = value1;
    this.header[LIVE]!++;
    if (this.#indexed) this.#link(entry, key0, key1);
    else this.#stampNew(entry);
    return entry;
  }

  /** Removes the key if present; true when it was. */
  remove(key0: number, key1: number, generation: number): boolean {
    const entry = this.peek(key0, key1, generation);
    if (entry < 0) return false;
    this.drop(entry);
    return true;
  }

  /** Frees an entry found by walking {@link tags}; counts as invalidated. */
  drop(entry: number): void {
    this.#release(entry);
    this.#evictions[BY_INVALIDATION]!++;
  }

  /** To be called when the generation of any group has been raised. */
  noteGenerationChange(): void {
    this.header[STALE] = this.live > 0 ? 1 : 0;
  }

  /** Reclaims entries of past generations now, so that {@link live} is exact. */
  settle(): void {
    if (this.header[STALE] !== 0) this.#reclaim();
  }

  /** Forgets everything; counts nothing. */
  clear(): void {
    this.tags.fill(0);
    for (let entry = 0; entry < this.entries; entry++) this.tags[entry * 4 + 1] = FREE;
    this.#treeBits.fill(0);
    this.#heads.fill(FREE);
    this.header[LIVE] = 0;
    this.header[STALE] = 0;
    this.header[CLOCK] = 0;
    if (!this.#indexed) return;
    // Free entries hang on `next` from the sentinel; the recency ring is empty.
    for (let entry = 0; entry < this.entries; entry++)
      this.#next[entry] = entry + 1 === this.entries ? FREE : entry + 1;
    this.#next[this.entries] = 0;
    this.#older[this.entries] = this.entries;
    this.#newer[this.entries] = this.entries;
  }

  /** First tag word of the key's set. */
  #firstWord(key0: number, key1: number): number {
    if (this.#hashed) return Math.imul((mix(key0, key1) >>> this.#shift) & this.#setMask, this.#ways) << 2;
    return Math.imul(this.#remainder(key0, key1), this.#ways) << 2;
  }

  /** Set of a key when it is not the top bits of a hash. */
  #remainder(key0: number, key1: number): number {
    if (this.#lowBits) return (key0 >>> 0) % this.#sets;
    return Math.floor(((mix(key0, key1) >>> 0) * this.#sets) / 4294967296);
  }

  #tick(): number {
    const { header } = this;
    if (header[CLOCK] === LAST_STAMP) this.#renumber();
    const stamp = (header[CLOCK]! + 1) | 0;
    header[CLOCK] = stamp;
    return stamp;
  }

  /** Stamps are 31 bits: replaces them by their ranks when they run out. */
  #renumber(): void {
    const tags = this.tags;
    const order = Array.from({ length: this.entries }, (_, entry) => entry)
      .filter((entry) => tags[entry * 4 + 3] !== 0)
      .sort((a, b) => tags[a * 4 + 3]! - tags[b * 4 + 3]!);
    for (let rank = 0; rank < order.length; rank++) tags[order[rank]! * 4 + 3] = rank + 1;
    this.header[CLOCK] = order.length;
  }

  #stampNew(entry: number): void {
    this.tags[(entry << 2) + 3] = this.#tick();
    if (this.#policy === TREE_PLRU) this.#pointAway(entry);
  }

  /** Frees a way of the key's set, or finds one free. */
  #place(key0: number, key1: number): number {
    const tags = this.tags;
    const first = this.#firstWord(key0, key1) >> 2;
    let victim = first;
    let oldest = tags[(first << 2) + 3]!;
    const end = first + this.#ways;
    for (let entry = first + 1; entry < end; entry++) {
      const stamp = tags[(entry << 2) + 3]!;
      if (stamp < oldest) {
        oldest = stamp;
        victim = entry;
      }
    }
    this.replacedValue0 = -1;
    this.replacedKey1 = -1;
    if (oldest === 0) return victim;
    if (this.#policy === RANDOM) victim = first + this.#draw(this.#ways);
    else if (this.#policy === TREE_PLRU) victim = first + this.#treeVictim(Math.floor(first / this.#ways));
    this.#evict(victim);
    return victim;
  }

  #evict(victim: number): void {
    if (this.live === this.entries) this.#evictions[BY_CAPACITY]!++;
    else this.#evictions[BY_CONFLICT]!++;
    this.replacedValue0 = this.values[victim << 1]!;
    this.replacedKey1 = this.tags[(victim << 2) + 1]!;
    this.#release(victim);
  }

  #release(entry: number): void {
    if (this.#indexed) this.#unlink(entry);
    this.tags[(entry << 2) + 1] = FREE;
    this.tags[(entry << 2) + 3] = 0;
    this.header[LIVE]!--;
  }

  #reclaim(): void {
    this.header[STALE] = 0;
    const tags = this.tags;
    const current = this.#generations.current;
    for (let entry = 0; entry < this.entries; entry++) {
      const key1 = tags[entry * 4 + 1]!;
      if (key1 !== FREE && tags[entry * 4 + 2] !== current[key1 >>> GROUP_SHIFT]) this.drop(entry);
    }
  }

  #draw(below: number): number {
    let state = this.#random;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#random = state;
    return Math.floor(((state >>> 0) * below) / 4294967296);
  }

  /** Heap-ordered tree bits of the set: 0 = the victim is on the left. */
  #pointAway(entry: number): void {
    const set = Math.floor(entry / this.#ways);
    let node = this.#ways + (entry - set * this.#ways);
    let bits = this.#treeBits[set]!;
    for (; node > 1; node >>= 1) {
      const mask = 1 << ((node >> 1) - 1);
      bits = (node & 1) === 0 ? bits | mask : bits & ~mask;
    }
    this.#treeBits[set] = bits;
  }

  #treeVictim(set: number): number {
    const bits = this.#treeBits[set]!;
    let node = 1;
    while (node < this.#ways) node = 2 * node + ((bits >>> (node - 1)) & 1);
    return node - this.#ways;
  }

  #peekIndexed(key0: number, key1: number, generation: number): number {
    const tags = this.tags;
    const next = this.#next;
    for (let entry = this.#heads[mix(key0, key1) >>> this.#shift]!; entry !== FREE; entry = next[entry]!) {
      const word = entry << 2;
      if (tags[word] === key0 && tags[word + 1] === key1 && tags[word + 2] === generation) return entry;
    }
    return -1;
  }

  #placeIndexed(): number {
    this.replacedValue0 = -1;
    this.replacedKey1 = -1;
    const sentinel = this.entries;
    if (this.#next[sentinel] === FREE) {
      if (this.#policy === RESET) {
        this.clear();
        this.resets++;
      } else {
        this.#evict(this.#policy === RANDOM ? this.#draw(this.entries) : this.#newer[sentinel]!);
      }
    }
    const entry = this.#next[sentinel]!;
    this.#next[sentinel] = this.#next[entry]!;
    return entry;
  }

  #link(entry: number, key0: number, key1: number): void {
    const bucket = mix(key0, key1) >>> this.#shift;
    this.#next[entry] = this.#heads[bucket]!;
    this.#heads[bucket] = entry;
    this.#pushFront(entry);
  }

  #unlink(entry: number): void {
    const next = this.#next;
    const word = entry << 2;
    const bucket = mix(this.tags[word]!, this.tags[word + 1]!) >>> this.#shift;
    let at = this.#heads[bucket]!;
    if (at === entry) {
      this.#heads[bucket] = next[entry]!;
    } else {
      while (next[at] !== entry) at = next[at]!;
      next[at] = next[entry]!;
    }
    this.#newer[this.#older[entry]!] = this.#newer[entry]!;
    this.#older[this.#newer[entry]!] = this.#older[entry]!;
    next[entry] = next[this.entries]!;
    next[this.entries] = entry;
  }

  #moveToFront(entry: number): void {
    if (this.#older[this.entries] === entry) return;
    this.#newer[this.#older[entry]!] = this.#newer[entry]!;
    this.#older[this.#newer[entry]!] = this.#older[entry]!;
    this.#pushFront(entry);
  }

  /** The sentinel's `older` is the most recent entry, its `newer` the least recent. */
  #pushFront(entry: number): void {
    const sentinel = this.entries;
    const front = this.#older[sentinel]!;
    this.#older[sentinel] = entry;
    this.#newer[entry] = sentinel;
    this.#older[entry] = front;
    this.#newer[front] = entry;
  }
}

/** A 32-bit mix of two words; a weak one (h * 31 + k) changes hit rates, not only speed. */
function mix(key0: number, key1: number): number {
  let hash = Math.imul(key0, 0x9e3779b1) ^ Math.imul(key1, 0x85ebca6b);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d);
}
