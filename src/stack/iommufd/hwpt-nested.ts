/**
 * Nested HWPT: a first-stage domain given by user data, on a parent page table or on a vIOMMU (struct
 * iommufd_hwpt_nested). Source: Linux drivers/iommu/iommufd/hw_pagetable.c.
 */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { HwptAllocFlag, type NestedDomain, type UserData } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import type { IommufdDevice } from './device.ts';
import type { Fault } from './fault.ts';
import type { HwptPaging } from './hwpt-paging.ts';
import type { IommufdObject } from './object-table.ts';
import type { Viommu } from './viommu.ts';

/** A nested HWPT. Holds a user on its vIOMMU, or on its parent when it has none. */
export class HwptNested implements IommufdObject {
  readonly type = 'hwpt-nested';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly context: IommufdContext;
  readonly parent: HwptPaging;
  readonly viommu: Viommu | undefined;
  /** Independent of the parent's flag. */
  readonly pasidCompatible: boolean;
  fault: Fault | undefined;
  #domain: NestedDomain | undefined;

  constructor(context: IommufdContext, parent: HwptPaging, viommu: Viommu | undefined, flags: number) {
    this.context = context;
    this.parent = parent;
    this.viommu = viommu;
    this.pasidCompatible = (flags & HwptAllocFlag.pasid) !== 0;
    if (viommu !== undefined) viommu.users++;
    else parent.users++;
  }

  get domain(): NestedDomain {
    assert(this.#domain !== undefined, `HWPT ${this.id} has no domain yet`);
    return this.#domain;
  }

  set domain(domain: NestedDomain) {
    this.#domain = domain;
  }

  *destroy(): KernelTask<void> {
    if (this.#domain !== undefined) yield* this.#domain.free();
    if (this.fault !== undefined) this.fault.users--;
    if (this.viommu !== undefined) this.viommu.users--;
    else this.parent.users--;
  }
}

/** Reserves the id, runs the driver's allocation and checks what came back. */
function* finishNested(
  hwpt: HwptNested,
  allocate: () => KernelTask<NestedDomain | number>,
): KernelTask<HwptNested | number> {
  const { objects, profile, kernel } = hwpt.context;
  yield kernel.costs.objectAlloc;
  const full = objects.reserve(hwpt);
  if (full !== 0) {
    yield* hwpt.destroy();
    return full;
  }
  const domain = yield* allocate();
  let error = typeof domain === 'number' ? domain : 0;
  if (typeof domain !== 'number') {
    hwpt.domain = domain;
    // Linux 6.12 insists on user invalidation here; later kernels look for it when it is used.
    const unusable = domain.type !== 'nested' || (!profile.viommu && domain.invalidateUser === undefined);
    if (unusable) error = profile.viommu ? -Errno.EOPNOTSUPP : -Errno.EINVAL;
  }
  if (error === 0) return hwpt;
  yield* objects.abortAndDestroy(hwpt);
  return error;
}

/**
 * iommufd_hwpt_nested_alloc: nested on a parent page table, reserved but not published. Errors: EOPNOTSUPP (flags, no
 * data), EINVAL (parent automatic, no nest parent or of another driver), driver errno.
 */
export function* allocHwptNested(
  parent: HwptPaging,
  device: IommufdDevice,
  flags: number,
  data: UserData,
): KernelTask<HwptNested | number> {
  const context = device.context;
  const known = HwptAllocFlag.faultIdValid | (context.profile.hwptPasid ? HwptAllocFlag.pasid : 0);
  if ((flags & ~known) !== 0 || data.lengthBytes === 0) return -Errno.EOPNOTSUPP;
  const driver = device.device.driver;
  if (parent.auto || !parent.nestParent || parent.domain.driver !== driver) return -Errno.EINVAL;
  const hwpt = new HwptNested(context, parent, undefined, flags);
  return yield* finishNested(hwpt, () =>
    driver.allocNested(device.device, parent.domain, flags & ~HwptAllocFlag.faultIdValid, data),
  );
}

/** iommufd_viommu_alloc_hwpt_nested: nested on a vIOMMU. Errors: EOPNOTSUPP (flags, no data, no such op), driver. */
export function* allocHwptOnViommu(viommu: Viommu, flags: number, data: UserData): KernelTask<HwptNested | number> {
  const known = HwptAllocFlag.faultIdValid | HwptAllocFlag.pasid;
  if ((flags & ~known) !== 0 || data.lengthBytes === 0) return -Errno.EOPNOTSUPP;
  const state = viommu.state;
  if (state.allocNested === undefined) return -Errno.EOPNOTSUPP;
  const hwpt = new HwptNested(viommu.context, viommu.parentHwpt, viommu, flags);
  const allocate = state.allocNested.bind(state);
  return yield* finishNested(hwpt, () => allocate(flags & ~HwptAllocFlag.faultIdValid, data));
}
