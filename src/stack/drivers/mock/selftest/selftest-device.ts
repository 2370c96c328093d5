/**
 * Self-test operations on devices: make one and attach it, replace, and the same per PASID (IOMMU_TEST_OP_MOCK_DOMAIN*,
 * IOMMU_TEST_OP_PASID_* of Linux drivers/iommu/iommufd/selftest.c).
 */
import { NO_PASID, type Pasid } from '../../../../address.ts';
import { assert } from '../../../../assert.ts';
import { Errno } from '../../../../errno.ts';
import { attachDevice, detachDevice, type PageTableChange, replaceDevice } from '../../../iommufd/auto-domain.ts';
import type { IommufdContext } from '../../../iommufd/context.ts';
import { bindDevice, type IommufdDevice, unbindDevice } from '../../../iommufd/device.ts';
import { HwptNested } from '../../../iommufd/hwpt-nested.ts';
import { HwptPaging } from '../../../iommufd/hwpt-paging.ts';
import type { IommufdObject } from '../../../iommufd/object-table.ts';
import type { KernelTask } from '../../../kernel/task.ts';
import type { MockBus } from './mock-bus.ts';

/** A mock device as an object of a context (struct selftest_obj): its destruction unbinds and removes the device. */
export class SelftestDevice implements IommufdObject {
  readonly type = 'selftest';
  id = 0;
  users = 1;
  waitCount = 0;
  #device: IommufdDevice | undefined;

  get device(): IommufdDevice {
    assert(this.#device !== undefined, 'self-test device is not bound');
    return this.#device;
  }

  set device(device: IommufdDevice) {
    this.#device = device;
  }

  *destroy(): KernelTask<void> {
    const device = this.#device;
    if (device === undefined) return;
    yield* detachDevice(device, NO_PASID);
    // PASIDs still attached keep the device object alive: the kernel warns and leaves it to the context's release.
    yield* unbindDevice(device);
  }
}

/** IOMMU_TEST_OP_MOCK_DOMAIN and _FLAGS. */
export interface MockDomainCommand {
  readonly pageTableId: number;
  readonly deviceFlags: number;
  /** Written on success: self-test device, page table, bound device. */
  outSelftestId: number;
  outHwptId: number;
  outDeviceId: number;
}

/** Errors: EINVAL flags, bind errno, attach errno; nothing is left then. */
export function* mockDomain(bus: MockBus, context: IommufdContext, command: MockDomainCommand): KernelTask<number> {
  const { objects } = context;
  const selftest = new SelftestDevice();
  const full = objects.reserve(selftest);
  if (full !== 0) return full;
  const error = yield* bindAndAttach(bus, context, command, selftest);
  if (error !== 0) {
    objects.abort(selftest);
    return error;
  }
  objects.publish(selftest);
  command.outSelftestId = selftest.id;
  return 0;
}

function* bindAndAttach(
  bus: MockBus,
  context: IommufdContext,
  command: MockDomainCommand,
  selftest: SelftestDevice,
): KernelTask<number> {
  const made = yield* bus.create(command.deviceFlags);
  if (typeof made === 'number') return made;
  const { device, group } = made;
  const bound = yield* bindDevice(context, device, group, { allowUnsafeInterrupts: false, holdsFile: false });
  if (typeof bound === 'number') return bound;
  const change = yield* attachDevice(bound, NO_PASID, command.pageTableId);
  if (change.error !== 0) {
    yield* unbindDevice(bound);
    return change.error;
  }
  selftest.device = bound;
  command.outHwptId = change.pageTableId;
  command.outDeviceId = bound.id;
  return 0;
}

/** Runs `body` on a self-test device; ENOENT for any other id. */
function* withDevice(
  context: IommufdContext,
  id: number,
  body: (device: IommufdDevice) => KernelTask<PageTableChange>,
): KernelTask<PageTableChange> {
  const selftest = context.objects.acquire(id, SelftestDevice);
  if (selftest === undefined) return { error: -Errno.ENOENT, pageTableId: 0 };
  const change = yield* body(selftest.device);
  context.objects.release(selftest);
  return change;
}

/** IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE. */
export function mockDomainReplace(context: IommufdContext, id: number, ptId: number): KernelTask<PageTableChange> {
  return withDevice(context, id, (device) => replaceDevice(device, NO_PASID, ptId));
}

/** IOMMU_TEST_OP_PASID_ATTACH. */
export function pasidAttach(
  context: IommufdContext,
  id: number,
  pasid: Pasid,
  ptId: number,
): KernelTask<PageTableChange> {
  return withDevice(context, id, (device) => attachDevice(device, pasid, ptId));
}

/** IOMMU_TEST_OP_PASID_REPLACE. */
export function pasidReplace(
  context: IommufdContext,
  id: number,
  pasid: Pasid,
  ptId: number,
): KernelTask<PageTableChange> {
  return withDevice(context, id, (device) => replaceDevice(device, pasid, ptId));
}

/** IOMMU_TEST_OP_PASID_DETACH: 0 also when nothing is attached. */
export function* pasidDetach(context: IommufdContext, id: number, pasid: Pasid): KernelTask<number> {
  const change = yield* withDevice(context, id, function* (device) {
    yield* detachDevice(device, pasid);
    return { error: 0, pageTableId: 0 };
  });
  return change.error;
}

/** IOMMU_TEST_OP_PASID_CHECK_HWPT: EINVAL unless `hwptId` is what is attached, 0 = nothing is; ENOENT unknown ids. */
export function pasidCheckHwpt(context: IommufdContext, id: number, pasid: Pasid, hwptId: number): number {
  const { objects } = context;
  const selftest = objects.peek(id, SelftestDevice);
  if (selftest === undefined) return -Errno.ENOENT;
  const attached = selftest.device.igroup.group.pasids.get(pasid)?.handle;
  if (hwptId === 0) return attached === undefined ? 0 : -Errno.EINVAL;
  const target = objects.peekAny(hwptId);
  if (target === undefined) return -Errno.ENOENT;
  if (!(target instanceof HwptPaging) && !(target instanceof HwptNested)) return -Errno.EINVAL;
  return target.domain === attached?.domain ? 0 : -Errno.EINVAL;
}
