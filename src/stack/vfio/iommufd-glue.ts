/**
 * How a physical VFIO device uses iommufd (Linux drivers/vfio/iommufd.c): what VFIO remembers decides between attach
 * and replace.
 */
import { NO_PASID, type Pasid } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { attachDevice, detachDevice, type PageTableChange, replaceDevice } from '../iommufd/auto-domain.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import { bindDevice, type IommufdDevice, unbindDevice } from '../iommufd/device.ts';
import { noIommuDevice } from '../iommufd/no-iommu.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';

/** Largest PASID VFIO's id recorder can hold. */
const MAX_RECORDED_PASID = 0x7fff_ffff;

/** vfio_iommufd_physical_bind: the object id, or errno. */
export function* bindPhysical(
  device: VfioDevice,
  context: IommufdContext,
  allowUnsafeInterrupts: boolean,
): KernelTask<number> {
  const bound = device.isNoIommu
    ? yield* bindWithoutIommu(device, context)
    : device.hardware === undefined
      ? -Errno.EINVAL
      : yield* bindDevice(context, device.hardware, device.group.iommuGroup, {
          allowUnsafeInterrupts,
          holdsFile: true,
        });
  if (typeof bound === 'number') return bound;
  device.iommufdDevice = bound;
  return bound.id;
}

/** Linux 7.3: a bound device with bookkeeping only. */
function* bindWithoutIommu(device: VfioDevice, context: IommufdContext): KernelTask<IommufdDevice | number> {
  const { kernel } = context;
  const made = noIommuDevice(device.name, kernel.profile.version, kernel.timeline);
  const options = { allowUnsafeInterrupts: false, holdsFile: true, noIommu: true };
  return yield* bindDevice(context, made.device, made.group, options);
}

/** vfio_iommufd_physical_unbind: PASIDs ascending, then the RID, then the device object. */
export function* unbindPhysical(device: VfioDevice): KernelTask<void> {
  const bound = device.iommufdDevice;
  if (bound === undefined) return;
  for (const pasid of [...device.pasids].sort((a, b) => a - b)) yield* detachDevice(bound, pasid);
  device.pasids.clear();
  if (device.iommufdAttached) {
    yield* detachDevice(bound, NO_PASID);
    device.iommufdAttached = false;
  }
  yield* unbindDevice(bound);
  device.iommufdDevice = undefined;
}

/** vfio_iommufd_physical_attach_ioas: EINVAL when not bound; attach, or replace when VFIO remembers an attach. */
export function* attachPhysical(device: VfioDevice, pageTableId: number): KernelTask<PageTableChange> {
  const bound = device.iommufdDevice;
  if (bound === undefined) return { error: -Errno.EINVAL, pageTableId };
  if (device.iommufdAttached) return yield* replaceDevice(bound, NO_PASID, pageTableId);
  const change = yield* attachDevice(bound, NO_PASID, pageTableId);
  if (change.error === 0) device.iommufdAttached = true;
  return change;
}

/** vfio_iommufd_physical_detach_ioas: nothing when VFIO remembers no attach. */
export function* detachPhysical(device: VfioDevice): KernelTask<void> {
  const bound = device.iommufdDevice;
  if (bound === undefined || !device.iommufdAttached) return;
  yield* detachDevice(bound, NO_PASID);
  device.iommufdAttached = false;
}

/**
 * vfio_iommufd_physical_pasid_attach_ioas: EINVAL not bound, ENOSPC a PASID that cannot be recorded; a PASID that failed
 * its first attach is forgotten. PASID 0 addresses the RID behind VFIO's back.
 */
export function* attachPhysicalPasid(
  device: VfioDevice,
  pasid: Pasid,
  pageTableId: number,
): KernelTask<PageTableChange> {
  const bound = device.iommufdDevice;
  if (bound === undefined) return { error: -Errno.EINVAL, pageTableId };
  if (device.pasids.has(pasid)) return yield* replaceDevice(bound, pasid, pageTableId);
  if (pasid > MAX_RECORDED_PASID) return { error: -Errno.ENOSPC, pageTableId };
  const change = yield* attachDevice(bound, pasid, pageTableId);
  if (change.error === 0) device.pasids.add(pasid);
  return change;
}

/** vfio_iommufd_physical_pasid_detach_ioas: nothing for a PASID that is not recorded. */
export function* detachPhysicalPasid(device: VfioDevice, pasid: Pasid): KernelTask<void> {
  const bound = device.iommufdDevice;
  if (bound === undefined || !device.pasids.delete(pasid)) return;
  yield* detachDevice(bound, pasid);
}
