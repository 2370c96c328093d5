/** Physical memory and IOVA space of a synthetic machine. */
import { PAGE_SIZE } from '../../address.ts';
import { ConfigError } from '../../input-error.ts';
import { DATA_FRAME_LIMIT } from '../schema/frames-stream.ts';

/** [4 KiB pages] First data page: 4 GiB, above the legacy holes. */
const FIRST_PFN = 0x10_0000;

/** Physically contiguous blocks behind a region, one block apart, so that no larger leaf can map two of them. */
export interface PhysicalRegion {
  /** [4 KiB pages] Size of a block. */
  readonly blockPages: number;
  readonly blockCount: number;
  /** [4 KiB pages] Page frame of block `index`. */
  readonly blockPfn: (index: number) => number;
}

/** Hands out physical memory from 4 GiB upwards. */
export class PhysicalLayout {
  #nextPfn = FIRST_PFN;

  /** `bytes` [bytes] in blocks of `blockBytes`, each aligned to its size; throws ConfigError when memory is used up. */
  allocate(bytes: number, blockBytes: number): PhysicalRegion {
    const blockPages = blockBytes / PAGE_SIZE;
    const blockCount = Math.ceil(bytes / blockBytes);
    const base = Math.ceil(this.#nextPfn / blockPages) * blockPages;
    this.#nextPfn = base + 2 * blockCount * blockPages;
    if (this.#nextPfn > DATA_FRAME_LIMIT) {
      throw new ConfigError({ source: 'recipe', path: 'regionBytes', reason: 'all regions together exceed 512 GiB' });
    }
    return { blockPages, blockCount, blockPfn: (index) => base + 2 * index * blockPages };
  }
}

/**
 * IOVA space of one device as the kernel's DMA API fills it (drivers/iommu/dma-iommu.c, iova.c): from the top of the
 * 32-bit range downwards, aligned to the size rounded up to a power of two; the full range below 2^47 when that is used
 * up. APPROX: freed ranges are kept by the caller, not merged here.
 */
export class IovaLayout {
  #topPfn32 = 0x10_0000;
  #topPfn = 2 ** 35;

  /** [4 KiB pages] First page of a new range of `pages` pages. */
  allocate(pages: number): number {
    let align = 1;
    while (align < pages) align *= 2;
    const low = Math.floor((this.#topPfn32 - pages) / align) * align;
    if (low > 0) {
      this.#topPfn32 = low;
      return low;
    }
    this.#topPfn = Math.floor((this.#topPfn - pages) / align) * align;
    return this.#topPfn;
  }
}
