/** Reading driver-specific structures that user space handed in (iommu_copy_struct_from_user, include/linux/iommu.h). */
import { Errno } from '../../errno.ts';
import type { UserData } from './ops.ts';

/**
 * Copies a structure of `knownBytes`, of which user space must supply at least `minBytes`; a missing tail reads as
 * zero. Errors: EINVAL for another type or a bad length, EFAULT for unreadable memory.
 */
export function copyUserStruct(data: UserData, type: number, minBytes: number, knownBytes: number): DataView | number {
  if (data.type !== type) return -Errno.EINVAL;
  if (data.lengthBytes < minBytes || data.lengthBytes > knownBytes) return -Errno.EINVAL;
  const copy = new Uint8Array(knownBytes);
  if (data.bytes === undefined || data.bytes.length < data.lengthBytes) return -Errno.EFAULT;
  copy.set(data.bytes.subarray(0, data.lengthBytes));
  return new DataView(copy.buffer);
}
