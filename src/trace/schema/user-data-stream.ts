/** What user space hands over beside the arguments of its calls. */
import type { StreamSchema } from './column-type.ts';

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
