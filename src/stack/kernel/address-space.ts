/**
 * Memory of a user process (struct mm_struct): regions, the frame behind each page, and locked-page counters.
 *
 * APPROX: anonymous memory gets frames in runs of {@link ANONYMOUS_RUN} as one touch of the whole region would; no
 * swap, no migration, no transparent huge pages. fork() copies pages at once instead of on write.
 */
import { PAGE_SIZE } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { FileReferences } from './file-references.ts';
import { HUGE_PAGE_FRAMES, type MemoryFile } from './memory-file.ts';
import type { PageFrames } from './page-frames.ts';
import { PlacedFrames } from './placed-frames.ts';
import type { KernelTask } from './task.ts';

/** Frames of consecutive pages. */
export type PfnArray = Uint32Array | number[];

/** A mapping of an object that counts its mappings (vm_operations_struct): a part split off counts too. */
export interface RegionOwner {
  /** Held while the region exists. */
  readonly file: FileReferences;
  opened(): void;
  closed(): void;
}

/** Protection and backing of a region. */
export interface RegionOptions {
  readonly readable?: boolean;
  readonly writable?: boolean;
  /** Backed by 2 MiB huge pages (MAP_HUGETLB). */
  readonly huge?: boolean;
  /** Backed by a file from page `filePage` on. */
  readonly file?: MemoryFile;
  /** [4 KiB pages] */
  readonly filePage?: number;
  /** Kernel memory shown to the process (VM_PFNMAP): the CPU may use it, nobody can pin it. */
  readonly bytes?: Uint8Array;
  /** Device memory from that frame on (VM_PFNMAP of a BAR): the CPU's accesses are not modelled, only type1 maps it. */
  readonly devicePfn?: number;
  /** Told when the region appears, is split and goes. */
  readonly owner?: RegionOwner;
}

interface Region {
  /** First page number and one past the last [4 KiB pages]. */
  readonly start: number;
  readonly end: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly huge: boolean;
  readonly file: MemoryFile | undefined;
  readonly filePage: number;
  readonly bytes: Uint8Array | undefined;
  readonly devicePfn: number | undefined;
  readonly owner: RegionOwner | undefined;
  /** Frames of anonymous pages, by page number - start; 0 = not yet touched. */
  readonly pages: Float64Array | undefined;
}

/** Frames in a run: pages the per-CPU lists take from the buddy allocator at once (zone_batchsize, mm/page_alloc.c). */
const ANONYMOUS_RUN = 63;

/** What an untouched page reads as. Never written. */
const ZERO_PAGE = new Uint8Array(PAGE_SIZE);

/** [4 KiB pages] End of user space, 47-bit TASK_SIZE. */
const USER_PAGES = 2 ** 35 - 1;

/** An address space. User addresses are BigInt bytes, page numbers plain numbers. */
export class AddressSpace {
  readonly frames: PageFrames;
  /** [4 KiB pages] Locked in account mode MM and by mlock (mm->locked_vm, VmLck). */
  lockedVm = 0;
  /** [4 KiB pages] Pinned by drivers (mm->pinned_vm, VmPin). */
  pinnedVm = 0;
  readonly #regions: Region[] = [];
  readonly #placed = new PlacedFrames();
  #alive = true;
  #runLeft = 0;

  constructor(frames: PageFrames) {
    this.frames = frames;
  }

  /** False after {@link exit}: nothing can be pinned any more (mmget_not_zero fails). */
  get alive(): boolean {
    return this.#alive;
  }

  /** mmap(MAP_FIXED): 0, or -EINVAL for an unaligned address or an empty length. */
  *map(address: bigint, lengthBytes: bigint, options: RegionOptions = {}): KernelTask<number> {
    if (address % 4096n !== 0n || lengthBytes === 0n) return -Errno.EINVAL;
    const start = Number(address >> 12n);
    const end = start + Number((lengthBytes + 4095n) >> 12n);
    yield* this.#clear(start, end);
    const { file, bytes, devicePfn } = options;
    const anonymous = file === undefined && bytes === undefined && devicePfn === undefined;
    this.#insert({
      start,
      end,
      readable: options.readable ?? true,
      writable: options.writable ?? true,
      huge: options.huge ?? false,
      file,
      filePage: options.filePage ?? 0,
      bytes,
      devicePfn,
      owner: options.owner,
      pages: anonymous ? new Float64Array(end - start) : undefined,
    });
    return 0;
  }

  /** munmap(): 0, or -EINVAL for an unaligned address or an empty length. */
  *unmap(address: bigint, lengthBytes: bigint): KernelTask<number> {
    if (address % 4096n !== 0n || lengthBytes === 0n) return -Errno.EINVAL;
    const start = Number(address >> 12n);
    yield* this.#clear(start, start + Number((lengthBytes + 4095n) >> 12n));
    return 0;
  }

  /**
   * Puts recorded frames behind user pages, whatever was there: `pageCount` pages from page `vpn` on get the frames
   * from `pfn` on. Readable and writable. @hot
   */
  place(vpn: number, pfn: number, pageCount: number): void {
    this.#placed.set(vpn, pfn, pageCount);
  }

  /**
   * Pins up to `pageCount` pages from page `vpn` on (pin_user_pages) and stores their frames from `out[at]` on. Returns
   * the number pinned; -EFAULT when not even the first can be. @hot
   */
  pin(vpn: number, pageCount: number, write: boolean, out: PfnArray, at: number): number {
    if (vpn + pageCount > USER_PAGES) return -Errno.EFAULT;
    for (let i = 0; i < pageCount; i++) {
      const pfn = this.#fault(vpn + i, write);
      if (pfn < 0) return i > 0 ? i : -Errno.EFAULT;
      this.frames.pin(pfn);
      out[at + i] = pfn;
    }
    return pageCount;
  }

  /** Frame of device memory mapped at page `vpn` (follow_pfnmap_start); undefined when it is none or not so accessible. */
  deviceFrame(vpn: number, write: boolean): number | undefined {
    const region = this.#find(vpn);
    if (region?.devicePfn === undefined || (write ? !region.writable : !region.readable)) return undefined;
    return region.devicePfn + (vpn - region.start);
  }

  /** Frame behind a user address as a CPU access would find it; undefined = EFAULT. */
  frameAt(address: bigint, write: boolean): number | undefined {
    const pfn = this.#fault(Number(address >> 12n), write);
    return pfn < 0 ? undefined : pfn;
  }

  /** copy_from_user: the bytes, or undefined = EFAULT. */
  read(address: bigint, lengthBytes: number): Uint8Array | undefined {
    const out = new Uint8Array(lengthBytes);
    let done = 0;
    while (done < lengthBytes) {
      const at = address + BigInt(done);
      const page = this.#pageBytes(Number(at >> 12n), false);
      if (page === undefined) return undefined;
      const offset = Number(at & 4095n);
      const part = Math.min(lengthBytes - done, PAGE_SIZE - offset);
      out.set(page.subarray(offset, offset + part), done);
      done += part;
    }
    return out;
  }

  /** copy_to_user: false = EFAULT, with the bytes before the bad page written. */
  write(address: bigint, bytes: Uint8Array): boolean {
    let done = 0;
    while (done < bytes.length) {
      const at = address + BigInt(done);
      const page = this.#pageBytes(Number(at >> 12n), true);
      if (page === undefined) return false;
      const offset = Number(at & 4095n);
      const part = Math.min(bytes.length - done, PAGE_SIZE - offset);
      page.set(bytes.subarray(done, done + part), offset);
      done += part;
    }
    return true;
  }

  /** A child's memory: files shared, anonymous pages copied, locked counters at zero. */
  fork(): AddressSpace {
    const child = new AddressSpace(this.frames);
    for (const region of this.#regions) {
      const pages = region.pages === undefined ? undefined : new Float64Array(region.pages.length);
      const copy = { ...region, pages };
      child.#insert(copy);
      if (pages === undefined || region.pages === undefined) continue;
      for (let i = 0; i < pages.length; i++) {
        const pfn = region.pages[i] as number;
        if (pfn === 0) continue;
        pages[i] = child.#anonymousFrame(copy, i);
        const bytes = this.frames.peek(pfn);
        if (bytes !== undefined) this.frames.bytes(pages[i] as number).set(bytes);
      }
    }
    child.#placed.copyFrom(this.#placed);
    return child;
  }

  /** The last user of the memory is gone (exit_mmap): regions vanish, pinned frames live on with their pins. */
  *exit(): KernelTask<void> {
    yield* this.#clear(0, Number.MAX_SAFE_INTEGER);
    this.#placed.clear();
    this.#alive = false;
  }

  /** Bytes of a page for a CPU access; undefined = EFAULT. Only to be read unless `write`. */
  #pageBytes(vpn: number, write: boolean): Uint8Array | undefined {
    const region = this.#find(vpn);
    if (region?.bytes !== undefined && this.#placed.get(vpn) === undefined) {
      if (write ? !region.writable : !region.readable) return undefined;
      const offset = (vpn - region.start) * PAGE_SIZE;
      return region.bytes.subarray(offset, offset + PAGE_SIZE);
    }
    const pfn = this.#fault(vpn, write);
    if (pfn < 0) return undefined;
    return write ? this.frames.bytes(pfn) : (this.frames.peek(pfn) ?? ZERO_PAGE);
  }

  /** Frame of a page for an access of that kind, touching it when needed; -EFAULT. @hot */
  #fault(vpn: number, write: boolean): number {
    if (this.#placed.used) {
      const placed = this.#placed.get(vpn);
      if (placed !== undefined) return placed;
    }
    const region = this.#find(vpn);
    if (region === undefined || region.bytes !== undefined || region.devicePfn !== undefined) return -Errno.EFAULT;
    if (write ? !region.writable : !region.readable) return -Errno.EFAULT;
    if (region.file !== undefined) return region.file.page(region.filePage + vpn - region.start);
    const pages = region.pages as Float64Array;
    const index = vpn - region.start;
    const pfn = pages[index] as number;
    return pfn !== 0 ? pfn : this.#anonymousFrame(region, index);
  }

  #anonymousFrame(region: Region, index: number): number {
    const pages = region.pages as Float64Array;
    if (region.huge) {
      const first = this.frames.allocate(HUGE_PAGE_FRAMES, HUGE_PAGE_FRAMES);
      const firstIndex = index - ((region.start + index) % HUGE_PAGE_FRAMES);
      for (let i = 0; i < HUGE_PAGE_FRAMES; i++) {
        if (firstIndex + i >= 0 && firstIndex + i < pages.length) pages[firstIndex + i] = first + i;
      }
      return pages[index] as number;
    }
    if (this.#runLeft === 0) {
      this.frames.breakRun();
      this.#runLeft = ANONYMOUS_RUN;
    }
    this.#runLeft--;
    const pfn = this.frames.allocate(1);
    pages[index] = pfn;
    return pfn;
  }

  /** Region that holds a page. @hot */
  #find(vpn: number): Region | undefined {
    const regions = this.#regions;
    let low = 0;
    let high = regions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const region = regions[middle] as Region;
      if (vpn < region.start) high = middle;
      else if (vpn >= region.end) low = middle + 1;
      else return region;
    }
    return undefined;
  }

  #insert(region: Region): void {
    let at = 0;
    while (at < this.#regions.length && (this.#regions[at] as Region).start < region.start) at++;
    this.#regions.splice(at, 0, region);
    region.owner?.file.get();
    region.owner?.opened();
  }

  /** Removes [start, end) from every region, splitting those that stick out. */
  *#clear(start: number, end: number): KernelTask<void> {
    for (const region of this.#regions.filter((each) => each.start < end && each.end > start)) {
      this.#regions.splice(this.#regions.indexOf(region), 1);
      const from = Math.max(start, region.start);
      const to = Math.min(end, region.end);
      if (region.pages !== undefined) {
        for (let vpn = from; vpn < to; vpn++) {
          const pfn = region.pages[vpn - region.start] as number;
          if (pfn !== 0) this.frames.put(pfn);
        }
      }
      if (region.start < from) this.#insert(part(region, region.start, from));
      if (to < region.end) this.#insert(part(region, to, region.end));
      region.owner?.closed();
      if (region.owner !== undefined) yield* region.owner.file.put();
    }
    if (this.#placed.used) this.#placed.delete(start, end);
  }
}

function part(region: Region, start: number, end: number): Region {
  const skipped = start - region.start;
  return {
    ...region,
    start,
    end,
    filePage: region.filePage + skipped,
    bytes: region.bytes?.subarray(skipped * PAGE_SIZE),
    devicePfn: region.devicePfn === undefined ? undefined : region.devicePfn + skipped,
    pages: region.pages?.subarray(skipped, end - region.start),
  };
}
