/**
 * The mappings of a type1 container by IOVA (iommu->dma_list of Linux drivers/vfio/vfio_iommu_type1.c): sorted blocks, so
 * that adding and removing move at most one of them.
 */
import { pfnFromAddress, U64_MAX } from '../../../address.ts';
import { assert } from '../../../assert.ts';
import type { Dma } from './dma.ts';

/** Mappings in a full block; it is split in halves. */
const BLOCK_DMAS = 256;

/** Disjoint mappings in ascending order. */
export class DmaSet {
  /** None is empty. */
  readonly #blocks: Dma[][] = [];
  /** Ends are compared inclusively (Linux 6.18); before, a mapping up to the last byte ends at 0 and is never found. */
  readonly #inclusive: boolean;
  #count = 0;
  /** Where the last search ended. */
  #block = 0;
  #position = -1;

  constructor(inclusive: boolean) {
    this.#inclusive = inclusive;
  }

  get count(): number {
    return this.#count;
  }

  /** The lowest mapping. */
  get first(): Dma | undefined {
    return this.#blocks[0]?.[0];
  }

  /** In ascending order. Do not add or remove while iterating. */
  *[Symbol.iterator](): Generator<Dma, void, undefined> {
    for (const block of this.#blocks) yield* block;
  }

  /** Adds a mapping that overlaps no other. */
  add(dma: Dma): void {
    this.#seek(dma.iovaPage);
    this.#count++;
    const block = this.#blocks[this.#block];
    if (block === undefined) {
      this.#blocks.push([dma]);
      return;
    }
    block.splice(this.#position + 1, 0, dma);
    if (block.length === BLOCK_DMAS) this.#blocks.splice(this.#block + 1, 0, block.splice(BLOCK_DMAS / 2));
  }

  remove(dma: Dma): void {
    this.#seek(dma.iovaPage);
    // Mappings up to the last byte that cannot be found may be made again and again (before 6.18).
    while (this.#current() !== dma && this.#back()) {}
    const block = this.#blocks[this.#block];
    assert(block?.[this.#position] === dma, 'the mapping is not in the container');
    this.#count--;
    block.splice(this.#position, 1);
    if (block.length === 0) this.#blocks.splice(this.#block, 1);
  }

  /**
   * The lowest mapping that overlaps the `lengthBytes` from `start` on (vfio_find_dma). Length 0 asks for a mapping that
   * reaches across `start` from below.
   */
  find(start: bigint, lengthBytes: bigint): Dma | undefined {
    const end = start + lengthBytes;
    // Before 6.18 the end of such a range wraps to 0, and nothing is below it.
    if (!this.#inclusive && end > U64_MAX) return undefined;
    this.#seek(pfnFromAddress(start));
    const below = this.#current();
    if (below !== undefined && this.#reaches(below, start))
      return lengthBytes > 0n || below.iova < start ? below : undefined;
    const above = this.#step();
    return above !== undefined && above.iova < end && this.#reaches(above, start) ? above : undefined;
  }

  /** Mappings that overlap the `lengthBytes` from `start` on, in ascending order (vfio_find_dma_first_node, rb_next). */
  inRange(start: bigint, lengthBytes: bigint): Dma[] {
    const last = start + lengthBytes - 1n;
    const found: Dma[] = [];
    this.#seek(pfnFromAddress(start));
    const below = this.#current();
    if (below !== undefined && this.#reaches(below, start)) found.push(below);
    for (let dma = this.#step(); dma !== undefined && dma.iova <= last; dma = this.#step()) {
      if (this.#reaches(dma, start)) found.push(dma);
    }
    return found;
  }

  /** The mapping ends behind `start`. One that ends with the address space does so only where ends are inclusive. */
  #reaches(dma: Dma, start: bigint): boolean {
    const last = dma.iova + dma.sizeBytes - 1n;
    return last >= start && (this.#inclusive || last < U64_MAX);
  }

  /** The mapping the last search ended on. */
  #current(): Dma | undefined {
    return this.#blocks[this.#block]?.[this.#position];
  }

  /** Moves one mapping up and returns it. */
  #step(): Dma | undefined {
    this.#position++;
    if (this.#position >= (this.#blocks[this.#block]?.length ?? 0)) {
      this.#block++;
      this.#position = 0;
    }
    return this.#current();
  }

  /** Moves one mapping down; false at the lowest. */
  #back(): boolean {
    if (this.#position <= 0) {
      if (this.#block === 0) return false;
      this.#block--;
      this.#position = this.#blocks[this.#block]?.length ?? 0;
    }
    this.#position--;
    return true;
  }

  /** Positions on the last mapping that starts at or below a page: -1 in the first block when there is none. */
  #seek(page: number): void {
    const blocks = this.#blocks;
    let low = 0;
    let high = blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (((blocks[middle] as Dma[])[0] as Dma).iovaPage <= page) low = middle;
      else high = middle - 1;
    }
    this.#block = low;
    const block = blocks[low] ?? [];
    let from = 0;
    let to = block.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((block[middle] as Dma).iovaPage <= page) from = middle + 1;
      else to = middle;
    }
    this.#position = from - 1;
  }
}
