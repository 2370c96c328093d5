/**
 * Structures and numbers of the iommufd ioctls. Source: Linux include/uapi/linux/iommufd.h.
 */
import { type StructLayout, u8, u16, u32, u64 } from './user-struct.ts';

/** IOMMUFD_TYPE in the high byte of every ioctl number; direction and size bits are zero. */
export const IOMMUFD_TYPE = 0x3b00;
/** IOMMUFD_CMD_BASE: lower numbers belong to the VFIO-compatible interface. */
export const FIRST_NR = 0x80;
/** IOMMU_TEST_CMD of test builds. */
export const TEST_NR = 0xa0;

/** enum iommufd_ioas_map_flags. */
export const MapFlag = { fixedIova: 1, writeable: 2, readable: 4 } as const;

/** One ioctl's structure. The first u32 of each is the size the user knows. */
export interface IoctlShape<L extends StructLayout = StructLayout> {
  readonly nr: number;
  readonly name: string;
  /** [bytes] Size the kernel knows. */
  readonly knownBytes: number;
  /** [bytes] Smallest size accepted. */
  readonly minBytes: number;
  readonly layout: L;
}

const shape = <L extends StructLayout>(
  nr: number,
  name: string,
  knownBytes: number,
  minBytes: number,
  layout: L,
): IoctlShape<L> => ({ nr, name, knownBytes, minBytes, layout });

export const DESTROY = shape(0x80, 'DESTROY', 8, 8, { id: u32(4) });
export const IOAS_ALLOC = shape(0x81, 'IOAS_ALLOC', 12, 12, { flags: u32(4), outIoasId: u32(8) });
export const IOAS_ALLOW_IOVAS = shape(0x82, 'IOAS_ALLOW_IOVAS', 24, 24, {
  ioasId: u32(4),
  rangeCount: u32(8),
  reserved: u32(12),
  ranges: u64(16),
});
export const IOAS_COPY = shape(0x83, 'IOAS_COPY', 40, 40, {
  flags: u32(4),
  dstIoasId: u32(8),
  srcIoasId: u32(12),
  lengthBytes: u64(16),
  dstIova: u64(24),
  srcIova: u64(32),
});
export const IOAS_IOVA_RANGES = shape(0x84, 'IOAS_IOVA_RANGES', 32, 32, {
  ioasId: u32(4),
  rangeCount: u32(8),
  reserved: u32(12),
  ranges: u64(16),
  outAlignment: u64(24),
});
export const IOAS_MAP = shape(0x85, 'IOAS_MAP', 40, 40, {
  flags: u32(4),
  ioasId: u32(8),
  reserved: u32(12),
  userVa: u64(16),
  lengthBytes: u64(24),
  iova: u64(32),
});
export const IOAS_UNMAP = shape(0x86, 'IOAS_UNMAP', 24, 24, { ioasId: u32(4), iova: u64(8), lengthBytes: u64(16) });
export const OPTION = shape(0x87, 'OPTION', 24, 24, {
  optionId: u32(4),
  op: u16(8),
  reserved: u16(10),
  objectId: u32(12),
  value: u64(16),
});
export const VFIO_IOAS = shape(0x88, 'VFIO_IOAS', 12, 12, { ioasId: u32(4), op: u16(8), reserved: u16(10) });
export const HWPT_ALLOC = shape(0x89, 'HWPT_ALLOC', 48, 24, {
  flags: u32(4),
  devId: u32(8),
  ptId: u32(12),
  outHwptId: u32(16),
  reserved: u32(20),
  dataType: u32(24),
  dataLength: u32(28),
  data: u64(32),
  faultId: u32(40),
  reserved2: u32(44),
});
export const GET_HW_INFO = shape(0x8a, 'GET_HW_INFO', 40, 32, {
  flags: u32(4),
  devId: u32(8),
  dataLength: u32(12),
  data: u64(16),
  dataType: u32(24),
  maxPasidLog2: u8(28),
  reserved0: u8(29),
  reserved1: u8(30),
  reserved2: u8(31),
  capabilities: u64(32),
});
export const HWPT_SET_DIRTY_TRACKING = shape(0x8b, 'HWPT_SET_DIRTY_TRACKING', 16, 16, {
  flags: u32(4),
  hwptId: u32(8),
  reserved: u32(12),
});
export const HWPT_GET_DIRTY_BITMAP = shape(0x8c, 'HWPT_GET_DIRTY_BITMAP', 48, 48, {
  hwptId: u32(4),
  flags: u32(8),
  reserved: u32(12),
  iova: u64(16),
  lengthBytes: u64(24),
  pageSize: u64(32),
  bitmap: u64(40),
});
export const HWPT_INVALIDATE = shape(0x8d, 'HWPT_INVALIDATE', 32, 32, {
  hwptId: u32(4),
  data: u64(8),
  dataType: u32(16),
  entryLength: u32(20),
  entryCount: u32(24),
  reserved: u32(28),
});
export const FAULT_QUEUE_ALLOC = shape(0x8e, 'FAULT_QUEUE_ALLOC', 16, 16, {
  flags: u32(4),
  outFaultId: u32(8),
  outFaultFd: u32(12),
});
export const IOAS_MAP_FILE = shape(0x8f, 'IOAS_MAP_FILE', 40, 40, {
  flags: u32(4),
  ioasId: u32(8),
  fd: u32(12),
  startByte: u64(16),
  lengthBytes: u64(24),
  iova: u64(32),
});
export const VIOMMU_ALLOC = shape(0x90, 'VIOMMU_ALLOC', 40, 24, {
  flags: u32(4),
  viommuType: u32(8),
  devId: u32(12),
  hwptId: u32(16),
  outViommuId: u32(20),
  dataLength: u32(24),
  reserved: u32(28),
  data: u64(32),
});
export const VDEVICE_ALLOC = shape(0x91, 'VDEVICE_ALLOC', 24, 24, {
  viommuId: u32(4),
  devId: u32(8),
  outVdeviceId: u32(12),
  virtualId: u64(16),
});
export const IOAS_CHANGE_PROCESS = shape(0x92, 'IOAS_CHANGE_PROCESS', 8, 8, { reserved: u32(4) });
export const VEVENTQ_ALLOC = shape(0x93, 'VEVENTQ_ALLOC', 32, 28, {
  flags: u32(4),
  viommuId: u32(8),
  queueType: u32(12),
  depth: u32(16),
  outVeventqId: u32(20),
  outVeventqFd: u32(24),
  reserved: u32(28),
});
export const HW_QUEUE_ALLOC = shape(0x94, 'HW_QUEUE_ALLOC', 40, 40, {
  flags: u32(4),
  viommuId: u32(8),
  queueType: u32(12),
  index: u32(16),
  outHwQueueId: u32(20),
  baseAddress: u64(24),
  lengthBytes: u64(32),
});
export const IOAS_NOIOMMU_GET_PA = shape(0x95, 'IOAS_NOIOMMU_GET_PA', 40, 40, {
  flags: u32(4),
  ioasId: u32(8),
  reserved: u32(12),
  iova: u64(16),
  outLengthBytes: u64(24),
  outPhysicalAddress: u64(32),
});
