/**
 * Stale translations: hits, in the IOTLB or in a device's own TLB, on pages whose mapping was gone when the request was issued. A driver that changes a
 * translation and submits no invalidation leaves them, and so does lazy flushing until its queue is flushed.
 *
 * Software's own tables are the oracle. Asking them for every hit would be slow, so hits are checked only where something
 * was taken away lately: on pages that an unmap call named, and on devices whose domain or own tables changed.
 *
 * APPROX: while an unmap is under way, pages in its range are checked on no device, also not on those that use another
 * space: which tables a device's requests go through is not known here by IOAS or container. A stale hit on such a page is
 * missed for the time of the call. A store to guests' tables that names its device is followed by checks of that device
 * only, though others may share the IOAS.
 *
 * On a unit in caching mode also the opposite: faults on pages that are mapped, answered without a read of any table. The unit
 * remembers that there was nothing, and no invalidation after the map made it look again.
 *
 * Unlike the other analyses this one must look at rows as they are issued: a moment later the tables say something else.
 */
import type { DmaColumns, ResultColumns } from '../../hw/unit.ts';
import { DmaOutcome } from '../../hw/unit.ts';
import { FaultReason } from '../../hw/vtd/fault-reasons.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import { NONE_U32 } from '../../trace/schema/column-type.ts';
import type { CallOutcome, ControlCalls } from '../control-player.ts';
import type { ControlRow } from '../control-row.ts';
import type { StaleUse } from '../protocol.ts';

/** What the modelled kernel's tables say about a page. */
export interface SoftwareView {
  /** [4 KiB pages] Frame behind an IOVA page of a device's requests; `pasid` 0 = without; -1 = not mapped. */
  frameOf(device: number, iovaPfn: number, pasid: number): number;
  /** True when the page was unmapped and waits in a flush queue. */
  awaitsFlush(device: number, iovaPfn: number): boolean;
  /** False while requests of the device are not translated by tables at all. */
  translates(device: number): boolean;
  /** True while a call is changing the device's domain: until it returns, old and new are both right. */
  isChanging?(device: number): boolean;
  /** Some unit is in caching mode: it may remember what is not mapped. */
  readonly cachingMode?: boolean;
}

/** [4 KiB pages] Pages remembered as taken away; the oldest are forgotten first. */
const MAX_PAGES = 65_536;
/** [4 KiB pages] Of one unmap call. */
const MAX_PAGES_PER_CALL = 4096;
/** [rows] Hits of a device that are checked after its domain changed. */
const ROWS_AFTER_CHANGE = 4096;

const UNMAPS: ReadonlySet<string> = new Set(['dma_unmap', 'dma_free', 'IOMMU_IOAS_UNMAP', 'VFIO_IOMMU_UNMAP_DMA']);
const DOMAIN_CHANGES: ReadonlySet<string> = new Set([
  'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
  'VFIO_DEVICE_DETACH_IOMMUFD_PT',
  'VFIO_SET_IOMMU',
  'VFIO_GROUP_SET_CONTAINER',
  'VFIO_GROUP_UNSET_CONTAINER',
  'VFIO_GROUP_GET_DEVICE_FD',
  'user_store',
  'close',
]);

/** Unmap calls that requests may race: until they return, what they take away may be used. */
const RACED_UNMAPS: ReadonlySet<string> = new Set(['IOMMU_IOAS_UNMAP', 'VFIO_IOMMU_UNMAP_DMA']);

/** Calls that map: until they return, their invalidation is still to come. */
const MAPS: ReadonlySet<string> = new Set([
  'dma_map',
  'dma_alloc',
  'IOMMU_IOAS_MAP',
  'IOMMU_IOAS_COPY',
  'VFIO_IOMMU_MAP_DMA',
]);

/** Faults for want of a page or an entry. */
const ABSENT: ReadonlySet<number> = new Set([
  FaultReason.rootNotPresent,
  FaultReason.contextNotPresent,
  FaultReason.write,
  FaultReason.read,
  FaultReason.smRootNotPresent,
  FaultReason.smContextNotPresent,
  FaultReason.smDirectoryNotPresent,
  FaultReason.smPasidEntryNotPresent,
  FaultReason.ssPermission,
]);

/** [4 KiB pages] Pages of an unmap call. */
interface PageRange {
  readonly first: number;
  readonly last: number;
}

/** Finds stale hits of one job. */
export class StaleTranslations {
  readonly #view: SoftwareView;
  readonly #originTick: number;
  readonly #nameOf: (device: number) => string;
  readonly #devices: readonly number[];
  /** Pages taken away, of whatever device: a filter in front of the tables. In order of insertion. */
  readonly #pages = new Set<number>();
  /** Hits still to be checked, by device. */
  readonly #suspects = new Map<number, number>();
  readonly #uses = new Map<number, StaleUse>();
  readonly #unmapping = new Set<PageRange>();
  /** Map calls under way. */
  #mapping = 0;
  /** Requests that faulted on a mapped page that the unit remembers as absent. */
  unseenMaps = 0;

  /** `devices`: those whose rows there are. */
  constructor(
    view: SoftwareView,
    originTick: number,
    nameOf: (device: number) => string,
    devices: readonly number[] = [],
  ) {
    this.#devices = devices;
    this.#view = view;
    this.#originTick = originTick;
    this.#nameOf = nameOf;
  }

  /** `calls`, with a note of the maps and unmaps under way. */
  watching(calls: ControlCalls): ControlCalls {
    return {
      perform: (row) => {
        const task = calls.perform(row);
        if (RACED_UNMAPS.has(row.op)) return this.#underWay(pagesOf(row), task);
        return this.#view.cachingMode === true && MAPS.has(row.op) ? this.#mapUnderWay(task) : task;
      },
    };
  }

  *#underWay(range: PageRange, task: KernelTask<CallOutcome>): KernelTask<CallOutcome> {
    this.#unmapping.add(range);
    const outcome = yield* task;
    this.#unmapping.delete(range);
    return outcome;
  }

  *#mapUnderWay(task: KernelTask<CallOutcome>): KernelTask<CallOutcome> {
    this.#mapping++;
    const outcome = yield* task;
    this.#mapping--;
    return outcome;
  }

  /** A control call has completed. */
  onCall(row: ControlRow): void {
    if (row.op === 'user_store' && row.device === NONE_U32) {
      // It names the IOAS, which any device may use.
      for (const device of this.#devices) this.#suspects.set(device, ROWS_AFTER_CHANGE);
    } else if (DOMAIN_CHANGES.has(row.op)) this.#suspects.set(row.device, ROWS_AFTER_CHANGE);
    if (!UNMAPS.has(row.op)) return;
    const { first, last } = pagesOf(row);
    for (let page = first; page <= last && page < first + MAX_PAGES_PER_CALL; page++) {
      this.#pages.delete(page);
      this.#pages.add(page);
    }
    for (const page of this.#pages) {
      if (this.#pages.size <= MAX_PAGES) break;
      this.#pages.delete(page);
    }
  }

  /** Rows `from` .. `to`-1 were issued, and nothing has happened since. @hot */
  onIssued(input: DmaColumns, results: ResultColumns, from: number, to: number): void {
    if (this.#view.cachingMode === true) this.#countUnseenMaps(input, results, from, to);
    if (this.#pages.size === 0 && this.#suspects.size === 0) return;
    const { outcome } = results;
    for (let row = from; row < to; row++) {
      if (outcome[row] !== DmaOutcome.hit && outcome[row] !== DmaOutcome.deviceHit) continue;
      const page = input.iova[2 * row + 1]! * 1048576 + (input.iova[2 * row]! >>> 12);
      if (this.#pages.has(page) || (this.#suspects.size > 0 && this.#isSuspect(input.device[row]!))) {
        this.#check(input.device[row]!, input.pasid[row]!, page, results, row);
      }
    }
  }

  /** Groups by device, in topology order. */
  finish(): StaleUse[] {
    return [...this.#uses.entries()].sort(([a], [b]) => a - b).map(([, use]) => use);
  }

  #countUnseenMaps(input: DmaColumns, results: ResultColumns, from: number, to: number): void {
    if (this.#mapping > 0) return;
    for (let row = from; row < to; row++) {
      if (results.outcome[row] !== DmaOutcome.fault || results.walkReads[row] !== 0) continue;
      const device = input.device[row]!;
      if (!ABSENT.has(results.fault[row]!) || this.#view.isChanging?.(device) === true) continue;
      const page = input.iova[2 * row + 1]! * 1048576 + (input.iova[2 * row]! >>> 12);
      if (this.#view.frameOf(device, page, input.pasid[row]!) >= 0) this.unseenMaps++;
    }
  }

  #isSuspect(device: number): boolean {
    const left = this.#suspects.get(device);
    if (left === undefined) return false;
    if (left > 1) this.#suspects.set(device, left - 1);
    else this.#suspects.delete(device);
    return true;
  }

  #check(device: number, pasid: number, page: number, results: ResultColumns, row: number): void {
    if (pasid === 0 && !this.#view.translates(device)) return;
    if (this.#view.isChanging?.(device) === true) return;
    for (const { first, last } of this.#unmapping) if (page >= first && page <= last) return;
    const used = results.pfn[2 * row + 1]! * 4294967296 + results.pfn[2 * row]!;
    if (this.#view.frameOf(device, page, pasid) === used) return;
    const atTick = results.issueTick[row]! - this.#originTick;
    const known = this.#uses.get(device);
    const awaitsFlush = pasid === 0 && this.#view.awaitsFlush(device, page) ? 1 : 0;
    this.#uses.set(device, {
      device: this.#nameOf(device),
      count: (known?.count ?? 0) + 1,
      awaitingFlush: (known?.awaitingFlush ?? 0) + awaitsFlush,
      firstTick: known?.firstTick ?? atTick,
      lastTick: atTick,
      firstIova: known?.firstIova ?? `0x${(BigInt(page) << 12n).toString(16)}`,
    });
  }
}

function pagesOf(row: ControlRow): PageRange {
  const length = row.length > 0n ? row.length : 1n;
  return { first: Number(row.iova >> 12n), last: Number((row.iova + length - 1n) >> 12n) };
}
