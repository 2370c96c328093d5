/**
 * I/O address space: areas of user memory at IOVAs, mapped into every attached domain (struct iommufd_ioas and struct
 * io_pagetable). This file holds the state, the domains and the accesses; maps and unmaps are in ioas-map.ts and
 * ioas-unmap.ts. Source: Linux drivers/iommu/iommufd/{ioas,io_pagetable}.c.
 *
 * Lock order: hwpts mutex, domains lock, iova lock, page source lock.
 */
import { U64_MAX } from '../../address.ts';
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import type { IommuDevice, PagingDomain, ReservedRegion } from '../iommu/ops.ts';
import { Mutex, RwSemaphore } from '../kernel/locks.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { Area } from './area.ts';
import { fillDomain, forgetDomainArea, unfillDomain, unmapPages } from './area-domains.ts';
import { AreaIndex } from './area-index.ts';
import type { IommufdContext } from './context.ts';
import { holes, type Interval, intersects, type OwnedInterval } from './intervals.ts';
import { unmapAll } from './ioas-unmap.ts';
import type { IommufdObject } from './object-table.ts';

/** What an IOAS knows of a paging HWPT on it. */
export interface IoasHwpt extends IommufdObject {
  readonly type: 'hwpt-paging';
  readonly domain: PagingDomain;
  readonly enforceCacheCoherency: boolean;
}

/** What an IOAS knows of an access: who must unpin before an area goes. */
export interface IoasAccess extends IommufdObject {
  /** [bytes] 1, or PAGE_SIZE when the access pins pages. */
  readonly iovaAlignment: bigint;
  /** Callback after which no pin may intersect the range; absent for accesses that get none. */
  readonly unmap: ((iova: bigint, lengthBytes: bigint) => KernelTask<void>) | undefined;
}

/** [bytes] Page size as BigInt. */
const PAGE = 4096n;

/** An IOAS. */
export class Ioas implements IommufdObject {
  readonly type = 'ioas';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly context: IommufdContext;
  /** Paging HWPTs in creation order; guarded by {@link lockHwpts}. */
  readonly hwpts: IoasHwpt[] = [];
  /** Attached domains in add order; a removal moves the last into the hole. */
  readonly domains: PagingDomain[] = [];
  readonly areas = new AreaIndex();
  readonly reserved: OwnedInterval[] = [];
  /** Ranges set by IOAS_ALLOW_IOVAS; empty = all. */
  allowed: readonly Interval[] = [];
  /** Shared by maps and unmaps, exclusive while domains or accesses change (domains_rwsem). */
  readonly domainsLock: RwSemaphore;
  /** Guards areas and reservations (iova_rwsem). */
  readonly iovaLock: RwSemaphore;
  /** IOMMU_OPTION_HUGE_PAGES = 0: every domain map is one page. */
  smallPages = false;
  readonly #hwptsMutex: Mutex;
  readonly #accesses: (IoasAccess | undefined)[] = [];
  #alignment = 1n;

  constructor(context: IommufdContext) {
    const timeline = context.kernel.timeline;
    this.context = context;
    this.#hwptsMutex = new Mutex(timeline, 'ioas');
    this.domainsLock = new RwSemaphore(timeline, 'ioas domains');
    this.iovaLock = new RwSemaphore(timeline, 'ioas iova');
  }

  /** [bytes] What IOVA, length and page offset of every area must be a multiple of. */
  get alignment(): bigint {
    return this.#alignment;
  }

  /** Accesses in index order. */
  get accesses(): IoasAccess[] {
    return this.#accesses.filter((access) => access !== undefined);
  }

  /** Takes the mutex that guards {@link hwpts} and the automatic page-table search (ioas.mutex). */
  *lockHwpts(): KernelTask<void> {
    if (!this.#hwptsMutex.tryAcquire()) yield this.#hwptsMutex.queue;
  }

  /** Releases {@link lockHwpts}. */
  unlockHwpts(): void {
    this.#hwptsMutex.release();
  }

  /** Takes the locks that keep areas, domains and accesses from changing, in their order. */
  *lockAll(): KernelTask<void> {
    if (!this.domainsLock.tryAcquireExclusive()) yield this.domainsLock.exclusiveQueue;
    if (!this.iovaLock.tryAcquireExclusive()) yield this.iovaLock.exclusiveQueue;
  }

  /** Releases {@link lockAll}. */
  unlockAll(): void {
    this.iovaLock.releaseExclusive();
    this.domainsLock.releaseExclusive();
  }

  /**
   * Maps every area into `domain` and keeps it in step from now on (iopt_table_add_domain). 0, -EINVAL (page size),
   * -EADDRINUSE (alignment or aperture against areas), or the errno of pin, map or charge; then nothing is changed.
   */
  *addDomain(domain: PagingDomain): KernelTask<number> {
    yield* this.lockAll();
    const rc = yield* this.#addDomain(domain);
    this.unlockAll();
    return rc;
  }

  *#addDomain(domain: PagingDomain): KernelTask<number> {
    assert(!this.domains.includes(domain), 'domain added twice');
    let alignment = this.#alignment;
    if (domain.minPageSize > alignment) alignment = domain.minPageSize;
    if (alignment > PAGE) return -Errno.EINVAL;
    if (alignment !== this.#alignment && !this.#conforms(alignment)) return -Errno.EADDRINUSE;
    let rc = 0;
    if (domain.apertureStart > 0n) rc = this.reserveIova(0n, domain.apertureStart - 1n, domain);
    if (rc === 0 && domain.apertureEnd < U64_MAX) rc = this.reserveIova(domain.apertureEnd + 1n, U64_MAX, domain);
    if (rc === 0) rc = yield* this.#fill(domain);
    if (rc !== 0) {
      this.removeReserved(domain);
      return rc;
    }
    this.#alignment = alignment;
    this.domains.push(domain);
    return 0;
  }

  /** Every area into a new domain, ascending; undone on failure (iopt_fill_domain). */
  *#fill(domain: PagingDomain): KernelTask<number> {
    const filled: Area[] = [];
    let rc = 0;
    for (const area of this.areas.all()) {
      const pages = area.pages;
      if (pages === undefined) continue;
      yield* pages.lock();
      rc = yield* fillDomain(area, pages, domain, this.smallPages);
      if (rc === 0 && area.storageDomain === undefined) {
        area.storageDomain = domain;
        pages.domainAreas.push(area);
      }
      pages.unlock();
      if (rc !== 0) break;
      filled.push(area);
    }
    if (rc !== 0) yield* this.#unfill(domain, filled);
    return rc;
  }

  /** Empties a domain that is not, or no longer, in {@link domains}. */
  *#unfill(domain: PagingDomain, areas: Iterable<Area>): KernelTask<void> {
    const heir = this.domains[0];
    for (const area of areas) {
      const pages = area.pages;
      if (pages === undefined) continue;
      yield* pages.lock();
      if (heir !== undefined) {
        if (area.storageDomain === domain) area.storageDomain = heir;
        yield* unmapPages(area, pages, domain, area.firstIndex, area.lastIndex);
      } else {
        area.storageDomain = undefined;
        forgetDomainArea(pages, area);
        yield* unfillDomain(area, pages, domain);
      }
      pages.unlock();
    }
  }

  /** Empties `domain` of this IOAS's areas; unpins when it was the last (iopt_table_remove_domain). */
  *removeDomain(domain: PagingDomain): KernelTask<void> {
    yield* this.lockAll();
    const at = this.domains.indexOf(domain);
    assert(at >= 0, 'domain is not in the IOAS');
    this.domains[at] = this.domains[this.domains.length - 1] as PagingDomain;
    this.domains.pop();
    yield* this.#unfill(domain, this.areas.all());
    this.removeReserved(domain);
    this.#recomputeAlignment();
    this.unlockAll();
  }

  /** Keeps [start, last] free of areas for `owner`; 0 or -EADDRINUSE (iopt_reserve_iova). */
  reserveIova(start: bigint, last: bigint, owner: object): number {
    if (this.areas.first(start, last) !== undefined || intersects(this.allowed, start, last)) return -Errno.EADDRINUSE;
    this.reserved.push({ start, last, owner });
    return 0;
  }

  /** Drops every reservation of `owner` (iopt_remove_reserved_iova). */
  removeReserved(owner: object): void {
    let kept = 0;
    for (const each of this.reserved) if (each.owner !== owner) this.reserved[kept++] = each;
    this.reserved.length = kept;
  }

  /**
   * Reserves what `device` cannot translate (iopt_table_enforce_dev_resv_regions): all regions but relaxable ones.
   * 0, -EADDRINUSE, or -EINVAL for a senseless set of MSI regions, with none of the device's reservations left.
   */
  enforceDeviceReserved(device: IommuDevice, regions: readonly ReservedRegion[]): number {
    let rc = 0;
    let hardwareMsi = 0;
    let softwareMsi = 0;
    for (const region of regions) {
      if (region.type === 'direct-relaxable') continue;
      if (region.type === 'msi') hardwareMsi++;
      if (region.type === 'sw-msi') softwareMsi++;
      rc = this.reserveIova(region.start, region.last, device);
      if (rc !== 0) break;
    }
    if (rc === 0 && softwareMsi > 0 && (hardwareMsi > 0 || softwareMsi > 1)) rc = -Errno.EINVAL;
    if (rc !== 0) this.removeReserved(device);
    return rc;
  }

  /** Usable IOVAs: what the reservations leave, ascending (IOAS_IOVA_RANGES). */
  usableRanges(): Interval[] {
    return holes(this.reserved);
  }

  /** Replaces the allowed ranges; -EADDRINUSE when one meets a reservation (iopt_set_allow_iova). */
  allow(ranges: readonly Interval[]): number {
    for (const range of ranges) if (intersects(this.reserved, range.start, range.last)) return -Errno.EADDRINUSE;
    this.allowed = ranges;
    return 0;
  }

  /** Registers an access at the lowest free index; 0, or -EADDRINUSE when its alignment does not fit (iopt_add_access). */
  *addAccess(access: IoasAccess): KernelTask<number> {
    yield* this.lockAll();
    let index = this.#accesses.indexOf(undefined);
    if (index < 0) index = this.#accesses.length;
    this.#accesses[index] = access;
    const rc = this.#recomputeAlignment();
    if (rc !== 0) this.#accesses[index] = undefined;
    this.unlockAll();
    return rc;
  }

  /** Drops an access; the alignment may fall (iopt_remove_access). */
  *removeAccess(access: IoasAccess): KernelTask<void> {
    yield* this.lockAll();
    const index = this.#accesses.indexOf(access);
    assert(index >= 0, 'access is not in the IOAS');
    this.#accesses[index] = undefined;
    this.#recomputeAlignment();
    this.unlockAll();
  }

  /**
   * Sets whether domain maps may be larger than a page (iopt_disable_large_pages, iopt_enable_large_pages). 0, -EINVAL
   * (turned off with both a domain and an area), or -EADDRINUSE (alignment).
   */
  *setSmallPages(small: boolean): KernelTask<number> {
    yield* this.lockAll();
    let rc = 0;
    if (small !== this.smallPages) {
      if (small && this.domains.length > 0 && this.areas.size > 0) rc = -Errno.EINVAL;
      else {
        this.smallPages = small;
        rc = this.#recomputeAlignment();
        if (rc !== 0) this.smallPages = !small;
      }
    }
    this.unlockAll();
    return rc;
  }

  /** Type destructor: unmaps everything. */
  *destroy(): KernelTask<void> {
    if (this.context.vfioIoas === this) this.context.vfioIoas = undefined;
    const result = yield* unmapAll(this);
    assert(result.rc === 0, 'areas left in a destroyed IOAS');
    this.allowed = [];
  }

  #recomputeAlignment(): number {
    let alignment = this.smallPages ? PAGE : 1n;
    for (const domain of this.domains) if (domain.minPageSize > alignment) alignment = domain.minPageSize;
    for (const access of this.#accesses) {
      if (access !== undefined && access.iovaAlignment > alignment) alignment = access.iovaAlignment;
    }
    if (alignment > this.#alignment && !this.#conforms(alignment)) return -Errno.EADDRINUSE;
    this.#alignment = alignment;
    return 0;
  }

  #conforms(alignment: bigint): boolean {
    const mask = alignment - 1n;
    for (const area of this.areas.all()) {
      if (((area.start | area.lengthBytes | BigInt(area.pageOffset)) & mask) !== 0n) return false;
    }
    return true;
  }
}
