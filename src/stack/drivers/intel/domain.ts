/**
 * A paging domain of VT-d, second or first stage (struct dmar_domain; Linux drivers/iommu/intel/iommu.c for 6.12,
 * generic_pt/iommu_pt.h with iommu.c from 6.19 on).
 */
import { pfnFromAddress } from '../../../address.ts';
import { assert } from '../../../assert.ts';
import { Errno } from '../../../errno.ts';
import type { PhysicalMemory } from '../../../hw/memory.ts';
import { gatherPage, gatherRange, isGatherEmpty, needsEarlySync, resetGather } from '../../iommu/gather.ts';
import {
  type DirtyOps,
  emptyGather,
  type IommuDriver,
  IommuProt,
  type IotlbGather,
  type PagingDomain,
} from '../../iommu/ops.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { atLeast } from '../../kernel/profile.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { CacheTags } from './cache-tags.ts';
import type { DeviceInfo } from './device-info.ts';
import { domainDirtyOps } from './dirty.ts';
import { firstStageFormat, secondStageFormat } from './entry-format.ts';
import type { IntelUnit } from './intel-unit.ts';
import type { IntelNestedDomain } from './nested-domain.ts';
import { nextPiece } from './page-size.ts';
import { PageTable } from './page-table.ts';
import { UnitDomainIds } from './unit-domain-ids.ts';

/** What a domain is allocated for. */
export interface DomainOptions {
  readonly type: PagingDomain['type'];
  readonly stage: 'first' | 'second';
  readonly nestParent: boolean;
  readonly dirtyTracking: boolean;
  /** The unit of the device it is allocated for decides width, page sizes and coherency. */
  readonly unit: IntelUnit;
  /** Share the table and the cache tags of this domain: the same mappings under another domain id. */
  readonly shares?: IntelPagingDomain | undefined;
}

/** Highest physical page number an entry can hold: 52 bits of address. */
const PHYSICAL_PAGES = 2 ** 40;

/** A domain with a page table. */
export class IntelPagingDomain implements PagingDomain {
  readonly driver: IommuDriver;
  readonly type: PagingDomain['type'];
  readonly stage: 'first' | 'second';
  readonly minPageSize = 4096n;
  readonly pageSizeBitmap: bigint;
  readonly apertureStart = 0n;
  readonly apertureEnd: bigint;
  readonly dirty: DirtyOps | undefined;
  readonly nestParent: boolean;
  /** [bits] Width of an address; twice the aperture for first-stage domains. */
  readonly addressWidth: number;
  readonly walkCoherent: boolean;
  readonly cachingMode: boolean;
  readonly table: PageTable;
  readonly tags: CacheTags;
  /** Devices whose RID uses the domain, and (device, PASID) pairs; the latest first, as list_add keeps them. */
  readonly devices: DeviceInfo[] = [];
  readonly pasidUsers: { readonly info: DeviceInfo; readonly pasid: number }[] = [];
  /** Nested domains on this one, the latest first. */
  readonly children: IntelNestedDomain[] = [];
  /** Domain ids of nested domains where they share them. */
  readonly childIds = new UnitDomainIds();
  /** Leaves get the snoop bit (second stage), PASID entries page snoop (first stage). */
  forceSnoop = false;
  dirtyEnabled = false;
  readonly #kernel: Kernel;
  readonly #ids = new UnitDomainIds();
  #mappedPages = 0;

  constructor(driver: IommuDriver, kernel: Kernel, memory: PhysicalMemory, options: DomainOptions) {
    const { unit, stage } = options;
    const caps = unit.caps;
    this.driver = driver;
    this.#kernel = kernel;
    this.type = options.type;
    this.stage = stage;
    this.nestParent = options.nestParent;
    this.addressWidth = caps.addressWidth;
    this.walkCoherent = caps.walkCoherent;
    this.cachingMode = caps.cachingMode;
    const usableBits = stage === 'first' ? this.addressWidth - 1 : this.addressWidth;
    this.apertureEnd = (1n << BigInt(usableBits)) - 1n;
    const has2Mib = stage === 'first' || caps.ss2Mib;
    const has1Gib = has2Mib && (stage === 'first' ? caps.fs1Gib : caps.ss1Gib);
    this.pageSizeBitmap = 0x1000n | (has2Mib ? 0x20_0000n : 0n) | (has1Gib ? 0x4000_0000n : 0n);
    const format = stage === 'first' ? firstStageFormat(kernel.profile) : secondStageFormat(kernel.profile);
    const { shares } = options;
    this.table = shares?.table ?? new PageTable(memory, caps.levels, format, has1Gib ? 3 : has2Mib ? 2 : 1);
    this.tags = shares?.tags ?? new CacheTags(kernel, stage === 'first');
    this.dirty = options.dirtyTracking ? domainDirtyOps(kernel, this) : undefined;
  }

  /** Takes the domain id on `unit`, a new one at the first use; -ENOSPC when none is left. */
  attachUnit(unit: IntelUnit): number {
    return this.#ids.take(unit);
  }

  /** Gives one use back; the last one frees the id. */
  detachUnit(unit: IntelUnit): void {
    this.#ids.give(unit);
  }

  /** Domain id on `unit`; it must be attached there. */
  domainId(unit: IntelUnit): number {
    return this.#ids.of(unit);
  }

  /** Units the domain is attached to. */
  get units(): readonly IntelUnit[] {
    return this.#ids.units;
  }

  *map(iova: bigint, paddr: bigint, lengthBytes: bigint, prot: number): KernelTask<number> {
    const error = yield* this.mapRun(iova, paddr, lengthBytes, prot);
    if (error !== 0) return error;
    return yield* this.syncMap(iova, lengthBytes);
  }

  *mapRun(iova: bigint, paddr: bigint, lengthBytes: bigint, prot: number): KernelTask<number> {
    const refused = this.#checkMap(iova, paddr, lengthBytes, prot);
    if (refused !== 0) return refused;
    const iovaPfn = pfnFromAddress(iova);
    const pageCount = pfnFromAddress(lengthBytes);
    const leafBits = this.table.format.leafBits(prot, this.forceSnoop && this.stage === 'second');
    const stopOnConflict = this.#kernel.profile.behaviours.mapOverPresentFails;
    const replaced: number[] = [];
    const done = this.table.map(iovaPfn, pfnFromAddress(paddr), pageCount, leafBits, stopOnConflict, replaced);
    this.#mappedPages += done;
    yield* this.#chargeTableWork(this.#kernel.costs.mapCall);
    if (replaced.length > 0) {
      // A superpage took the place of table pages: walks may still use those.
      yield* this.tags.flushRange(iovaPfn, iovaPfn + pageCount - 1, false);
      yield* this.#freeTables(replaced);
    }
    if (done < pageCount) {
      const gather = emptyGather(false);
      yield* this.unmap(iova, BigInt(done) << 12n, gather);
      yield* this.sync(gather);
      return -Errno.EADDRINUSE;
    }
    return 0;
  }

  *syncMap(iova: bigint, lengthBytes: bigint): KernelTask<number> {
    yield* this.tags.flushNotPresent(pfnFromAddress(iova), pfnFromAddress(iova + lengthBytes - 1n));
    return 0;
  }

  #checkMap(iova: bigint, paddr: bigint, lengthBytes: bigint, prot: number): number {
    const unaligned = ((iova | paddr | lengthBytes) & 0xfffn) !== 0n || lengthBytes === 0n;
    const readable = (prot & IommuProt.read) !== 0;
    const writable = (prot & IommuProt.write) !== 0;
    const beyond = iova + lengthBytes - 1n > this.apertureEnd;
    if (!atLeast(this.#kernel.profile, 'L70')) {
      if (unaligned) return -Errno.EINVAL;
      if (this.stage === 'second' && iova + lengthBytes - 1n >= 1n << BigInt(this.addressWidth)) return -Errno.EFAULT;
      if (!readable && !writable) return -Errno.EINVAL;
      return this.nestParent && !writable ? -Errno.EINVAL : 0;
    }
    if (!readable && !writable) return -Errno.EINVAL;
    if (beyond) return -Errno.ERANGE;
    if (unaligned) return -Errno.ENXIO;
    if (this.nestParent && !writable) return -Errno.EINVAL;
    return pfnFromAddress(paddr + lengthBytes - 1n) >= PHYSICAL_PAGES ? -Errno.ERANGE : 0;
  }

  *unmap(iova: bigint, lengthBytes: bigint, gather: IotlbGather): KernelTask<bigint> {
    if (this.#kernel.profile.behaviours.gatherSyncsOnSizeChange) {
      return yield* this.#unmapByPieces(iova, lengthBytes, gather);
    }
    const firstPfn = pfnFromAddress(iova);
    const extent = this.table.mappedExtent(firstPfn, pfnFromAddress(lengthBytes));
    if (extent === 0) return 0n;
    this.table.clear(firstPfn, firstPfn + extent - 1, gather.freelist);
    this.#mappedPages -= extent;
    if (!gather.queued) gatherRange(gather, iova, BigInt(extent) << 12n);
    yield* this.#chargeTableWork(this.#kernel.costs.unmapCall);
    return BigInt(extent) << 12n;
  }

  /** The 6.12 way: pieces of equal page size as __iommu_unmap cuts them; intel_iommu_unmap for each. */
  *#unmapByPieces(iova: bigint, lengthBytes: bigint, gather: IotlbGather): KernelTask<bigint> {
    const start = pfnFromAddress(iova);
    const total = pfnFromAddress(lengthBytes);
    let done = 0;
    while (done < total) {
      const at = start + done;
      const span = this.table.stopSpan(at);
      // A superpage larger than asked goes as a whole, and so does an empty entry of a higher level.
      const pageCount = Math.max(nextPiece(this.table.maxLeafLevel, at, total - done), span);
      this.table.clear(at - (at % span), at + pageCount - 1, gather.freelist);
      this.#mappedPages = Math.max(0, this.#mappedPages - pageCount);
      yield* this.#chargeTableWork(this.#kernel.costs.unmapCall);
      const pieceIova = BigInt(at) << 12n;
      const pieceBytes = BigInt(pageCount) << 12n;
      if (!gather.queued) {
        if (needsEarlySync(gather, pieceIova, pieceBytes)) yield* this.sync(gather);
        gatherPage(gather, pieceIova, pieceBytes);
      }
      done += pageCount;
    }
    return BigInt(done) << 12n;
  }

  *sync(gather: IotlbGather): KernelTask<number> {
    if (!isGatherEmpty(gather)) {
      const leafOnly = gather.freelist.length === 0;
      yield* this.tags.flushRange(pfnFromAddress(gather.start), pfnFromAddress(gather.end), leafOnly);
    }
    yield* this.#freeTables(gather.freelist);
    resetGather(gather);
    return 0;
  }

  *flushAll(): KernelTask<number> {
    yield* this.tags.flushAll();
    return 0;
  }

  iovaToPhys(iova: bigint): bigint | undefined {
    if (iova > this.apertureEnd) return undefined;
    const leaf = this.table.lookup(pfnFromAddress(iova));
    return leaf === undefined ? undefined : (BigInt(leaf.pfn) << 12n) | (iova & 0xfffn);
  }

  /**
   * Second stage: later leaves get the snoop bit; 6.12 refuses once something is mapped. First stage: PASID entries
   * written later get page snoop. Refused when an attached unit has no snoop control.
   *
   * APPROX: a first-stage domain that is attached already does not rewrite its PASID entries.
   */
  enforceCacheCoherency(): boolean {
    if (this.forceSnoop) return true;
    if (this.units.some((unit) => !unit.caps.snoopControl)) return false;
    const refusesMapped = !atLeast(this.#kernel.profile, 'L70') && this.stage === 'second';
    if (refusesMapped && this.#mappedPages > 0) return false;
    this.forceSnoop = true;
    return true;
  }

  *free(): KernelTask<number> {
    assert(this.#ids.units.length === 0, 'domain freed while attached');
    const deltaTicks = this.table.free() * this.#kernel.costs.tablePageFree;
    if (deltaTicks > 0) yield { deltaTicks, bucket: 'table' };
    return 0;
  }

  *#freeTables(freelist: readonly number[]): KernelTask<void> {
    if (freelist.length === 0) return;
    this.table.release(freelist);
    const deltaTicks = freelist.length * this.#kernel.costs.tablePageFree;
    if (deltaTicks > 0) yield { deltaTicks, bucket: 'table' };
  }

  /** Charges what the page table did since the last call. */
  *#chargeTableWork(callTicks: number): KernelTask<void> {
    const costs = this.#kernel.costs;
    const work = this.table.work;
    const deltaTicks =
      callTicks +
      work.leavesWritten * costs.mapLeaf +
      work.leavesCleared * costs.unmapLeaf +
      work.tablesAllocated * costs.tablePageAlloc +
      (this.walkCoherent ? 0 : work.entriesTouched * costs.entryFlush);
    work.leavesWritten = 0;
    work.leavesCleared = 0;
    work.entriesTouched = 0;
    work.tablesAllocated = 0;
    if (deltaTicks > 0) yield { deltaTicks: Math.round(deltaTicks), bucket: 'table' };
  }
}
