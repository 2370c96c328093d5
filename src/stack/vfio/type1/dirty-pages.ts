/** VFIO_IOMMU_DIRTY_PAGES on a type1 container (Linux drivers/vfio/vfio_iommu_type1.c). */
import { U64_MAX } from '../../../address.ts';
import { Errno } from '../../../errno.ts';
import type { Process } from '../../kernel/process.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { allocateBitmap, checkBitmapSize, markPinsDirty, type UserBitmap, writeUserBitmap } from './dirty-bitmap.ts';
import type { Type1 } from './type1.ts';
import { checkNotCut, isUserRange, lowestBit } from './unmap-dma.ts';

/** VFIO_IOMMU_DIRTY_PAGES_FLAG_*. */
export const DirtyPagesFlag = { start: 1, stop: 2, getBitmap: 4 } as const;

/** [bytes] argsz and flags, and the range behind them. */
export const DIRTY_PAGES_BYTES = 8;
export const DIRTY_RANGE_BYTES = 40;

/** struct vfio_iommu_type1_dirty_bitmap_get. */
export interface DirtyRange {
  readonly iova: bigint;
  /** [bytes] */
  readonly lengthBytes: bigint;
  readonly bitmap: UserBitmap;
}

/** The command, read lazily: a v1 container refuses before it looks at anything. */
export interface DirtyPagesCommand {
  /** argsz and flags; undefined = EFAULT. */
  readonly readHeader: () => { readonly argsz: number; readonly flags: number } | undefined;
  /** undefined = EFAULT. */
  readonly readRange: () => DirtyRange | undefined;
}

/**
 * Starts or stops tracking, or reads and clears the bits of a range. Errors in check order: EACCES v1; EFAULT; EINVAL
 * argsz, unknown flag, not exactly one flag; GET_BITMAP: EINVAL argsz, EFAULT, wrap or empty range, EINVAL buffer,
 * granularity, alignment, tracking off, a mapping cut; EFAULT.
 */
export function* dirtyPages(type1: Type1, process: Process, command: DirtyPagesCommand): KernelTask<number> {
  if (!type1.variant.v2) return -Errno.EACCES;
  const header = command.readHeader();
  if (header === undefined) return -Errno.EFAULT;
  if (header.argsz < DIRTY_PAGES_BYTES) return -Errno.EINVAL;
  if (header.flags === DirtyPagesFlag.getBitmap) return yield* getBitmap(type1, process, header.argsz, command);
  if (header.flags !== DirtyPagesFlag.start && header.flags !== DirtyPagesFlag.stop) return -Errno.EINVAL;
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  const error = header.flags === DirtyPagesFlag.start ? startTracking(type1) : stopTracking(type1);
  type1.lock.release();
  return error;
}

function startTracking(type1: Type1): number {
  if (type1.dirtyTracking) return 0;
  for (const dma of type1.dmas) {
    const error = allocateBitmap(dma, type1.pageSize);
    if (error !== 0) {
      dropBitmaps(type1);
      return error;
    }
    markPinsDirty(dma, type1.pageSize);
  }
  type1.dirtyTracking = true;
  return 0;
}

function stopTracking(type1: Type1): number {
  type1.dirtyTracking = false;
  dropBitmaps(type1);
  return 0;
}

function dropBitmaps(type1: Type1): void {
  for (const dma of type1.dmas) dma.bitmap = undefined;
}

function* getBitmap(type1: Type1, process: Process, argsz: number, command: DirtyPagesCommand): KernelTask<number> {
  if (argsz - DIRTY_PAGES_BYTES < DIRTY_RANGE_BYTES) return -Errno.EINVAL;
  const range = command.readRange();
  if (range === undefined) return -Errno.EFAULT;
  const { iova, lengthBytes, bitmap } = range;
  const { overflow } = type1.profile;
  if (overflow && lengthBytes === 0n) return -Errno.EINVAL;
  if (overflow && iova + lengthBytes - 1n > U64_MAX) return -Errno.EOVERFLOW;
  if (!overflow && iova + lengthBytes > U64_MAX) return -Errno.EINVAL;
  if (!isUserRange(bitmap.address, bitmap.lengthBytes)) return -Errno.EINVAL;
  const size = checkBitmapSize(lengthBytes >> lowestBit(bitmap.pageSize), bitmap.lengthBytes);
  if (size !== 0) return size;
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  const error = getBitmapLocked(type1, process, range);
  type1.lock.release();
  return error;
}

function getBitmapLocked(type1: Type1, process: Process, { iova, lengthBytes, bitmap }: DirtyRange): number {
  const { pageSize } = type1;
  if (bitmap.pageSize !== pageSize || (iova & (pageSize - 1n)) !== 0n) return -Errno.EINVAL;
  if (lengthBytes === 0n || (lengthBytes & (pageSize - 1n)) !== 0n || !type1.dirtyTracking) return -Errno.EINVAL;
  const cut = checkNotCut(type1, iova, lengthBytes);
  if (cut !== 0) return cut;
  for (const dma of type1.dmas.inRange(iova, lengthBytes)) {
    if (dma.iova < iova) continue;
    const error = writeUserBitmap(type1, process, dma, iova, bitmap);
    if (error !== 0) return error;
    // What stays pinned may be written at any time and counts as dirty again.
    dma.bitmap?.fill(0);
    markPinsDirty(dma, pageSize);
  }
  return 0;
}
