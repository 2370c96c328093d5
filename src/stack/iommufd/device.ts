/**
 * A device bound to an iommufd context (struct iommufd_device). Source: Linux drivers/iommu/iommufd/device.c.
 */
import { Errno } from '../../errno.ts';
import { claimDeviceOwner, releaseDeviceOwner } from '../iommu/dma-owner.ts';
import type { IommuGroup } from '../iommu/group.ts';
import type { IommuDevice } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { IommufdGroup } from './igroup.ts';
import type { IommufdObject } from './object-table.ts';
import type { Vdevice } from './vdevice.ts';

/** A bound device. Two users after bind: the table and the binding driver; one more per attachment. */
export class IommufdDevice implements IommufdObject {
  readonly type = 'device';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly context: IommufdContext;
  readonly device: IommuDevice;
  readonly igroup: IommufdGroup;
  /** The device asks for coherent DMA, so page tables made for it must enforce it. */
  readonly enforceCacheCoherency: boolean;
  /** Its virtual device, if one was allocated. */
  vdevice: Vdevice | undefined;
  /** The device is going: no vDEVICE may be added. */
  destroying = false;
  /** Bound without an IOMMU: no ownership, no hardware information. */
  readonly isNoIommu: boolean;
  readonly #holdsFile: boolean;

  constructor(context: IommufdContext, device: IommuDevice, igroup: IommufdGroup, options: BindOptions) {
    this.context = context;
    this.device = device;
    this.igroup = igroup;
    this.enforceCacheCoherency = device.driver.capable(device, 'enforce-cache-coherency');
    this.isNoIommu = options.noIommu === true;
    this.#holdsFile = options.holdsFile;
    igroup.deviceCount++;
    if (this.#holdsFile) context.file.get();
  }

  *destroy(): KernelTask<void> {
    if (!this.isNoIommu) yield* releaseDeviceOwner(this.igroup.group);
    this.igroup.deviceCount--;
    if (this.igroup.deviceCount === 0) this.context.groups.delete(this.igroup.group);
    if (this.#holdsFile) yield* this.context.file.put();
  }
}

/** How a device is bound. */
export interface BindOptions {
  /** The module parameter allow_unsafe_interrupts of iommufd. */
  readonly allowUnsafeInterrupts: boolean;
  /** False only for the self-test's mock devices, which keep no reference on the context's file. */
  readonly holdsFile: boolean;
  /** A device without IOMMU (Linux 7.3): a private group, no checks and no ownership. */
  readonly noIommu?: boolean;
}

/**
 * iommufd_device_bind. `group` is undefined for a device outside any IOMMU group. Errors: EINVAL not cache coherent,
 * ENODEV no group, EPERM interrupts not isolated or group owned by somebody else, EBUSY, EINVAL, ENOMEM.
 */
export function* bindDevice(
  context: IommufdContext,
  device: IommuDevice,
  group: IommuGroup | undefined,
  options: BindOptions,
): KernelTask<IommufdDevice | number> {
  if (options.noIommu !== true) {
    if (!device.driver.capable(device, 'cache-coherency')) return -Errno.EINVAL;
    if (group === undefined) return -Errno.ENODEV;
    if (!group.hasIsolatedMsi && !options.allowUnsafeInterrupts) return -Errno.EPERM;
    const refused = yield* claimDeviceOwner(group, context);
    if (refused !== 0) return refused;
  }
  if (group === undefined) return -Errno.ENODEV;
  let igroup = context.groups.get(group);
  if (igroup === undefined) {
    igroup = new IommufdGroup(group);
    context.groups.set(group, igroup);
  }
  yield context.kernel.costs.objectAlloc;
  const bound = new IommufdDevice(context, device, igroup, options);
  const full = context.objects.reserve(bound);
  if (full !== 0) {
    yield* bound.destroy();
    return full;
  }
  bound.users++;
  context.objects.publish(bound);
  return bound;
}

/**
 * iommufd_device_unbind: the caller has detached everything. Waits for ioctls inside the device; a vDEVICE is destroyed
 * first and leaves its id taken (Linux 6.17). Returns 0, or -EBUSY when references are wrong.
 */
export function* unbindDevice(device: IommufdDevice): KernelTask<number> {
  device.destroying = true;
  const vdevice = device.vdevice;
  const { objects, profile } = device.context;
  if (vdevice !== undefined && profile.hwQueue) yield* vdevice.revoke();
  return yield* objects.destroyByOwner(device);
}
