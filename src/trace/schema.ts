/**
 * The bundle format, version 2: which streams exist, their columns, and what each column means (docs/trace-format.md is
 * written from this file). Every stream is an uncompressed Arrow IPC *file*; u64 columns are read through a Uint32Array.
 *
 * `sequence` is the bundle-wide position of a row: all rows of all streams with a sequence column are totally ordered by
 * it. It is the recorder's own order, whatever the clocks say.
 */

/** Current {@link Manifest.formatVersion}. */
export const FORMAT_VERSION = 2;

/** [4 KiB pages] Data pages of a bundle lie below 1 TiB: the model numbers its table pages from here (ARCHITECTURE.md D1). */
export const DATA_FRAME_LIMIT = 2 ** 28;

/** "No value" in u32 columns that are not nullable. */
export const NONE_U32 = 0xffff_ffff;

/** Column types in the words of the Arrow format. */
export type ColumnType = 'u8' | 'u16' | 'u32' | 'u64' | 'i32' | 'dictionary';

/** One stream: column name to type, in file order. */
export type StreamSchema = Readonly<Record<string, ColumnType>>;

/**
 * `control.arrow`: control-plane events in the order in which they took effect. A column that does not apply to an op
 * holds {@link NONE_U32} (u32) or 0 (u64).
 */
export const CONTROL_SCHEMA = {
  sequence: 'u32',
  /** [ns] since the bundle's origin. */
  timeNs: 'u64',
  /** {@link ControlOp} name. */
  op: 'dictionary',
  /** CPU the event was recorded on. */
  cpu: 'u16',
  /** Thread id of the caller. */
  thread: 'u32',
  /** Index into `topology.devices`. */
  device: 'u32',
  /** iommufd or container file the call was made on (small numbers given by the importer). */
  context: 'u32',
  /** Object the call is about, in the recorder's own ids: IOAS of map/unmap, hwpt of set-dirty, id of destroy. */
  object: 'u32',
  /** Second object: pt_id of attach, source IOAS of copy, dev_id of HWPT_ALLOC. */
  target: 'u32',
  pasid: 'u32',
  /** Flag bits of the call, as in the uapi; for `dma_map` the {@link DmaDirection}. */
  flags: 'u32',
  /** [bytes] */
  iova: 'u64',
  /** [bytes] */
  length: 'u64',
  /** [bytes] User address of IOAS_MAP, source IOVA of IOAS_COPY. */
  userAddress: 'u64',
  /** Recorded return value: 0 or positive, negative errno; {@link RESULT_UNKNOWN} when the source does not say. */
  recordedResult: 'i32',
  /** Object id the recorded call handed out, or {@link NONE_U32}. */
  recordedObject: 'u32',
  /** [ns] Recorded duration; 0xffffffff when unknown. */
  recordedDurationNs: 'u32',
  /**
   * 1 + row that must be complete before this call; 0 = none. The row is in `dma-<unit>.arrow` of the device's unit; of
   * the first unit of the call's closed world when the row names no device.
   */
  afterDma: 'u32',
  /** Free text of `marker` and `device_dma` events. */
  text: 'dictionary',
} as const satisfies StreamSchema;

/** `recordedResult` when the source does not tell. */
export const RESULT_UNKNOWN = 0x7fff_ffff;

/** Names of control-plane events. System calls carry their uapi name; the DMA API that of the kernel function. */
export const CONTROL_OPS = [
  'marker',
  /** Events that the recorder lost here; `length` is how many. */
  'lost_events',
  'driver_bind',
  'driver_unbind',
  'dma_map',
  'dma_unmap',
  'dma_alloc',
  'dma_free',
  /** A request that the recorder made the device itself issue; `text` holds what became of it. Not a kernel call. */
  'device_dma',
  'open_iommufd',
  'open_cdev',
  'open_group',
  'open_container',
  /** Of a device's file (`device` is set) or of an iommufd or container (`context` is set). */
  'close',
  'IOMMU_DESTROY',
  'IOMMU_IOAS_ALLOC',
  'IOMMU_IOAS_MAP',
  'IOMMU_IOAS_UNMAP',
  'IOMMU_IOAS_COPY',
  'IOMMU_HWPT_ALLOC',
  'IOMMU_HWPT_INVALIDATE',
  'IOMMU_HWPT_SET_DIRTY_TRACKING',
  'IOMMU_HWPT_GET_DIRTY_BITMAP',
  /**
   * Tables made later in the context with IOMMU_HWPT_FAULT_ID_VALID send their page faults to the queue made last.
   * `length`: what its user maps for one fault, `userAddress`: where the memory behind IOVA 0 lies; 0 = unknown.
   */
  'IOMMU_FAULT_QUEUE_ALLOC',
  'VFIO_DEVICE_BIND_IOMMUFD',
  'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
  'VFIO_DEVICE_DETACH_IOMMUFD_PT',
  'VFIO_SET_IOMMU',
  'VFIO_GROUP_SET_CONTAINER',
  'VFIO_GROUP_UNSET_CONTAINER',
  'VFIO_GROUP_GET_DEVICE_FD',
  'VFIO_IOMMU_MAP_DMA',
  'VFIO_IOMMU_UNMAP_DMA',
  /** By the driver of a mediated device, in the kernel; `flags`: 1 read, 2 write. */
  'vfio_pin_pages',
  'vfio_unpin_pages',
  'vfio_dma_rw',
  /** User space writes words of its own tables, which hardware reads, into memory that IOAS `object` maps. No call. */
  'user_store',
] as const;

/** A name in {@link CONTROL_OPS}. */
export type ControlOp = (typeof CONTROL_OPS)[number];

/** `flags` of `dma_map` and `dma_alloc`: enum dma_data_direction. */
export const DmaDirection = { bidirectional: 0, toDevice: 1, fromDevice: 2, none: 3 } as const;

/**
 * `frames.arrow`: the physical memory behind mappings, one row a contiguous run, ordered by control row then IOVA.
 */
export const FRAMES_SCHEMA = {
  /** Row in `control.arrow` of the map (or attach, where mappings were filled in then). */
  controlRow: 'u32',
  /** [4 KiB pages] */
  iovaPfn: 'u64',
  /** [4 KiB pages] */
  pfn: 'u64',
  pageCount: 'u32',
} as const satisfies StreamSchema;

/**
 * `user-data.arrow`: what user space hands to the kernel by pointer, or leaves in its memory for hardware to read; ordered
 * by control row, several rows of one being an array in its order.
 */
export const USER_DATA_SCHEMA = {
  /** Row in `control.arrow`. */
  controlRow: 'u32',
  /** {@link UserDataKind} name. */
  kind: 'dictionary',
  /** [bytes] An address in the IOAS, or of an IOVA to be invalidated. */
  address: 'u64',
  value: 'u64',
  step: 'u64',
  count: 'u64',
} as const satisfies StreamSchema;

/**
 * Kinds of user data and what their columns hold.
 *
 * - `vtd_s1`, of IOMMU_HWPT_ALLOC: struct iommu_hwpt_vtd_s1. `address` pgtbl_addr, `value` flags, `count` addr_width [bits].
 * - `vtd_s1_invalidate`, of IOMMU_HWPT_INVALIDATE: an entry of struct iommu_hwpt_vtd_s1_invalidate. `address` addr, `value`
 *   flags, `count` npages (2^64 - 1 = everything).
 * - `words`, of `user_store`: `count` 64-bit words from `address` on; the first is `value`, each next one `step` more.
 */
export const USER_DATA_KINDS = ['vtd_s1', 'vtd_s1_invalidate', 'words'] as const;

/** A name in {@link USER_DATA_KINDS}. */
export type UserDataKind = (typeof USER_DATA_KINDS)[number];

/** `initial.arrow`: mappings that existed when the window began. */
export const INITIAL_SCHEMA = {
  device: 'u32',
  pasid: 'u32',
  iovaPfn: 'u64',
  pfn: 'u64',
  pageCount: 'u32',
  /** IommuProt bits: 1 read, 2 write. */
  prot: 'u8',
  /** log2 of the leaf size the recorder's table used; 0 when unknown. */
  leafShift: 'u8',
  /** {@link InitialOrigin}. */
  origin: 'u8',
} as const satisfies StreamSchema;

/** Where an initial mapping is known from. */
export const InitialOrigin = { tableDump: 0, learned: 1, synthetic: 2 } as const;

/** `dma-<unit>.arrow`: DMA requests of one IOMMU unit in the order in which they reached it. */
export const DMA_SCHEMA = {
  sequence: 'u32',
  /** [ns] since the bundle's origin. */
  timeNs: 'u64',
  /** Index into `topology.devices`. */
  device: 'u16',
  /** 0 = request without PASID. */
  pasid: 'u32',
  /** [bytes] */
  iova: 'u64',
  /** [bytes] */
  bytes: 'u32',
  /** Bit 0 write, bit 1 translation request, bit 2 translated (as DmaFlag of the hardware seam). */
  flags: 'u8',
  /** {@link DmaProvenance} bits: which columns were not measured. */
  provenance: 'u8',
  /** 1 + row of the control event that must have completed before this request; 0 = none. */
  afterControl: 'u32',
} as const satisfies StreamSchema;

/** Bits of the `provenance` column; 0 = everything measured. */
export const DmaProvenance = {
  sizeInferred: 1,
  directionInferred: 2,
  timeInferred: 4,
  inferred: 8,
  synthetic: 16,
} as const;

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

/** Schemas of the streams of which a bundle has one. */
export const SINGLE_STREAMS = {
  control: CONTROL_SCHEMA,
  frames: FRAMES_SCHEMA,
  initial: INITIAL_SCHEMA,
  'user-data': USER_DATA_SCHEMA,
  'observed-submissions': OBSERVED_SUBMISSIONS_SCHEMA,
  'observed-hardware': OBSERVED_HARDWARE_SCHEMA,
  'observed-tables': OBSERVED_TABLES_SCHEMA,
} as const;

/** Name of a stream: the file is `<name>.arrow`; the number is an index into `topology.units`. */
export type StreamName = keyof typeof SINGLE_STREAMS | `dma-${number}` | `observed-dma-${number}`;

/** Schema type of a stream name. */
export type SchemaOf<N extends StreamName> = N extends keyof typeof SINGLE_STREAMS
  ? (typeof SINGLE_STREAMS)[N]
  : N extends `observed-dma-${number}`
    ? typeof OBSERVED_DMA_SCHEMA
    : typeof DMA_SCHEMA;

/** Streams that every bundle has, be they empty. */
export const REQUIRED_STREAMS = ['control', 'frames'] as const;

/** Schema of a stream; undefined when the name is none of the format's. */
export function streamSchema(name: string): StreamSchema | undefined {
  if (/^dma-\d+$/.test(name)) return DMA_SCHEMA;
  if (/^observed-dma-\d+$/.test(name)) return OBSERVED_DMA_SCHEMA;
  return Object.hasOwn(SINGLE_STREAMS, name) ? SINGLE_STREAMS[name as keyof typeof SINGLE_STREAMS] : undefined;
}

/** Share of rows by how their content is known. Counts of DMA rows. */
export interface ProvenanceSplit {
  readonly measured: number;
  readonly inferred: number;
  readonly synthetic: number;
}

/** Measured DMA rows of which one column was inferred. Counts of DMA rows. */
export interface InferredColumns {
  readonly size: number;
  readonly direction: number;
  readonly time: number;
}

/** One IOMMU unit of the recorded machine. */
export interface UnitTopology {
  readonly name: string;
  /** Capability registers as hex strings without 0x, or undefined when the source does not say. */
  readonly cap?: string | undefined;
  readonly ecap?: string | undefined;
  readonly mode: 'legacy' | 'scalable';
  /** Stage the recorded kernel's own domains use. */
  readonly stage: 'first' | 'second';
}

/** One device of the recorded machine. */
export interface DeviceTopology {
  /** PCI address `dddd:bb:dd.f`, or a free name for a mediated device. */
  readonly name: string;
  readonly sourceId: number;
  /** Requester ids seen at the IOMMU when they differ (behind a bridge). */
  readonly aliasIds?: readonly number[] | undefined;
  readonly group: number;
  /** Index into `units`; -1 for a mediated device. */
  readonly unit: number;
  readonly kind: 'physical' | 'mediated';
  readonly driver: string;
  readonly pciClass?: string | undefined;
  /** Default domain of the group as the kernel reports it. */
  readonly defaultDomain: 'dma' | 'dma-fq' | 'identity' | 'blocked' | 'none';
  /** Domain id of the default domain, from the table dump; undefined when unknown. */
  readonly defaultDomainId?: number | undefined;
  readonly ats: boolean;
  /** 0 = no PASID capability. */
  readonly pasidBits: number;
  readonly pri: boolean;
}

/** A stream of the bundle as the manifest lists it. */
export interface StreamEntry {
  /** File name inside the bundle. */
  readonly file: string;
  readonly rows: number;
  /** Hex digest of the file's bytes. */
  readonly sha256: string;
}

/** A counted anomaly of the import. */
export interface DiagnosticEntry {
  readonly code: string;
  readonly severity: 'info' | 'data-loss' | 'error';
  readonly count: number;
  /** First occurrence: `file:line: text`. */
  readonly first: string;
}

/** `manifest.json`. */
export interface Manifest {
  readonly formatVersion: number;
  readonly name: string;
  readonly description: string;
  readonly origin: {
    readonly importer: string;
    readonly tool: string;
    readonly kernel: string;
    /** Kernel profile the recording follows, e.g. `v6.12`; undefined when unknown. */
    readonly kernelProfile?: string | undefined;
    /** Hardware profile of the recorder, e.g. `qemu-7.2`; undefined for real hardware. */
    readonly recorderProfile?: string | undefined;
    readonly clock: string;
    /** Kernel command line, when known. */
    readonly commandLine?: string | undefined;
  };
  readonly time: {
    /** [ns] Source-clock value of time 0, decimal. */
    readonly originNs: string;
    /** [ns] Traced window, relative to the origin. */
    readonly windowStartNs: number;
    readonly windowEndNs: number;
  };
  readonly dmaPolicy: {
    /** How DMA-API unmaps invalidate: at once, or through the flush queue. */
    readonly flushMode: 'strict' | 'lazy';
  };
  readonly pacing: {
    /** Pacing a replay uses unless told otherwise. */
    readonly default: 'recorded' | 'closed';
    readonly reason: string;
  };
  readonly topology: { readonly units: readonly UnitTopology[]; readonly devices: readonly DeviceTopology[] };
  readonly provenance: {
    readonly dma: ProvenanceSplit;
    /** Undefined in bundles that were written before it was counted. */
    readonly inferredColumns?: InferredColumns | undefined;
  };
  readonly lostEvents: number;
  /** Keyed by stream: `control`, `frames`, `initial`, `user-data`, `dma-<unit>`, `observed-...`. */
  readonly streams: Readonly<Record<string, StreamEntry>>;
  readonly diagnostics: readonly DiagnosticEntry[];
}
