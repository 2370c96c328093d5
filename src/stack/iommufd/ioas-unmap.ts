/**
 * Removal of areas from an IOAS (iopt_unmap_iova_range) and the splitting the VFIO-compatible unmap needs. Source:
 * Linux drivers/iommu/iommufd/io_pagetable.c.
 */
import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import { Area } from './area.ts';
import { forgetDomainArea, unfillDomains } from './area-domains.ts';
import type { Ioas } from './ioas.ts';

/** Rounds of asking accesses to unpin one area before the unmap gives up. */
const MOST_TRIES = 100;

/** Outcome of an unmap: areas removed before an error stay removed and are counted. */
export interface UnmapResult {
  /** 0 (also when nothing was there), -EBUSY, -ENOENT (an area sticks out of the range) or -EDEADLK. */
  readonly rc: number;
  /** [bytes] */
  readonly unmappedBytes: bigint;
}

/** Unmaps everything (iopt_unmap_all). */
export function unmapAll(ioas: Ioas): KernelTask<UnmapResult> {
  return unmapRange(ioas, 0n, U64_MAX);
}

/** Unmaps every area inside [start, last]; an area that sticks out ends the walk with -ENOENT. */
export function* unmapRange(ioas: Ioas, start: bigint, last: bigint): KernelTask<UnmapResult> {
  const { domainsLock, iovaLock, areas } = ioas;
  let unmappedBytes = 0n;
  let from = start;
  let tries = 0;
  if (!domainsLock.tryAcquireShared()) yield domainsLock.sharedQueue;
  if (!iovaLock.tryAcquireExclusive()) yield iovaLock.exclusiveQueue;
  let rc = 0;
  for (;;) {
    const area = areas.first(from, last);
    if (area === undefined) break;
    const pages = area.pages;
    if (pages === undefined || area.lockCount > 0) {
      rc = -Errno.EBUSY;
      break;
    }
    if (area.start < from || area.last > last) {
      rc = -Errno.ENOENT;
      break;
    }
    if (area.start !== from) tries = 0;
    if (area.accessCount > 0) {
      from = area.start;
      area.preventAccess = true;
      iovaLock.releaseExclusive();
      domainsLock.releaseShared();
      yield* notifyUnmap(ioas, area.start, area.lengthBytes);
      if (++tries > MOST_TRIES) return { rc: -Errno.EDEADLK, unmappedBytes };
      if (!domainsLock.tryAcquireShared()) yield domainsLock.sharedQueue;
      if (!iovaLock.tryAcquireExclusive()) yield iovaLock.exclusiveQueue;
      continue;
    }
    area.pages = undefined;
    iovaLock.releaseExclusive();
    yield* unfillDomains(area, pages, ioas.domains);
    if (pages.put()) yield* pages.release();
    unmappedBytes += area.lengthBytes;
    if (!iovaLock.tryAcquireExclusive()) yield iovaLock.exclusiveQueue;
    areas.remove(area);
    if (area.last === last) break;
    from = area.last + 1n;
  }
  iovaLock.releaseExclusive();
  domainsLock.releaseShared();
  return { rc, unmappedBytes };
}

/** Asks every access to drop its pins in the range (iommufd_access_notify_unmap). No lock is held. */
export function* notifyUnmap(ioas: Ioas, iova: bigint, lengthBytes: bigint): KernelTask<void> {
  const { objects } = ioas.context;
  for (const access of ioas.accesses) {
    if (access.unmap === undefined) continue;
    access.users++;
    access.waitCount++;
    yield* access.unmap(iova, lengthBytes);
    objects.release(access);
  }
}

/**
 * Splits areas so that one begins after each of the given IOVAs (iopt_cut_iova). 0, -EBUSY (area being created,
 * removed or emptied of pins), -EOPNOTSUPP (device memory) or -EINVAL (alignment, accesses, or a domain that may hold
 * huge pages).
 */
export function* cutAreas(ioas: Ioas, lastIovas: readonly bigint[]): KernelTask<number> {
  if (!ioas.iovaLock.tryAcquireExclusive()) yield ioas.iovaLock.exclusiveQueue;
  let rc = 0;
  for (const iova of lastIovas) {
    const area = ioas.areas.first(iova, iova);
    if (area === undefined) continue;
    rc = yield* splitArea(ioas, area, iova);
    if (rc !== 0) break;
  }
  ioas.iovaLock.releaseExclusive();
  return rc;
}

function* splitArea(ioas: Ioas, area: Area, leftLast: bigint): KernelTask<number> {
  const rightStart = leftLast + 1n;
  if (leftLast === area.last || leftLast === area.start) return 0;
  const pages = area.pages;
  if (pages === undefined || area.preventAccess) return -Errno.EBUSY;
  if (pages.backing.kind === 'dmabuf') return -Errno.EOPNOTSUPP;
  const rightByte = area.startByte + (rightStart - area.start);
  if (((rightStart | rightByte) & (ioas.alignment - 1n)) !== 0n) return -Errno.EINVAL;
  yield* pages.lock();
  let rc = 0;
  if (area.accessCount > 0 || (area.storageDomain !== undefined && !ioas.smallPages)) rc = -Errno.EINVAL;
  else {
    const left = new Area(area.start, rightStart - area.start, area.startByte, area.prot);
    const right = new Area(rightStart, area.last - leftLast, rightByte, area.prot);
    ioas.areas.remove(area);
    if (area.storageDomain !== undefined) forgetDomainArea(pages, area);
    pages.users++;
    for (const part of [left, right]) {
      part.pages = pages;
      part.storageDomain = area.storageDomain;
      if (part.storageDomain !== undefined) pages.domainAreas.push(part);
      ioas.areas.insert(part);
    }
  }
  pages.unlock();
  return rc;
}
