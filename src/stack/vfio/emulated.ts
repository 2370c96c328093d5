/**
 * Emulated VFIO devices: no DMA of their own, so they reach memory through an iommufd access instead of page tables
 * (the vfio_iommufd_emulated operations of Linux drivers/vfio/iommufd.c).
 */
import { assert } from '../../assert.ts';
import { attachAccess, createAccess, destroyAccess, detachAccess, replaceAccess } from '../iommufd/access.ts';
import type { PageTableChange } from '../iommufd/auto-domain.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';

/** vfio_iommufd_emulated_bind: an access of its own; only allocation can fail. The object id, or -ENOMEM. */
export function* bindEmulated(device: VfioDevice, context: IommufdContext): KernelTask<number> {
  const access = yield* createAccess(context, {
    needsPinPages: true,
    unmap: (iova, lengthBytes) => flushPins(device, iova, lengthBytes),
  });
  if (typeof access === 'number') return access;
  device.iommufdAccess = access;
  return access.id;
}

/** vfio_emulated_unmap: drivers without the callback hold no pins. */
function* flushPins(device: VfioDevice, iova: bigint, lengthBytes: bigint): KernelTask<void> {
  const { driver } = device;
  if (driver.dmaUnmap !== undefined) yield* driver.dmaUnmap(device, iova, lengthBytes);
}

/** vfio_iommufd_emulated_unbind: destroys the access; still attached, it flushes the pins once more. */
export function* unbindEmulated(device: VfioDevice): KernelTask<void> {
  const access = device.iommufdAccess;
  if (access === undefined) return;
  yield* destroyAccess(access);
  device.iommufdAttached = false;
  device.iommufdAccess = undefined;
}

/** vfio_iommufd_emulated_attach_ioas: the id must be an IOAS (ENOENT also for a page table); it is returned as given. */
export function* attachEmulated(device: VfioDevice, ioasId: number): KernelTask<PageTableChange> {
  const access = device.iommufdAccess;
  assert(access !== undefined, `${device.name} attaches before it is bound`);
  const error = device.iommufdAttached ? yield* replaceAccess(access, ioasId) : yield* attachAccess(access, ioasId);
  if (error === 0) device.iommufdAttached = true;
  return { error, pageTableId: ioasId };
}

/** vfio_iommufd_emulated_detach_ioas: nothing when not attached. */
export function* detachEmulated(device: VfioDevice): KernelTask<void> {
  const access = device.iommufdAccess;
  if (access === undefined || !device.iommufdAttached) return;
  yield* detachAccess(access);
  device.iommufdAttached = false;
}
