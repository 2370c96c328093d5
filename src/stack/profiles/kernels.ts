/**
 * The kernels that ship with the tool. Costs are those of a recent server core; what no publication gives is marked as an
 * assumption in its source text.
 */
import type { KernelProfileSource } from './schema.ts';

type Costs = KernelProfileSource['costsNs'];
type Behaviours = KernelProfileSource['behaviours'];

const GENERIC_PT = 'generic page table series, cover letter: VT-d second stage on i7-12700';
const assumption = (value: number, what: string) => ({ value, basis: 'A' as const, source: `ASSUMPTION: ${what}` });

const COMMON_COSTS: Omit<Costs, 'mapCall' | 'mapLeaf' | 'unmapCall' | 'unmapLeaf'> = {
  ioctl: assumption(150, 'system call entry, copy of the argument structure, dispatch'),
  objectAlloc: assumption(120, 'slab allocation and id'),
  pinPage: assumption(25, 'pin_user_pages_fast, amortised over a batch'),
  unpinPage: assumption(15, 'unpin_user_page, amortised over a batch'),
  iovaAlloc: assumption(60, 'hit in the per-CPU IOVA cache'),
  iovaFree: assumption(40, 'return to the per-CPU IOVA cache'),
  entryFlush: {
    value: 190,
    basis: 'X',
    source: 'mailing list, J. Gunthorpe, Nov 2025: 60 ns to about 250 ns an operation',
  },
  tablePageAlloc: assumption(150, 'zeroed page from the page allocator'),
  tablePageFree: assumption(60, 'page back to the page allocator'),
  entryWrite: assumption(40, 'read-modify-write of one structure entry under a lock'),
  cacheTag: assumption(15, 'one list node'),
  qiSubmit: assumption(100, 'queue lock with interrupts off, slot search, wait descriptor'),
  qiDescriptor: assumption(10, 'copy of one descriptor'),
  mmioWrite: assumption(80, 'posted uncached store, until the next instruction'),
  atsConfigure: assumption(1000, 'configuration write to the endpoint'),
  attachCall: assumption(300, 'domain checks and bookkeeping'),
  interrupt: assumption(2000, 'interrupt, wake-up of its thread, first instruction there'),
  pageRequest: assumption(300, 'one entry of the page request queue: read, find the attachment, queue the group'),
  userWake: assumption(3000, 'work queue, poll wake-up, schedule'),
  userFault: assumption(1000, 'a handler that finds the page and clears it'),
  flushQueueAdd: assumption(30, 'ring slot under an uncontended lock'),
  flushQueueTimeout: { value: 10_000_000, basis: 'D', source: 'Linux drivers/iommu/dma-iommu.c: 10 ms' },
  singleFlushQueueTimeout: { value: 1_000_000_000, basis: 'D', source: 'Linux drivers/iommu/dma-iommu.c: 1000 ms' },
  jiffy: assumption(4_000_000, 'CONFIG_HZ=250, the x86 default'),
};

/** 4K: 65 / 87 ns a call; 256 x 4K: 518 / 321 ns (map / unmap): base = one - slope, slope = (many - one) / 255. */
const OLD_DRIVER_COSTS: Costs = {
  ...COMMON_COSTS,
  mapCall: { value: 63.224, basis: 'X', source: `${GENERIC_PT}, old driver: 65 ns for one page, 518 for 256` },
  mapLeaf: { value: 1.776, basis: 'X', source: `${GENERIC_PT}, old driver: 65 ns for one page, 518 for 256` },
  unmapCall: { value: 86.082, basis: 'X', source: `${GENERIC_PT}, old driver: 87 ns for one page, 321 for 256` },
  unmapLeaf: { value: 0.918, basis: 'X', source: `${GENERIC_PT}, old driver: 87 ns for one page, 321 for 256` },
};

/** 4K: 55 / 69 ns a call; 256 x 4K: 391 / 210 ns. */
const GENERIC_PT_COSTS: Costs = {
  ...COMMON_COSTS,
  mapCall: { value: 53.682, basis: 'X', source: `${GENERIC_PT}: 55 ns for one page, 391 for 256` },
  mapLeaf: { value: 1.318, basis: 'X', source: `${GENERIC_PT}: 55 ns for one page, 391 for 256` },
  unmapCall: { value: 68.447, basis: 'X', source: `${GENERIC_PT}: 69 ns for one page, 210 for 256` },
  unmapLeaf: { value: 0.553, basis: 'X', source: `${GENERIC_PT}: 69 ns for one page, 210 for 256` },
};

const COMMON_BEHAVIOURS = {
  ridReplace: 'block-then-setup',
  // Stable trees carry the fix of Oct 2025 that lets the hint through; `ssIhIgnored` is for kernels before it.
  ssIhIgnored: false,
  qiMaxBatch: 16,
  // 64 KiB of batch memory, 12 bytes a run (Linux drivers/iommu/iommufd/pages.c).
  unmapBatchRuns: 5461,
  flushQueueEntries: 256,
  singleFlushQueueEntries: 32768,
} as const satisfies Partial<Behaviours>;

const V6_12: KernelProfileSource = {
  name: 'v6.12',
  description: 'Linux 6.12 LTS (6.12.y with the invalidation-hint fix)',
  version: 'L612',
  behaviours: {
    ...COMMON_BEHAVIOURS,
    pasidModel: 'none',
    pasidReplace: 'clear-then-update',
    disableAtsBeforeTeardown: true,
    writeOnlyLeafBecomesReadWrite: true,
    gatherSyncsOnSizeChange: true,
    mapOverPresentFails: false,
    firstStageUserDomains: false,
  },
  costsNs: OLD_DRIVER_COSTS,
};

const V6_15: KernelProfileSource = {
  name: 'v6.15',
  description: 'Linux 6.15 .. early 6.19: PASID entries overwritten in place',
  version: 'L615',
  behaviours: {
    ...COMMON_BEHAVIOURS,
    pasidModel: 'slots',
    pasidReplace: 'in-place',
    disableAtsBeforeTeardown: false,
    writeOnlyLeafBecomesReadWrite: true,
    gatherSyncsOnSizeChange: true,
    mapOverPresentFails: false,
    firstStageUserDomains: true,
  },
  costsNs: OLD_DRIVER_COSTS,
};

const V7_3: KernelProfileSource = {
  name: 'v7.3',
  description: 'Linux 7.3: generic page tables, PASID entries torn down before they are rewritten',
  version: 'L73',
  behaviours: {
    ...COMMON_BEHAVIOURS,
    pasidModel: 'slots',
    pasidReplace: 'clear-then-update',
    disableAtsBeforeTeardown: false,
    writeOnlyLeafBecomesReadWrite: false,
    gatherSyncsOnSizeChange: false,
    mapOverPresentFails: true,
    firstStageUserDomains: true,
  },
  costsNs: GENERIC_PT_COSTS,
};

const HITLESS: KernelProfileSource = {
  ...V7_3,
  name: 'hitless',
  description: 'Linux 7.3 with the entry-sync proposal of March 2026 for PASID and RID entries',
  behaviours: { ...V7_3.behaviours, pasidReplace: 'entry-sync', ridReplace: 'hitless' },
};

/** What kernels before 6.12 do differently underneath: one submission a descriptor, no invalidation hint. */
const BEFORE_6_12 = { ...V6_12.behaviours, qiMaxBatch: 1, ssIhIgnored: true } as const;

const RFC_2023: KernelProfileSource = {
  ...V6_12,
  name: 'rfc-2023',
  description: 'Linux of 2023 with the PASID attach proposal of September 2023 (never merged so); rest as 6.12',
  behaviours: { ...BEFORE_6_12, pasidModel: 'rfc-2023' },
};

const AUX_5_10: KernelProfileSource = {
  ...V6_12,
  name: 'aux-5.10',
  description: 'Linux 5.10: auxiliary domains, no iommufd; rest as 6.12',
  behaviours: { ...BEFORE_6_12, pasidModel: 'aux-5.10' },
};

const IOASID_2021: KernelProfileSource = {
  ...V6_12,
  name: 'ioasid-2021',
  description: 'the /dev/ioasid proposal of May 2021 on auxiliary domains (never merged); rest as 6.12',
  behaviours: { ...BEFORE_6_12, pasidModel: 'ioasid-2021' },
};

/** Profiles by name. */
export const KERNEL_PROFILES: Readonly<Record<string, KernelProfileSource>> = {
  [V6_12.name]: V6_12,
  [V6_15.name]: V6_15,
  [V7_3.name]: V7_3,
  [HITLESS.name]: HITLESS,
  [RFC_2023.name]: RFC_2023,
  [AUX_5_10.name]: AUX_5_10,
  [IOASID_2021.name]: IOASID_2021,
};
