/**
 * vIOMMU: the slice of a physical IOMMU that a guest's IOMMU maps to (struct iommufd_viommu). Source: Linux
 * drivers/iommu/iommufd/viommu.c.
 */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import type { IommuDevice, PagingDomain, UserData, ViommuCore, ViommuDriverState } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { IommufdDevice } from './device.ts';
import { HwptPaging } from './hwpt-paging.ts';
import type { IommufdObject } from './object-table.ts';
import type { Vdevice } from './vdevice.ts';
import type { VeventQueue } from './veventq.ts';

/** A vIOMMU. Holds a user on its parent page table. */
export class Viommu implements IommufdObject, ViommuCore {
  readonly type = 'viommu';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly context: IommufdContext;
  readonly driverType: number;
  /** Name of the physical IOMMU instance: devices behind another cannot join. */
  readonly unit: string;
  readonly parentHwpt: HwptPaging;
  /** vDEVICEs by virtual id. */
  readonly vdevices = new Map<bigint, Vdevice>();
  /** Event queues by type. */
  readonly veventqs = new Map<number, VeventQueue>();
  /** Hardware queues by index. */
  readonly hwQueues = new Map<number, IommufdObject>();
  #state: ViommuDriverState | undefined;

  constructor(context: IommufdContext, type: number, unit: string, parent: HwptPaging) {
    this.context = context;
    this.driverType = type;
    this.unit = unit;
    this.parentHwpt = parent;
    parent.users++;
  }

  get state(): ViommuDriverState {
    assert(this.#state !== undefined, `vIOMMU ${this.id} is not initialised`);
    return this.#state;
  }

  set state(state: ViommuDriverState) {
    this.#state = state;
  }

  get parent(): PagingDomain {
    return this.parentHwpt.domain;
  }

  virtualIdOf(device: IommuDevice): bigint | number {
    for (const vdevice of this.vdevices.values()) {
      if (vdevice.device.device === device) return vdevice.virtualId;
    }
    return -Errno.ENOENT;
  }

  deviceOf(virtualId: bigint): IommuDevice | undefined {
    return this.vdevices.get(virtualId)?.device.device;
  }

  reportEvent(type: number, data: Uint8Array): number {
    return this.veventqs.get(type)?.report(data) ?? -Errno.EOPNOTSUPP;
  }

  grantMmap(lengthBytes: number, bytes: Uint8Array): number {
    return this.context.mmaps.grant(this, lengthBytes, bytes);
  }

  *destroy(): KernelTask<void> {
    yield 0;
    this.context.mmaps.revoke(this);
    this.#state?.free?.();
    this.parentHwpt.users--;
  }
}

/** IOMMU_VIOMMU_ALLOC. */
export interface ViommuAllocCommand {
  readonly flags: number;
  readonly type: number;
  readonly devId: number;
  readonly hwptId: number;
  /** Absent when data_len is 0. */
  readonly data: UserData | undefined;
  /** Writes the driver's output structure back to the user's buffer; 0 or -EFAULT. */
  readonly copyDataOut: (bytes: Uint8Array) => number;
  /** Written on success. */
  outViommuId: number;
}

function* initViommu(
  context: IommufdContext,
  device: IommufdDevice,
  parent: HwptPaging,
  command: ViommuAllocCommand,
): KernelTask<number> {
  const operations = device.device.driver.viommu;
  if (operations === undefined) return -Errno.EOPNOTSUPP;
  yield context.kernel.costs.objectAlloc;
  const viommu = new Viommu(context, command.type, device.device.unit, parent);
  const full = context.objects.reserve(viommu);
  if (full !== 0) {
    parent.users--;
    return full;
  }
  const state = operations.alloc(device.device, viommu, command.type, command.data);
  let error = typeof state === 'number' ? state : 0;
  if (typeof state !== 'number') {
    viommu.state = state;
    if (state.outData !== undefined) error = command.copyDataOut(state.outData);
  }
  if (error !== 0) {
    yield* context.objects.abortAndDestroy(viommu);
    return error;
  }
  context.objects.publish(viommu);
  command.outViommuId = viommu.id;
  return 0;
}

/**
 * iommufd_viommu_alloc_ioctl. Errors in check order: EOPNOTSUPP flags or type 0, ENOENT device, EOPNOTSUPP driver
 * without vIOMMUs or unknown type, ENOENT page table, EINVAL no nest parent, driver errno.
 */
export function* allocViommu(context: IommufdContext, command: ViommuAllocCommand): KernelTask<number> {
  if (command.flags !== 0 || command.type === 0) return -Errno.EOPNOTSUPP;
  const device = context.objects.acquire(command.devId, IommufdDevice);
  if (device === undefined) return -Errno.ENOENT;
  const operations = device.device.driver.viommu;
  let error: number = -Errno.EOPNOTSUPP;
  if (operations?.supports(command.type) === true) {
    const parent = context.objects.acquire(command.hwptId, HwptPaging);
    if (parent === undefined) {
      error = -Errno.ENOENT;
    } else {
      error = parent.nestParent ? yield* initViommu(context, device, parent, command) : -Errno.EINVAL;
      context.objects.release(parent);
    }
  }
  context.objects.release(device);
  return error;
}
