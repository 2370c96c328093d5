/**
 * Events of the guest kernel as ftrace shows them, already decoded. Payload formats: Linux include/trace/events/iommu.h,
 * dma.h and drivers/iommu/intel/trace.h.
 */

/** What every guest event carries. */
export interface GuestStamp {
  /** [ns] Trace clock. */
  readonly timeNs: number;
  readonly cpu: number;
  readonly thread: number;
}

/** One contiguous IOVA range. */
export interface IovaRange {
  /** [bytes] Exact for page-aligned addresses of any size. */
  readonly iova: number;
  readonly bytes: number;
}

/** Direction of a DMA mapping, enum dma_data_direction. */
export type MapDirection = 0 | 1 | 2 | 3;

/** A range of a device's IOVA space. */
export interface DeviceRange extends IovaRange {
  readonly device: string;
  readonly direction: MapDirection;
}

/** A cache tag: what must be flushed when a domain changes. */
export interface CacheTag {
  readonly device: string;
  /** iotlb, devtlb, nesting_iotlb ... */
  readonly type: string;
  readonly domainId: number;
  readonly pasid: number;
}

/** Decoded payloads. */
export type GuestPayload =
  | { readonly kind: 'map'; readonly iova: number; readonly bytes: number; readonly phys: number }
  | { readonly kind: 'unmap'; readonly iova: number; readonly bytes: number; readonly unmappedBytes: number }
  | { readonly kind: 'attach'; readonly device: string }
  | ({ readonly kind: 'tag_assign' } & CacheTag)
  | ({ readonly kind: 'tag_unassign' } & CacheTag)
  /** A flush request on a cache tag: a range, or everything. `afterMap`: for not-present entries that became present. */
  | { readonly kind: 'flush'; readonly domainId: number; readonly type: string; readonly afterMap: boolean }
  /** One invalidation descriptor, `qi_submit`. */
  | { readonly kind: 'submit'; readonly unit: string; readonly type: string; readonly words: readonly bigint[] }
  | {
      readonly kind: 'dma_map';
      readonly device: string;
      readonly direction: MapDirection;
      readonly scattered: boolean;
      readonly ranges: readonly IovaRange[];
      readonly phys: readonly number[];
    }
  | ({ readonly kind: 'dma_unmap' } & DeviceRange)
  /** dma_unmap_sg names the physical pieces only; it is written before the unmap. */
  | {
      readonly kind: 'dma_unmap_sg';
      readonly device: string;
      readonly direction: MapDirection;
      readonly phys: readonly number[];
    }
  | ({ readonly kind: 'dma_alloc' } & DeviceRange)
  | ({ readonly kind: 'dma_free' } & DeviceRange)
  | { readonly kind: 'ioctl_enter'; readonly fd: number; readonly command: number }
  | { readonly kind: 'ioctl_exit'; readonly result: number }
  | { readonly kind: 'marker'; readonly text: string }
  | { readonly kind: 'lost'; readonly count: number };

/** A decoded event with its stamp. */
export type GuestEvent = GuestStamp & GuestPayload;

/** The events of some kinds. */
export type GuestEventOf<K extends GuestPayload['kind']> = Extract<GuestEvent, { readonly kind: K }>;
