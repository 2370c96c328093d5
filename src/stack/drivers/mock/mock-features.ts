/** What the self-test IOMMU can do, by kernel version (Linux drivers/iommu/iommufd/selftest.c of 6.12, 6.15 and 7.3). */

import { KERNEL_VERSIONS, type KernelVersion } from '../../kernel/profile.ts';

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

/** Features of the mock driver in that kernel. */
export function mockFeatures(version: KernelVersion): MockFeatures {
  const since = (first: KernelVersion): boolean => KERNEL_VERSIONS.indexOf(version) >= KERNEL_VERSIONS.indexOf(first);
  return {
    pageTableTypes: since('L73'),
    mergesToPageSize: since('L73'),
    pasid: since('L615'),
    viommu: since('L615'),
  };
}
