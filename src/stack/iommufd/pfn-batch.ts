/**
 * Reads the frames of a page range as physically contiguous runs, pinning what nobody holds yet (struct pfn_reader and
 * struct pfn_batch). Source: Linux drivers/iommu/iommufd/pages.c.
 */
import type { PageSource } from './page-source.ts';

/** Runs a batch can hold: TEMP_MEMORY_LIMIT (64 KiB) over 12 bytes a run. */
const MOST_RUNS = 5461;
/** Pages pinned by one call: a 64 KiB array of page pointers. */
const MOST_PINNED_AT_ONCE = 8192;

/** A reader over [first, last] of a page source. One batch is visible at a time. */
export class PfnReader {
  readonly #source: PageSource;
  readonly #first: number;
  readonly #last: number;
  /** One past the last page that was pinned or found pinned. */
  #readEnd: number;
  /** Frames and lengths [4 KiB pages] of the batch's runs. */
  readonly runPfns: number[] = [];
  readonly runPages: number[] = [];
  /** First page of the batch and one past its last. */
  batchStart: number;
  batchEnd: number;
  /** [4 KiB pages] Pinned since {@link takeCost}. */
  #unpaid = 0;

  constructor(source: PageSource, first: number, last: number) {
    this.#source = source;
    this.#first = first;
    this.#last = last;
    this.#readEnd = first;
    this.batchStart = first;
    this.batchEnd = first;
  }

  /** True when the last batch has been consumed. */
  get done(): boolean {
    return this.batchStart > this.#last;
  }

  /**
   * Reads the next batch: as many runs as fit. 0, or errno of the pin; then nothing of this batch is usable and
   * {@link releasePins} must follow. @hot
   */
  next(): number {
    this.runPfns.length = 0;
    this.runPages.length = 0;
    this.batchStart = this.batchEnd;
    while (this.batchEnd <= this.#last) {
      if (this.#readEnd === this.batchEnd) {
        const rc = this.#readMore();
        if (rc < 0) return rc;
      }
      if (!this.#addRuns()) return 0;
    }
    return 0;
  }

  /** [ps] CPU time of the pins since the last call; to be charged by the task that reads. */
  takeCost(): number {
    const cost = this.#unpaid * this.#source.kernel.costs.pinPage;
    this.#unpaid = 0;
    return cost;
  }

  /** Unpins everything this reader pinned: pages of the range that nothing else covers. */
  releasePins(): void {
    if (this.#readEnd > this.#first) this.#source.unpinUncovered(this.#first, this.#readEnd - 1);
    this.#readEnd = this.#first;
  }

  #readMore(): number {
    const source = this.#source;
    const index = this.#readEnd;
    const end = source.spanEnd(index, this.#last);
    if (source.isCovered(index)) {
      this.#readEnd = end + 1;
      return 0;
    }
    const pinned = source.pinPages(index, Math.min(end - index + 1, MOST_PINNED_AT_ONCE));
    if (pinned < 0) return pinned;
    this.#readEnd = index + pinned;
    this.#unpaid += pinned;
    return 0;
  }

  /** Moves what was read into runs; false when the batch is full. */
  #addRuns(): boolean {
    const { runPfns, runPages } = this;
    let top = runPfns.length - 1;
    let expected = top >= 0 ? (runPfns[top] as number) + (runPages[top] as number) : -1;
    for (let index = this.batchEnd; index < this.#readEnd; index++) {
      const pfn = this.#source.pfn(index);
      if (pfn === expected) {
        runPages[top] = (runPages[top] as number) + 1;
      } else {
        if (top + 1 === MOST_RUNS) {
          this.batchEnd = index;
          return false;
        }
        top++;
        runPfns[top] = pfn;
        runPages[top] = 1;
      }
      expected = pfn + 1;
    }
    this.batchEnd = this.#readEnd;
    return true;
  }
}
