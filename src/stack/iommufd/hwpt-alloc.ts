/** IOMMU_HWPT_ALLOC (iommufd_hwpt_alloc, Linux drivers/iommu/iommufd/hw_pagetable.c). */
import { NO_PASID } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { HwptAllocFlag, type UserData } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { IommufdDevice } from './device.ts';
import { Fault } from './fault.ts';
import type { Hwpt } from './hwpt.ts';
import { allocHwptNested, allocHwptOnViommu } from './hwpt-nested.ts';
import { allocHwptPaging, HwptPaging } from './hwpt-paging.ts';
import { Ioas } from './ioas.ts';
import type { IommufdObject } from './object-table.ts';
import { Viommu } from './viommu.ts';

/** IOMMU_HWPT_DATA_NONE. */
const DATA_NONE = 0;

/** The command and its reply. */
export interface HwptAllocCommand {
  readonly flags: number;
  readonly reserved: number;
  readonly devId: number;
  readonly ptId: number;
  readonly data: UserData;
  readonly faultId: number;
  /** Written on success. */
  outHwptId: number;
}

function* allocateOn(
  target: IommufdObject,
  device: IommufdDevice,
  command: HwptAllocCommand,
): KernelTask<Hwpt | number> {
  const { flags, data } = command;
  if (target instanceof Ioas) {
    const userData = data.lengthBytes > 0 ? data : undefined;
    return yield* allocHwptPaging(target, device, NO_PASID, flags, false, userData);
  }
  if (target instanceof HwptPaging) return yield* allocHwptNested(target, device, flags, data);
  if (target instanceof Viommu) {
    if (device.device.unit !== target.unit) return -Errno.EINVAL;
    return yield* allocHwptOnViommu(target, flags, data);
  }
  return -Errno.EINVAL;
}

/** Faults of attachments go to this queue. 0 or -ENOENT. */
function connectFault(context: IommufdContext, hwpt: Hwpt, faultId: number): number {
  const fault = context.objects.peek(faultId, Fault);
  if (fault === undefined) return -Errno.ENOENT;
  fault.users++;
  hwpt.fault = fault;
  hwpt.domain.faultCapable = true;
  return 0;
}

function* allocateAndPublish(
  context: IommufdContext,
  target: IommufdObject,
  device: IommufdDevice,
  command: HwptAllocCommand,
): KernelTask<number> {
  const hwpt = yield* allocateOn(target, device, command);
  if (typeof hwpt === 'number') return hwpt;
  if ((command.flags & HwptAllocFlag.faultIdValid) !== 0) {
    const error = connectFault(context, hwpt, command.faultId);
    if (error !== 0) {
      if (hwpt instanceof HwptPaging) yield* hwpt.unlink();
      yield* context.objects.abortAndDestroy(hwpt);
      return error;
    }
  }
  context.objects.publish(hwpt);
  command.outHwptId = hwpt.id;
  return 0;
}

/**
 * Errors in check order: EOPNOTSUPP reserved; EINVAL data type and length disagree; ENOENT device; EINVAL (not ENOENT)
 * page table id unknown or of a wrong type; what the allocation answers; ENOENT fault queue.
 */
export function* allocHwpt(context: IommufdContext, command: HwptAllocCommand): KernelTask<number> {
  if (command.reserved !== 0) return -Errno.EOPNOTSUPP;
  if ((command.data.type === DATA_NONE) !== (command.data.lengthBytes === 0)) return -Errno.EINVAL;
  const { objects } = context;
  const device = objects.acquire(command.devId, IommufdDevice);
  if (device === undefined) return -Errno.ENOENT;
  const target = objects.acquireAny(command.ptId);
  let error: number = -Errno.EINVAL;
  if (target !== undefined) {
    if (target instanceof Ioas) yield* target.lockHwpts();
    error = yield* allocateAndPublish(context, target, device, command);
    if (target instanceof Ioas) target.unlockHwpts();
    objects.release(target);
  }
  objects.release(device);
  return error;
}
