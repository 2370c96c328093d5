/**
 * The VFIO type1 ioctls on an iommufd, and the compatible IOAS they work on. Source: Linux
 * drivers/iommu/iommufd/vfio_compat.c.
 */
import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { VFIO_UNMAP_ALL } from '../../vfio-flags.ts';
import { IommuProt } from '../iommu/ops.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { Ioas } from './ioas.ts';
import { mapUserMemory } from './ioas-commands.ts';
import { cutAreas, unmapAll, unmapRange } from './ioas-unmap.ts';

/** Values of VFIO_CHECK_EXTENSION and VFIO_SET_IOMMU (include/uapi/linux/vfio.h). */
export const VfioExtension = {
  type1: 1,
  type1v2: 3,
  dmaCoherent: 4,
  noIommu: 8,
  unmapAll: 9,
} as const;

/** enum of IOMMU_VFIO_IOAS operations. */
const VfioIoasOp = { get: 0, set: 1, clear: 2 } as const;

/** IOMMU_VFIO_IOAS. */
export interface VfioIoasCommand {
  ioasId: number;
  readonly op: number;
  readonly reserved: number;
}

/** EOPNOTSUPP (reserved, operation), ENODEV (none set), ENOENT. */
export function vfioIoas(context: IommufdContext, command: VfioIoasCommand): number {
  if (command.reserved !== 0) return -Errno.EOPNOTSUPP;
  switch (command.op) {
    case VfioIoasOp.get:
      if (context.vfioIoas === undefined) return -Errno.ENODEV;
      command.ioasId = context.vfioIoas.id;
      return 0;
    case VfioIoasOp.set: {
      const ioas = context.objects.peek(command.ioasId, Ioas);
      if (ioas === undefined) return -Errno.ENOENT;
      context.vfioIoas = ioas;
      return 0;
    }
    case VfioIoasOp.clear:
      context.vfioIoas = undefined;
      return 0;
    default:
      return -Errno.EOPNOTSUPP;
  }
}

/** iommufd_vfio_compat_ioas_create, when a group joins: EINVAL in no-IOMMU mode. */
export function createCompatIoas(context: IommufdContext): number {
  if (context.noIommuMode) return -Errno.EINVAL;
  if (context.vfioIoas !== undefined) return 0;
  const ioas = new Ioas(context);
  const rc = context.objects.reserve(ioas);
  if (rc !== 0) return rc;
  context.objects.publish(ioas);
  context.vfioIoas = ioas;
  return 0;
}

/** iommufd_vfio_compat_set_no_iommu: EINVAL when there is a compatible IOAS. */
export function setNoIommuMode(context: IommufdContext): number {
  if (context.vfioIoas !== undefined) return -Errno.EINVAL;
  context.noIommuMode = true;
  return 0;
}

/** VFIO_CHECK_EXTENSION. */
export function* checkExtension(context: IommufdContext, extension: number): KernelTask<number> {
  switch (extension) {
    case VfioExtension.type1:
    case VfioExtension.type1v2:
    case VfioExtension.unmapAll:
      return context.noIommuMode ? 0 : 1;
    case VfioExtension.noIommu:
      return 1;
    case VfioExtension.dmaCoherent: {
      const ioas = context.vfioIoas;
      if (ioas === undefined) return -Errno.ENODEV;
      yield* ioas.lockHwpts();
      const coherent = ioas.hwpts.every((hwpt) => hwpt.enforceCacheCoherency);
      ioas.unlockHwpts();
      return coherent ? 1 : 0;
    }
    default:
      return 0;
  }
}

/**
 * VFIO_SET_IOMMU: EPERM (no-IOMMU mode without CAP_SYS_RAWIO), EINVAL (type, no-IOMMU mode), ENODEV (no group joined
 * yet), errno of turning large pages off.
 */
export function* setIommu(context: IommufdContext, process: Process, type: number): KernelTask<number> {
  if (type === VfioExtension.noIommu && context.noIommuMode) return process.canUseRawIo ? 0 : -Errno.EPERM;
  if ((type !== VfioExtension.type1 && type !== VfioExtension.type1v2) || context.noIommuMode) return -Errno.EINVAL;
  const ioas = context.vfioIoas;
  if (ioas === undefined) return -Errno.ENODEV;
  // Type 1 can unmap the middle of a map, which large pages forbid.
  return type === VfioExtension.type1 ? yield* ioas.setSmallPages(true) : 0;
}

/** struct vfio_iommu_type1_dma_map. */
export interface VfioMapDma {
  /** [bytes] */
  readonly argsz: number;
  readonly flags: number;
  readonly vaddr: bigint;
  readonly iova: bigint;
  readonly lengthBytes: bigint;
}

/** [bytes] Sizes of the fixed parts. */
const MAP_MIN_BYTES = 32;
const UNMAP_MIN_BYTES = 24;
const MAP_READ = 1;
const MAP_WRITE = 2;

/** VFIO_IOMMU_MAP_DMA: EINVAL (argsz, flags), ENODEV, then as IOAS_MAP with a fixed IOVA and no check of R/W. */
export function* vfioMapDma(context: IommufdContext, process: Process, map: VfioMapDma): KernelTask<number> {
  if (map.argsz < MAP_MIN_BYTES || (map.flags & ~(MAP_READ | MAP_WRITE)) !== 0) return -Errno.EINVAL;
  const ioas = acquireCompat(context);
  if (ioas === undefined) return -Errno.ENODEV;
  const prot =
    IommuProt.cache |
    ((map.flags & MAP_READ) !== 0 ? IommuProt.read : 0) |
    ((map.flags & MAP_WRITE) !== 0 ? IommuProt.write : 0);
  const rc = yield* mapUserMemory(ioas, process, prot, true, map.vaddr, map.lengthBytes, { iova: map.iova });
  context.objects.release(ioas);
  return rc;
}

/** struct vfio_iommu_type1_dma_unmap. */
export interface VfioUnmapDma {
  /** [bytes] */
  readonly argsz: number;
  readonly flags: number;
  readonly iova: bigint;
  /** Out, also when the walk fails: bytes removed. */
  lengthBytes: bigint;
}

/**
 * VFIO_IOMMU_UNMAP_DMA: EINVAL (argsz, flags, UNMAP_ALL with a range), ENODEV, then the unmap; an empty range is no
 * error. Where large pages are off, areas are split at both ends first.
 */
export function* vfioUnmapDma(context: IommufdContext, unmap: VfioUnmapDma): KernelTask<number> {
  if (unmap.argsz < UNMAP_MIN_BYTES || (unmap.flags & ~VFIO_UNMAP_ALL) !== 0) return -Errno.EINVAL;
  const ioas = acquireCompat(context);
  if (ioas === undefined) return -Errno.ENODEV;
  const rc = yield* unmapCompat(ioas, unmap);
  context.objects.release(ioas);
  return rc;
}

function* unmapCompat(ioas: Ioas, unmap: VfioUnmapDma): KernelTask<number> {
  const { iova, lengthBytes } = unmap;
  if ((unmap.flags & VFIO_UNMAP_ALL) !== 0) {
    if (iova !== 0n || lengthBytes !== 0n) return -Errno.EINVAL;
    const all = yield* unmapAll(ioas);
    unmap.lengthBytes = all.unmappedBytes;
    return all.rc;
  }
  if (ioas.smallPages) {
    const cuts = [BigInt.asUintN(64, iova + lengthBytes - 1n)];
    if (iova > 0n) cuts.push(iova - 1n);
    const rc = yield* cutAreas(ioas, cuts);
    if (rc !== 0) return rc;
  }
  unmap.lengthBytes = 0n;
  if (lengthBytes === 0n) return -Errno.EINVAL;
  if (iova + lengthBytes - 1n > U64_MAX) return -Errno.EOVERFLOW;
  const result = yield* unmapRange(ioas, iova, iova + lengthBytes - 1n);
  unmap.lengthBytes = result.unmappedBytes;
  return result.rc;
}

/** The compatible IOAS with a short-term reference; undefined = ENODEV. Pair with `context.objects.release`. */
export function acquireCompat(context: IommufdContext): Ioas | undefined {
  return context.vfioIoas === undefined ? undefined : context.objects.acquire(context.vfioIoas.id, Ioas);
}
