/**
 * vDEVICE: a physical device as a guest's IOMMU numbers it (struct iommufd_vdevice). Source: Linux
 * drivers/iommu/iommufd/viommu.c.
 */
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { IommufdDevice } from './device.ts';
import type { IommufdObject } from './object-table.ts';
import { Viommu } from './viommu.ts';

/** A vDEVICE. Holds users on its vIOMMU and its device; the latter goes early when the device is unbound. */
export class Vdevice implements IommufdObject {
  readonly type = 'vdevice';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly viommu: Viommu;
  readonly device: IommufdDevice;
  readonly virtualId: bigint;
  #linked = false;

  constructor(viommu: Viommu, device: IommufdDevice, virtualId: bigint) {
    this.viommu = viommu;
    this.device = device;
    this.virtualId = virtualId;
    viommu.users++;
    device.users++;
  }

  /** Puts it into the vIOMMU's table and on its device. */
  link(): void {
    this.viommu.vdevices.set(this.virtualId, this);
    this.device.vdevice = this;
    this.#linked = true;
  }

  /** The device is going: destroyed now, the id stays taken (iommufd_object_tombstone_user). */
  *revoke(): KernelTask<void> {
    // The revoked reference stands for the one an owner would drop.
    this.users++;
    yield* this.viommu.context.objects.destroyByOwner(this, true);
  }

  *destroy(): KernelTask<void> {
    yield 0;
    if (this.#linked) {
      this.viommu.vdevices.delete(this.virtualId);
      this.viommu.state.destroyVdevice?.(this.virtualId);
      this.device.vdevice = undefined;
    }
    this.viommu.users--;
    this.device.users--;
  }
}

/** IOMMU_VDEVICE_ALLOC. */
export interface VdeviceAllocCommand {
  readonly viommuId: number;
  readonly devId: number;
  readonly virtualId: bigint;
  /** Written on success. */
  outVdeviceId: number;
}

function* makeVdevice(viommu: Viommu, device: IommufdDevice, command: VdeviceAllocCommand): KernelTask<number> {
  if (device.device.unit !== viommu.unit) return -Errno.EINVAL;
  if (device.destroying) return -Errno.ENOENT;
  const { objects } = viommu.context;
  if (device.vdevice !== undefined) return -Errno.EEXIST;
  yield viommu.context.kernel.costs.objectAlloc;
  const vdevice = new Vdevice(viommu, device, command.virtualId);
  const full = objects.reserve(vdevice);
  if (full !== 0) {
    yield* vdevice.destroy();
    return full;
  }
  let error = viommu.vdevices.has(command.virtualId) ? -Errno.EEXIST : 0;
  if (error === 0) error = viommu.state.initVdevice?.(device.device, command.virtualId) ?? 0;
  if (error !== 0) {
    yield* objects.abortAndDestroy(vdevice);
    return error;
  }
  vdevice.link();
  objects.publish(vdevice);
  command.outVdeviceId = vdevice.id;
  return 0;
}

/**
 * iommufd_vdevice_alloc_ioctl. Errors in check order: ENOENT vIOMMU, ENOENT device, EINVAL other IOMMU instance, ENOENT
 * device going, EEXIST device has one, EEXIST virtual id taken, driver errno.
 */
export function* allocVdevice(context: IommufdContext, command: VdeviceAllocCommand): KernelTask<number> {
  const viommu = context.objects.acquire(command.viommuId, Viommu);
  if (viommu === undefined) return -Errno.ENOENT;
  const device = context.objects.acquire(command.devId, IommufdDevice);
  let error: number = -Errno.ENOENT;
  if (device !== undefined) {
    error = yield* makeVdevice(viommu, device, command);
    context.objects.release(device);
  }
  context.objects.release(viommu);
  return error;
}
