/**
 * VT-d register offsets and fields in the order of the specification (VT-d spec chapter "Register Descriptions";
 * names also as in Linux drivers/iommu/intel/iommu.h).
 *
 * How a driver programs a unit ({@link ./unit.ts}, through `mmioWrite(register, lo, hi, atTick)`):
 *
 * 1. `CAP_REG` and `ECAP_REG` tell what the unit can do; read both words with `mmioRead(CAP_REG)` and
 *    `mmioRead(CAP_REG + 4)`. They come from the recorded topology or from the hardware profile.
 * 2. `IQA_REG` <- physical address of the ring | QS (2^QS pages) | DW (bit 11: 256-bit descriptors), `IQT_REG` <- 0,
 *    then `GCMD_REG` with QIE. Frames of the ring come from `PhysicalMemory.allocContiguous`.
 * 3. `RTADDR_REG` <- physical address of the root table | TTM (bit 10: scalable mode), then `GCMD_REG` with SRTP.
 *    The unit latches the pointer; GSTS.RTPS answers. Then global context, PASID-cache and IOTLB invalidation.
 * 4. `GCMD_REG` with TE. Until then every DMA passes untranslated. GCMD is written with the bits of GSTS that shall
 *    stay set (TES, QIES, ...) plus the one-shot command, as Linux does with `iommu->gcmd | bit`.
 * 5. To invalidate: write descriptors into the ring, then the byte offset of the next free slot to `IQT_REG` (index
 *    << 4, or << 5 with DW). That write is the doorbell: the unit fetches, executes and, for a wait descriptor with
 *    SW, writes the status word with `PhysicalMemory.hardwareWrite`. Wait with `PhysicalMemory.watch`.
 * 6. `FSTS_REG` shows IQE after a bad descriptor or tail (the head stays on it; write 1 to clear and it is fetched again), PFO
 *    and PPF for fault records, and FRI, the oldest of them; records are four words each at `FRO * 16`, a ring.
 */

/** Version. */
export const VER_REG = 0x00;
/** Capabilities, 64 bits. */
export const CAP_REG = 0x08;
/** Extended capabilities, 64 bits. */
export const ECAP_REG = 0x10;
/** Global command, write only. */
export const GCMD_REG = 0x18;
/** Global status. */
export const GSTS_REG = 0x1c;
/** Root table address, 64 bits. */
export const RTADDR_REG = 0x20;
/** Fault status. */
export const FSTS_REG = 0x34;
/** Fault event control. */
export const FECTL_REG = 0x38;
/** Invalidation queue head, 64 bits, read only. */
export const IQH_REG = 0x80;
/** Invalidation queue tail, 64 bits: the doorbell. */
export const IQT_REG = 0x88;
/** Invalidation queue address, 64 bits. */
export const IQA_REG = 0x90;
/** Invalidation completion status: bit 0 set by a wait descriptor with IF. */
export const ICS_REG = 0x9c;
/** Invalidation queue error record, 64 bits; the high word's bits 15:0: source id of an endpoint that did not answer. */
export const IQERCD_REG = 0xb0;
/**
 * Page request queue: head and tail (byte offsets; software moves the head, the unit the tail), address | PQS (2^PQS
 * pages), status.
 */
export const PQH_REG = 0xc0;
export const PQT_REG = 0xc8;
export const PQA_REG = 0xd0;
export const PRS_REG = 0xdc;

/** Bits of GCMD and of GSTS (same places; GSTS has a status for each command). */
export const GlobalCommand = {
  /** Translation enable. */
  te: 0x8000_0000,
  /** Set root table pointer (one shot). */
  srtp: 0x4000_0000,
  /** Queued invalidation enable. */
  qie: 0x0400_0000,
  /** Interrupt remapping enable (accepted, not modelled). */
  ire: 0x0200_0000,
} as const;

/** RTADDR bits 11:10, translation table mode. */
export const TranslationTableMode = { legacy: 0x000, scalable: 0x400, abort: 0xc00 } as const;
/** Mask of {@link TranslationTableMode} in RTADDR. */
export const TTM_MASK = 0xc00;

/** IQA bit 11: descriptor width, set = 256 bits. */
export const IQA_DW = 0x800;
/** IQA bits 2:0: queue of 2^QS pages. */
export const IQA_QS_MASK = 0x7;

/** Bits of FSTS. */
export const FaultStatus = {
  /** Primary fault overflow. */
  pfo: 0x01,
  /** Primary pending fault. */
  ppf: 0x02,
  /** Invalidation queue error. */
  iqe: 0x10,
  /**
   * Invalidation completion error: an endpoint answered an invalidation that is not pending, or answered it wrongly. It
   * cannot arise here: a modelled endpoint answers what it was sent, once.
   */
  ice: 0x20,
  /** Invalidation time-out error. */
  ite: 0x40,
  /** Fault record index: the record that turned PPF on, valid while it is. */
  friShift: 8,
  friMask: 0xff,
} as const;

/** PQA bits 2:0: queue of 2^PQS pages. */
export const PQA_PQS_MASK = 0x7;

/** Bits of PRS, written 1 to clear. */
export const PageRequestStatus = {
  /** Pending page request: set with an entry, raises the event when it turns on. */
  ppr: 0x1,
  /** Overflow: requests are discarded until it is cleared. */
  pro: 0x2,
} as const;

/** Fields of CAP, read from its u32 words. */
export const Cap = {
  /** Number of domains supported: 2^(4 + 2 * ND). */
  domainIdBits: (lo: number): number => 4 + 2 * (lo & 7),
  /** Required write-buffer flushing. */
  rwbf: (lo: number): boolean => (lo & 0x10) !== 0,
  /** Caching mode. */
  cachingMode: (lo: number): boolean => (lo & 0x80) !== 0,
  /** Supported adjusted guest address widths: bit 1 = 39 bits (3 levels), 2 = 48 (4), 3 = 57 (5). */
  sagaw: (lo: number): number => (lo >>> 8) & 0x1f,
  /** [bits] Maximum guest address width. */
  mgaw: (lo: number): number => ((lo >>> 16) & 0x3f) + 1,
  /** [bytes] Offset of the fault recording registers. */
  faultRecordingOffset: (lo: number, hi: number): number => ((lo >>> 24) | ((hi & 3) << 8)) * 16,
  /** Second-stage large pages: bit 0 = 2 MiB, bit 1 = 1 GiB. */
  ssLargePages: (hi: number): number => (hi >>> 2) & 0xf,
  /** Page-selective invalidation. */
  psi: (hi: number): boolean => (hi & 0x80) !== 0,
  /** Number of fault recording registers. */
  faultRecords: (hi: number): number => ((hi >>> 8) & 0xff) + 1,
  /** Maximum address mask value: page-selective invalidation covers at most 2^MAMV pages. */
  mamv: (hi: number): number => (hi >>> 16) & 0x3f,
  /** Draining of writes (DW in descriptors). */
  drainWrite: (hi: number): boolean => (hi & 0x40_0000) !== 0,
  /** Draining of reads. */
  drainRead: (hi: number): boolean => (hi & 0x80_0000) !== 0,
  /** First-stage 1 GiB pages. */
  fs1Gib: (hi: number): boolean => (hi & 0x100_0000) !== 0,
  /** First-stage 5-level paging. */
  fs5Level: (hi: number): boolean => (hi & 0x1000_0000) !== 0,
} as const;

/** Fields of ECAP, read from its u32 words. */
export const Ecap = {
  /** Page-walk coherency. */
  coherent: (lo: number): boolean => (lo & 1) !== 0,
  /** Queued invalidation. */
  qi: (lo: number): boolean => (lo & 2) !== 0,
  /** Device-TLB support. */
  deviceTlb: (lo: number): boolean => (lo & 4) !== 0,
  /** Pass-through translation type. */
  passThrough: (lo: number): boolean => (lo & 0x40) !== 0,
  /** Snoop control. */
  snoopControl: (lo: number): boolean => (lo & 0x80) !== 0,
  /** Nested translation. */
  nest: (lo: number): boolean => (lo & 0x400_0000) !== 0,
  /** Page request support. */
  pageRequest: (lo: number): boolean => (lo & 0x2000_0000) !== 0,
  /** Supervisor requests. */
  supervisorRequests: (lo: number): boolean => lo >>> 31 !== 0,
  /** Extended accessed flag. */
  extendedAccess: (hi: number): boolean => (hi & 4) !== 0,
  /** [bits] PASID size supported. */
  pasidBits: (hi: number): number => ((hi >>> 3) & 0x1f) + 1,
  /** PASID support. */
  pasid: (hi: number): boolean => (hi & 0x100) !== 0,
  /** Page-request drain. */
  pageRequestDrain: (hi: number): boolean => (hi & 0x400) !== 0,
  /** Scalable mode. */
  scalable: (hi: number): boolean => (hi & 0x800) !== 0,
  /** Second-stage access/dirty. */
  ssAccessDirty: (hi: number): boolean => (hi & 0x2000) !== 0,
  /** Second-stage translation. */
  secondStage: (hi: number): boolean => (hi & 0x4000) !== 0,
  /** First-stage translation. */
  firstStage: (hi: number): boolean => (hi & 0x8000) !== 0,
  /** Scalable-mode page-walk coherency. */
  scalableCoherent: (hi: number): boolean => (hi & 0x1_0000) !== 0,
} as const;
