/**
 * PASID attachment as proposed in September 2023 ("iommufd support allocating nested parent / pasid attach" series, RFC):
 * a table on the device instead of slots of the group. Differs from what was merged in 6.15 in that attaching the same
 * page table again succeeds, an IOAS may be the target, coherency is upgraded at each attach, and nothing compares RID
 * and PASID page tables.
 */
import type { Pasid } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { attachDevicePasid, detachDevicePasid, replaceDevicePasid } from '../iommu/pasid-attach.ts';
import type { KernelTask } from '../kernel/task.ts';
import { DeviceAttachHandle } from './attach-handle.ts';
import { type Change, type ChangeResult, changePageTable, type PageTableChange } from './auto-domain.ts';
import type { IommufdDevice } from './device.ts';
import { type Hwpt, putHwpt } from './hwpt.ts';

/** PASIDs of one device. Its users are not counted on the device. */
export class RfcPasidTable {
  readonly device: IommufdDevice;
  readonly #slots = new Map<number, Hwpt>();

  constructor(device: IommufdDevice) {
    this.device = device;
  }

  /** The page table at a PASID. */
  at(pasid: Pasid): Hwpt | undefined {
    return this.#slots.get(pasid);
  }

  /**
   * iommufd_device_pasid_attach: 0 when the page table is there already, EINVAL when another is, EINVAL when coherency
   * cannot be enforced, core errno.
   */
  *attach(pasid: Pasid, id: number): KernelTask<PageTableChange> {
    const change: Change = (_device, _pasid, hwpt) => this.#attach(pasid, hwpt);
    return yield* changePageTable(this.device, pasid, id, change, false);
  }

  /** iommufd_device_pasid_replace: EINVAL when nothing is attached, 0 for the same page table. */
  *replace(pasid: Pasid, id: number): KernelTask<PageTableChange> {
    const change: Change = (_device, _pasid, hwpt) => this.#replace(pasid, hwpt);
    return yield* changePageTable(this.device, pasid, id, change, false);
  }

  /** iommufd_device_pasid_detach: nothing when nothing is attached. */
  *detach(pasid: Pasid): KernelTask<void> {
    const hwpt = this.#slots.get(pasid);
    if (hwpt === undefined) return;
    this.#slots.delete(pasid);
    yield* detachDevicePasid(this.device.igroup.group, pasid);
    yield* putHwpt(this.device.context, hwpt);
  }

  *#attach(pasid: Pasid, hwpt: Hwpt): KernelTask<ChangeResult> {
    const current = this.#slots.get(pasid);
    if (current !== undefined) return current === hwpt ? 0 : -Errno.EINVAL;
    const refused = upgradeCoherency(this.device, hwpt);
    if (refused !== 0) return refused;
    const { device, igroup } = this.device;
    const error = yield* attachDevicePasid(igroup.group, device, hwpt.domain, pasid, undefined);
    if (error !== 0) return error;
    hwpt.users++;
    this.#slots.set(pasid, hwpt);
    return 0;
  }

  *#replace(pasid: Pasid, hwpt: Hwpt): KernelTask<ChangeResult> {
    const current = this.#slots.get(pasid);
    if (current === undefined) return -Errno.EINVAL;
    if (current === hwpt) return 0;
    const refused = upgradeCoherency(this.device, hwpt);
    if (refused !== 0) return refused;
    const { device, igroup } = this.device;
    const handle = new DeviceAttachHandle(this.device, hwpt);
    const error = yield* replaceDevicePasid(igroup.group, device, hwpt.domain, pasid, handle);
    if (error !== 0) return error;
    hwpt.users++;
    this.#slots.set(pasid, hwpt);
    return current;
  }
}

/** A device that needs enforced coherency turns it on for the page tables it joins; EINVAL where that is impossible. */
function upgradeCoherency(device: IommufdDevice, hwpt: Hwpt): number {
  if (!device.enforceCacheCoherency || hwpt.type !== 'hwpt-paging' || hwpt.enforceCacheCoherency) return 0;
  hwpt.enforceCacheCoherency = hwpt.domain.enforceCacheCoherency();
  return hwpt.enforceCacheCoherency ? 0 : -Errno.EINVAL;
}
