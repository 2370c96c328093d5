/**
 * Access of emulated devices' drivers to the user's memory: vfio_pin_pages, vfio_unpin_pages, vfio_dma_rw (Linux
 * drivers/vfio/vfio_main.c). The way leads through the container, or through the iommufd access.
 */
import { Errno } from '../../errno.ts';
import { IommuProt } from '../iommu/ops.ts';
import {
  pinPages as accessPinPages,
  readWrite as accessReadWrite,
  unpinPages as accessUnpinPages,
} from '../iommufd/access-pages.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';

/** Pages one call may pin through a container (VFIO_PIN_PAGES_MAX_ENTRIES). */
const CONTAINER_PAGES_MAX = 512;
const PAGE = 4096n;
const PAGE_MASK = ~(PAGE - 1n);

/**
 * Pins `pageCount` pages from `iova` on and stores their frames in `pfns`; returns `pageCount`. Errors in check order:
 * EINVAL no page or device not open; EINVAL driver without dma_unmap; container: E2BIG, ENOTTY, then as type1's;
 * iommufd: EOVERFLOW, ENOENT, EINVAL, EPERM, errno of the pin; EINVAL neither.
 */
export function* pinPages(
  device: VfioDevice,
  iova: bigint,
  pageCount: number,
  prot: number,
  pfns: number[],
): KernelTask<number> {
  if (pageCount === 0 || device.openCount === 0) return -Errno.EINVAL;
  if (device.driver.dmaUnmap === undefined) return -Errno.EINVAL;
  const { container } = device.group;
  if (container !== undefined) {
    if (pageCount > CONTAINER_PAGES_MAX) return -Errno.E2BIG;
    const memory = container.backend?.memory;
    return memory === undefined ? -Errno.ENOTTY : yield* memory.pin(device.group, iova, pageCount, prot, pfns);
  }
  const access = device.iommufdAccess;
  if (access === undefined) return -Errno.EINVAL;
  const write = (prot & IommuProt.write) !== 0;
  const pinned = yield* accessPinPages(access, iova & PAGE_MASK, BigInt(pageCount) * PAGE, write);
  if (typeof pinned === 'number') return pinned;
  pfns.push(...pinned);
  return pageCount;
}

/** Unpins. Through an iommufd the range must be one that was pinned; calls that make no sense do nothing. */
export function* unpinPages(device: VfioDevice, iova: bigint, pageCount: number): KernelTask<void> {
  if (device.openCount === 0 || device.driver.dmaUnmap === undefined || pageCount <= 0) return;
  const { container } = device.group;
  if (container !== undefined) {
    if (pageCount > CONTAINER_PAGES_MAX || container.backend?.memory === undefined) return;
    yield* container.backend.memory.unpin(iova, pageCount);
    return;
  }
  const access = device.iommufdAccess;
  if (access !== undefined) yield* accessUnpinPages(access, iova & PAGE_MASK, BigInt(pageCount) * PAGE);
}

/**
 * Copies between `data` and mapped memory by CPU, for `caller` (undefined: a kernel thread). Errors: EINVAL no data or
 * device not open; ENOTTY container without backend; else those of type1 or of the iommufd access. Writing needs read
 * permission in a container, but not through an iommufd.
 */
export function* dmaReadWrite(
  device: VfioDevice,
  caller: Process | undefined,
  iova: bigint,
  data: Uint8Array,
  write: boolean,
): KernelTask<number> {
  if (data.length === 0 || device.openCount === 0) return -Errno.EINVAL;
  const { container } = device.group;
  if (container !== undefined) {
    const memory = container.backend?.memory;
    return memory === undefined ? -Errno.ENOTTY : yield* memory.readWrite(caller, iova, data, write);
  }
  const access = device.iommufdAccess;
  return access === undefined ? -Errno.EINVAL : yield* accessReadWrite(access, iova, data, write);
}
