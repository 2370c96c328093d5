/**
 * User memory behind IOAS mappings. Recordings tell the frames of a mapping when its pages are pinned: at the map, or
 * at the attach that fills a page table with older mappings. Either way the frames must lie in the process's memory
 * before the modelled kernel pins them.
 */
import type { AddressSpace } from '../stack/kernel/address-space.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import type { ControlRow, FrameRun } from './control-row.ts';

/** A mapping of a context: where its IOVAs lie in user memory. */
interface UserMapping {
  readonly ioas: number;
  readonly iova: bigint;
  readonly lengthBytes: bigint;
  readonly userAddress: bigint;
}

const PAGE_MASK = 4095n;

/** Mappings of one context, all IOAS together. */
export class UserMappings {
  readonly #mappings = new Map<string, UserMapping>();

  /** IOMMU_IOAS_MAP: remembers the mapping and puts its frames, known or not, behind the user address. */
  *add(row: ControlRow, memory: AddressSpace): KernelTask<void> {
    const { object: ioas, iova, length: lengthBytes, userAddress } = row;
    this.#mappings.set(key(ioas, iova), { ioas, iova, lengthBytes, userAddress });
    const start = userAddress & ~PAGE_MASK;
    const end = (userAddress + lengthBytes + PAGE_MASK) & ~PAGE_MASK;
    const known = row.frames.reduce((pages, run) => pages + run.pageCount, 0);
    // Pages that no attach has pinned yet have no recorded frames: any memory will do.
    if (end > start && known < Number((end - start) >> 12n) && memory.frameAt(start, true) === undefined) {
      yield* memory.map(start, end - start);
    }
    placeRuns(row.frames, iova, userAddress, memory);
  }

  /** IOMMU_IOAS_COPY: the copy lies in the same memory. */
  copy(row: ControlRow): void {
    const source = this.#containing(row.userAddress, row.target);
    if (source === undefined) return;
    const userAddress = source.userAddress + (row.userAddress - source.iova);
    const { object: ioas, iova, length: lengthBytes } = row;
    this.#mappings.set(key(ioas, iova), { ioas, iova, lengthBytes, userAddress });
  }

  /** IOMMU_IOAS_UNMAP: everything inside the range is gone. */
  remove(row: ControlRow): void {
    if (this.#mappings.delete(key(row.object, row.iova))) return;
    for (const [name, mapping] of this.#mappings) {
      if (mapping.ioas !== row.object || mapping.iova < row.iova) continue;
      if (mapping.iova + mapping.lengthBytes <= row.iova + row.length) this.#mappings.delete(name);
    }
  }

  /** Frames that became known when a page table was filled. */
  place(frames: readonly FrameRun[], memory: AddressSpace): void {
    for (const run of frames) {
      const mapping = this.#containing(BigInt(run.iovaPfn) << 12n, undefined);
      if (mapping !== undefined) placeRuns([run], mapping.iova, mapping.userAddress, memory);
    }
  }

  #containing(iova: bigint, ioas: number | undefined): UserMapping | undefined {
    for (const mapping of this.#mappings.values()) {
      if (ioas !== undefined && mapping.ioas !== ioas) continue;
      if (iova >= (mapping.iova & ~PAGE_MASK) && iova < mapping.iova + mapping.lengthBytes) return mapping;
    }
    return undefined;
  }
}

function placeRuns(runs: readonly FrameRun[], iova: bigint, userAddress: bigint, memory: AddressSpace): void {
  const iovaPfn = Number(iova >> 12n);
  const userVpn = Number(userAddress >> 12n);
  for (const run of runs) {
    const offset = run.iovaPfn - iovaPfn;
    if (offset >= 0) memory.place(userVpn + offset, run.pfn, run.pageCount);
  }
}

function key(ioas: number, iova: bigint): string {
  return `${ioas} ${iova}`;
}
