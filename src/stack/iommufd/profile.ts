/**
 * What differs between versions of iommufd, as named behaviours. Source: Linux 6.12, 6.15 and 7.3,
 * drivers/iommu/iommufd/*.c and include/uapi/linux/iommufd.h.
 */

import { KERNEL_VERSIONS, type KernelVersion } from '../kernel/profile.ts';

/** Behaviours of one kernel's iommufd. */
export interface IommufdProfile {
  /** IOAS_MAP_FILE, VIOMMU_ALLOC and VDEVICE_ALLOC exist (6.13). */
  readonly viommu: boolean;
  /** IOAS_CHANGE_PROCESS exists (6.14). */
  readonly changeProcess: boolean;
  /** IOMMU_HWPT_ALLOC_PASID and the PASID compatibility rules exist (6.14, 6.15). */
  readonly hwptPasid: boolean;
  /** IOMMU_HWPT_FAULT_ID_VALID is accepted on a paging HWPT (6.13). */
  readonly faultOnPaging: boolean;
  /** Devices attach page tables per PASID; a device twice in one slot is EBUSY (6.15). */
  readonly pasidAttach: boolean;
  /** VEVENTQ_ALLOC exists (6.15). */
  readonly veventq: boolean;
  /** HW_QUEUE_ALLOC and the input type of GET_HW_INFO exist; a vDEVICE dies with its device (6.17). */
  readonly hwQueue: boolean;
  /** MAP_FILE takes dma-bufs, no-IOMMU devices bind, IOAS_NOIOMMU_GET_PA exists (7.3). */
  readonly dmabufAndNoIommu: boolean;
  /** IOMMU_TEST_CMD exists and widens the ioctl table (CONFIG_IOMMUFD_TEST). */
  readonly testBuild: boolean;
}

/** Behaviours of iommufd in that kernel; `testBuild` = CONFIG_IOMMUFD_TEST. */
export function iommufdProfile(version: KernelVersion, testBuild = false): IommufdProfile {
  const since = (first: KernelVersion): boolean => KERNEL_VERSIONS.indexOf(version) >= KERNEL_VERSIONS.indexOf(first);
  const newer = since('L615');
  return {
    viommu: newer,
    changeProcess: newer,
    hwptPasid: newer,
    faultOnPaging: newer,
    pasidAttach: newer,
    veventq: newer,
    hwQueue: since('L70'),
    dmabufAndNoIommu: since('L73'),
    testBuild,
  };
}
