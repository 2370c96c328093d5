/** Frames that a recording put behind user pages: page number to frame, in blocks of 512 pages. */

/** [4 KiB pages] Pages of a block. */
const BLOCK_PAGES = 512;
/** No frame behind this page. */
const NONE = -1;

/** A sparse array of frames. Page numbers up to 2^53. */
export class PlacedFrames {
  readonly #blocks = new Map<number, Float64Array>();

  /** False: no page has ever been placed, or all were forgotten. */
  get used(): boolean {
    return this.#blocks.size > 0;
  }

  /** `pageCount` pages from page `vpn` on get the frames from `pfn` on. @hot */
  set(vpn: number, pfn: number, pageCount: number): void {
    let page = vpn;
    const end = vpn + pageCount;
    while (page < end) {
      const number = Math.floor(page / BLOCK_PAGES);
      let block = this.#blocks.get(number);
      if (block === undefined) {
        block = new Float64Array(BLOCK_PAGES).fill(NONE);
        this.#blocks.set(number, block);
      }
      const first = number * BLOCK_PAGES;
      const stop = Math.min(end, first + BLOCK_PAGES);
      for (; page < stop; page++) block[page - first] = pfn + (page - vpn);
    }
  }

  /** Frame behind page `vpn`; undefined when none was placed there. @hot */
  get(vpn: number): number | undefined {
    const number = Math.floor(vpn / BLOCK_PAGES);
    const pfn = this.#blocks.get(number)?.[vpn - number * BLOCK_PAGES];
    return pfn === NONE ? undefined : pfn;
  }

  /** Forgets pages `start` .. `end` - 1. */
  delete(start: number, end: number): void {
    if (end - start > BLOCK_PAGES * this.#blocks.size) {
      for (const [number, block] of this.#blocks) this.#clear(number, block, start, end);
      return;
    }
    for (let number = Math.floor(start / BLOCK_PAGES); number * BLOCK_PAGES < end; number++) {
      const block = this.#blocks.get(number);
      if (block !== undefined) this.#clear(number, block, start, end);
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#blocks.clear();
  }

  /** Takes over all pages of another. */
  copyFrom(other: PlacedFrames): void {
    for (const [number, block] of other.#blocks) this.#blocks.set(number, block.slice());
  }

  #clear(number: number, block: Float64Array, start: number, end: number): void {
    const first = number * BLOCK_PAGES;
    if (start <= first && end >= first + BLOCK_PAGES) this.#blocks.delete(number);
    else block.fill(NONE, Math.max(0, start - first), Math.max(0, Math.min(BLOCK_PAGES, end - first)));
  }
}
