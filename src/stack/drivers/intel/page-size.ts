/** Cutting a range into pieces of one page size (iommu_pgsize of Linux drivers/iommu/iommu.c). */
import { LEVEL_SPAN } from './page-table.ts';

/**
 * [4 KiB pages] Length of the next piece at `iovaPfn` when `pageCount` pages are left: a multiple of the largest page
 * size (up to `maxLeafLevel`) that alignment and length allow, stopping where a larger page would fit.
 */
export function nextPiece(maxLeafLevel: number, iovaPfn: number, pageCount: number): number {
  let level = maxLeafLevel;
  while (level > 1 && (iovaPfn % (LEVEL_SPAN[level] as number) !== 0 || pageCount < (LEVEL_SPAN[level] as number))) {
    level--;
  }
  const size = LEVEL_SPAN[level] as number;
  let length = pageCount;
  if (level < maxLeafLevel) {
    const larger = LEVEL_SPAN[level + 1] as number;
    const offset = larger - (iovaPfn % larger);
    // Only worth stopping at the boundary when a whole larger page follows it.
    if (offset + larger <= pageCount) length = offset;
  }
  return Math.floor(length / size) * size;
}
