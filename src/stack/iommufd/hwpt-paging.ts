/**
 * Paging HWPT: an iommu_domain that holds the mappings of one IOAS (struct iommufd_hwpt_paging). Source: Linux
 * drivers/iommu/iommufd/hw_pagetable.c.
 */
import type { Pasid } from '../../address.ts';
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { HwptAllocFlag, type PagingDomain, type UserData } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import type { IommufdDevice } from './device.ts';
import { attachToSlot, detachFromSlot } from './device-attach.ts';
import type { Fault } from './fault.ts';
import type { Ioas, IoasHwpt } from './ioas.ts';
import type { IommufdProfile } from './profile.ts';

/** A paging HWPT. Holds a user on its IOAS. */
export class HwptPaging implements IoasHwpt {
  readonly type = 'hwpt-paging';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly context: IommufdContext;
  readonly ioas: Ioas;
  readonly nestParent: boolean;
  /** Allocated with IOMMU_HWPT_ALLOC_PASID: may be attached to PASIDs and beside them. */
  readonly pasidCompatible: boolean;
  /** Made by an attach to an IOAS; goes with its last attachment. */
  auto = false;
  enforceCacheCoherency = false;
  fault: Fault | undefined;
  #domain: PagingDomain | undefined;
  #linked = false;

  constructor(context: IommufdContext, ioas: Ioas, flags: number) {
    this.context = context;
    this.ioas = ioas;
    this.nestParent = (flags & HwptAllocFlag.nestParent) !== 0;
    this.pasidCompatible = (flags & HwptAllocFlag.pasid) !== 0;
    ioas.users++;
  }

  get domain(): PagingDomain {
    assert(this.#domain !== undefined, `HWPT ${this.id} has no domain yet`);
    return this.#domain;
  }

  set domain(domain: PagingDomain) {
    this.#domain = domain;
  }

  /** Fills the domain from the IOAS and keeps it in step. The caller holds the IOAS's HWPT lock. 0 or errno. */
  *link(): KernelTask<number> {
    const error = yield* this.ioas.addDomain(this.domain);
    if (error !== 0) return error;
    this.ioas.hwpts.push(this);
    this.#linked = true;
    return 0;
  }

  /** Undoes {@link link} with the IOAS's HWPT lock held, for a creation that fails afterwards. */
  *unlink(): KernelTask<void> {
    if (!this.#linked) return;
    this.#linked = false;
    this.ioas.hwpts.splice(this.ioas.hwpts.indexOf(this), 1);
    yield* this.ioas.removeDomain(this.domain);
  }

  *destroy(): KernelTask<void> {
    if (this.#linked) {
      this.#linked = false;
      yield* this.ioas.lockHwpts();
      this.ioas.hwpts.splice(this.ioas.hwpts.indexOf(this), 1);
      this.ioas.unlockHwpts();
      yield* this.ioas.removeDomain(this.domain);
    }
    if (this.#domain !== undefined) yield* this.#domain.free();
    if (this.fault !== undefined) this.fault.users--;
    this.ioas.users--;
  }
}

/** Allocation flags a kernel knows. */
function validFlags(profile: IommufdProfile): number {
  return (
    HwptAllocFlag.nestParent |
    HwptAllocFlag.dirtyTracking |
    (profile.faultOnPaging ? HwptAllocFlag.faultIdValid : 0) |
    (profile.hwptPasid ? HwptAllocFlag.pasid : 0)
  );
}

/** Flags and capability checks before anything is allocated. */
function checkPagingFlags(device: IommufdDevice, flags: number, data: UserData | undefined): number {
  const driver = device.device.driver;
  if ((flags !== 0 || data !== undefined) && !driver.allocatesWithFlags) return -Errno.EOPNOTSUPP;
  if ((flags & ~validFlags(device.context.profile)) !== 0) return -Errno.EOPNOTSUPP;
  if ((flags & HwptAllocFlag.dirtyTracking) !== 0 && !driver.capable(device.device, 'dirty-tracking')) {
    return -Errno.EOPNOTSUPP;
  }
  const faultOnParent = HwptAllocFlag.faultIdValid | HwptAllocFlag.nestParent;
  if ((flags & faultOnParent) === faultOnParent) return -Errno.EOPNOTSUPP;
  return 0;
}

/** Everything between the reservation of the id and success; on errno the caller destroys the object. */
function* buildPaging(
  hwpt: HwptPaging,
  device: IommufdDevice,
  pasid: Pasid,
  flags: number,
  immediateAttach: boolean,
  data: UserData | undefined,
): KernelTask<number> {
  const driver = device.device.driver;
  const domain = yield* driver.allocPaging(device.device, 'user', flags & ~HwptAllocFlag.faultIdValid, data);
  if (typeof domain === 'number') return domain;
  hwpt.domain = domain;
  // Coherency is decided once, by the creating device; later attaches never upgrade it.
  if (device.enforceCacheCoherency) {
    hwpt.enforceCacheCoherency = domain.enforceCacheCoherency();
    if (!hwpt.enforceCacheCoherency) return -Errno.EINVAL;
  }
  // Some drivers need the device attached before they can be mapped into: the hardware is switched to the empty domain
  // and filled afterwards.
  if (immediateAttach) {
    const error = yield* attachToSlot(device, pasid, hwpt);
    if (error !== 0) return error;
  }
  const error = yield* hwpt.link();
  if (error !== 0 && immediateAttach) yield* detachFromSlot(device, pasid);
  return error;
}

/**
 * iommufd_hwpt_paging_alloc: a paging HWPT of `ioas` for `device`, reserved but not published. The caller holds the
 * IOAS's HWPT lock. Errors: EOPNOTSUPP (flags, data), ENOMEM, driver errno, EINVAL (coherency), attach errno, fill
 * errno (EADDRINUSE, EFAULT, ENOMEM ...); everything is undone.
 */
export function* allocHwptPaging(
  ioas: Ioas,
  device: IommufdDevice,
  pasid: Pasid,
  flags: number,
  immediateAttach: boolean,
  data: UserData | undefined,
): KernelTask<HwptPaging | number> {
  const refused = checkPagingFlags(device, flags, data);
  if (refused !== 0) return refused;
  const context = device.context;
  yield context.kernel.costs.objectAlloc;
  const hwpt = new HwptPaging(context, ioas, flags);
  const full = context.objects.reserve(hwpt);
  if (full !== 0) {
    ioas.users--;
    return full;
  }
  const error = yield* buildPaging(hwpt, device, pasid, flags, immediateAttach, data);
  if (error === 0) return hwpt;
  yield* hwpt.unlink();
  yield* context.objects.abortAndDestroy(hwpt);
  return error;
}
