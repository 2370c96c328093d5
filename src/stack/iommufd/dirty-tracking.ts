/**
 * HWPT_SET_DIRTY_TRACKING and HWPT_GET_DIRTY_BITMAP. Source: Linux drivers/iommu/iommufd/{hw_pagetable,io_pagetable,
 * iova_bitmap}.c.
 */
import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { type DirtyOps, discardDirty, emptyGather, type IotlbGather, type PagingDomain } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { HwptPaging } from './hwpt-paging.ts';
import type { Ioas } from './ioas.ts';

/** IOMMU_HWPT_DIRTY_TRACKING_ENABLE. */
const ENABLE = 1;
/** IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR. */
const NO_CLEAR = 1;
/** Bitmap bits walked with one driver call: a page full of pointers to pinned bitmap pages (iova_bitmap_get). */
const WINDOW_BITS = 512n * 4096n * 8n;

/** HWPT_SET_DIRTY_TRACKING. */
export interface SetDirtyTrackingCommand {
  readonly flags: number;
  readonly hwptId: number;
  readonly reserved: number;
}

/** EOPNOTSUPP (flags, domain without dirty bits), ENOENT, driver errno. The reserved field is not checked. */
export function* setDirtyTracking(context: IommufdContext, command: SetDirtyTrackingCommand): KernelTask<number> {
  if ((command.flags & ~ENABLE) !== 0) return -Errno.EOPNOTSUPP;
  const hwpt = context.objects.acquire(command.hwptId, HwptPaging);
  if (hwpt === undefined) return -Errno.ENOENT;
  const enable = (command.flags & ENABLE) !== 0;
  const { dirty } = hwpt.domain;
  const rc = dirty === undefined ? -Errno.EOPNOTSUPP : yield* switchTracking(hwpt.ioas, hwpt.domain, dirty, enable);
  context.objects.release(hwpt);
  return rc;
}

/** iopt_set_dirty_tracking: turning it on first clears what is dirty, also when it is on already. */
function* switchTracking(ioas: Ioas, domain: PagingDomain, dirty: DirtyOps, enable: boolean): KernelTask<number> {
  if (!ioas.iovaLock.tryAcquireShared()) yield ioas.iovaLock.sharedQueue;
  let rc = enable ? yield* clearAll(ioas, domain, dirty) : 0;
  if (rc === 0) rc = yield* dirty.setTracking(enable);
  ioas.iovaLock.releaseShared();
  return rc;
}

function* clearAll(ioas: Ioas, domain: PagingDomain, dirty: DirtyOps): KernelTask<number> {
  const gather = emptyGather(false);
  for (const area of ioas.areas.all()) {
    if (area.pages === undefined) continue;
    const rc = yield* dirty.readAndClear(area.start, area.lengthBytes, false, gather, discardDirty);
    if (rc !== 0) return rc;
  }
  yield* domain.sync(gather);
  return 0;
}

/** HWPT_GET_DIRTY_BITMAP. */
export interface GetDirtyBitmapCommand {
  readonly hwptId: number;
  readonly flags: number;
  readonly reserved: number;
  readonly iova: bigint;
  readonly lengthBytes: bigint;
  /** [bytes] What one bit stands for. */
  readonly pageSize: bigint;
}

/**
 * Reports dirty ranges as bits [first, last] of the user's bitmap through `setBits`. EOPNOTSUPP, ENOENT, EINVAL,
 * EOVERFLOW; errors of the walk itself are dropped, as the kernel drops them, with the areas before reported.
 */
export function* getDirtyBitmap(
  context: IommufdContext,
  command: GetDirtyBitmapCommand,
  setBits: (first: bigint, last: bigint) => void,
): KernelTask<number> {
  if ((command.flags & ~NO_CLEAR) !== 0 || command.reserved !== 0) return -Errno.EOPNOTSUPP;
  const hwpt = context.objects.acquire(command.hwptId, HwptPaging);
  if (hwpt === undefined) return -Errno.ENOENT;
  const rc = yield* readBitmap(hwpt.ioas, hwpt.domain, command, setBits);
  context.objects.release(hwpt);
  return rc;
}

function checkRange(ioas: Ioas, command: GetDirtyBitmapCommand): number {
  const { iova, lengthBytes, pageSize } = command;
  if (lengthBytes === 0n) return -Errno.EINVAL;
  const last = iova + lengthBytes - 1n;
  if (last > U64_MAX) return -Errno.EOVERFLOW;
  if (((iova | (last + 1n)) & (ioas.alignment - 1n)) !== 0n) return -Errno.EINVAL;
  if (pageSize === 0n) return -Errno.EINVAL;
  if (((iova | (last + 1n)) & (pageSize - 1n)) !== 0n) return -Errno.EINVAL;
  return 0;
}

function* readBitmap(
  ioas: Ioas,
  domain: PagingDomain,
  command: GetDirtyBitmapCommand,
  setBits: (first: bigint, last: bigint) => void,
): KernelTask<number> {
  const rc = checkRange(ioas, command);
  if (rc !== 0) return rc;
  const { dirty } = domain;
  if (dirty === undefined) return -Errno.EOPNOTSUPP;
  const shift = lowestBit(command.pageSize);
  const last = command.iova + command.lengthBytes - 1n;
  const gather = emptyGather(false);
  const noClear = (command.flags & NO_CLEAR) !== 0;
  const record = (iova: bigint, lengthBytes: bigint): void => {
    setBits((iova - command.iova) >> shift, (iova + lengthBytes - 1n - command.iova) >> shift);
  };
  if (!ioas.iovaLock.tryAcquireShared()) yield ioas.iovaLock.sharedQueue;
  const window = WINDOW_BITS << shift;
  for (let start = command.iova; start <= last; start += window) {
    const end = start + window - 1n < last ? start + window - 1n : last;
    if ((yield* walk(ioas, dirty, start, end, noClear, gather, record)) !== 0) break;
  }
  if (!noClear) yield* domain.sync(gather);
  ioas.iovaLock.releaseShared();
  return 0;
}

/** Contiguous areas from `start` on; -EINVAL at a hole. */
function* walk(
  ioas: Ioas,
  dirty: DirtyOps,
  start: bigint,
  last: bigint,
  noClear: boolean,
  gather: IotlbGather,
  record: (iova: bigint, lengthBytes: bigint) => void,
): KernelTask<number> {
  let next = start;
  for (const area of ioas.areas.within(start, last)) {
    if (area.start > next || area.pages === undefined) return -Errno.EINVAL;
    const end = area.last < last ? area.last : last;
    const rc = yield* dirty.readAndClear(next, end - next + 1n, noClear, gather, record);
    if (rc !== 0) return rc;
    next = end + 1n;
  }
  return next > last ? 0 : -Errno.EINVAL;
}

function lowestBit(value: bigint): bigint {
  let shift = 0n;
  while (((value >> shift) & 1n) === 0n) shift++;
  return shift;
}
