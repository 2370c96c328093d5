/**
 * User memory behind IOAS mappings. Recordings tell the frames of a mapping when its pages are pinned: at the map, or
 * at the attach that fills a page table with older mappings. Either way the frames must lie in the process's memory
 * before the modelled kernel pins them.
 */
import sortedBtree from 'sorted-btree';
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

// The package is CommonJS: its class is the `default` of what Node imports.
const { default: BTree } = sortedBtree;
type Space = InstanceType<typeof BTree<bigint, UserMapping>>;

/** Mappings of one context, by IOAS. */
export class UserMappings {
  readonly #spaces = new Map<number, Space>();
  /** IOAS behind a page table, by the table's recorded id. */
  readonly #ioasOf = new Map<number, number>();

  /** IOMMU_IOAS_MAP: remembers the mapping and puts its frames, known or not, behind the user address. */
  *add(row: ControlRow, memory: AddressSpace): KernelTask<void> {
    const { object: ioas, iova, length: lengthBytes, userAddress } = row;
    this.#space(ioas).set(iova, { iova, lengthBytes, userAddress });
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
    this.#space(ioas).set(iova, { iova, lengthBytes, userAddress });
    this.place(ioas, row.frames, memory);
  }

  /** IOMMU_IOAS_UNMAP: everything inside the range is gone. */
  remove(row: ControlRow): void {
    const space = this.#space(row.object);
    const last = row.length > U64_MAX - row.iova ? U64_MAX : row.iova + row.length - 1n;
    for (const iova of space.keys(row.iova)) {
      if (iova > last) break;
      space.delete(iova);
    }
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

  #space(ioas: number): Space {
    let space = this.#spaces.get(ioas);
    if (space === undefined) {
      space = new BTree(undefined, compareAddresses);
      this.#spaces.set(ioas, space);
    }
    return space;
  }

  /** The mapping that holds the page of `address`. */
  #containing(ioas: number, address: bigint): UserMapping | undefined {
    const mapping = this.#space(ioas).getPairOrNextLower(address | PAGE_MASK)?.[1];
    return mapping !== undefined && address < mapping.iova + mapping.lengthBytes ? mapping : undefined;
  }
}

function compareAddresses(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
