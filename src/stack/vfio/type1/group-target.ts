/**
 * What type1 attaches when a group joins: an IOMMU group as a whole, or, on Linux 5.2 to 5.15, the physical device that
 * isolates the group's mediated devices.
 */
import { attachGroup, detachGroup } from '../../iommu/attach.ts';
import type { AuxDevice } from '../../iommu/aux-domain.ts';
import type { IommuGroup } from '../../iommu/group.ts';
import type { PagingDomain, ReservedRegion } from '../../iommu/ops.ts';
import type { KernelTask } from '../../kernel/task.ts';

/** A mediated device in a group, and the physical device whose translation isolates it (mdev_set_iommu_device). */
export interface MediatedMember {
  readonly name: string;
  /** Undefined: its vendor driver isolates it. */
  readonly iommuDevice: AuxDevice | undefined;
}

/** Something with translation that domains are attached to. */
export interface GroupTarget {
  allocDomain(): KernelTask<PagingDomain | number>;
  /** 0 or errno. */
  attach(domain: PagingDomain): KernelTask<number>;
  detach(domain: PagingDomain): KernelTask<void>;
  reservedRegions(): readonly ReservedRegion[];
  readonly hasIsolatedMsi: boolean;
}

/** An IOMMU group. */
export function iommuGroupTarget(group: IommuGroup): GroupTarget {
  return {
    allocDomain: () => group.firstDevice.driver.allocPaging(group.firstDevice, 'user', 0, undefined),
    attach: (domain) => attachGroup(group, domain),
    detach: () => detachGroup(group),
    // iommu_get_group_resv_regions: those of every device.
    reservedRegions: () => group.devices.flatMap((device) => device.driver.reservedRegions(device)),
    get hasIsolatedMsi() {
      return group.hasIsolatedMsi;
    },
  };
}
