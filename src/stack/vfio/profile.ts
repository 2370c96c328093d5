/** What differs between versions and builds of VFIO. Source: Linux 6.12, 6.15, 6.17, 6.18 and 7.3, drivers/vfio. */

import { KERNEL_VERSIONS, type KernelVersion } from '../kernel/profile.ts';

/** Behaviours of one kernel's VFIO. */
export interface VfioProfile {
  /** ATTACH and DETACH take a PASID (6.15). */
  readonly pasid: boolean;
  /** BIND_IOMMUFD takes a VF token and refuses unknown trailing bytes (6.17). */
  readonly token: boolean;
  /** Range overflows of type1 are EOVERFLOW (6.18). */
  readonly overflow: boolean;
  /** VFIO_TYPE1_NESTING_IOMMU exists (until 6.12). */
  readonly nesting: boolean;
  /** Devices without IOMMU have device nodes (7.3). */
  readonly noIommuCdev: boolean;
  /** Type1 probes whether a driver merges adjacent pages by itself (until 6.15). */
  readonly superPageProbe: boolean;
  /** A device without IOMMU binds to an iommufd as an access, and its attachments are empty (v11 of the cdev series). */
  readonly noIommuAccess: boolean;
  /** Containers own the DMA of their groups (5.19); before, drivers of the group's other devices decided viability. */
  readonly ownership: boolean;
  /** Mediated devices may be isolated by auxiliary domains of a physical one (5.2 .. 5.15). */
  readonly auxDomains: boolean;
}

/** Behaviours of VFIO in that kernel. */
export function vfioProfile(version: KernelVersion): VfioProfile {
  const since = (first: KernelVersion): boolean => KERNEL_VERSIONS.indexOf(version) >= KERNEL_VERSIONS.indexOf(first);
  return {
    pasid: since('L615'),
    token: since('L70'),
    overflow: since('L70'),
    nesting: !since('L615'),
    noIommuCdev: since('L73'),
    superPageProbe: !since('L70'),
    noIommuAccess: false,
    ownership: true,
    auxDomains: false,
  };
}

/** The device-node series as version 11 proposed it, on 6.12: devices without IOMMU have nodes. Never merged. */
export const CDEV_V11_PROFILE: VfioProfile = { ...vfioProfile('L612'), noIommuCdev: true, noIommuAccess: true };

/** Linux 5.2 .. 5.15: viability by drivers, auxiliary domains for mediated devices, no iommufd. */
export const LEGACY_5_10_PROFILE: VfioProfile = { ...vfioProfile('L612'), ownership: false, auxDomains: true };

/** Build switches (CONFIG_VFIO_*) and module parameters. */
export interface VfioBuild {
  readonly group: boolean;
  readonly container: boolean;
  readonly deviceCdev: boolean;
  readonly iommufd: boolean;
  /** iommufd serves /dev/vfio/vfio. */
  readonly iommufdContainer: boolean;
  readonly noIommu: boolean;
  /** enable_unsafe_noiommu_mode. */
  readonly enableUnsafeNoIommu: boolean;
  /** allow_unsafe_interrupts of vfio_iommu_type1. */
  readonly type1UnsafeInterrupts: boolean;
  /** allow_unsafe_interrupts of iommufd. */
  readonly iommufdUnsafeInterrupts: boolean;
}

/** Everything built in, every parameter at its default. */
export const STANDARD_VFIO_BUILD: VfioBuild = {
  group: true,
  container: true,
  deviceCdev: true,
  iommufd: true,
  iommufdContainer: false,
  noIommu: true,
  enableUnsafeNoIommu: false,
  type1UnsafeInterrupts: false,
  iommufdUnsafeInterrupts: false,
};
