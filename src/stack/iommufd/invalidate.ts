/** IOMMU_HWPT_INVALIDATE (iommufd_hwpt_invalidate, Linux drivers/iommu/iommufd/hw_pagetable.c). */
import { PAGE_SIZE } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { UserInvalidation } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { HwptNested } from './hwpt-nested.ts';
import type { IommufdObject } from './object-table.ts';
import { Viommu } from './viommu.ts';

/** Upper bounds of recent kernels on one call. */
const MAX_ENTRIES = 1 << 19;
const MAX_ENTRY_BYTES = PAGE_SIZE;

/** The command and its reply. */
export interface HwptInvalidateCommand {
  readonly reserved: number;
  readonly hwptId: number;
  /** False when data_uptr is 0. */
  readonly hasData: boolean;
  readonly dataType: number;
  /** [bytes] */
  readonly entryLength: number;
  /** In: entries given. Out, also on failure: entries completed. */
  entryCount: number;
  /** The whole array, or as much of it as is readable; undefined when nothing is. */
  readonly bytes: Uint8Array | undefined;
}

function* invalidate(target: IommufdObject, request: UserInvalidation): KernelTask<number> {
  if (target instanceof HwptNested) {
    const domain = target.domain;
    return domain.invalidateUser === undefined ? -Errno.EOPNOTSUPP : yield* domain.invalidateUser(request);
  }
  if (target instanceof Viommu) {
    const state = target.state;
    return state.invalidate === undefined ? -Errno.EOPNOTSUPP : yield* state.invalidate(request);
  }
  return -Errno.EINVAL;
}

/**
 * Errors in check order: EOPNOTSUPP reserved; EINVAL array description; ENOENT id (Linux 6.12: also another type);
 * EINVAL another type; EOPNOTSUPP no such operation; what the driver answers.
 */
export function* invalidateHwpt(context: IommufdContext, command: HwptInvalidateCommand): KernelTask<number> {
  const given = command.entryCount;
  command.entryCount = 0;
  if (command.reserved !== 0) return -Errno.EOPNOTSUPP;
  if (given !== 0) {
    const tooLarge = context.profile.hwQueue && (command.entryLength > MAX_ENTRY_BYTES || given > MAX_ENTRIES);
    if (!command.hasData || command.entryLength === 0 || tooLarge) return -Errno.EINVAL;
  }
  const objects = context.objects;
  const target = context.profile.viommu
    ? objects.acquireAny(command.hwptId)
    : objects.acquire(command.hwptId, HwptNested);
  if (target === undefined) return -Errno.ENOENT;
  const request: UserInvalidation = {
    type: command.dataType,
    entryLength: command.entryLength,
    entryCount: given,
    bytes: command.bytes,
    done: 0,
  };
  const error = yield* invalidate(target, request);
  command.entryCount = request.done;
  objects.release(target);
  return error;
}
