/**
 * What differs between versions of iommufd, as named behaviours. Source: Linux 6.12, 6.15 and 7.3,
 * drivers/iommu/iommufd/*.c and include/uapi/linux/iommufd.h.
 */

/** Behaviours of one kernel's iommufd. */
export interface IommufdProfile {
  /** Kernel the profile describes, for messages. */
  readonly kernel: string;
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

const BASE: IommufdProfile = {
  kernel: 'v6.12',
  viommu: false,
  changeProcess: false,
  hwptPasid: false,
  faultOnPaging: false,
  pasidAttach: false,
  veventq: false,
  hwQueue: false,
  dmabufAndNoIommu: false,
  testBuild: false,
};

/** Behaviours by kernel profile name. */
export const IOMMUFD_PROFILES: Readonly<Record<string, IommufdProfile>> = {
  'v6.12': BASE,
  'v6.15': {
    ...BASE,
    kernel: 'v6.15',
    viommu: true,
    changeProcess: true,
    hwptPasid: true,
    faultOnPaging: true,
    pasidAttach: true,
    veventq: true,
  },
  'v7.3': {
    ...BASE,
    kernel: 'v7.3',
    viommu: true,
    changeProcess: true,
    hwptPasid: true,
    faultOnPaging: true,
    pasidAttach: true,
    veventq: true,
    hwQueue: true,
    dmabufAndNoIommu: true,
  },
};
