/**
 * Bit layouts of the structures that software builds in memory for VT-d, as u32 words, lowest address first (VT-d spec
 * chapter "Translation Structure Formats" and "Invalidation Queue Descriptors"; names as in Linux
 * drivers/iommu/intel/iommu.h and pasid.h). An address field of a 64-bit entry is `lo & ADDRESS_LOW_MASK` plus
 * `hi & ADDRESS_HIGH_MASK`; make the words of a page's address with `addressLow(pfn)` and `addressHigh(pfn)`.
 */

/** Bits 31:12 of an entry's low word. */
export const ADDRESS_LOW_MASK = 0xffff_f000;
/** Bits 51:32 of an entry, in its high word. */
export const ADDRESS_HIGH_MASK = 0x000f_ffff;

/** Legacy root entry: 4 words, index = bus number. Word 0: P(0), context-table pointer 63:12 in words 0-1. */
export const ROOT_ENTRY_WORDS = 4;
/** Present bit of root, context, PASID-directory and PASID entries (word 0). */
export const PRESENT = 0x1;
/** Fault processing disable: context entry (both modes), PASID-directory entry, PASID entry (word 0). */
export const FPD = 0x2;

/**
 * Scalable root entry: words 0-1 = lower pointer (P bit 0, devfn 0..127), words 2-3 = upper pointer (devfn 128..255).
 */
export const SCALABLE_ROOT_UPPER_WORD = 2;

/** Legacy context entry, 4 words, index = devfn. */
export const LegacyContext = {
  words: 4,
  /** Word 0 bits 3:2. */
  ttShift: 2,
  ttMask: 3,
  /** Word 2 bits 2:0, address width: 1 = 39 bits (3 levels), 2 = 48 (4), 3 = 57 (5). */
  awMask: 7,
  /** Word 2 bits 23:8. */
  didShift: 8,
  didMask: 0xffff,
} as const;

/** TT of a legacy context entry. */
export const TranslationType = {
  /** Untranslated requests through the second stage. */
  multiLevel: 0,
  /** As 0, plus device-TLB requests. */
  devIotlb: 1,
  passThrough: 2,
} as const;

/** Scalable-mode context entry, 8 words, index = devfn & 127 of its half. */
export const ScalableContext = {
  words: 8,
  /** Word 0 bit 2, device-TLB enable. */
  dte: 0x4,
  /** Word 0 bit 3, PASID enable. */
  paside: 0x8,
  /** Word 0 bit 4, page request enable. */
  pre: 0x10,
  /** Word 0 bits 11:9: the PASID directory has 2^(PDTS + 7) entries. */
  pdtsShift: 9,
  pdtsMask: 7,
  /** Word 2 bits 19:0: PASID of requests without PASID. */
  ridPasidMask: 0xf_ffff,
} as const;

/** PASID-directory entry: 2 words, index = PASID[19:6]. Word 0: P(0), FPD(1), table pointer 63:12. */
export const PASID_DIRECTORY_ENTRY_WORDS = 2;

/**
 * Scalable-mode PASID entry: 16 words (512 bits), index = PASID[5:0]. The hardware reads it as four 128-bit pieces.
 */
export const PasidEntry = {
  words: 16,
  /** Word 0 bits 4:2, address width of the second stage, as {@link LegacyContext.awMask}. */
  awShift: 2,
  awMask: 7,
  /** Word 0 bits 8:6. */
  pgttShift: 6,
  pgttMask: 7,
  /** Word 0 bit 9, second-stage access/dirty enable. */
  ssade: 0x200,
  /** Word 2 bits 15:0 (bits 79:64). */
  didMask: 0xffff,
  /** Word 2 bit 23 (bit 87), page-walk snoop. */
  pwsnp: 0x80_0000,
  /** Word 2 bit 24 (bit 88), page snoop. */
  pgsnp: 0x100_0000,
  /** Word 4 bit 0 (bit 128), supervisor requests enable. */
  sre: 0x1,
  /** Word 4 bits 3:2 (bits 131:130), first-stage paging mode: 0 = 4 levels, 1 = 5 levels. */
  fspmShift: 2,
  fspmMask: 3,
  /** Word 4 bit 4 (bit 132), write protect enable. */
  wpe: 0x10,
  /** Word 4 bit 5 (bit 133), no-execute enable. */
  nxe: 0x20,
  /** Word 4 bit 7 (bit 135), extended access flag enable. */
  eafe: 0x80,
  /** Words 4-5 bits 191:140: first-stage page table pointer. */
  fsptptrWord: 4,
} as const;

/** PGTT of a PASID entry. */
export const PagingType = { firstStage: 1, secondStage: 2, nested: 3, passThrough: 4 } as const;

/** Second-stage entry, low word. */
export const SsEntry = {
  read: 0x1,
  write: 0x2,
  /** Leaf at a level above 1. */
  pageSize: 0x80,
  accessed: 0x100,
  dirty: 0x200,
  snoop: 0x800,
} as const;

/** First-stage entry, low word (x86 page-table format). */
export const FsEntry = {
  present: 0x1,
  write: 0x2,
  user: 0x4,
  accessed: 0x20,
  dirty: 0x40,
  pageSize: 0x80,
} as const;
/** First-stage entry, high word: execute disable. */
export const FS_EXECUTE_DISABLE_HIGH = 0x8000_0000;

/** Descriptor type, bits 3:0 of the first word. */
export const DescriptorType = {
  contextCache: 0x1,
  iotlb: 0x2,
  deviceTlb: 0x3,
  interruptEntryCache: 0x4,
  wait: 0x5,
  pasidIotlb: 0x6,
  pasidCache: 0x7,
  pasidDeviceTlb: 0x8,
  pageGroupResponse: 0x9,
} as const;
/** Granularity field of cc, iotlb, p_iotlb and pasid-cache descriptors: bits 5:4 of word 0. */
export const GRANULARITY_SHIFT = 4;
export const GRANULARITY_MASK = 3;

/** Granularity of a context-cache descriptor. */
export const ContextGranularity = { global: 1, domain: 2, device: 3 } as const;
/** Granularity of an IOTLB descriptor. */
export const IotlbGranularity = { global: 1, domain: 2, page: 3 } as const;
/** Granularity of a PASID-based IOTLB descriptor. */
export const PasidIotlbGranularity = { pasid: 2, page: 3 } as const;
/** Granularity of a PASID-cache descriptor. */
export const PasidCacheGranularity = { domain: 0, pasid: 1, global: 3 } as const;

/** Fields of descriptors. "word n" is the n-th u32 word of the descriptor. */
export const Descriptor = {
  /** Domain id, word 0 bits 31:16 (cc, iotlb, p_iotlb, pasid cache). */
  didShift: 16,
  /** Context cache: source id, word 1 bits 15:0; function mask, word 1 bits 17:16. */
  ccFunctionMaskShift: 16,
  /** IOTLB: drain writes, drain reads, word 0. */
  iotlbDrainWrite: 0x40,
  iotlbDrainRead: 0x80,
  /** IOTLB, P_IOTLB: address mask, word 2 bits 5:0; invalidation hint (leaf only), word 2 bit 6; address 63:12. */
  addressMaskMask: 0x3f,
  invalidationHint: 0x40,
  /** P_IOTLB, PASID cache: PASID, word 1 bits 19:0. */
  pasidMask: 0xf_ffff,
  /** Wait: interrupt flag, status write, fence, page-request drain (word 0); status data = word 1, address 63:2. */
  waitInterrupt: 0x10,
  waitStatusWrite: 0x20,
  waitFence: 0x40,
  waitPageRequestDrain: 0x80,
  /** Device TLB: queue depth, word 0 bits 20:16; source id, word 1 bits 15:0; size bit, word 2 bit 0. */
  deviceTlbQueueDepthShift: 16,
  deviceTlbSize: 0x1,
  /** PASID device TLB: source id, word 0 bits 31:16; PASID, word 1 bits 19:0; size bit, word 2 bit 11; global bit 0. */
  pasidDeviceTlbSize: 0x800,
} as const;

/** Fields of a page-group response descriptor: source id, word 0 bits 31:16; PASID, word 1 bits 19:0. */
export const PageResponse = {
  /** Word 0 bit 4: the PASID field counts. */
  pasidPresent: 0x10,
  /** Word 0 bits 15:12. */
  codeShift: 12,
  codeMask: 0xf,
  /** Word 2 bits 11:3: page request group index. */
  groupShift: 3,
  groupMask: 0x1ff,
} as const;

/** Codes of a page-group response (PCIe PRG Response). */
export const PageResponseValue = { success: 0x0, invalid: 0x1, failure: 0xf } as const;

/** Page request descriptor: an entry of the page request queue, 8 words. */
export const PageRequestEntry = {
  words: 8,
  /** Word 0 bits 7:0: type, 1 = page request. */
  type: 0x1,
  /** Word 0 bit 8: the PASID field counts; bits 31:16: source id. Word 1 bits 19:0: PASID. */
  pasidPresent: 0x100,
  sourceShift: 16,
  pasidMask: 0xf_ffff,
  /** Word 2: read and write requested, last of its group; bits 11:3 group index. Address 63:12 in words 2-3. */
  read: 0x1,
  write: 0x2,
  last: 0x4,
  groupShift: 3,
  groupMask: 0x1ff,
} as const;

/** [words] A descriptor of a 128-bit queue, and of a 256-bit queue (IQA.DW). */
export const DESCRIPTOR_WORDS_128 = 4;
export const DESCRIPTOR_WORDS_256 = 8;

/** Index of an I/O page number in the table of `level` (1 = leaf table of 4 KiB pages). */
export function tableIndex(iovaPfn: number, level: number): number {
  return Math.floor(iovaPfn / 2 ** (9 * (level - 1))) % 512;
}

/** Paging levels of an AW (or SAGAW bit) code: 1 = 3, 2 = 4, 3 = 5. */
export function levelsOfAddressWidth(aw: number): number {
  return aw + 2;
}
