/** A hardware page table object of either kind, and what both share (struct iommufd_hw_pagetable). */

import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import type { HwptNested } from './hwpt-nested.ts';
import type { HwptPaging } from './hwpt-paging.ts';

/** Paging or nested HWPT. */
export type Hwpt = HwptPaging | HwptNested;

/**
 * The paging HWPT under `hwpt`: itself, the parent of a nested one, or the parent of its vIOMMU (find_hwpt_paging).
 * Its IOAS decides reserved regions.
 */
export function pagingOf(hwpt: Hwpt): HwptPaging {
  return hwpt.type === 'hwpt-paging' ? hwpt : hwpt.parent;
}

/**
 * Drops the reference an attachment held (iommufd_hw_pagetable_put): an automatic page table nobody else holds goes.
 * The caller holds no lock.
 */
export function* putHwpt(context: IommufdContext, hwpt: Hwpt): KernelTask<void> {
  if (hwpt.type === 'hwpt-paging' && hwpt.auto) yield* context.objects.putAndTryDestroy(hwpt);
  else hwpt.users--;
}
