/** What the self-test IOMMU can do, by kernel version (Linux drivers/iommu/iommufd/selftest.c of 6.12, 6.15 and 7.3). */

/** Behaviours of one kernel's mock driver. */
export interface MockFeatures {
  /** User data selects a page-table format; the structure has a second word and IOAS targets accept it (6.19). */
  readonly pageTableTypes: boolean;
  /** Leaves are as large as PAGE_SIZE where alignment allows, so one dirty mark covers both halves (generic page tables). */
  readonly mergesToPageSize: boolean;
  /** ALLOC_PASID, PASID attachments and page faults switched in the attach calls (6.15). */
  readonly pasid: boolean;
  /** vIOMMU objects (6.13). */
  readonly viommu: boolean;
}

const V6_12: MockFeatures = { pageTableTypes: false, mergesToPageSize: false, pasid: false, viommu: false };

/** Features by kernel profile name. */
export const MOCK_FEATURES: Readonly<Record<string, MockFeatures>> = {
  'v6.12': V6_12,
  'v6.15': { ...V6_12, pasid: true, viommu: true },
  'v7.3': { pageTableTypes: true, mergesToPageSize: true, pasid: true, viommu: true },
};
