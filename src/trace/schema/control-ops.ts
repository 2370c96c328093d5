/** Which control-plane events there are. */

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
