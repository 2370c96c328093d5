/**
 * IOTLB: leaf translations of all page sizes in one array (VT-d spec 6.2.4; shared by sizes, ASSUMPTION). Keys are
 * (space, size, page number); values the physical page, permissions, page size and domain id.
 *
 * A key's first word is the low 32 bits of the page number in units of the entry's size; the second is
 * `space << 15 | size << 13 | high bits`, so page numbers have up to 45 bits (57-bit addresses).
 *
 * Software models of the hardware tag by requester instead of domain and have invalidation rules of their own
 * ({@link IotlbRules}); these exist to check recordings made on them and are slow on purpose.
 */
import type { ArraySource } from '../linear-memory.ts';
import { type CacheGeometry, GROUP_SHIFT, SetAssoc } from '../set-assoc.ts';
import { type AddressSpaces, NO_PASID_TAG } from './address-spaces.ts';

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const SPACE_SHIFT = GROUP_SHIFT;

/** What an IOTLB is tagged with, and how page-selective invalidation compares. */
export interface IotlbRules {
  /** `source`: key is (requester, page) and the domain only an attribute, as in QEMU's intel_iommu. */
  readonly tag: 'domain' | 'source';
  /** [bits] Width of the page mask in page-selective invalidation; 0 = as wide as the page number. QEMU 7.2: 8. */
  readonly pageMaskBits: number;
  /** False: a cached translation is used whatever its permission, and the access fails without a fault. */
  readonly hitChecksPermission: boolean;
  /**
   * Whether a unit that says CAP.CM = 1 keeps what is not present: second-stage pages in the IOTLB, as entries without
   * permission, context and PASID entries in their caches. Acts on domain tags only.
   */
  readonly cachesNotPresent: boolean;
}

/** Highest page number words allow: 45 bits. */
export const MAX_PAGE_HIGH = 0x1fff;

/** value1 of an entry: physical page bits 39:32. */
export const VALUE_PFN_HIGH = 0xff;
/** value1 bits 13:12: 1 read, 2 write. */
export const VALUE_PROT_SHIFT = 12;
/** value1 bits 15:14: 0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB. */
export const VALUE_SIZE_SHIFT = 14;
/** value1 bits 31:16. */
export const VALUE_DID_SHIFT = 16;

/** Ranges of at most this many pages are removed page by page; longer ones by one pass over the array. */
const PROBE_LIMIT = 64;
const SIZE_SHIFT = 13;

/** value1 of an entry. */
export function packValue1(domainId: number, size: number, prot: number, pfnHigh: number): number {
  return (domainId << VALUE_DID_SHIFT) | (size << VALUE_SIZE_SHIFT) | (prot << VALUE_PROT_SHIFT) | pfnHigh;
}

/** The IOTLB of one unit. */
export class Iotlb {
  readonly cache: SetAssoc;
  readonly #spaces: AddressSpaces;
  readonly #rules: IotlbRules;

  constructor(geometry: CacheGeometry, spaces: AddressSpaces, rules: IotlbRules, arrays?: ArraySource) {
    this.#spaces = spaces;
    this.#rules = rules;
    this.cache = new SetAssoc(geometry, spaces.leaf, undefined, arrays);
  }

  /** Entry that translates the page (`low`, `high` = page number words) in `space`, or -1. @hot */
  lookup(space: number, low: number, high: number): number {
    const sizes = this.#spaces.sizesInUse[space]!;
    const generation = this.#spaces.leaf.current[space]!;
    const base = space << SPACE_SHIFT;
    let entry = -1;
    if ((sizes & 1) !== 0) entry = this.cache.find(low, base | high, generation);
    if (entry < 0 && sizes > 1) entry = this.#lookupLarge(base, sizes, low, high, generation);
    return entry;
  }

  /** As {@link lookup} without any effect. */
  peek(space: number, low: number, high: number): number {
    const generation = this.#spaces.leaf.current[space]!;
    const base = space << SPACE_SHIFT;
    for (let size = 0; size < 3; size++) {
      const entry = this.cache.peek(keyLow(low, high, size), base | keyHigh(high, size), generation);
      if (entry >= 0) return entry;
    }
    return -1;
  }

  /** Stores a translation of the given size; `low`, `high` may be any page inside it. The caller sets the entry's ready tick. @hot */
  fill(space: number, size: number, low: number, high: number, value0: number, value1: number): number {
    this.#spaces.sizesInUse[space]! |= 1 << size;
    const key0 = keyLow(low, high, size);
    const key1 = (space << SPACE_SHIFT) | keyHigh(high, size);
    const generation = this.#spaces.leaf.current[space]!;
    // A smaller entry hid this one from the lookup and did not permit the access: an array has no key twice.
    if (size > 0) this.cache.remove(key0, key1, generation);
    return this.cache.fill(key0, key1, generation, value0, value1);
  }

  /** Drops every entry. */
  invalidateAll(): void {
    for (let space = 0; space < this.#spaces.count; space++) this.#dropSpace(space);
    this.cache.noteGenerationChange();
  }

  /** Drops every entry of a domain, whatever its PASID. */
  invalidateDomain(domainId: number): void {
    if (this.#rules.tag === 'source') {
      this.#dropWhere((entry) => this.#domainOf(entry) === domainId);
      return;
    }
    for (const space of this.#spaces.ofDomain(domainId)) this.#dropSpace(space);
    this.cache.noteGenerationChange();
  }

  /** Drops every entry of one PASID of a domain. */
  invalidatePasid(domainId: number, pasid: number): void {
    if (this.#rules.tag === 'source') {
      // QEMU 11.1 removes all entries of the domain.
      this.invalidateDomain(domainId);
      return;
    }
    const space = this.#spaces.peek(domainId, pasid);
    if (space < 0) return;
    this.#dropSpace(space);
    this.cache.noteGenerationChange();
  }

  /**
   * Drops entries that translate any of the 2^`addressMask` pages around (`low`, `high`) in the tag; large pages that
   * overlap the range too.
   */
  invalidatePages(domainId: number, pasidTag: number, low: number, high: number, addressMask: number): void {
    if (this.#rules.tag === 'source') {
      this.#dropPagesBySource(domainId, low, high, addressMask);
      return;
    }
    const space = this.#spaces.peek(domainId, pasidTag);
    if (space < 0) return;
    const page = high * 4294967296 + (low >>> 0);
    const count = 2 ** addressMask;
    const first = page - (page % count);
    if (count <= PROBE_LIMIT) this.#probeRange(space, first, count);
    else this.#sweepRange(space, first, count);
  }

  #lookupLarge(base: number, sizes: number, low: number, high: number, generation: number): number {
    let entry = -1;
    if ((sizes & 2) !== 0) entry = this.cache.find(keyLow(low, high, 1), base | keyHigh(high, 1), generation);
    if (entry < 0 && (sizes & 4) !== 0) {
      entry = this.cache.find(keyLow(low, high, 2), base | keyHigh(high, 2), generation);
    }
    return entry;
  }

  #dropSpace(space: number): void {
    this.#spaces.leaf.current[space]!++;
    this.#spaces.sizesInUse[space] = 0;
  }

  #probeRange(space: number, first: number, count: number): void {
    const generation = this.#spaces.leaf.current[space]!;
    const base = space << SPACE_SHIFT;
    for (let size = 0; size < 3; size++) {
      if ((this.#spaces.sizesInUse[space]! & (1 << size)) === 0) continue;
      const pages = 512 ** size;
      const last = Math.floor((first + count - 1) / pages);
      for (let number = Math.floor(first / pages); number <= last; number++) {
        const top = Math.floor(number / 4294967296);
        this.cache.remove(number | 0, base | (size << SIZE_SHIFT) | top, generation);
      }
    }
  }

  #sweepRange(space: number, first: number, count: number): void {
    const { tags } = this.cache;
    const generation = this.#spaces.leaf.current[space]!;
    this.#dropWhere((entry) => {
      const key1 = tags[entry * 4 + 1]!;
      if (key1 >>> SPACE_SHIFT !== space || tags[entry * 4 + 2] !== generation) return false;
      const start = this.#firstPage(entry);
      return start < first + count && start + 512 ** this.#sizeOf(entry) > first;
    });
  }

  /** QEMU hw/i386/intel_iommu.c compares page numbers under a mask, and drops a large page that covers the address. */
  #dropPagesBySource(domainId: number, low: number, high: number, addressMask: number): void {
    const page = high * 4294967296 + (low >>> 0);
    const { pageMaskBits } = this.#rules;
    const modulus = pageMaskBits === 0 ? 2 ** 52 : 2 ** pageMaskBits;
    const unit = 2 ** addressMask;
    const masked = (value: number): number => Math.floor((value % modulus) / unit);
    this.#dropWhere((entry) => {
      if (this.#domainOf(entry) !== domainId) return false;
      const start = this.#firstPage(entry);
      return masked(start) === masked(page) || start === page - (page % 512 ** this.#sizeOf(entry));
    });
  }

  #dropWhere(matches: (entry: number) => boolean): void {
    const { cache } = this;
    cache.settle();
    for (let entry = 0; entry < cache.entries; entry++) {
      if (cache.tags[entry * 4 + 1] !== -1 && matches(entry)) cache.drop(entry);
    }
  }

  #domainOf(entry: number): number {
    return this.cache.values[entry * 2 + 1]! >>> VALUE_DID_SHIFT;
  }

  #sizeOf(entry: number): number {
    return (this.cache.tags[entry * 4 + 1]! >>> SIZE_SHIFT) & 3;
  }

  #firstPage(entry: number): number {
    const key1 = this.cache.tags[entry * 4 + 1]!;
    const number = (key1 & MAX_PAGE_HIGH) * 4294967296 + (this.cache.tags[entry * 4]! >>> 0);
    return number * 512 ** this.#sizeOf(entry);
  }
}

/** Whether a space is tagged without PASID (second stage). */
export function isSecondStageTag(pasidTag: number): boolean {
  return pasidTag === NO_PASID_TAG;
}

function keyLow(low: number, high: number, size: number): number {
  if (size === 0) return low;
  return size === 1 ? (low >>> 9) | (high << 23) : (low >>> 18) | (high << 14);
}

function keyHigh(high: number, size: number): number {
  return (size << SIZE_SHIFT) | (high >>> (9 * size));
}
