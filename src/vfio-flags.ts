/** Flags of VFIO commands that recordings carry and every floor reads (include/uapi/linux/vfio.h). */

/** VFIO_DEVICE_ATTACH_PASID and VFIO_DEVICE_DETACH_PASID: the command is about one PASID of the device. */
export const WITH_PASID = 1;

/** VFIO_DMA_UNMAP_FLAG_ALL: all mappings of the container. */
export const VFIO_UNMAP_ALL = 2;
