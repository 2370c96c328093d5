/**
 * Attach and replace by id: a page table directly, or an IOAS whose automatic page tables are tried in order
 * (iommufd_device_change_pt, iommufd_device_auto_get_domain). Source: Linux drivers/iommu/iommufd/device.c.
 */
import type { Pasid } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { observed } from '../kernel/call-observer.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdDevice } from './device.ts';
import { attachToSlot, detachFromSlot, replaceInSlot } from './device-attach.ts';
import { type Hwpt, putHwpt } from './hwpt.ts';
import { HwptNested } from './hwpt-nested.ts';
import { allocHwptPaging, HwptPaging } from './hwpt-paging.ts';
import { Ioas } from './ioas.ts';

/** The old page table to put, 0 for none, or a negative errno. */
export type ChangeResult = Hwpt | number;
/** Attaches or replaces with a given page table. */
export type Change = (device: IommufdDevice, pasid: Pasid, hwpt: Hwpt) => KernelTask<ChangeResult>;

/** Outcome of an attach or replace by id. */
export interface PageTableChange {
  /** 0 or a negative errno. */
  readonly error: number;
  /** Id of the page table in use afterwards; the requested id on failure. */
  readonly pageTableId: number;
}

/** One rejected automatic page table moves the search on; every other errno ends it. */
function isIncompatible(result: ChangeResult): boolean {
  return result === -Errno.EINVAL;
}

function* changeWithIoas(
  device: IommufdDevice,
  pasid: Pasid,
  ioas: Ioas,
  change: Change,
  immediateAttach: boolean,
): KernelTask<{ readonly result: ChangeResult; readonly hwptId: number }> {
  const objects = device.context.objects;
  for (const candidate of [...ioas.hwpts]) {
    // Automatic page tables only, and none that is being destroyed.
    if (!(candidate instanceof HwptPaging) || !candidate.auto) continue;
    if (objects.acquire(candidate.id, HwptPaging) !== candidate) continue;
    const result = yield* change(device, pasid, candidate);
    objects.release(candidate);
    if (isIncompatible(result)) continue;
    return { result, hwptId: candidate.id };
  }
  const hwpt = yield* allocHwptPaging(ioas, device, pasid, 0, immediateAttach, undefined);
  if (typeof hwpt === 'number') return { result: hwpt, hwptId: 0 };
  let result: ChangeResult = 0;
  if (!immediateAttach) {
    result = yield* change(device, pasid, hwpt);
    if (typeof result === 'number' && result < 0) {
      yield* hwpt.unlink();
      yield* objects.abortAndDestroy(hwpt);
      return { result, hwptId: 0 };
    }
  }
  hwpt.auto = true;
  objects.publish(hwpt);
  return { result, hwptId: hwpt.id };
}

/**
 * iommufd_device_change_pt: resolves `id` and runs `change`; a new page table of an IOAS is attached before it is filled
 * when `immediateAttach` is set.
 */
export function* changePageTable(
  device: IommufdDevice,
  pasid: Pasid,
  id: number,
  change: Change,
  immediateAttach: boolean,
): KernelTask<PageTableChange> {
  const { context } = device;
  const target = context.objects.acquireAny(id);
  if (target === undefined) return { error: -Errno.ENOENT, pageTableId: id };
  let result: ChangeResult = -Errno.EINVAL;
  let pageTableId = id;
  if (target instanceof HwptPaging || target instanceof HwptNested) {
    result = yield* change(device, pasid, target);
  } else if (target instanceof Ioas) {
    yield* target.lockHwpts();
    const found = yield* changeWithIoas(device, pasid, target, change, immediateAttach);
    target.unlockHwpts();
    result = found.result;
    pageTableId = found.hwptId;
  }
  context.objects.release(target);
  if (typeof result !== 'number') {
    yield* putHwpt(context, result);
    return { error: 0, pageTableId };
  }
  return result < 0 ? { error: result, pageTableId: id } : { error: 0, pageTableId };
}

/**
 * iommufd_device_attach: `id` names a page table or an IOAS. Errors: ENOENT, EINVAL (wrong type, other page table in the
 * slot, PASID rules), EBUSY (already attached, Linux 6.15), fill and core errno. On success the device gains a user.
 */
export function attachDevice(device: IommufdDevice, pasid: Pasid, id: number): KernelTask<PageTableChange> {
  return observed(device.context.kernel.observer, 'iommufd_device_attach', doAttachDevice(device, pasid, id));
}

function* doAttachDevice(device: IommufdDevice, pasid: Pasid, id: number): KernelTask<PageTableChange> {
  const change = yield* changePageTable(device, pasid, id, attachToSlot, true);
  if (change.error === 0) device.users++;
  return change;
}

/** iommufd_device_replace: the same search, but a new page table is filled before the switch. */
export function replaceDevice(device: IommufdDevice, pasid: Pasid, id: number): KernelTask<PageTableChange> {
  return observed(device.context.kernel.observer, 'iommufd_device_replace', doReplaceDevice(device, pasid, id));
}

function* doReplaceDevice(device: IommufdDevice, pasid: Pasid, id: number): KernelTask<PageTableChange> {
  return yield* changePageTable(device, pasid, id, replaceInSlot, false);
}

/** iommufd_device_detach: nothing happens when nothing is attached; the device stays owned and blocked. */
export function detachDevice(device: IommufdDevice, pasid: Pasid): KernelTask<void> {
  return observed(device.context.kernel.observer, 'iommufd_device_detach', doDetachDevice(device, pasid));
}

function* doDetachDevice(device: IommufdDevice, pasid: Pasid): KernelTask<void> {
  const hwpt = yield* detachFromSlot(device, pasid);
  if (hwpt === undefined) return;
  yield* putHwpt(device.context, hwpt);
  device.users--;
}
