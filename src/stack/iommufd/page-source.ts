/**
 * The pages behind one or more areas, with their pins and the account they are charged to (struct iopt_pages). A page
 * is pinned exactly while at least one range with domains, or one access range, covers it. Source: Linux
 * drivers/iommu/iommufd/pages.c.
 */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { emptyGather, type PagingDomain } from '../iommu/ops.ts';
import type { PfnArray } from '../kernel/address-space.ts';
import type { DmaBuf, DmaBufImporter } from '../kernel/dma-buf.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Mutex } from '../kernel/locks.ts';
import type { MemoryFile } from '../kernel/memory-file.ts';
import type { PageFrames } from '../kernel/page-frames.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { Area } from './area.ts';
import type { AccountMode } from './context.ts';

/** Where the pages come from; a file of undefined is one whose pages can never be pinned. */
export type PageBacking =
  | { readonly kind: 'user'; readonly firstVpn: number }
  | { readonly kind: 'file'; readonly file: MemoryFile | undefined; readonly firstPage: number }
  | { readonly kind: 'dmabuf'; readonly buffer: DmaBuf; readonly firstPage: number };

/** Pages pinned for an access; equal ranges share one record. */
export interface AccessRange {
  readonly first: number;
  readonly last: number;
  users: number;
}

/** Page sources up to this many pages keep their frames in a plain array: cheaper to make than a typed one. */
const SMALL_SOURCE = 16;
/** More pages than modelled memory has frames: cannot be pinned. */
const MOST_PAGES = 2 ** 28;

/** An area of device memory that a domain maps. */
export interface DeviceMapping {
  readonly area: Area;
  readonly domain: PagingDomain;
}

/** Pages, pins and their owner. Of a dma-buf it is the importer: the exporter may take the pages away. */
export class PageSource implements DmaBufImporter {
  readonly kernel: Kernel;
  readonly backing: PageBacking;
  readonly pageCount: number;
  /** True when the map that created it asked for WRITE. */
  readonly writable: boolean;
  /** Who is charged, whose limit counts. */
  owner: Process;
  readonly accountMode: AccountMode;
  /** [4 KiB pages] Pinned now. */
  pinnedPages = 0;
  /** [4 KiB pages] Charged to the owner. */
  chargedPages = 0;
  /** Areas that domains hold. */
  readonly domainAreas: Area[] = [];
  readonly accesses: AccessRange[] = [];
  /** Areas that use the source. */
  users = 1;
  /** Where device memory is mapped; empty for other sources. */
  readonly deviceMappings: DeviceMapping[] = [];
  /** The exporter took the pages away: the areas stay, no domain maps them any more. */
  revoked = false;
  readonly #frames: PageFrames;
  #pfns: PfnArray | undefined;
  #held = false;
  #contended: Mutex | undefined;

  constructor(
    backing: PageBacking,
    pageCount: number,
    writable: boolean,
    owner: Process,
    accountMode: AccountMode,
    kernel: Kernel,
  ) {
    this.backing = backing;
    this.pageCount = pageCount;
    this.writable = writable;
    this.owner = owner;
    this.accountMode = accountMode;
    this.kernel = kernel;
    this.#frames = owner.memory.frames;
    if (backing.kind === 'dmabuf') {
      backing.buffer.file.get();
      backing.buffer.importers.add(this);
    }
  }

  /** [bytes] User address or file offset of the first page: guides the automatic choice of an IOVA. */
  get baseAddress(): bigint {
    const { backing } = this;
    return BigInt(backing.kind === 'user' ? backing.firstVpn : backing.firstPage) * 4096n;
  }

  /** Frame of a pinned page. @hot */
  pfn(index: number): number {
    if (this.backing.kind === 'dmabuf') return this.backing.buffer.firstPfn + this.backing.firstPage + index;
    return (this.#pfns as PfnArray)[index] as number;
  }

  /** pages->mutex: guards pins and ranges. A mutex is only made when two tasks meet. */
  *lock(): KernelTask<void> {
    if (!this.#held) {
      this.#held = true;
      return;
    }
    if (this.#contended === undefined) {
      this.#contended = new Mutex(this.kernel.timeline, 'iopt_pages');
      this.#contended.tryAcquire();
    }
    yield this.#contended.queue;
  }

  unlock(): void {
    if (this.#contended !== undefined) {
      this.#contended.release();
      if (this.#contended.held) return;
      this.#contended = undefined;
    }
    this.#held = false;
  }

  /** True when a domain range or an access range covers the page. @hot */
  isCovered(index: number): boolean {
    for (const area of this.domainAreas) if (area.firstIndex <= index && index <= area.lastIndex) return true;
    for (const range of this.accesses) if (range.first <= index && index <= range.last) return true;
    return false;
  }

  /** Last page up to which all from `index` on are covered alike (by the same ranges or by none); at most `last`. @hot */
  spanEnd(index: number, last: number): number {
    let end = last;
    for (const area of this.domainAreas) end = nextBoundary(index, end, area.firstIndex, area.lastIndex);
    for (const range of this.accesses) end = nextBoundary(index, end, range.first, range.last);
    return end;
  }

  /**
   * Pins up to `pageCount` pages from `index` on, none of them pinned. Returns how many, or -EFAULT (bad address,
   * owner gone), -EINVAL (file range or kind). @hot
   */
  pinPages(index: number, pageCount: number): number {
    if (this.pageCount > MOST_PAGES) return -Errno.EFAULT;
    if (this.#pfns === undefined) {
      this.#pfns = this.pageCount <= SMALL_SOURCE ? new Array(this.pageCount).fill(0) : new Uint32Array(this.pageCount);
    }
    const backing = this.backing;
    let pinned = 0;
    switch (backing.kind) {
      case 'user':
        if (!this.owner.memory.alive) return -Errno.EFAULT;
        pinned = this.owner.memory.pin(backing.firstVpn + index, pageCount, this.writable, this.#pfns, index);
        break;
      case 'file':
        pinned = this.#pinFile(backing.file, backing.firstPage + index, pageCount, index);
        break;
      case 'dmabuf':
        return pageCount;
    }
    if (pinned > 0) this.pinnedPages += pinned;
    return pinned;
  }

  /** Unpins pages [first, last], all pinned. @hot */
  unpinPages(first: number, last: number): void {
    if (this.backing.kind === 'dmabuf') return;
    const pfns = this.#pfns as PfnArray;
    for (let index = first; index <= last; index++) this.#frames.unpin(pfns[index] as number);
    this.pinnedPages -= last - first + 1;
  }

  /** Unpins those pages of [first, last] that nothing covers any more. */
  unpinUncovered(first: number, last: number): void {
    for (let index = first; index <= last; ) {
      const end = this.spanEnd(index, last);
      if (!this.isCovered(index)) this.unpinPages(index, end);
      index = end + 1;
    }
  }

  /**
   * Charges or uncharges the difference since the last call (pfn_reader_update_pinned, update_unpinned): 0, -ENOMEM
   * over the limit, -EINVAL when the owner's memory is gone. Refusal changes nothing. @hot
   */
  charge(): number {
    const delta = this.pinnedPages - this.chargedPages;
    if (delta === 0) return 0;
    const rc = chargePages(this.owner, this.accountMode, delta);
    if (rc === 0) this.chargedPages = this.pinnedPages;
    return rc;
  }

  /** The record of exactly that range, if there is one. */
  exactAccess(first: number, last: number): AccessRange | undefined {
    return this.accesses.find((range) => range.first === first && range.last === last);
  }

  /** Drops an area's use; true when the caller must run {@link release} because it was the last. */
  put(): boolean {
    this.users--;
    if (this.users > 0) return false;
    assert(this.pinnedPages === 0, 'page source dropped while pages are pinned');
    return this.backing.kind === 'dmabuf';
  }

  /** Ends the import of a dma-buf. */
  *release(): KernelTask<void> {
    if (this.backing.kind !== 'dmabuf') return;
    this.backing.buffer.importers.delete(this);
    yield* this.backing.buffer.file.put();
  }

  /** The exporter takes the pages away (iopt_revoke_notify): out of every domain at once, for good. */
  *revoke(): KernelTask<void> {
    yield* this.lock();
    for (const { area, domain } of this.deviceMappings.splice(0)) {
      const gather = emptyGather(false);
      yield* domain.unmap(area.start, area.lengthBytes, gather);
      yield* domain.sync(gather);
    }
    this.revoked = true;
    this.unlock();
  }

  #pinFile(file: MemoryFile | undefined, firstPage: number, pageCount: number, index: number): number {
    if (file === undefined || !file.pinnable || firstPage + pageCount > file.pageCount) return -Errno.EINVAL;
    const pfns = this.#pfns as PfnArray;
    for (let i = 0; i < pageCount; i++) {
      const pfn = file.page(firstPage + i);
      this.#frames.pin(pfn);
      pfns[index + i] = pfn;
    }
    return pageCount;
  }
}

/** Shrinks `end` so that [index, end] crosses neither edge of [first, last]. @hot */
function nextBoundary(index: number, end: number, first: number, last: number): number {
  if (first > index) return Math.min(end, first - 1);
  return last >= index ? Math.min(end, last) : end;
}

/**
 * Charges `delta` pages (negative: uncharges) to a process: 0, -ENOMEM or -EINVAL. Source: do_update_pinned,
 * update_locked_vm of drivers/iommu/iommufd/pages.c.
 */
export function chargePages(owner: Process, mode: AccountMode, delta: number): number {
  if (mode === 'user') {
    if (delta > 0 && owner.user.lockedVm + delta > owner.memlockLimit) return -Errno.ENOMEM;
    owner.user.lockedVm += delta;
  } else if (mode === 'mm') {
    if (!owner.memory.alive) return delta > 0 ? -Errno.EINVAL : 0;
    if (delta > 0 && owner.memory.lockedVm + delta > owner.memlockLimit) return -Errno.ENOMEM;
    owner.memory.lockedVm += delta;
  }
  owner.memory.pinnedVm += delta;
  return 0;
}
