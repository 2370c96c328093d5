/**
 * What user space says about its first stage: struct iommu_hwpt_vtd_s1 and the entries of a user invalidation, struct
 * iommu_hwpt_vtd_s1_invalidate (Linux include/uapi/linux/iommufd.h).
 */
import { Errno } from '../../../errno.ts';
import { readInvalidationEntry } from '../../iommu/invalidation-entry.ts';
import type { UserData, UserInvalidation } from '../../iommu/ops.ts';
import { copyUserStruct } from '../../iommu/user-data.ts';

/** IOMMU_HWPT_DATA_VTD_S1. */
export const VTD_S1_DATA_TYPE = 1;
/** IOMMU_HWPT_INVALIDATE_DATA_VTD_S1. */
export const VTD_S1_INVALIDATE_TYPE = 0;
/** [bytes] Both structures; neither has had a shorter version. */
const STRUCT_BYTES = 24;

/** IOMMU_VTD_S1_*: supervisor requests, extended access flag, write protect. */
export const VtdS1Flag = { sre: 1, eafe: 2, wpe: 4 } as const;
/** IOMMU_VTD_INV_FLAGS_LEAF. */
const INVALIDATE_LEAF = 1;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** A user's first stage. */
export interface VtdS1Config {
  /** {@link VtdS1Flag} bits. */
  readonly flags: bigint;
  /** [bytes] Address of the top table, in the parent's address space. */
  readonly tableAddress: bigint;
  /** [bits] 48 or 57; anything else is refused when it is attached. */
  readonly addressWidth: number;
}

/** Reads iommu_hwpt_vtd_s1. Errors: EOPNOTSUPP another type; EINVAL length; EFAULT unreadable. */
export function readVtdS1(data: UserData): VtdS1Config | number {
  if (data.type !== VTD_S1_DATA_TYPE) return -Errno.EOPNOTSUPP;
  const copy = copyUserStruct(data, VTD_S1_DATA_TYPE, STRUCT_BYTES, STRUCT_BYTES);
  if (typeof copy === 'number') return copy;
  return {
    flags: copy.getBigUint64(0, true),
    tableAddress: copy.getBigUint64(8, true),
    addressWidth: copy.getUint32(16, true),
  };
}

/** One range of a user invalidation. */
export interface VtdS1Invalidation {
  /** First and last page; `everything` when the user asked for all of it. [4 KiB pages] */
  readonly firstPfn: number;
  readonly lastPfn: number;
  readonly everything: boolean;
  readonly leafOnly: boolean;
}

/**
 * Reads entry `index` of an array. Errors: EINVAL entry length, EFAULT unreadable, EOPNOTSUPP unknown flag or reserved
 * field, EINVAL unaligned address or "all pages" with an address.
 *
 * APPROX: an entry of 0 pages counts as one page.
 */
export function readVtdS1Invalidation(request: UserInvalidation, index: number): VtdS1Invalidation | number {
  const entry = readInvalidationEntry(request, index, STRUCT_BYTES, STRUCT_BYTES);
  if (typeof entry === 'number') return entry;
  const address = entry.getBigUint64(0, true);
  const pageCount = entry.getBigUint64(8, true);
  const flags = entry.getUint32(16, true);
  if ((flags & ~INVALIDATE_LEAF) !== 0 || entry.getUint32(20, true) !== 0) return -Errno.EOPNOTSUPP;
  const everything = pageCount === U64_MAX;
  if ((address & 0xfffn) !== 0n || (everything && address !== 0n)) return -Errno.EINVAL;
  const firstPfn = Number(address >> 12n);
  const span = everything || pageCount === 0n ? 1 : Number(pageCount);
  return { firstPfn, lastPfn: firstPfn + span - 1, everything, leafOnly: (flags & INVALIDATE_LEAF) !== 0 };
}
