/**
 * Numbers of the kernel's iommufd self-test IOMMU (Linux drivers/iommu/iommufd/{selftest.c,iommufd_test.h}).
 */

/** First and last usable IOVA of a mock paging domain. */
export const MOCK_APERTURE_START = 0x100_0000n;
export const MOCK_APERTURE_LAST = 0x7fff_ffffn;
/** [bytes] Smallest page: half of PAGE_SIZE, so that mappings finer than a CPU page are exercised. */
export const MOCK_IO_PAGE_SIZE = 2048n;
/** [bytes] Huge page: 512 small ones. */
export const MOCK_HUGE_PAGE_SIZE = 512n * MOCK_IO_PAGE_SIZE;
/** PASIDs of a device with MOCK_FLAGS_DEVICE_PASID: 20 bits. */
export const MOCK_MAX_PASIDS = 1 << 20;
/** The PASID at which every second set call fails with ENOMEM. */
export const MOCK_FAILING_PASID = 1024;

/** Behaviour flags of a mock device (enum of MOCK_FLAGS_DEVICE_*). */
export const MockDeviceFlag = { noDirty: 1, hugeIova: 2, pasid: 4 } as const;

/** IOMMU_HWPT_DATA_SELFTEST. */
export const MOCK_HWPT_DATA_TYPE = 0xdead;
/** IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST. */
export const MOCK_INVALIDATE_TYPE = 0xdeadbeef;
/** IOMMU_VIOMMU_TYPE_SELFTEST. */
export const MOCK_VIOMMU_TYPE = 0xdeadbeef;
/** IOMMU_VEVENTQ_TYPE_SELFTEST. */
export const MOCK_VEVENTQ_TYPE = 0xbeefbeef;
/** IOMMU_HW_QUEUE_TYPE_SELFTEST. */
export const MOCK_HW_QUEUE_TYPE = 0xdeadbeef;
/** IOMMU_HW_INFO_TYPE_SELFTEST and the register value it reports. */
export const MOCK_HW_INFO_TYPE = 0xfeedbeef;
export const MOCK_HW_INFO_VALUE = 0xdeadbeef;

/** Entries of the pretended IOTLB of a nested domain, and their largest index. */
export const MOCK_NESTED_IOTLB_COUNT = 4;
/** Entries of the pretended device cache, and their value after creation. */
export const MOCK_DEVICE_CACHE_COUNT = 4;
export const MOCK_DEVICE_CACHE_DEFAULT = 0xbaddad;
/** Hardware queues of one mock vIOMMU. */
export const MOCK_HW_QUEUE_COUNT = 2;
/** [bytes] Shared page of a mock vIOMMU allocated with data: two CPU pages. */
export const MOCK_VIOMMU_MMAP_BYTES = 0x2000;
