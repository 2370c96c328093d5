/** What the recorder saw its own kernel and IOMMU do: evidence for `verify`, no input of a replay. */
import type { StreamSchema } from './column-type.ts';

/** `observed-dma-<unit>.arrow`: what the recorder did with each row of `dma-<unit>.arrow`; same row numbers. */
export const OBSERVED_DMA_SCHEMA = {
  /** {@link ObservedOutcome}. */
  outcome: 'u8',
  /** VT-d fault reason; 0 = none. */
  fault: 'u8',
  /** log2 of the page size; 0 = unknown. */
  pageShift: 'u8',
  /** 1: the row lies inside the traced window. */
  inWindow: 'u8',
  /** 1: the mapping was learned from this very row, so it is not a check. */
  learned: 'u8',
  /** [4 KiB pages] Physical page of the IOVA; 0 when it faulted. */
  pfn: 'u64',
} as const satisfies StreamSchema;

/** Observed fate of a DMA. */
export const ObservedOutcome = { unknown: 0, hit: 1, fill: 2, fault: 3 } as const;

/** `observed-submissions.arrow`: invalidation descriptors as the guest kernel submitted them (`qi_submit`). */
export const OBSERVED_SUBMISSIONS_SCHEMA = {
  sequence: 'u32',
  timeNs: 'u64',
  cpu: 'u16',
  thread: 'u32',
  unit: 'u16',
  /** cc_inv, iotlb_inv, dev_tlb_inv, iec_inv, p_iotlb_inv, pc_inv, p_dev_tlb_inv, inv_wait ... */
  type: 'dictionary',
  word0: 'u64',
  word1: 'u64',
  word2: 'u64',
  word3: 'u64',
  /** 1 + control row this submission belongs to; 0 = unknown or none. */
  controlRow: 'u32',
} as const satisfies StreamSchema;

/**
 * `observed-hardware.arrow`: what the recorder's IOMMU did, in its own order, from power-on: descriptors it executed,
 * IOTLB fills and resets before the window (rows inside the window are in `observed-dma-<unit>`), fault records.
 */
export const OBSERVED_HARDWARE_SCHEMA = {
  sequence: 'u32',
  unit: 'u16',
  /** descriptor | iotlb_fill | iotlb_reset | context_fill | context_reset | pasid_cache_reset | fault_record. */
  kind: 'dictionary',
  /** 1: inside the traced window. */
  inWindow: 'u8',
  /** descriptor: words 0 and 1. iotlb_fill: IOVA page address, leaf entry. fault_record: low and high words. */
  word0: 'u64',
  word1: 'u64',
  /** iotlb_fill, context_fill: requester id. */
  sourceId: 'u16',
  /** iotlb_fill, context_fill: domain id. */
  domainId: 'u16',
  /** iotlb_fill: log2 of the page size. */
  pageShift: 'u8',
  /** descriptor: 1 + row in `observed-submissions` it equals; 0 = none. */
  submissionRow: 'u32',
} as const satisfies StreamSchema;

/** `observed-tables.arrow`: dumped page tables and context/PASID entries. */
export const OBSERVED_TABLES_SCHEMA = {
  /** before | after. */
  when: 'dictionary',
  /** leaf | context. */
  kind: 'dictionary',
  device: 'u32',
  pasid: 'u32',
  /** leaf: page number of the IOVA. */
  iovaPfn: 'u64',
  /** leaf: physical page. */
  pfn: 'u64',
  /** leaf: bit 0 read, bit 1 write. */
  prot: 'u8',
  /** leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB. */
  level: 'u8',
  /** context: domain id. */
  domainId: 'u16',
  /** context: translation type (legacy TT or PASID-entry PGTT). */
  translationType: 'u8',
} as const satisfies StreamSchema;
