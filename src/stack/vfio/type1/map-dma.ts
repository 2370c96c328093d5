/** VFIO_IOMMU_MAP_DMA on a type1 container (vfio_dma_do_map of Linux drivers/vfio/vfio_iommu_type1.c). */
import { U64_MAX } from '../../../address.ts';
import { Errno } from '../../../errno.ts';
import { IommuProt } from '../../iommu/ops.ts';
import type { Process } from '../../kernel/process.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { allocateBitmap } from './dirty-bitmap.ts';
import { Dma } from './dma.ts';
import { changeOwner } from './pinning.ts';
import { pinAndMap, removeDma } from './translations.ts';
import type { Type1 } from './type1.ts';

/** VFIO_DMA_MAP_FLAG_*. */
export const MapFlag = { read: 1, write: 2, vaddr: 4 } as const;

/** struct vfio_iommu_type1_dma_map. */
export interface MapDmaCommand {
  /** [bytes] */
  readonly argsz: number;
  readonly flags: number;
  readonly vaddr: bigint;
  readonly iova: bigint;
  readonly lengthBytes: bigint;
}

/** [bytes] */
export const MAP_DMA_BYTES = 32;

/**
 * Maps user memory, or gives a mapping its user address back (VADDR). Errors in check order: EINVAL argsz or flags;
 * (EINVAL no length, EOVERFLOW wrap: Linux 6.18); EINVAL flag combination, length or alignment, wrap; VADDR: ENOENT,
 * EINVAL, ENOMEM; EEXIST; ENOSPC; EINVAL outside the usable ranges; EFAULT, ENOMEM, driver errno; EINVAL bitmap.
 */
export function* mapDma(type1: Type1, process: Process, command: MapDmaCommand): KernelTask<number> {
  const { argsz, flags } = command;
  if (argsz < MAP_DMA_BYTES || (flags & ~(MapFlag.read | MapFlag.write | MapFlag.vaddr)) !== 0) return -Errno.EINVAL;
  const early = checkRange(type1, command, true);
  if (early !== 0) return early;
  const prot =
    ((flags & MapFlag.read) !== 0 ? IommuProt.read : 0) | ((flags & MapFlag.write) !== 0 ? IommuProt.write : 0);
  const setsVaddr = (flags & MapFlag.vaddr) !== 0;
  if ((prot !== 0) === setsVaddr) return -Errno.EINVAL;
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  const error = yield* mapLocked(type1, process, command, prot, setsVaddr);
  type1.lock.release();
  return error;
}

/** Length and wrap rules: before the flag combination from Linux 6.18 on, after the alignment before that. */
function checkRange(type1: Type1, command: MapDmaCommand, early: boolean): number {
  const { overflow } = type1.profile;
  if (overflow !== early) return 0;
  const { lengthBytes, iova, vaddr } = command;
  if (lengthBytes === 0n) return -Errno.EINVAL;
  const wraps = iova + lengthBytes - 1n > U64_MAX || vaddr + lengthBytes - 1n > U64_MAX;
  if (!wraps) return 0;
  return overflow ? -Errno.EOVERFLOW : -Errno.EINVAL;
}

function* mapLocked(
  type1: Type1,
  process: Process,
  command: MapDmaCommand,
  prot: number,
  setsVaddr: boolean,
): KernelTask<number> {
  const { iova, vaddr, lengthBytes } = command;
  if (lengthBytes === 0n || ((lengthBytes | iova | vaddr) & (type1.pageSize - 1n)) !== 0n) return -Errno.EINVAL;
  const wraps = checkRange(type1, command, false);
  if (wraps !== 0) return wraps;
  const existing = type1.dmas.find(iova, lengthBytes);
  if (setsVaddr) return updateVaddr(type1, process, command, existing);
  if (existing !== undefined) return -Errno.EEXIST;
  if (type1.dmaAvailable === 0) return -Errno.ENOSPC;
  if (!type1.iovaList.allows(iova, iova + lengthBytes - 1n)) return -Errno.EINVAL;
  const dma = new Dma(iova, vaddr, prot, process);
  type1.dmaAvailable--;
  type1.dmas.add(dma);
  let error = 0;
  if (type1.domains.length === 0) {
    dma.sizeBytes = lengthBytes;
  } else {
    error = yield* pinAndMap(type1, dma, lengthBytes);
    if (error !== 0) yield* removeDma(type1, dma);
  }
  if (error === 0 && type1.dirtyTracking) {
    error = allocateBitmap(dma, type1.pageSize);
    if (error !== 0) yield* removeDma(type1, dma);
  }
  return error;
}

/** The VADDR flag: the exact mapping whose address was given up gets a new one, in the caller's memory. */
function updateVaddr(type1: Type1, process: Process, command: MapDmaCommand, dma: Dma | undefined): number {
  if (dma === undefined) return -Errno.ENOENT;
  if (!dma.vaddrInvalid || dma.iova !== command.iova || dma.sizeBytes !== command.lengthBytes) return -Errno.EINVAL;
  const error = changeOwner(dma, process);
  if (error !== 0) return error;
  dma.vaddr = command.vaddr;
  dma.vaddrInvalid = false;
  type1.vaddrInvalidCount--;
  return 0;
}
