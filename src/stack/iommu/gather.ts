/**
 * What an unmap leaves to be flushed (struct iommu_iotlb_gather): a range, the page size of its pieces and the table
 * pages to release after the flush.
 */
import type { IotlbGather } from './ops.ts';

/** True when nothing has been gathered. */
export function isGatherEmpty(gather: IotlbGather): boolean {
  return gather.start > gather.end;
}

/** True when [iova, iova+length) neither overlaps nor touches the gathered range (iommu_iotlb_gather_is_disjoint). */
export function isDisjoint(gather: IotlbGather, iova: bigint, lengthBytes: bigint): boolean {
  const last = iova + lengthBytes - 1n;
  return !isGatherEmpty(gather) && (last + 1n < gather.start || iova > gather.end + 1n);
}

/** Grows the gathered range over [iova, iova+length) (iommu_iotlb_gather_add_range). */
export function gatherRange(gather: IotlbGather, iova: bigint, lengthBytes: bigint): void {
  const last = iova + lengthBytes - 1n;
  if (iova < gather.start) gather.start = iova;
  if (last > gather.end) gather.end = last;
}

/**
 * True when a piece of `pageSize` bytes at `iova` cannot join the gather, so that it must be synced first: another
 * page size, or a gap (iommu_iotlb_gather_add_page). Deferred gathers are never synced early.
 */
export function needsEarlySync(gather: IotlbGather, iova: bigint, pageSize: bigint): boolean {
  if (gather.queued) return false;
  return (gather.pageSize !== 0n && gather.pageSize !== pageSize) || isDisjoint(gather, iova, pageSize);
}

/** Adds one piece and remembers its page size; the caller has synced if {@link needsEarlySync} said so. */
export function gatherPage(gather: IotlbGather, iova: bigint, pageSize: bigint): void {
  gather.pageSize = pageSize;
  gatherRange(gather, iova, pageSize);
}

/** Makes the gather empty again, as iommu_iotlb_gather_init; its flush mode stays. */
export function resetGather(gather: IotlbGather): void {
  gather.start = 0xffff_ffff_ffff_ffffn;
  gather.end = 0n;
  gather.pageSize = 0n;
  gather.freelist.length = 0;
}
