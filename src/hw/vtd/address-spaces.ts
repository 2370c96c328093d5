/**
 * Tag values of translation caches. VT-d tags second-stage entries with the domain id, first-stage, nested and
 * pass-through entries with domain id and PASID (VT-d spec 6.2.1, Table "Address Tags"; all second-stage flushes of
 * Linux drivers/iommu/intel/cache.c go by domain id alone). Each tag in use gets a small number, its *space*, which is
 * the group of its entries in every cache.
 *
 * APPROX: at most 2^17 spaces live at once; when they run out the unit flushes everything, and counts it.
 */
import { type ArraySource, HEAP_ARRAYS } from '../linear-memory.ts';
import { GROUP_SHIFT, type GroupGenerations } from '../set-assoc.ts';

/** The PASID part of a tag without PASID. */
export const NO_PASID_TAG = -1;

const INITIAL_SPACES = 64;
const MAX_SPACES = 2 ** (32 - GROUP_SHIFT) - 1;

/** The spaces of one unit, their generations and what is known per space. */
export class AddressSpaces {
  /** Generations of IOTLB entries and of paging-structure entries, by space. */
  readonly leaf: GroupGenerations;
  readonly nonLeaf: GroupGenerations;
  /** Bit s set: IOTLB entries of size s (0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB) may be present. */
  sizesInUse: Uint8Array;
  /** [ps] When the last DMA translated by this space had reached memory: what a drain waits for. */
  lastUse: Float64Array;
  /** Domain id and PASID tag per space. */
  readonly domainIds: number[] = [];
  readonly pasids: number[] = [];
  /** Spaces whose entries went through both stages. */
  readonly nested = new Set<number>();
  /** Times all spaces were given up. */
  exhausted = 0;

  readonly #arrays: ArraySource;
  readonly #byTag = new Map<number, number>();
  readonly #byDomain = new Map<number, number[]>();

  constructor(arrays: ArraySource = HEAP_ARRAYS) {
    this.#arrays = arrays;
    this.leaf = { current: arrays.int32(INITIAL_SPACES) };
    this.nonLeaf = { current: arrays.int32(INITIAL_SPACES) };
    this.sizesInUse = arrays.uint8(INITIAL_SPACES);
    this.lastUse = arrays.float64(INITIAL_SPACES);
  }

  get count(): number {
    return this.domainIds.length;
  }

  /** True when there may be no space left for a binding: a nested one takes two. */
  get full(): boolean {
    return this.domainIds.length >= MAX_SPACES - 1;
  }

  /** The space of a tag, made when needed. */
  of(domainId: number, pasidTag: number): number {
    const tag = domainId * 2097152 + pasidTag + 1;
    const known = this.#byTag.get(tag);
    if (known !== undefined) return known;
    const space = this.domainIds.length;
    if (space >= this.lastUse.length) this.#grow();
    this.domainIds.push(domainId);
    this.pasids.push(pasidTag);
    this.#byTag.set(tag, space);
    const siblings = this.#byDomain.get(domainId);
    if (siblings === undefined) this.#byDomain.set(domainId, [space]);
    else siblings.push(space);
    return space;
  }

  /** The space of a tag, or -1 when nothing was ever cached for it. */
  peek(domainId: number, pasidTag: number): number {
    return this.#byTag.get(domainId * 2097152 + pasidTag + 1) ?? -1;
  }

  /** Spaces of a domain id. */
  ofDomain(domainId: number): readonly number[] {
    return this.#byDomain.get(domainId) ?? [];
  }

  /** Forgets all spaces; the caller empties the caches. */
  reset(): void {
    this.exhausted++;
    this.#byTag.clear();
    this.#byDomain.clear();
    this.domainIds.length = 0;
    this.pasids.length = 0;
    this.nested.clear();
    this.sizesInUse.fill(0);
    this.lastUse.fill(0);
  }

  #grow(): void {
    const size = this.lastUse.length * 2;
    const { leaf, nonLeaf, sizesInUse, lastUse } = this;
    const leafGenerations = this.#arrays.int32(size);
    leafGenerations.set(leaf.current);
    leaf.current = leafGenerations;
    const nonLeafGenerations = this.#arrays.int32(size);
    nonLeafGenerations.set(nonLeaf.current);
    nonLeaf.current = nonLeafGenerations;
    this.sizesInUse = this.#arrays.uint8(size);
    this.sizesInUse.set(sizesInUse);
    this.lastUse = this.#arrays.float64(size);
    this.lastUse.set(lastUse);
  }
}
