/**
 * IOMMU_IOAS_NOIOMMU_GET_PA: the physical address behind an IOVA, for user-space drivers of devices without IOMMU, which
 * must program physical addresses. Source: Linux 7.3 include/uapi/linux/iommufd.h.
 *
 * ASSUMPTION: the order of checks beyond the first. Recorded is only EOPNOTSUPP in a context without such a device.
 */
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { IommufdDevice } from './device.ts';
import { Ioas } from './ioas.ts';

/** The command. */
export interface NoIommuGetPaCommand {
  readonly flags: number;
  readonly ioasId: number;
  readonly reserved: number;
  readonly iova: bigint;
  /** [bytes] Out: how far the physical range goes on from there. */
  outLengthBytes: bigint;
  outPhysicalAddress: bigint;
}

/** EOPNOTSUPP (flags, reserved, no device without IOMMU), ENOENT (IOAS, nothing mapped, not pinned). */
export function* noIommuGetPa(context: IommufdContext, command: NoIommuGetPaCommand): KernelTask<number> {
  if (command.flags !== 0 || command.reserved !== 0 || !hasNoIommuDevice(context)) return -Errno.EOPNOTSUPP;
  const ioas = context.objects.acquire(command.ioasId, Ioas);
  if (ioas === undefined) return -Errno.ENOENT;
  if (!ioas.iovaLock.tryAcquireShared()) yield ioas.iovaLock.sharedQueue;
  const rc = lookUp(ioas, command);
  ioas.iovaLock.releaseShared();
  context.objects.release(ioas);
  return rc;
}

function hasNoIommuDevice(context: IommufdContext): boolean {
  for (const object of context.objects.objects()) {
    if (object instanceof IommufdDevice && object.isNoIommu) return true;
  }
  return false;
}

function lookUp(ioas: Ioas, command: NoIommuGetPaCommand): number {
  const { iova } = command;
  const area = ioas.areas.first(iova, iova);
  if (area?.pages === undefined || area.storageDomain === undefined) return -Errno.ENOENT;
  const first = area.pageOf(iova);
  let last = first;
  while (last < area.lastIndex && area.pages.pfn(last + 1) === area.pages.pfn(last) + 1) last++;
  const offset = (area.startByte + (iova - area.start)) & 4095n;
  command.outPhysicalAddress = BigInt(area.pages.pfn(first)) * 4096n + offset;
  command.outLengthBytes = area.lastIovaOfPage(last) - iova + 1n;
  return 0;
}
