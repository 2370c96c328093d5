/**
 * Pinning, unpinning and byte access through an access object. Source: Linux drivers/iommu/iommufd/{device,pages}.c.
 */
import { PAGE_SIZE, U64_MAX } from '../../address.ts';
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { IommuProt } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { Access } from './access.ts';
import type { Area } from './area.ts';
import type { Ioas } from './ioas.ts';
import type { PageSource } from './page-source.ts';
import { PfnReader } from './pfn-batch.ts';

/**
 * iommufd_access_pin_pages: the frames of [iova, iova + length), one a page, or a negative errno: EINVAL (length,
 * alignment, area being unmapped), EOVERFLOW, ENOENT (not attached, hole), EPERM, errno of pin or charge.
 */
export function* pinPages(
  access: Access,
  iova: bigint,
  lengthBytes: bigint,
  write: boolean,
): KernelTask<number[] | number> {
  if (access.context.profile.testBuild && !access.pins) return -Errno.EINVAL;
  if (lengthBytes === 0n) return -Errno.EINVAL;
  const last = iova + lengthBytes - 1n;
  if (last > U64_MAX) return -Errno.EOVERFLOW;
  yield* access.lock();
  const ioas = access.ioas;
  const result = ioas === undefined ? -Errno.ENOENT : yield* pinAreas(ioas, iova, last, write, access.internal);
  access.unlock();
  return result;
}

function* pinAreas(
  ioas: Ioas,
  iova: bigint,
  last: bigint,
  write: boolean,
  lockAreas: boolean,
): KernelTask<number[] | number> {
  if (!ioas.iovaLock.tryAcquireShared()) yield ioas.iovaLock.sharedQueue;
  const pfns: number[] = [];
  let rc = 0;
  let next = iova;
  for (const area of ioas.areas.within(iova, last)) {
    if (area.pages === undefined || area.start > next) break;
    const end = area.last < last ? area.last : last;
    const startsOnPage = byteInPage(area, next) === 0n;
    const endsOnPage = end === last || byteInPage(area, area.last) === 4095n;
    if (area.preventAccess || !startsOnPage || !endsOnPage) rc = -Errno.EINVAL;
    else if (!permits(area, write)) rc = -Errno.EPERM;
    else rc = yield* addAccessRange(area, area.pages, area.pageOf(next), area.pageOf(end), write, pfns);
    if (rc !== 0) break;
    if (lockAreas) area.lockCount++;
    next = end + 1n;
  }
  if (rc === 0 && next <= last) rc = -Errno.ENOENT;
  if (rc !== 0 && next > iova) yield* dropAreas(ioas, iova, next - 1n, lockAreas);
  ioas.iovaLock.releaseShared();
  return rc === 0 ? pfns : rc;
}

/** iommufd_access_unpin_pages: must repeat the range of a pin exactly. */
export function* unpinPages(access: Access, iova: bigint, lengthBytes: bigint): KernelTask<void> {
  const last = iova + lengthBytes - 1n;
  assert(lengthBytes > 0n && last <= U64_MAX, 'unpin of an impossible range');
  yield* access.lock();
  const ioas = access.ioasOfPins;
  if (ioas !== undefined) {
    if (!ioas.iovaLock.tryAcquireShared()) yield ioas.iovaLock.sharedQueue;
    yield* dropAreas(ioas, iova, last, access.internal);
    ioas.iovaLock.releaseShared();
  }
  access.unlock();
}

function* dropAreas(ioas: Ioas, iova: bigint, last: bigint, lockedAreas: boolean): KernelTask<void> {
  let next = iova;
  for (const area of ioas.areas.within(iova, last)) {
    if (area.pages === undefined || area.start > next) return;
    const end = area.last < last ? area.last : last;
    if (lockedAreas) area.lockCount--;
    yield* removeAccessRange(area, area.pages, area.pageOf(next), area.pageOf(end));
    next = end + 1n;
  }
}

/** iopt_area_add_access: equal ranges share one record; others pin what nobody holds and charge it. */
function* addAccessRange(
  area: Area,
  pages: PageSource,
  first: number,
  last: number,
  write: boolean,
  pfns: number[],
): KernelTask<number> {
  if (write && !pages.writable) return -Errno.EPERM;
  if (pages.backing.kind === 'dmabuf') return -Errno.EINVAL;
  yield* pages.lock();
  const rc = yield* acquireRange(pages, first, last);
  if (rc === 0) {
    area.accessCount++;
    for (let index = first; index <= last; index++) pfns.push(pages.pfn(index));
  }
  pages.unlock();
  return rc;
}

function* acquireRange(pages: PageSource, first: number, last: number): KernelTask<number> {
  const known = pages.exactAccess(first, last);
  if (known !== undefined) {
    known.users++;
    return 0;
  }
  const reader = new PfnReader(pages, first, last);
  let rc = reader.next();
  while (rc === 0 && !reader.done) {
    yield reader.takeCost();
    rc = reader.next();
  }
  if (rc === 0) rc = pages.charge();
  if (rc === 0) pages.accesses.push({ first, last, users: 1 });
  else reader.releasePins();
  return rc;
}

/** iopt_area_remove_access. A range nobody pinned is a defect of the caller; the kernel warns and does nothing. */
function* removeAccessRange(area: Area, pages: PageSource, first: number, last: number): KernelTask<void> {
  yield* pages.lock();
  const known = pages.exactAccess(first, last);
  if (known !== undefined) {
    area.accessCount--;
    known.users--;
    if (known.users === 0) {
      pages.accesses.splice(pages.accesses.indexOf(known), 1);
      pages.unpinUncovered(first, last);
      pages.charge();
    }
  }
  pages.unlock();
}

/**
 * iommufd_access_rw: copies between `data` and user memory. 0, or EINVAL, EOVERFLOW, ENOENT, EPERM, EFAULT with the
 * bytes before the failing area done. Nothing stays pinned.
 */
export function* readWrite(access: Access, iova: bigint, data: Uint8Array, write: boolean): KernelTask<number> {
  if (data.length === 0) return -Errno.EINVAL;
  const last = iova + BigInt(data.length) - 1n;
  if (last > U64_MAX) return -Errno.EOVERFLOW;
  yield* access.lock();
  const ioas = access.ioas;
  const rc = ioas === undefined ? -Errno.ENOENT : yield* readWriteAreas(ioas, iova, last, data, write);
  access.unlock();
  return rc;
}

function* readWriteAreas(ioas: Ioas, iova: bigint, last: bigint, data: Uint8Array, write: boolean): KernelTask<number> {
  if (!ioas.iovaLock.tryAcquireShared()) yield ioas.iovaLock.sharedQueue;
  let rc = 0;
  let next = iova;
  for (const area of ioas.areas.within(iova, last)) {
    if (area.pages === undefined || area.start > next) break;
    const end = area.last < last ? area.last : last;
    const part = data.subarray(Number(next - iova), Number(end - iova) + 1);
    if (area.preventAccess) rc = -Errno.EINVAL;
    else if (!permits(area, write)) rc = -Errno.EPERM;
    else rc = transfer(area.pages, area.startByte + (next - area.start), part, write);
    if (rc !== 0) break;
    next = end + 1n;
  }
  if (rc === 0 && next <= last) rc = -Errno.ENOENT;
  ioas.iovaLock.releaseShared();
  return rc;
}

/** iopt_pages_rw_access: page by page through the frames that are pinned, else through the owner's memory. */
function transfer(pages: PageSource, startByte: bigint, data: Uint8Array, write: boolean): number {
  if (write && !pages.writable) return -Errno.EPERM;
  const { backing, owner } = pages;
  if (backing.kind === 'dmabuf') return -Errno.EINVAL;
  const { frames } = owner.memory;
  for (let done = 0; done < data.length; ) {
    const at = startByte + BigInt(done);
    const index = Number(at >> 12n);
    const offset = Number(at & 4095n);
    const count = Math.min(data.length - done, PAGE_SIZE - offset);
    const pfn = pages.isCovered(index) ? pages.pfn(index) : unpinnedFrame(pages, index, write);
    if (pfn < 0) return pfn;
    if (write) frames.bytes(pfn).set(data.subarray(done, done + count), offset);
    else {
      const page = frames.peek(pfn);
      if (page === undefined) data.fill(0, done, done + count);
      else data.set(page.subarray(offset, offset + count), done);
    }
    done += count;
  }
  return 0;
}

function unpinnedFrame(pages: PageSource, index: number, write: boolean): number {
  const { backing, owner } = pages;
  if (backing.kind === 'user') {
    if (!owner.memory.alive) return -Errno.EFAULT;
    return owner.memory.frameAt(BigInt(backing.firstVpn + index) * 4096n, write) ?? -Errno.EFAULT;
  }
  if (backing.kind !== 'file' || backing.file === undefined || !backing.file.pinnable) return -Errno.EINVAL;
  const pfn = backing.file.page(backing.firstPage + index);
  return pfn < 0 ? -Errno.EINVAL : pfn;
}

function permits(area: Area, write: boolean): boolean {
  return (area.prot & (write ? IommuProt.write : IommuProt.read)) !== 0;
}

function byteInPage(area: Area, iova: bigint): bigint {
  return (area.startByte + (iova - area.start)) & 4095n;
}
