/**
 * The translation cache of an endpoint (ATC, "device TLB"): what it got in answer to translation requests, by address
 * space and page (PCI Express ATS; function is implicit). Values are those of {@link ./vtd/iotlb.ts}: physical page,
 * permission, size.
 *
 * An invalidation takes its entries away at once; the endpoint answers it when the requests that went out with them are
 * done, which is why entries remember their last use.
 */
import { type CacheGeometry, GROUP_SHIFT, SetAssoc } from './set-assoc.ts';

const SIZE_SHIFT = 13;
const PAGE_HIGH_MASK = 0x1fff;
/** Ranges of at most this many pages are removed page by page; longer ones by one pass over the array. */
const PROBE_LIMIT = 64;
/** Spaces are 1 .. this and 0; a key of one more could be that of a free entry. */
export const MAX_DEVICE_SPACES = 2 ** (32 - GROUP_SHIFT) - 2;
const NO_GENERATIONS = { current: new Int32Array(0) };
const SIZES = 3;

/** A device TLB. */
export class DeviceTlb {
  readonly cache: SetAssoc;
  /** [ps] By entry: when the last request that used it was done. */
  readonly lastUse: Float64Array;
  /** Entries dropped by invalidations. */
  invalidated = 0;
  /**
   * [ps] Last use of what was replaced or given up: its requests may still be under way. APPROX: one for all pages and
   * spaces, so that every invalidation waits for it, also one of something else.
   */
  #replacedUse = 0;

  constructor(geometry: CacheGeometry) {
    this.cache = new SetAssoc(geometry, NO_GENERATIONS);
    this.lastUse = new Float64Array(geometry.entries);
  }

  /** Entry for the page (`low`, `high` = page number words) of an address space, or -1. @hot */
  lookup(space: number, low: number, high: number): number {
    for (let size = 0; size < SIZES; size++) {
      const entry = this.cache.find(keyLow(low, high, size), keyHigh(space, high, size), 0);
      if (entry >= 0) return entry;
    }
    return -1;
  }

  /** Stores a translation of 2^(9 `size`) pages, valid from `readyTick` on. @hot */
  fill(
    space: number,
    size: number,
    low: number,
    high: number,
    value0: number,
    value1: number,
    readyTick: number,
  ): number {
    const { cache, lastUse } = this;
    const key0 = keyLow(low, high, size);
    const key1 = keyHigh(space, high, size);
    // A smaller entry hid this one from the lookup and did not permit the access: an array has no key twice.
    const known = size > 0 ? cache.peek(key0, key1, 0) : -1;
    if (known >= 0) this.drop(known);
    const entry = cache.fill(key0, key1, 0, value0, value1);
    cache.readyTick[entry] = readyTick;
    if (lastUse[entry]! > this.#replacedUse) this.#replacedUse = lastUse[entry]!;
    lastUse[entry] = 0;
    return entry;
  }

  /** A request that went out with the entry is done at `doneTick`. @hot */
  use(entry: number, doneTick: number): void {
    if (doneTick > this.lastUse[entry]!) this.lastUse[entry] = doneTick;
  }

  /** Gives up one entry, to ask anew. */
  drop(entry: number): void {
    if (this.lastUse[entry]! > this.#replacedUse) this.#replacedUse = this.lastUse[entry]!;
    this.lastUse[entry] = 0;
    this.cache.drop(entry);
  }

  /** Gives up all entries, to ask anew. Returns the last tick at which a request with any of them is done. */
  dropAll(): number {
    const { lastUse } = this;
    for (let entry = 0; entry < lastUse.length; entry++) {
      if (lastUse[entry]! > this.#replacedUse) this.#replacedUse = lastUse[entry]!;
    }
    lastUse.fill(0);
    this.cache.clear();
    return this.#replacedUse;
  }

  /** ATS was switched off: everything goes, and nobody asks when. */
  clear(): void {
    this.cache.clear();
  }

  /**
   * Drops what translates any of `count` pages from page `first` of a space (-1: of all spaces), large pages that overlap
   * too. Returns the last tick at which a request with any of it is done.
   */
  invalidate(space: number, first: number, count: number): number {
    if (space >= 0 && count <= PROBE_LIMIT) return this.#probe(space, first, count);
    return this.#sweep(space, first, count);
  }

  #invalidate(entry: number): void {
    this.invalidated++;
    this.cache.drop(entry);
  }

  #probe(space: number, first: number, count: number): number {
    const { cache } = this;
    let lastUse = this.#replacedUse;
    for (let size = 0; size < SIZES; size++) {
      const pages = 512 ** size;
      const last = Math.floor((first + count - 1) / pages);
      for (let number = Math.floor(first / pages); number <= last; number++) {
        const top = Math.floor(number / 4294967296);
        const entry = cache.peek(number | 0, (space << GROUP_SHIFT) | (size << SIZE_SHIFT) | top, 0);
        if (entry < 0) continue;
        lastUse = Math.max(lastUse, this.lastUse[entry]!);
        this.#invalidate(entry);
      }
    }
    return lastUse;
  }

  #sweep(space: number, first: number, count: number): number {
    const { cache } = this;
    const { tags } = cache;
    let lastUse = this.#replacedUse;
    for (let entry = 0; entry < cache.entries; entry++) {
      const key1 = tags[entry * 4 + 1]!;
      if (key1 === -1 || (space >= 0 && key1 >>> GROUP_SHIFT !== space)) continue;
      const pages = 512 ** ((key1 >>> SIZE_SHIFT) & 3);
      const start = ((key1 & PAGE_HIGH_MASK) * 4294967296 + (tags[entry * 4]! >>> 0)) * pages;
      if (start >= first + count || start + pages <= first) continue;
      lastUse = Math.max(lastUse, this.lastUse[entry]!);
      this.#invalidate(entry);
    }
    return lastUse;
  }
}

function keyLow(low: number, high: number, size: number): number {
  if (size === 0) return low | 0;
  return size === 1 ? (low >>> 9) | (high << 23) : (low >>> 18) | (high << 14);
}

function keyHigh(space: number, high: number, size: number): number {
  return (space << GROUP_SHIFT) | (size << SIZE_SHIFT) | ((high >>> (9 * size)) & PAGE_HIGH_MASK);
}
