/**
 * Events of the emulated IOMMU and its devices, decoded from QEMU's trace log. Formats: QEMU hw/i386/trace-events
 * (vtd_*), hw/nvme/trace-events (pci_nvme_*), hw/net/trace-events (e1000e_*).
 */

/** What every device-model event carries. */
export interface DeviceStamp {
  /** [ns] Since the first second of the log; NaN when the log has no times. */
  readonly timeNs: number;
  /** Host thread; 0 when the log does not say. */
  readonly thread: number;
  /** Line of the log. */
  readonly line: number;
}

/** A DMA request that was translated: a hit or a fill of the IOTLB, then the result. */
export interface TranslateEvent extends DeviceStamp {
  readonly kind: 'translate';
  readonly sourceId: number;
  /** [bytes] Byte address when the log shows it, else that of the page. */
  readonly iova: number;
  /** [4 KiB pages] 4 KiB page behind {@link iova}. */
  readonly pfn: number;
  /** log2 of the size of the translation. */
  readonly pageShift: number;
  readonly outcome: 'hit' | 'fill' | 'unknown';
  /** Leaf entry, R/W bits 0..1; 0 when the log does not show it. Exact below 2^53. */
  readonly leaf: number;
  readonly domainId: number;
}

/** A DMA request that faulted. */
export interface FaultEvent extends DeviceStamp {
  readonly kind: 'fault';
  readonly sourceId: number;
  /** [bytes] */
  readonly iova: number;
  /** VT-d fault reason. */
  readonly reason: number;
  readonly write: boolean;
}

/** One invalidation descriptor the IOMMU fetched. */
export interface DescriptorEvent extends DeviceStamp {
  readonly kind: 'descriptor';
  readonly low: bigint;
  readonly high: bigint;
}

/** State changes of the IOMMU other than descriptors. */
export interface UnitEvent extends DeviceStamp {
  readonly kind: 'iotlb_reset' | 'context_reset' | 'pasid_cache_reset';
}

/** A context entry loaded into the context cache. */
export interface ContextFillEvent extends DeviceStamp {
  readonly kind: 'context_fill';
  readonly sourceId: number;
  readonly low: bigint;
  readonly high: bigint;
}

/** A fault record written. */
export interface FaultRecordEvent extends DeviceStamp {
  readonly kind: 'fault_record';
  readonly low: bigint;
  readonly high: bigint;
}

/** What a device model says about its own next or last access: hints for size and direction. */
export interface AccessHintEvent extends DeviceStamp {
  readonly kind: 'hint';
  readonly hint:
    | 'nvme_sq'
    | 'nvme_cq'
    | 'nvme_read'
    | 'nvme_write'
    | 'nvme_admin'
    | 'nvme_data'
    | 'e1000e_rx_descriptor'
    | 'e1000e_rx_data'
    | 'e1000e_tx_data';
  /** [bytes] */
  readonly iova: number;
  /** [bytes] Of the access; for queues of the whole ring. */
  readonly bytes: number;
}

/** A decoded line of the device-model log, in log order. */
export type DeviceEvent =
  | TranslateEvent
  | FaultEvent
  | DescriptorEvent
  | UnitEvent
  | ContextFillEvent
  | FaultRecordEvent
  | AccessHintEvent;
