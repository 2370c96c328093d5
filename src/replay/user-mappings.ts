/**
 * User memory behind IOAS mappings. Recordings tell the frames of a mapping when its pages are pinned: at the map, or
 * at the attach that fills a page table with older mappings. Either way the frames must lie in the process's memory
 * before the modelled kernel pins them.
 */
import { U64_MAX } from '../address.ts';
import type { AddressSpace } from '../stack/kernel/address-space.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import type { ControlRow, FrameRun } from './control-row.ts';

/** A mapping of an IOAS: where its IOVAs lie in user memory. */
interface UserMapping {
  readonly iova: bigint;
  readonly lengthBytes: bigint;
  readonly userAddress: bigint;
}

const PAGE_MASK = 4095n;

/** Mappings of one context, by IOAS. */
export class UserMappings {
  readonly #spaces = new Map<number, OrderedMappings>();
  /** IOAS behind a page table, by the table's recorded id. */
  readonly #ioasOf = new Map<number, number>();

  /** IOMMU_IOAS_MAP: remembers the mapping and puts its frames, known or not, behind the user address. */
  *add(row: ControlRow, memory: AddressSpace): KernelTask<void> {
    const { object: ioas, iova, length: lengthBytes, userAddress } = row;
    this.#space(ioas).set({ iova, lengthBytes, userAddress });
    const start = userAddress & ~PAGE_MASK;
    const end = (userAddress + lengthBytes + PAGE_MASK) & ~PAGE_MASK;
    const known = row.frames.reduce((pages, run) => pages + run.pageCount, 0);
    // Pages that no attach has pinned yet have no recorded frames: any memory will do.
    if (end > start && known < Number((end - start) >> 12n) && memory.frameAt(start, true) === undefined) {
      yield* memory.map(start, end - start);
    }
    this.place(ioas, row.frames, memory);
  }

  /** IOMMU_IOAS_COPY: the copy lies in the same memory, whose frames may become known by it. */
  copy(row: ControlRow, memory: AddressSpace): void {
    const { object: ioas, iova, length: lengthBytes } = row;
    const source = this.#containing(row.target, row.userAddress);
    if (source === undefined) return;
    const userAddress = source.userAddress + (row.userAddress - source.iova);
    this.#space(ioas).set({ iova, lengthBytes, userAddress });
    this.place(ioas, row.frames, memory);
  }

  /** IOMMU_IOAS_UNMAP: everything inside the range is gone. */
  remove(row: ControlRow): void {
    const last = row.length > U64_MAX - row.iova ? U64_MAX : row.iova + row.length - 1n;
    this.#space(row.object).removeWithin(row.iova, last);
  }

  /** Frame behind the page of `address` in an IOAS, -1 when nothing is mapped there or it is no memory. */
  frameAt(ioas: number, address: bigint, memory: AddressSpace): number {
    const mapping = this.#containing(ioas, address);
    if (mapping === undefined) return -1;
    const page = address & ~PAGE_MASK;
    return memory.frameAt(mapping.userAddress + (page - (mapping.iova & ~PAGE_MASK)), true) ?? -1;
  }

  /** A page table `hwpt` was made on `target`, an IOAS or another page table. */
  learnTable(hwpt: number, target: number): void {
    this.#ioasOf.set(hwpt, this.#ioasOf.get(target) ?? target);
  }

  /** Frames that became known when a page table on `target` (an IOAS or a page table) was filled. */
  place(target: number, frames: readonly FrameRun[], memory: AddressSpace): void {
    const ioas = this.#ioasOf.get(target) ?? target;
    for (const { iovaPfn, pfn, pageCount } of frames) {
      let done = 0;
      while (done < pageCount) {
        const address = BigInt(iovaPfn + done) << 12n;
        const mapping = this.#containing(ioas, address);
        if (mapping === undefined) {
          done++;
          continue;
        }
        const offset = Number((address >> 12n) - (mapping.iova >> 12n));
        const mappedPages = Number((mapping.lengthBytes + (mapping.iova & PAGE_MASK) + PAGE_MASK) >> 12n);
        const pages = Math.min(pageCount - done, mappedPages - offset);
        memory.place(Number(mapping.userAddress >> 12n) + offset, pfn + done, pages);
        done += pages;
      }
    }
  }

  #space(ioas: number): OrderedMappings {
    let space = this.#spaces.get(ioas);
    if (space === undefined) {
      space = new OrderedMappings();
      this.#spaces.set(ioas, space);
    }
    return space;
  }

  /** The mapping that holds the page of `address`. */
  #containing(ioas: number, address: bigint): UserMapping | undefined {
    const mapping = this.#space(ioas).lastNotAfter(address | PAGE_MASK);
    return mapping !== undefined && address < mapping.iova + mapping.lengthBytes ? mapping : undefined;
  }
}

/** Mappings by IOVA: a sorted array, since drivers map in ascending order nearly always. */
class OrderedMappings {
  readonly #mappings: UserMapping[] = [];

  /** Adds a mapping, or replaces the one that starts there. */
  set(mapping: UserMapping): void {
    const at = this.#firstFrom(mapping.iova);
    this.#mappings.splice(at, this.#mappings[at]?.iova === mapping.iova ? 1 : 0, mapping);
  }

  /** Removes every mapping that starts in `first` .. `last`. */
  removeWithin(first: bigint, last: bigint): void {
    const from = this.#firstFrom(first);
    const to = this.#firstFrom(last + 1n);
    this.#mappings.splice(from, to - from);
  }

  /** The last mapping that starts at or before `iova`. */
  lastNotAfter(iova: bigint): UserMapping | undefined {
    return this.#mappings[this.#firstFrom(iova + 1n) - 1];
  }

  /** Index of the first mapping that starts at or after `iova`. */
  #firstFrom(iova: bigint): number {
    let low = 0;
    let high = this.#mappings.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#mappings[middle] as UserMapping).iova < iova) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
