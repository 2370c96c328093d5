/**
 * Files whose pages can be mapped and pinned: memfd, hugetlbfs and tmpfs files, and files of other file systems, which
 * memfd_pin_folios() refuses. Source: Linux mm/gup.c memfd_pin_folios, mm/shmem.c, fs/hugetlbfs/inode.c.
 */
import { Errno } from '../../errno.ts';
import { FileReferences } from './file-references.ts';
import type { OpenFile } from './file-table.ts';
import type { PageFrames } from './page-frames.ts';
import type { KernelTask } from './task.ts';

/** 'shmem' and 'hugetlb' pages can be pinned through the file, those of 'other' files cannot. */
export type MemoryFileKind = 'shmem' | 'hugetlb' | 'other';

/** [4 KiB pages] Huge page of a hugetlbfs file: 2 MiB. */
export const HUGE_PAGE_FRAMES = 512;

/** An open file with page-cache pages. */
export class MemoryFile implements OpenFile {
  readonly kind: MemoryFileKind;
  readonly file: FileReferences;
  readonly #frames: PageFrames;
  readonly #pages = new Map<number, number>();
  #sizeBytes: bigint;

  constructor(kind: MemoryFileKind, sizeBytes: bigint, frames: PageFrames) {
    this.kind = kind;
    this.#sizeBytes = sizeBytes;
    this.#frames = frames;
    this.file = new FileReferences(() => released());
  }

  /** [bytes] Size of the file. */
  get sizeBytes(): bigint {
    return this.#sizeBytes;
  }

  /** [4 KiB pages] Pages up to the end of the file. */
  get pageCount(): number {
    return Number((this.#sizeBytes + 4095n) >> 12n);
  }

  /** Sets the size; pages past the end leave the page cache (pinned ones live on with their pins). */
  truncate(sizeBytes: bigint): void {
    this.#sizeBytes = sizeBytes;
    const end = this.pageCount;
    for (const [index, pfn] of this.#pages) {
      if (index < end) continue;
      this.#pages.delete(index);
      this.#frames.put(pfn);
    }
  }

  /** Frame of page `index`, allocated on first use; -EFAULT past the end of the file (SIGBUS of an access). */
  page(index: number): number {
    if (index >= this.pageCount) return -Errno.EFAULT;
    const present = this.#pages.get(index);
    if (present !== undefined) return present;
    if (this.kind !== 'hugetlb') {
      const pfn = this.#frames.allocate(1);
      this.#frames.breakRun();
      this.#pages.set(index, pfn);
      return pfn;
    }
    const first = this.#frames.allocate(HUGE_PAGE_FRAMES, HUGE_PAGE_FRAMES);
    const firstIndex = index - (index % HUGE_PAGE_FRAMES);
    for (let i = 0; i < HUGE_PAGE_FRAMES; i++) this.#pages.set(firstIndex + i, first + i);
    return this.#pages.get(index) as number;
  }

  /** True when pages can be pinned through the file (memfd_pin_folios). */
  get pinnable(): boolean {
    return this.kind !== 'other';
  }
}

// Pages stay with the regions and pins that use them; the page cache goes with the last of those.
function* released(): KernelTask<void> {}
