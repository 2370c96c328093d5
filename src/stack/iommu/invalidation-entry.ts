/** One entry of a user invalidation array (iommu_copy_struct_from_user_array, include/linux/iommu.h). */
import { Errno } from '../../errno.ts';
import type { UserInvalidation } from './ops.ts';

/**
 * Copies entry `index` as a structure of `knownBytes`; a shorter entry is zero-filled. Errors: EINVAL for an entry
 * length below `minBytes` or above `knownBytes`, EFAULT for unreadable memory.
 */
export function readInvalidationEntry(
  request: UserInvalidation,
  index: number,
  minBytes: number,
  knownBytes: number,
): DataView | number {
  if (request.entryLength < minBytes || request.entryLength > knownBytes) return -Errno.EINVAL;
  const from = index * request.entryLength;
  const bytes = request.bytes;
  if (bytes === undefined || bytes.length < from + request.entryLength) return -Errno.EFAULT;
  const copy = new Uint8Array(knownBytes);
  copy.set(bytes.subarray(from, from + request.entryLength));
  return new DataView(copy.buffer);
}
