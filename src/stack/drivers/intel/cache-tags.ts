/**
 * Cache tags: who must be told when a domain's mappings change (Linux drivers/iommu/intel/cache.c). One tag a (type,
 * unit or device, domain id, PASID), counted; tags of one unit stay adjacent so that their descriptors share a batch.
 */
import { addressHigh, addressLow } from '../../../address.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { Mutex } from '../../kernel/locks.ts';
import { atLeast } from '../../kernel/profile.ts';
import type { KernelTask } from '../../kernel/task.ts';
import {
  DescriptorBatch,
  pushDeviceTlb,
  pushIotlbDomain,
  pushIotlbPages,
  pushPasidDeviceTlb,
  pushPasidIotlbAll,
  pushPasidIotlbPages,
  WHOLE_SPACE_ORDER,
} from './descriptors.ts';
import type { DeviceInfo } from './device-info.ts';
import { deviceTlbTarget } from './device-tlb.ts';
import type { IntelUnit } from './intel-unit.ts';

/** What a tag stands for; the nesting kinds are a parent's tags for its children. */
export type CacheTagType = 'iotlb' | 'devtlb' | 'nesting-iotlb' | 'nesting-devtlb';

interface CacheTag {
  readonly type: CacheTagType;
  readonly unit: IntelUnit;
  /** The device of a device-TLB tag. */
  readonly info: DeviceInfo | undefined;
  readonly did: number;
  readonly pasid: number;
  users: number;
}

/** A naturally aligned power-of-two block of pages. */
export interface AlignedBlock {
  readonly startPfn: number;
  /** log2 of the page count. */
  readonly order: number;
}

/**
 * The smallest aligned block that covers [firstPfn, lastPfn] (calculate_psi_aligned_address): the page count rounded up
 * to a power of two; when the start is not aligned to that, widened until both ends fall in one block.
 */
export function alignedBlock(firstPfn: number, lastPfn: number): AlignedBlock {
  const pageCount = lastPfn - firstPfn + 1;
  let order = 0;
  while (2 ** order < pageCount) order++;
  while (order < WHOLE_SPACE_ORDER && Math.floor(firstPfn / 2 ** order) !== Math.floor(lastPfn / 2 ** order)) order++;
  const size = 2 ** order;
  return { startPfn: Math.floor(firstPfn / size) * size, order };
}

/** The tags of one domain. */
export class CacheTags {
  readonly #kernel: Kernel;
  /** Descriptors go to the PASID-based IOTLB: first-stage, nested and SVA domains. */
  readonly #pasidBased: boolean;
  readonly #tags: CacheTag[] = [];
  readonly #batch: DescriptorBatch;
  readonly #lock: Mutex;
  readonly #leafHintIgnored: boolean;

  constructor(kernel: Kernel, pasidBased: boolean) {
    this.#kernel = kernel;
    this.#pasidBased = pasidBased;
    this.#batch = new DescriptorBatch(kernel.profile.behaviours.qiMaxBatch);
    this.#lock = new Mutex(kernel.timeline, 'cache tags');
    this.#leafHintIgnored = kernel.profile.behaviours.ssIhIgnored && !pasidBased;
  }

  get count(): number {
    return this.#tags.length;
  }

  /** Adds the tags of a device's PASID (0 = RID): IOTLB, and device TLB while ATS is on (cache_tag_assign_domain). */
  assign(info: DeviceInfo, did: number, pasid: number, nestingParent = false): void {
    this.#add(nestingParent ? 'nesting-iotlb' : 'iotlb', info.unit, undefined, did, pasid);
    if (info.atsEnabled) this.#add(nestingParent ? 'nesting-devtlb' : 'devtlb', info.unit, info, did, pasid);
  }

  /** Takes them away again. */
  unassign(info: DeviceInfo, did: number, pasid: number, nestingParent = false): void {
    this.#remove(nestingParent ? 'nesting-iotlb' : 'iotlb', info.unit, undefined, did, pasid);
    if (info.atsEnabled) this.#remove(nestingParent ? 'nesting-devtlb' : 'devtlb', info.unit, info, did, pasid);
  }

  #add(type: CacheTagType, unit: IntelUnit, info: DeviceInfo | undefined, did: number, pasid: number): void {
    const same = this.#find(type, unit, info, did, pasid);
    if (same !== undefined) {
      same.users++;
      return;
    }
    const tag: CacheTag = { type, unit, info, did, pasid, users: 1 };
    const neighbour = this.#tags.findLastIndex((other) => other.unit === unit);
    if (neighbour < 0) this.#tags.push(tag);
    else this.#tags.splice(neighbour + 1, 0, tag);
  }

  #remove(type: CacheTagType, unit: IntelUnit, info: DeviceInfo | undefined, did: number, pasid: number): void {
    const tag = this.#find(type, unit, info, did, pasid);
    if (tag === undefined) return;
    tag.users--;
    if (tag.users === 0) this.#tags.splice(this.#tags.indexOf(tag), 1);
  }

  #find(
    type: CacheTagType,
    unit: IntelUnit,
    info: DeviceInfo | undefined,
    did: number,
    pasid: number,
  ): CacheTag | undefined {
    return this.#tags.find(
      (tag) => tag.type === type && tag.did === did && tag.pasid === pasid && tag.unit === unit && tag.info === info,
    );
  }

  /**
   * Flushes the pages [firstPfn, lastPfn] everywhere they may be cached and waits (cache_tag_flush_range). `leafOnly`:
   * no table page was freed.
   */
  *flushRange(firstPfn: number, lastPfn: number, leafOnly: boolean): KernelTask<void> {
    yield* this.#flush(alignedBlock(firstPfn, lastPfn), leafOnly);
  }

  /** Flushes everything the domain may have cached (cache_tag_flush_all). */
  *flushAll(): KernelTask<void> {
    yield* this.#flush({ startPfn: 0, order: WHOLE_SPACE_ORDER }, false);
  }

  /**
   * After new mappings: page-selective invalidation on units with caching mode for second-stage domains, a
   * write-buffer flush where that is needed, else nothing (cache_tag_flush_range_np, VT-d spec 6.1 and 6.8).
   */
  *flushNotPresent(firstPfn: number, lastPfn: number): KernelTask<void> {
    if (!this.#tags.some((tag) => tag.unit.caps.cachingMode || tag.unit.caps.writeBufferFlush)) return;
    if (this.#kernel.profile.behaviours.omitsFlush === 'map') return;
    const block = alignedBlock(firstPfn, lastPfn);
    const lock = this.#lock;
    if (!lock.tryAcquire()) yield lock.queue;
    let unit: IntelUnit | undefined;
    for (const tag of this.#tags) {
      if (unit !== undefined && unit !== tag.unit) yield* unit.queue.submit(this.#batch);
      unit = tag.unit;
      if (!tag.unit.caps.cachingMode || this.#pasidBased) {
        yield* tag.unit.flushWriteBuffer();
      } else if (tag.type === 'iotlb' || tag.type === 'nesting-iotlb') {
        this.#pushIotlb(tag, block, false);
        if (this.#batch.full) yield* unit.queue.submit(this.#batch);
      }
    }
    if (unit !== undefined) yield* unit.queue.submit(this.#batch);
    lock.release();
  }

  *#flush(block: AlignedBlock, leafOnly: boolean): KernelTask<void> {
    if (this.#tags.length === 0) return;
    const lock = this.#lock;
    if (!lock.tryAcquire()) yield lock.queue;
    const costs = this.#kernel.costs;
    if (costs.cacheTag > 0) yield { deltaTicks: costs.cacheTag * this.#tags.length, bucket: 'submit' };
    let unit: IntelUnit | undefined;
    for (const tag of this.#tags) {
      if (unit !== undefined && unit !== tag.unit) yield* unit.queue.submit(this.#batch);
      unit = tag.unit;
      if (tag.type === 'iotlb' || tag.type === 'nesting-iotlb') this.#pushIotlb(tag, block, leafOnly);
      else this.#pushDeviceTlb(tag, block);
      if (this.#batch.full) yield* unit.queue.submit(this.#batch);
    }
    if (unit !== undefined) yield* unit.queue.submit(this.#batch);
    lock.release();
  }

  #pushIotlb(tag: CacheTag, block: AlignedBlock, leafOnly: boolean): void {
    const caps = tag.unit.caps;
    if (this.#pasidBased) {
      if (block.order >= WHOLE_SPACE_ORDER) {
        pushPasidIotlbAll(this.#batch, tag.did, tag.pasid);
      } else {
        const [low, high] = [addressLow(block.startPfn), addressHigh(block.startPfn)];
        pushPasidIotlbPages(this.#batch, tag.did, tag.pasid, low, high, block.order, leafOnly);
      }
    } else if (!caps.pageSelective || block.order > caps.mamv) {
      pushIotlbDomain(this.#batch, tag.unit.drain, tag.did);
    } else {
      const hint = leafOnly && !this.#leafHintIgnored;
      const [low, high] = [addressLow(block.startPfn), addressHigh(block.startPfn)];
      pushIotlbPages(this.#batch, tag.unit.drain, tag.did, low, high, block.order, hint);
    }
  }

  /** A nested device TLB holds results of both stages, so a change of the parent flushes all of it. */
  #pushDeviceTlb(tag: CacheTag, block: AlignedBlock): void {
    const info = tag.info as DeviceInfo;
    const whole = tag.type === 'nesting-devtlb';
    const order = whole ? WHOLE_SPACE_ORDER : block.order;
    const startPfn = whole ? 0 : block.startPfn;
    const [low, high] = [addressLow(startPfn), addressHigh(startPfn)];
    // Up to 6.12 a whole-domain flush ignored the PASID of the tag (cache_tag_flush_all).
    const byPasid = tag.pasid !== 0 && (atLeast(this.#kernel.profile, 'L615') || order < WHOLE_SPACE_ORDER);
    if (byPasid) pushPasidDeviceTlb(this.#batch, deviceTlbTarget(info), tag.pasid, low, high, order);
    else pushDeviceTlb(this.#batch, deviceTlbTarget(info), low, high, order);
  }
}
