/**
 * A resolved kernel profile: which Linux is modelled, where its behaviours differ, and what its steps cost. Profiles are
 * data (`src/stack/profiles`); this file is the shape that the stack reads, with costs in picoseconds.
 */

/**
 * Versions with different behaviour, oldest first: 6.12 LTS; 6.15 (per-PASID attach); 7.0 (PASID entries torn down
 * before they are rewritten); 7.3.
 */
export const KERNEL_VERSIONS = ['L612', 'L615', 'L70', 'L73'] as const;

/** A name in {@link KERNEL_VERSIONS}. */
export type KernelVersion = (typeof KERNEL_VERSIONS)[number];

/**
 * How a present PASID entry is replaced. `make-before-break` is no kernel's: it stores the whole entry at once, which no
 * processor can, and stands for the best that software could do.
 */
export const PASID_REPLACE_POLICIES = ['in-place', 'clear-then-update', 'entry-sync', 'make-before-break'] as const;
/**
 * How the RID's translation is replaced. Linux blocks first; `hitless` is the entry-sync proposal. The other names treat
 * the RID's entry as that of a PASID, which no kernel does.
 */
export const RID_REPLACE_POLICIES = [
  'block-then-setup',
  'hitless',
  'in-place',
  'clear-then-update',
  'make-before-break',
] as const;
/**
 * Invalidations that a broken driver might leave out: when it takes a translation away, or (`map`) in caching mode when it
 * maps.
 */
export const OMITTED_FLUSHES = ['none', 'pasid-cache', 'iotlb', 'device-tlb', 'map'] as const;

/**
 * Whose domain id a nested domain has on a unit: one of its own, as Linux gives it; or one that all nested domains on a
 * parent share, which VT-d allows since their entries are tagged with PASIDs, and which keeps the id in a switch.
 */
export const NESTED_DOMAIN_IDS = ['own', 'shared'] as const;

/**
 * How a PASID of a device gets a page table: not at all; slots of the group (6.15); a table on the device (proposal of
 * September 2023); auxiliary domains that own their PASID (5.2 .. 5.17); address-space ids (proposal of May 2021).
 */
export const PASID_MODELS = ['none', 'slots', 'rfc-2023', 'aux-5.10', 'ioasid-2021'] as const;

/** Behaviours of the kernel that are not a matter of time. */
export interface KernelBehaviours {
  readonly pasidReplace: (typeof PASID_REPLACE_POLICIES)[number];
  readonly ridReplace: (typeof RID_REPLACE_POLICIES)[number];
  readonly pasidModel: (typeof PASID_MODELS)[number];
  /** A defect to be found: this invalidation is left out of every entry teardown and replace, or of every map. Absent = none. */
  readonly omitsFlush?: (typeof OMITTED_FLUSHES)[number] | undefined;
  /** Absent = own. */
  readonly nestedDomainIds?: (typeof NESTED_DOMAIN_IDS)[number] | undefined;
  /** Second-stage IOTLB descriptors never carry the invalidation hint (leaf only), whatever the caller asked for. */
  readonly ssIhIgnored: boolean;
  /** Descriptors of one cache-tag flush that share a submission and its wait descriptor. */
  readonly qiMaxBatch: number;
  /** [runs] Physically contiguous runs that one round of an iommufd unmap of its storage domain covers. */
  readonly unmapBatchRuns: number;
  /** PCI ATS of a device goes off before its entry is torn down, so that no device-TLB descriptor is sent. */
  readonly disableAtsBeforeTeardown: boolean;
  /** Second-stage leaves are always readable, also when only write permission was asked for. */
  readonly writeOnlyLeafBecomesReadWrite: boolean;
  /** An unmap syncs early when consecutive pieces differ in size or do not touch (struct iommu_iotlb_gather). */
  readonly gatherSyncsOnSizeChange: boolean;
  /** Mapping over a present leaf fails with EADDRINUSE; otherwise it warns, keeps the old leaf and succeeds. */
  readonly mapOverPresentFails: boolean;
  /** A first-stage domain may be picked for user domains (HWPT_ALLOC with flags 0). */
  readonly firstStageUserDomains: boolean;
  /** [entries] Per-CPU flush queue of lazy mode; one slot always stays empty. */
  readonly flushQueueEntries: number;
  /** [entries] The same of the single-queue variant. */
  readonly singleFlushQueueEntries: number;
}

/** [ps] What one item costs in CPU time. */
export interface KernelCosts {
  /** System call entry, argument copy and dispatch of one ioctl. */
  readonly ioctl: number;
  /** Allocation of one object with its id. */
  readonly objectAlloc: number;
  /** Pinning and unpinning one page. */
  readonly pinPage: number;
  readonly unpinPage: number;
  /** IOVA allocation and release (DMA API). */
  readonly iovaAlloc: number;
  readonly iovaFree: number;
  /** One map call's walk, and each leaf it writes. */
  readonly mapCall: number;
  readonly mapLeaf: number;
  readonly unmapCall: number;
  readonly unmapLeaf: number;
  /** Flushing one written entry out of the CPU cache when walks are not coherent. */
  readonly entryFlush: number;
  readonly tablePageAlloc: number;
  readonly tablePageFree: number;
  /** Writing a root, context or PASID entry. */
  readonly entryWrite: number;
  /** Looking at one cache tag. */
  readonly cacheTag: number;
  /** One submission (queue lock, slots, wait descriptor) and each descriptor in it. */
  readonly qiSubmit: number;
  readonly qiDescriptor: number;
  /** One posted register write. */
  readonly mmioWrite: number;
  /** Turning PCI ATS on or off (configuration write). */
  readonly atsConfigure: number;
  /** Compatibility check and bookkeeping of one attach or detach. */
  readonly attachCall: number;
  /** Interrupt to the first instruction of its handler thread. */
  readonly interrupt: number;
  /** Taking one request from the page request queue and handing it on. */
  readonly pageRequest: number;
  /** A waiting user process becomes ready to run and runs. */
  readonly userWake: number;
  /** A user-space fault handler's own work for one request: finding and filling a page. */
  readonly userFault: number;
  readonly flushQueueAdd: number;
  /** [ps] Time from the first entry of a flush queue to its flush: a delay, not CPU time. */
  readonly flushQueueTimeout: number;
  readonly singleFlushQueueTimeout: number;
  /** [ps] Period of the timer interrupt (1 / CONFIG_HZ), the grid of {@link flushQueueTimeout}; 0 = timers are exact. */
  readonly jiffy: number;
}

/** One kernel as the stack sees it. */
export interface KernelProfile {
  readonly name: string;
  readonly version: KernelVersion;
  readonly behaviours: KernelBehaviours;
  readonly costs: KernelCosts;
}

/** True when `profile` behaves as `version` or a later one. */
export function atLeast(profile: KernelProfile, version: KernelVersion): boolean {
  return KERNEL_VERSIONS.indexOf(profile.version) >= KERNEL_VERSIONS.indexOf(version);
}
