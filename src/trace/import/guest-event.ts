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

/** Decoded payloads. */
export type GuestPayload =
  | { readonly kind: 'map'; readonly iova: number; readonly bytes: number; readonly phys: number }
  | { readonly kind: 'unmap'; readonly iova: number; readonly bytes: number; readonly unmappedBytes: number }
  | { readonly kind: 'attach'; readonly device: string }
  | { readonly kind: 'tag_assign' | 'tag_unassign'; readonly device: string; readonly type: string; readonly domainId: number; readonly pasid: number }
  /** A flush request on a cache tag: a range, or everything. */
  | { readonly kind: 'flush'; readonly domainId: number; readonly type: string }
  /** One invalidation descriptor, `qi_submit`. */
  | { readonly kind: 'submit'; readonly unit: string; readonly type: string; readonly words: readonly bigint[] }
  | { readonly kind: 'dma_map'; readonly device: string; readonly direction: MapDirection; readonly ranges: readonly IovaRange[]; readonly phys: readonly number[] }
  | { readonly kind: 'dma_unmap'; readonly device: string; readonly direction: MapDirection; readonly iova: number; readonly bytes: number }
  /** dma_unmap_sg names the physical pieces only; it is written before the unmap. */
  | { readonly kind: 'dma_unmap_sg'; readonly device: string; readonly direction: MapDirection; readonly phys: readonly number[] }
  | { readonly kind: 'dma_alloc' | 'dma_free'; readonly device: string; readonly direction: MapDirection; readonly iova: number; readonly bytes: number }
  | { readonly kind: 'ioctl_enter'; readonly fd: number; readonly command: number }
  | { readonly kind: 'ioctl_exit'; readonly result: number }
  | { readonly kind: 'marker'; readonly text: string }
  | { readonly kind: 'lost'; readonly count: number };

/** A decoded event with its stamp. */
export type GuestEvent = GuestStamp & GuestPayload;

/** Name of a {@link GuestPayload}. */
export type GuestEventKind = GuestPayload['kind'];
