/** VFIO_IOMMU_UNMAP_DMA on a type1 container (vfio_dma_do_unmap of Linux drivers/vfio/vfio_iommu_type1.c). */
import { U64_MAX } from '../../../address.ts';
import { InvariantError } from '../../../assert.ts';
import { Errno } from '../../../errno.ts';
import { VFIO_UNMAP_ALL } from '../../../vfio-flags.ts';
import type { Process } from '../../kernel/process.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { checkBitmapSize, type UserBitmap, writeUserBitmap } from './dirty-bitmap.ts';
import type { Dma } from './dma.ts';
import { removeDma } from './translations.ts';
import type { Type1 } from './type1.ts';

/** VFIO_DMA_UNMAP_FLAG_*. */
export const UnmapFlag = { getDirtyBitmap: 1, all: VFIO_UNMAP_ALL, vaddr: 4 } as const;

/** [bytes] The structure, and with the bitmap behind it. */
export const UNMAP_DMA_BYTES = 24;
export const UNMAP_BITMAP_BYTES = 48;
/** Rounds in which a driver may leave its pins in place before the kernel gives up (BUG_ON). */
const PATIENCE = 10;
/** One past the highest user address (TASK_SIZE_MAX): where access_ok ends. */
const USER_END = 0x7fff_ffff_f000n;

/** struct vfio_iommu_type1_dma_unmap. */
export interface UnmapDmaCommand {
  /** [bytes] */
  readonly argsz: number;
  readonly flags: number;
  readonly iova: bigint;
  /** In: range to unmap. Out, on success: bytes unmapped. */
  lengthBytes: bigint;
  /** Reads the bitmap description behind the structure; undefined = EFAULT. */
  readonly readBitmap: () => UserBitmap | undefined;
}

/** access_ok: the range lies below the end of user addresses. */
export function isUserRange(address: bigint, lengthBytes: bigint): boolean {
  return address + lengthBytes <= USER_END;
}

/** Index of the lowest set bit (__ffs). ASSUMPTION: 0 for no bit at all, where the instruction is undefined. */
export function lowestBit(value: bigint): bigint {
  let bit = 0n;
  for (let rest = value; rest !== 0n && (rest & 1n) === 0n; rest >>= 1n) bit++;
  return bit;
}

/** vfio_iommu_type1_unmap_dma up to the lock: flags and bitmap. The bitmap, undefined for none, or errno. */
function checkArguments(command: UnmapDmaCommand): UserBitmap | number | undefined {
  const { argsz, flags } = command;
  const known = UnmapFlag.getDirtyBitmap | UnmapFlag.all | UnmapFlag.vaddr;
  if (argsz < UNMAP_DMA_BYTES || (flags & ~known) !== 0) return -Errno.EINVAL;
  if ((flags & UnmapFlag.getDirtyBitmap) === 0) return undefined;
  if ((flags & (UnmapFlag.all | UnmapFlag.vaddr)) !== 0 || argsz < UNMAP_BITMAP_BYTES) return -Errno.EINVAL;
  const bitmap = command.readBitmap();
  if (bitmap === undefined) return -Errno.EFAULT;
  if (!isUserRange(bitmap.address, bitmap.lengthBytes)) return -Errno.EINVAL;
  const size = checkBitmapSize(command.lengthBytes >> lowestBit(bitmap.pageSize), bitmap.lengthBytes);
  return size === 0 ? bitmap : size;
}

/**
 * Unmaps whole mappings. Errors in check order: EINVAL argsz or flags; EINVAL flag combination or bitmap, EFAULT; EBUSY
 * VADDR with an emulated group; EINVAL alignment, ALL with a range, no length; wrap (EINVAL, EOVERFLOW from Linux 6.18);
 * EINVAL bitmap without tracking or of another granularity; EINVAL a mapping is cut (v2); EINVAL VADDR given up already;
 * EFAULT bitmap.
 */
export function* unmapDma(type1: Type1, process: Process, command: UnmapDmaCommand): KernelTask<number> {
  const bitmap = checkArguments(command);
  if (typeof bitmap === 'number') return bitmap;
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  let error = checkLocked(type1, command, bitmap);
  if (error === 0) {
    const all = (command.flags & UnmapFlag.all) !== 0;
    const walk = new UnmapWalk(type1, process, command, all ? U64_MAX : command.lengthBytes, bitmap);
    error = yield* walk.run();
    if (error === 0) command.lengthBytes = walk.unmappedBytes;
  }
  type1.lock.release();
  return error;
}

function checkLocked(type1: Type1, command: UnmapDmaCommand, bitmap: UserBitmap | undefined): number {
  const { flags, iova, lengthBytes } = command;
  const { pageSize } = type1;
  if ((flags & UnmapFlag.vaddr) !== 0 && type1.emulatedGroups.length > 0) return -Errno.EBUSY;
  if ((iova & (pageSize - 1n)) !== 0n) return -Errno.EINVAL;
  if ((flags & UnmapFlag.all) !== 0) {
    if (iova !== 0n || lengthBytes !== 0n) return -Errno.EINVAL;
  } else {
    if (lengthBytes === 0n || (lengthBytes & (pageSize - 1n)) !== 0n) return -Errno.EINVAL;
    if (iova + lengthBytes - 1n > U64_MAX) return type1.profile.overflow ? -Errno.EOVERFLOW : -Errno.EINVAL;
  }
  if (bitmap !== undefined && (!type1.dirtyTracking || bitmap.pageSize !== pageSize)) return -Errno.EINVAL;
  return 0;
}

/** -EINVAL when a mapping sticks out of the range at either end; neither a type1 v2 unmap nor a dirty query may cut. */
export function checkNotCut(type1: Type1, iova: bigint, lengthBytes: bigint): number {
  const atStart = type1.dmas.find(iova, 1n);
  if (atStart !== undefined && atStart.iova !== iova) return -Errno.EINVAL;
  const atEnd = type1.dmas.find(iova + lengthBytes - 1n, 0n);
  if (atEnd !== undefined && atEnd.iova + atEnd.sizeBytes !== iova + lengthBytes) return -Errno.EINVAL;
  return 0;
}

/** One walk over the mappings of a range, with the lock held except around callbacks. */
class UnmapWalk {
  unmappedBytes = 0n;
  readonly #type1: Type1;
  readonly #process: Process;
  readonly #command: UnmapDmaCommand;
  readonly #lengthBytes: bigint;
  readonly #bitmap: UserBitmap | undefined;
  #lastNotified: Dma | undefined;
  #rounds = 0;

  constructor(
    type1: Type1,
    process: Process,
    command: UnmapDmaCommand,
    lengthBytes: bigint,
    bitmap: UserBitmap | undefined,
  ) {
    this.#type1 = type1;
    this.#process = process;
    this.#command = command;
    this.#lengthBytes = lengthBytes;
    this.#bitmap = bitmap;
  }

  /** 0 or errno; starts again whenever drivers had to be asked for their pins. */
  *run(): KernelTask<number> {
    const { iova, flags } = this.#command;
    for (;;) {
      if (this.#type1.variant.v2 && (flags & UnmapFlag.all) === 0) {
        const cut = checkNotCut(this.#type1, iova, this.#lengthBytes);
        if (cut !== 0) return cut;
      }
      const found = this.#type1.dmas.inRange(iova, this.#lengthBytes);
      const result = (flags & UnmapFlag.vaddr) !== 0 ? this.#invalidateVaddr(found) : yield* this.#remove(found);
      if (result !== 'again') return result;
    }
  }

  /** A v1 request that begins inside a mapping stops there. */
  #stopsAt(dma: Dma): boolean {
    return !this.#type1.variant.v2 && this.#command.iova > dma.iova;
  }

  #invalidateVaddr(found: readonly Dma[]): number {
    const type1 = this.#type1;
    const marked: Dma[] = [];
    for (const dma of found) {
      if (this.#stopsAt(dma)) break;
      if (dma.vaddrInvalid) {
        for (const each of marked) each.vaddrInvalid = false;
        type1.vaddrInvalidCount -= marked.length;
        this.unmappedBytes = 0n;
        return -Errno.EINVAL;
      }
      dma.vaddrInvalid = true;
      type1.vaddrInvalidCount++;
      marked.push(dma);
      this.unmappedBytes += dma.sizeBytes;
    }
    return 0;
  }

  *#remove(found: readonly Dma[]): KernelTask<number | 'again'> {
    const type1 = this.#type1;
    for (const dma of found) {
      if (this.#stopsAt(dma)) break;
      if (dma.pins.size > 0) {
        yield* this.#askForPins(dma);
        return 'again';
      }
      if (this.#bitmap !== undefined) {
        const error = writeUserBitmap(type1, this.#process, dma, this.#command.iova, this.#bitmap);
        if (error !== 0) return error;
      }
      this.unmappedBytes += dma.sizeBytes;
      yield* removeDma(type1, dma);
    }
    return 0;
  }

  /** vfio_notify_dma_unmap: every open device that pins is told, with the lock dropped. */
  *#askForPins(dma: Dma): KernelTask<void> {
    this.#rounds = this.#lastNotified === dma ? this.#rounds + 1 : 0;
    this.#lastNotified = dma;
    if (this.#rounds > PATIENCE) {
      throw new InvariantError(`a driver keeps pages of the mapping at ${dma.iova.toString(16)} pinned (kernel BUG)`);
    }
    const { lock } = this.#type1;
    const { iova, sizeBytes } = dma;
    const devices = [...this.#type1.notifyDevices];
    lock.release();
    for (const device of devices) {
      if (device.driver.dmaUnmap !== undefined) yield* device.driver.dmaUnmap(device, iova, sizeBytes);
    }
    if (!lock.tryAcquire()) yield lock.queue;
  }
}
