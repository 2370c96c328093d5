/**
 * Hash index and recency order over the entries of one large set: a lookup does not depend on how many there are. Buckets
 * are chains of entries; the recency list is a ring through a sentinel; free entries hang in a chain from the sentinel.
 */
import { keyHash } from './key-hash.ts';
import type { ArraySource } from './linear-memory.ts';

const NONE = -1;

/** Finds and orders entries whose keys are in `tags` (4 words an entry: key0, key1, generation, unused). */
export class RecencyIndex {
  readonly bucketCount: number;
  /** Per bucket: its first entry. */
  readonly heads: Int32Array;
  /** Per entry: the next of its bucket, or of the free ones; the sentinel's is the first free one. */
  readonly next: Int32Array;
  /** Per entry: its neighbours by recency. The sentinel's `older` is the most recent entry, its `newer` the least recent. */
  readonly older: Int32Array;
  readonly newer: Int32Array;
  readonly #tags: Int32Array;
  readonly #sentinel: number;
  readonly #shift: number;

  constructor(entries: number, tags: Int32Array, arrays: ArraySource) {
    this.#tags = tags;
    this.#sentinel = entries;
    const bits = Math.ceil(Math.log2(entries * 2));
    this.bucketCount = 2 ** bits;
    this.#shift = 32 - bits;
    this.heads = arrays.int32(this.bucketCount);
    this.next = arrays.int32(entries + 1);
    this.older = arrays.int32(entries + 1);
    this.newer = arrays.int32(entries + 1);
  }

  /** Entry of the key, or -1. @hot */
  find(key0: number, key1: number, generation: number): number {
    const tags = this.#tags;
    const next = this.next;
    for (let entry = this.heads[keyHash(key0, key1) >>> this.#shift]!; entry !== NONE; entry = next[entry]!) {
      const word = entry << 2;
      if (tags[word] === key0 && tags[word + 1] === key1 && tags[word + 2] === generation) return entry;
    }
    return NONE;
  }

  /** True when no entry is free. */
  get full(): boolean {
    return this.next[this.#sentinel] === NONE;
  }

  /** The least recently used entry. */
  get oldest(): number {
    return this.newer[this.#sentinel]!;
  }

  /** Takes an entry from the free ones, of which there must be one. */
  take(): number {
    const entry = this.next[this.#sentinel]!;
    this.next[this.#sentinel] = this.next[entry]!;
    return entry;
  }

  /** Enters an entry taken before under its key, as the most recent. @hot */
  link(entry: number, key0: number, key1: number): void {
    const bucket = keyHash(key0, key1) >>> this.#shift;
    this.next[entry] = this.heads[bucket]!;
    this.heads[bucket] = entry;
    this.#pushFront(entry);
  }

  /** Takes an entry out of its bucket and the order, and frees it. */
  unlink(entry: number): void {
    const next = this.next;
    const word = entry << 2;
    const bucket = keyHash(this.#tags[word]!, this.#tags[word + 1]!) >>> this.#shift;
    let at = this.heads[bucket]!;
    if (at === entry) {
      this.heads[bucket] = next[entry]!;
    } else {
      while (next[at] !== entry) at = next[at]!;
      next[at] = next[entry]!;
    }
    this.newer[this.older[entry]!] = this.newer[entry]!;
    this.older[this.newer[entry]!] = this.older[entry]!;
    next[entry] = next[this.#sentinel]!;
    next[this.#sentinel] = entry;
  }

  /** Makes an entry the most recently used. @hot */
  moveToFront(entry: number): void {
    if (this.older[this.#sentinel] === entry) return;
    this.newer[this.older[entry]!] = this.newer[entry]!;
    this.older[this.newer[entry]!] = this.older[entry]!;
    this.#pushFront(entry);
  }

  /** Frees all entries. */
  clear(): void {
    const sentinel = this.#sentinel;
    this.heads.fill(NONE);
    for (let entry = 0; entry < sentinel; entry++) this.next[entry] = entry + 1 === sentinel ? NONE : entry + 1;
    this.next[sentinel] = 0;
    this.older[sentinel] = sentinel;
    this.newer[sentinel] = sentinel;
  }

  #pushFront(entry: number): void {
    const sentinel = this.#sentinel;
    const front = this.older[sentinel]!;
    this.older[sentinel] = entry;
    this.newer[entry] = sentinel;
    this.older[entry] = front;
    this.newer[front] = entry;
  }
}
