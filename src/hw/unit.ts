/**
 * The seam between the data plane and one IOMMU (design.md §5). A batch of DMA rows goes in as columns, outcomes come
 * back as columns; nothing is allocated per DMA, nothing is thrown, no closure is called. The kernel side touches the
 * same unit only through memory and registers.
 */
import type { Tick } from '../units.ts';
import { type ArraySource, HEAP_ARRAYS, type LinearMemory } from './linear-memory.ts';

/** DMA rows as columns. All arrays have at least `rowCount` elements (u64 columns twice as many u32 words, lo first). */
export interface DmaColumns {
  rowCount: number;
  /**
   * [ps] Earliest issue tick of each row: its recorded arrival under the pacing policy and the completion of the
   * control operation it depends on. Filled by the replayer; window and link delay the request further.
   */
  notBefore: Float64Array;
  /** Index into the topology's device list. */
  device: Uint16Array;
  /** PASID of the request, 0 = none (requests without PASID). */
  pasid: Uint32Array;
  /** u64: I/O virtual address of the first byte. */
  iova: Uint32Array;
  /** [bytes] 1 .. 2^31 - 1; a unit throws InvariantError for 0. */
  bytes: Uint32Array;
  /** {@link DmaFlag} bits. */
  flags: Uint8Array;
  /** The memory that all arrays are in, when they were made by {@link IommuUnit.columns}. */
  readonly home?: LinearMemory | undefined;
}

/** Bits of the `flags` column of a DMA row. */
export const DmaFlag = {
  write: 1,
  /** PCIe AT field 01: an ATS translation request. */
  translationRequest: 2,
  /** PCIe AT field 10: an already translated request. */
  translated: 4,
} as const;

/** What became of a DMA. */
export const DmaOutcome = {
  /** Translated from the IOTLB. */
  hit: 0,
  /** Translated by a page walk. */
  miss: 1,
  /** Joined a walk already under way for the same page. */
  mergedMiss: 2,
  /** Blocked by a translation fault; `fault` has the reason. */
  fault: 3,
  /** Not translated: pass-through domain, translated request or bypass unit. */
  passThrough: 4,
  /** Translated by the device's own TLB. */
  deviceHit: 5,
} as const;

/** Outcomes as columns, owned by the caller and reused between batches; row i answers row i of the input. */
export interface ResultColumns {
  /** [ps] When the device issued the request (after pacing, window and link). */
  issueTick: Float64Array;
  /** [ps] When the request reached the IOMMU. */
  arriveTick: Float64Array;
  /** [ps] When the translation was ready at the IOMMU. */
  readyTick: Float64Array;
  /** [ps] When the DMA completed at the device (reads) or was globally visible (writes). */
  doneTick: Float64Array;
  /** {@link DmaOutcome}; of the worst page when a request spans several. */
  outcome: Uint8Array;
  /** VT-d fault reason code, 0 = none. */
  fault: Uint8Array;
  /** Memory reads made by context, PASID and page walks for this request. */
  walkReads: Uint8Array;
  /** log2 of the page size that translated the first byte; 0 when none did. */
  pageShift: Uint8Array;
  /** Physical page of the first byte as two u32 words, lo first (a PFN of 52 bits). */
  pfn: Uint32Array;
  /** As {@link DmaColumns.home}. */
  readonly home?: LinearMemory | undefined;
}

/** Input and result columns of the same capacity. */
export interface DmaBatch {
  readonly input: DmaColumns;
  readonly results: ResultColumns;
}

/** Columns for `capacityRows` rows; `home` is the memory that `arrays` takes from, if it is one that units share. */
export function allocateBatch(
  capacityRows: number,
  arrays: ArraySource = HEAP_ARRAYS,
  home: LinearMemory | undefined = undefined,
): DmaBatch {
  return {
    input: {
      rowCount: 0,
      notBefore: arrays.float64(capacityRows),
      device: arrays.uint16(capacityRows),
      pasid: arrays.uint32(capacityRows),
      iova: arrays.uint32(2 * capacityRows),
      bytes: arrays.uint32(capacityRows),
      flags: arrays.uint8(capacityRows),
      home,
    },
    results: {
      issueTick: arrays.float64(capacityRows),
      arriveTick: arrays.float64(capacityRows),
      readyTick: arrays.float64(capacityRows),
      doneTick: arrays.float64(capacityRows),
      outcome: arrays.uint8(capacityRows),
      fault: arrays.uint8(capacityRows),
      walkReads: arrays.uint8(capacityRows),
      pageShift: arrays.uint8(capacityRows),
      pfn: arrays.uint32(2 * capacityRows),
      home,
    },
  };
}

/** Counters in the names of the VT-d performance monitor (Linux drivers/iommu/intel/perfmon.c), plus the model's own after a dot. */
export type CounterSnapshot = Readonly<Record<string, number>>;

/** One IOMMU as the replayer sees it. */
export interface IommuUnit {
  readonly name: string;

  /**
   * Replays rows `from` .. `to`-1 in order. Stops *before* the first row whose issue tick is at or after `limit` (so
   * that the timeline can run first) and returns its index; returns `to` when all rows were replayed. Of the row it
   * stopped before it writes `out.issueTick`: when the row would issue as things stand. @hot
   */
  translate(input: DmaColumns, from: number, to: number, limit: Tick, out: ResultColumns): number;

  /** Columns in the memory where the unit's own state is: rows in them replay fastest. */
  columns(capacityRows: number): DmaBatch;

  /** Register write by the driver; `lo`, `hi` are u32 words (hi is 0 for 32-bit registers). */
  mmioWrite(register: number, lo: number, hi: number, atTick: Tick): void;
  /** Low word of a register. */
  mmioRead(register: number): number;
  /** All counters of this unit so far. */
  counters(): CounterSnapshot;
}
