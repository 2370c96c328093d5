/**
 * An IOMMU group as one iommufd context sees it (struct iommufd_group): which page table sits in which slot, and which
 * of the group's bound devices share it. Slot 0 is the RID; the others are PASIDs (Linux 6.15 and later).
 */
import type { IommuGroup } from '../iommu/group.ts';
import { Mutex } from '../kernel/locks.ts';
import type { IommufdDevice } from './device.ts';
import type { Hwpt } from './hwpt.ts';

/** One occupied slot (struct iommufd_attach). */
export interface AttachSlot {
  hwpt: Hwpt;
  /** Devices attached through this slot, in attach order (which is the ascending id order of the kernel's table). */
  readonly devices: Set<IommufdDevice>;
}

/** Group state inside one context; shared by all devices of the group bound to it. */
export class IommufdGroup {
  readonly group: IommuGroup;
  /** Guards everything below (igroup lock). */
  readonly lock: Mutex;
  readonly slots = new Map<number, AttachSlot>();
  /** Start of the software MSI window, remembered at attach; undefined on platforms without one. */
  swMsiStart: bigint | undefined;
  /** Bound devices. */
  deviceCount = 0;

  constructor(group: IommuGroup) {
    this.group = group;
    this.lock = new Mutex(group.timeline, `igroup ${group.id}`);
  }

  /** True when some PASID of the group has an attachment. */
  get hasPasidAttachment(): boolean {
    for (const pasid of this.slots.keys()) if (pasid !== 0) return true;
    return false;
  }
}
