/**
 * IOMMU_HWPT_SET_DIRTY_TRACKING and IOMMU_HWPT_GET_DIRTY_BITMAP (Linux drivers/iommu/iommufd/hw_pagetable.c and
 * io_pagetable.c).
 */
import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { type DirtyOps, discardDirty, emptyGather } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { HwptPaging } from './hwpt-paging.ts';

/** IOMMU_HWPT_DIRTY_TRACKING_ENABLE. */
const ENABLE = 1;
/** IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR. */
const NO_CLEAR = 1;

/** SET_DIRTY_TRACKING; its reserved field is not checked. */
export interface SetDirtyTrackingCommand {
  readonly flags: number;
  readonly hwptId: number;
}

/** Forgets what is dirty in every area, then flushes once (iopt_clear_dirty_data). */
function* clearAll(hwpt: HwptPaging, dirty: DirtyOps): KernelTask<number> {
  const gather = emptyGather(false);
  for (const area of hwpt.ioas.areas.all()) {
    if (area.pages === undefined) continue;
    const error = yield* dirty.readAndClear(area.start, area.lengthBytes, false, gather, discardDirty);
    if (error !== 0) return error;
  }
  return yield* hwpt.domain.sync(gather);
}

/**
 * Errors in check order: EOPNOTSUPP flags; ENOENT no paging HWPT (nested included); EOPNOTSUPP allocated without dirty
 * tracking; driver errno. Enabling clears first, also when it was enabled.
 */
export function* setDirtyTracking(context: IommufdContext, command: SetDirtyTrackingCommand): KernelTask<number> {
  if ((command.flags & ~ENABLE) !== 0) return -Errno.EOPNOTSUPP;
  const hwpt = context.objects.acquire(command.hwptId, HwptPaging);
  if (hwpt === undefined) return -Errno.ENOENT;
  const dirty = hwpt.domain.dirty;
  let error: number = -Errno.EOPNOTSUPP;
  if (dirty !== undefined) {
    const enable = command.flags === ENABLE;
    const lock = hwpt.ioas.iovaLock;
    if (!lock.tryAcquireShared()) yield lock.sharedQueue;
    error = enable ? yield* clearAll(hwpt, dirty) : 0;
    if (error === 0) error = yield* dirty.setTracking(enable);
    lock.releaseShared();
  }
  context.objects.release(hwpt);
  return error;
}

/** GET_DIRTY_BITMAP. */
export interface GetDirtyBitmapCommand {
  readonly flags: number;
  readonly reserved: number;
  readonly hwptId: number;
  readonly iova: bigint;
  readonly lengthBytes: bigint;
  /** [bytes] Covered by one bit. */
  readonly pageSize: bigint;
  /** Sets bits `first` .. `last` of the user's bitmap; failures are nobody's business (the kernel discards them). */
  readonly setBits: (first: bigint, last: bigint) => void;
}

/** The kernel tests alignment with a mask, also for sizes that are no power of two. */
function isMasked(value: bigint, size: bigint): boolean {
  return (value & (size - 1n)) !== 0n;
}

function checkRange(hwpt: HwptPaging, command: GetDirtyBitmapCommand): number {
  const { iova, lengthBytes, pageSize } = command;
  if (lengthBytes === 0n) return -Errno.EINVAL;
  const end = iova + lengthBytes;
  if (end - 1n > U64_MAX) return -Errno.EOVERFLOW;
  if (isMasked(iova, hwpt.ioas.alignment) || isMasked(end, hwpt.ioas.alignment)) return -Errno.EINVAL;
  if (pageSize === 0n) return -Errno.EINVAL;
  return isMasked(iova, pageSize) || isMasked(end, pageSize) ? -Errno.EINVAL : 0;
}

/** Walks contiguous areas from the start of the range; a hole or a driver error ends the walk silently. */
function* walk(hwpt: HwptPaging, dirty: DirtyOps, command: GetDirtyBitmapCommand): KernelTask<void> {
  const { iova, setBits } = command;
  const last = iova + command.lengthBytes - 1n;
  const noClear = (command.flags & NO_CLEAR) !== 0;
  const bitBytes = command.pageSize & -command.pageSize;
  const gather = emptyGather(false);
  const record = (start: bigint, lengthBytes: bigint): void => {
    const first = start < iova ? iova : start;
    const end = start + lengthBytes - 1n > last ? last : start + lengthBytes - 1n;
    setBits((first - iova) / bitBytes, (end - iova) / bitBytes);
  };
  for (let at = iova; at <= last; ) {
    const area = hwpt.ioas.areas.first(at, at);
    if (area?.pages === undefined) break;
    const stop = area.last < last ? area.last : last;
    const error = yield* dirty.readAndClear(at, stop - at + 1n, noClear, gather, record);
    if (error !== 0) break;
    at = stop + 1n;
  }
  if (!noClear) yield* hwpt.domain.sync(gather);
}

/**
 * Errors in check order: EOPNOTSUPP flags or reserved; ENOENT no paging HWPT; EINVAL length 0; EOVERFLOW; EINVAL
 * alignment to the IOAS, page size 0, alignment to it; EOPNOTSUPP no dirty tracking. What goes wrong in the walk is
 * discarded: the result is 0 with the areas before it reported.
 */
export function* getDirtyBitmap(context: IommufdContext, command: GetDirtyBitmapCommand): KernelTask<number> {
  if ((command.flags & ~NO_CLEAR) !== 0 || command.reserved !== 0) return -Errno.EOPNOTSUPP;
  const hwpt = context.objects.acquire(command.hwptId, HwptPaging);
  if (hwpt === undefined) return -Errno.ENOENT;
  let error = checkRange(hwpt, command);
  const dirty = hwpt.domain.dirty;
  if (error === 0 && dirty === undefined) error = -Errno.EOPNOTSUPP;
  if (error === 0 && dirty !== undefined) {
    const lock = hwpt.ioas.iovaLock;
    if (!lock.tryAcquireShared()) yield lock.sharedQueue;
    yield* walk(hwpt, dirty, command);
    lock.releaseShared();
  }
  context.objects.release(hwpt);
  return error;
}
