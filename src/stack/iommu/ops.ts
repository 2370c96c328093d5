/**
 * The seam between the architecture-neutral stack and an IOMMU driver, after struct iommu_ops, iommu_domain_ops and
 * iommu_dirty_ops of include/linux/iommu.h. The core knows devices, groups and domains; a driver knows entries and
 * descriptors. Methods that can take modelled time are {@link KernelTask}s; they return 0 or a negative errno.
 *
 * Addresses and lengths are BigInt bytes: drivers may have pages smaller than PAGE_SIZE (the kernel's mock has 2 KiB).
 */
import type { Pasid, SourceId } from '../../address.ts';
import type { KernelTask } from '../kernel/task.ts';

/** Permission bits of a mapping, as IOMMU_READ, IOMMU_WRITE, IOMMU_CACHE, IOMMU_MMIO. */
export const IommuProt = { read: 1, write: 2, cache: 4, mmio: 16 } as const;

/** Kinds of iommu_domain. */
export type DomainType = 'paging' | 'nested' | 'blocked' | 'identity' | 'dma' | 'dma-fq' | 'sva';

/** A range of IOVAs a device cannot use, as struct iommu_resv_region. Both ends inclusive, [bytes]. */
export interface ReservedRegion {
  readonly start: bigint;
  readonly last: bigint;
  readonly type: 'direct' | 'direct-relaxable' | 'reserved' | 'msi' | 'sw-msi';
}

/** What iommu_capable() answers. */
export type IommuCapability =
  | 'cache-coherency'
  | 'noexec'
  | 'pre-boot-protection'
  | 'enforce-cache-coherency'
  | 'deferred-flush'
  | 'dirty-tracking';

/** A device as the IOMMU core sees it (struct device + dev_iommu). Created by the machine from the topology. */
export interface IommuDevice {
  readonly name: string;
  /** Requester ids the device's DMA carries; several behind a bridge that takes ownership (DMA aliases). */
  readonly sourceIds: readonly SourceId[];
  /** Instance of the IOMMU unit, by name; two devices behind different units have different instances. */
  readonly unit: string;
  readonly driver: IommuDriver;
  /** min(PCI PASID width, unit limit) as a count; 0 = no PASID. */
  readonly maxPasids: number;
  readonly isVirtualFunction: boolean;
  readonly supportsPri: boolean;
  /** MSI of this device are isolated (iommu_group_has_isolated_msi). */
  readonly isolatedMsi: boolean;
  /** ATS can be used on this device (reported from Linux 7.0 on); absent = no. */
  readonly supportsAts?: boolean;
  /** Execute and privileged-mode permissions of the PCI PASID control register; absent = no. */
  readonly pasidExecute?: boolean;
  readonly pasidPrivileged?: boolean;
}

/** Opaque per-attachment handle (struct iommu_attach_handle): routes faults to whoever attached. */
export interface AttachHandle {
  readonly domain: IommuDomain;
  /** Takes a complete group of page requests of this attachment; absent when the owner handles none. */
  readonly deliverFaults?: (group: PageRequestGroup) => void;
}

/** One I/O page request (struct iommu_fault_page_request). */
export interface PageRequest {
  /** PASID of the request, undefined when it carries none. */
  readonly pasid: Pasid | undefined;
  /** Page request group index. */
  readonly groupId: number;
  /** Last request of its group: the group can be delivered. */
  readonly last: boolean;
  /** {@link PageRequestPermission} bits. */
  readonly permission: number;
  /** [bytes] Faulting I/O virtual address. */
  readonly address: bigint;
}

/** IOMMU_FAULT_PERM_* of include/linux/iommu.h. */
export const PageRequestPermission = { read: 1, write: 2, execute: 4, privileged: 8 } as const;

/** IOMMU_PAGE_RESP_*: how a page request group is answered. */
export type PageResponseCode = 'success' | 'invalid' | 'failure';

/** Page requests of one device up to the last of the group, with the attachment they hit (struct iopf_group). */
export interface PageRequestGroup {
  readonly device: IommuDevice;
  readonly requests: readonly PageRequest[];
  readonly handle: AttachHandle;
}

/** Pages freed and ranges cleared by unmap calls that have not been flushed yet (struct iommu_iotlb_gather). */
export interface IotlbGather {
  /** [bytes] First and last byte of the gathered range; `start > end` when empty. */
  start: bigint;
  end: bigint;
  /** [bytes] Page size of the gathered pieces, 0 when none: a change of size forces an early sync. */
  pageSize: bigint;
  /** True when the caller defers the flush (DMA-FQ). */
  queued: boolean;
  /** Table pages to release after the flush: driver-owned tokens. An empty list lets drivers set the leaf-only hint. */
  readonly freelist: number[];
}

/** A translation domain. `driver` is the owner checked before any attach (EINVAL for a foreign domain). */
export interface IommuDomain {
  readonly type: DomainType;
  readonly driver: IommuDriver;
  /**
   * Set by iommufd when attachments of this domain take I/O page faults (domain->iopf_handler). A driver whose
   * `iopfAtAttach` is true switches faults on and off inside its attach calls (Linux 6.15 and later).
   */
  faultCapable?: boolean;
}

/** A domain that software maps into. */
export interface PagingDomain extends IommuDomain {
  readonly type: 'paging' | 'dma' | 'dma-fq';
  /** [bytes] Smallest page; a power of two. */
  readonly minPageSize: bigint;
  /** Bit k set: pages of 2^k bytes. */
  readonly pageSizeBitmap: bigint;
  /** First and last usable IOVA, inclusive. */
  readonly apertureStart: bigint;
  readonly apertureEnd: bigint;
  /** Present when the domain was allocated with dirty tracking. */
  readonly dirty: DirtyOps | undefined;

  /** Maps one physically contiguous run; undoes partial work on error (iommu_map). Includes the sync-map step. */
  map(iova: bigint, paddr: bigint, lengthBytes: bigint, prot: number): KernelTask<number>;
  /**
   * {@link map} without its sync-map step, for callers that map many runs and then call {@link syncMap} once over all of
   * them (iommu_map_sg). Absent in drivers that have no sync-map step: use {@link map}.
   */
  mapRun?(iova: bigint, paddr: bigint, lengthBytes: bigint, prot: number): KernelTask<number>;
  /** Makes new mappings known to hardware that may have cached their absence (iotlb_sync_map). */
  syncMap?(iova: bigint, lengthBytes: bigint): KernelTask<number>;
  /**
   * Clears translations, gathers what must be flushed and returns the bytes unmapped (may exceed the request by the
   * rest of a superpage, may be less at a hole); never a negative number.
   */
  unmap(iova: bigint, lengthBytes: bigint, gather: IotlbGather): KernelTask<bigint>;
  /** Flushes what was gathered and waits (iotlb_sync), then releases the gathered table pages. */
  sync(gather: IotlbGather): KernelTask<number>;
  /** Flushes every cached translation of the domain (flush_iotlb_all). */
  flushAll(): KernelTask<number>;
  /** Physical byte address behind `iova`, or undefined when not mapped (iova_to_phys). No time passes. */
  iovaToPhys(iova: bigint): bigint | undefined;
  /** Prepares the domain to be a second stage (VFIO_TYPE1_NESTING_IOMMU, gone in Linux 6.13); absent = EINVAL. */
  enableNesting?(): number;
  /** True when the domain can guarantee coherency from now on (enforce_cache_coherency). */
  enforceCacheCoherency(): boolean;
  /** Releases tables and ids (domain free). No device may be attached. */
  free(): KernelTask<number>;
}

/** struct iommu_dirty_ops. */
export interface DirtyOps {
  setTracking(enable: boolean): KernelTask<number>;
  /**
   * Calls `record(iova, lengthBytes)` for each dirty leaf in the range; clears unless `noClear`, gathering the flush.
   */
  readAndClear(
    iova: bigint,
    lengthBytes: bigint,
    noClear: boolean,
    gather: IotlbGather,
    record: (iova: bigint, lengthBytes: bigint) => void,
  ): KernelTask<number>;
}

/** The `record` of a {@link DirtyOps.readAndClear} that only clears, before tracking is switched on. */
export function discardDirty(_iova: bigint, _lengthBytes: bigint): void {}

/** A first-stage domain on a second-stage parent, configured by user data. */
export interface NestedDomain extends IommuDomain {
  readonly type: 'nested';
  /** Absent when the driver offers no user invalidation. Returns 0 or errno; `done` counts completed entries. */
  invalidateUser?(request: UserInvalidation): KernelTask<number>;
  free(): KernelTask<number>;
}

/** Bytes handed in by user space: reading past what the caller supplied is the caller's EFAULT. */
export interface UserData {
  readonly type: number;
  /** [bytes] Length the user declared. */
  readonly lengthBytes: number;
  /** The bytes, or undefined when the pointer is unreadable. */
  readonly bytes: Uint8Array | undefined;
}

/** An array of invalidation entries (iommu_hwpt_invalidate / viommu invalidate). */
export interface UserInvalidation {
  readonly type: number;
  /** [bytes] */
  readonly entryLength: number;
  readonly entryCount: number;
  readonly bytes: Uint8Array | undefined;
  /** Out: entries completed. */
  done: number;
}

/** Allocation flags of HWPT_ALLOC, as in the uapi. */
export const HwptAllocFlag = { nestParent: 1, dirtyTracking: 2, faultIdValid: 4, pasid: 8 } as const;

/** Reply of GET_HW_INFO. */
export interface HwInfo {
  /** iommu_hw_info_type; 0 = none. */
  readonly type: number;
  readonly data: Uint8Array;
}

/**
 * One driver instance per architecture and machine. A domain allocator returns the domain or a negative errno.
 * `attach` and `setPasid` receive the domain the slot held before (`old`), as the kernel's set_dev_pasid does.
 */
export interface IommuDriver {
  readonly name: string;
  /** Domain every device falls back to while owned and not attached. */
  readonly blockedDomain: IommuDomain;
  readonly identityDomain: IommuDomain | undefined;

  capable(device: IommuDevice, capability: IommuCapability): boolean;
  reservedRegions(device: IommuDevice): readonly ReservedRegion[];
  hwInfo(device: IommuDevice, requestedType: number): HwInfo | number;
  /** True when allocation with flags or user data is possible at all (domain_alloc_paging_flags). */
  readonly allocatesWithFlags: boolean;
  /** `default` domains serve the DMA API. */
  allocPaging(
    device: IommuDevice,
    purpose: 'user' | 'dma' | 'dma-fq',
    flags: number,
    data: UserData | undefined,
  ): KernelTask<PagingDomain | number>;
  allocNested(
    device: IommuDevice,
    parent: PagingDomain,
    flags: number,
    data: UserData,
  ): KernelTask<NestedDomain | number>;

  /** Installs `domain` for the RID; `old` is what was there. */
  attach(device: IommuDevice, domain: IommuDomain, old: IommuDomain | undefined): KernelTask<number>;
  /** True when {@link setPasid} exists for `domain`. */
  supportsPasid(domain: IommuDomain): boolean;
  /** Installs `domain` (or the blocked domain) at a non-zero PASID. */
  setPasid(device: IommuDevice, pasid: Pasid, domain: IommuDomain, old: IommuDomain | undefined): KernelTask<number>;
  /** Enables or disables I/O page faults for a fault-capable attachment (iopf_for_domain_set). */
  enableIopf(device: IommuDevice): number;
  disableIopf(device: IommuDevice): void;
  /**
   * True when attach and setPasid switch page faults themselves for fault-capable domains (Linux 6.15 and later);
   * otherwise iommufd calls enableIopf before the attach (Linux 6.12).
   */
  readonly iopfAtAttach?: boolean;
  /** Answers the device for a whole page request group (page_response); absent when faults cannot be answered. */
  respondToPageRequests?(group: PageRequestGroup, code: PageResponseCode): void;
  /** vIOMMU support; undefined when the driver has none (Intel). */
  readonly viommu: ViommuOps | undefined;
}

/** struct iommufd_viommu_ops, reduced to what the core calls. */
export interface ViommuOps {
  /** False for an unknown type: EOPNOTSUPP before the page table is looked up (get_viommu_size). */
  supports(type: number): boolean;
  /** The driver's state, or a negative errno. */
  alloc(device: IommuDevice, core: ViommuCore, type: number, data: UserData | undefined): ViommuDriverState | number;
}

/** Driver side of one vIOMMU. Every method may be absent: the core answers EOPNOTSUPP. */
export interface ViommuDriverState {
  /** Written back to the user structure after allocation, if the type defines output. */
  readonly outData: Uint8Array | undefined;
  allocNested?(flags: number, data: UserData): KernelTask<NestedDomain | number>;
  invalidate?(request: UserInvalidation): KernelTask<number>;
  initVdevice?(device: IommuDevice, virtualId: bigint): number;
  destroyVdevice?(virtualId: bigint): void;
  supportsHwQueue?(type: number): boolean;
  /** `baseAddress` is the guest address (IOVA), `physicalAddress` what it translates to now. */
  initHwQueue?(type: number, index: number, baseAddress: bigint, lengthBytes: bigint, physicalAddress: bigint): number;
  destroyHwQueue?(index: number): void;
  /** Index of the queue that must outlive queue `index` (iommufd_hw_queue_depend), undefined when none. */
  hwQueueDependsOn?(type: number, index: number): number | undefined;
  free?(): void;
}

/** What the core offers a driver for one vIOMMU (struct iommufd_viommu and its helpers). */
export interface ViommuCore {
  readonly parent: PagingDomain;
  /** Virtual id of the device's vDEVICE in this vIOMMU, or -ENOENT (iommufd_viommu_get_vdev_id). */
  virtualIdOf(device: IommuDevice): bigint | number;
  /** The device whose vDEVICE has that virtual id, undefined when none (iommufd_viommu_find_dev). */
  deviceOf(virtualId: bigint): IommuDevice | undefined;
  /** Queues an event for user space (iommufd_viommu_report_event): 0 or -EOPNOTSUPP without a queue of that type. */
  reportEvent(type: number, data: Uint8Array): number;
  /** [bytes] Offset at which user space must map a granted region; negative errno on failure. */
  grantMmap(lengthBytes: number, bytes: Uint8Array): number;
}

/** An empty gather, as iommu_iotlb_gather_init. */
export function emptyGather(queued: boolean): IotlbGather {
  return { start: 0xffff_ffff_ffff_ffffn, end: 0n, pageSize: 0n, queued, freelist: [] };
}
