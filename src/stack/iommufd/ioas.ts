/**
 * I/O address space: areas of user memory at IOVAs, mapped into every attached domain (struct iommufd_ioas and struct
 * io_pagetable). Source: Linux drivers/iommu/iommufd/{ioas,io_pagetable}.c.
 */
import type { IommuDevice, PagingDomain, ReservedRegion } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import type { IommufdObject } from './object-table.ts';

/** What an IOAS knows of a paging HWPT on it. */
export interface IoasHwpt extends IommufdObject {
  readonly type: 'hwpt-paging';
  readonly domain: PagingDomain;
  readonly enforceCacheCoherency: boolean;
}

/** What an IOAS knows of an access: who must unpin before an area goes. */
export interface IoasAccess {
  /** [bytes] 1, or PAGE_SIZE when the access pins pages. */
  readonly iovaAlignment: bigint;
  /** Callback after which no pin may intersect the range; absent for accesses that only read and write. */
  readonly unmap: ((iova: bigint, lengthBytes: bigint) => KernelTask<void>) | undefined;
}

/** An IOAS. */
export class Ioas implements IommufdObject {
  readonly type = 'ioas';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly context: IommufdContext;
  /** Paging HWPTs in creation order; guarded by {@link lockHwpts}. */
  readonly hwpts: IoasHwpt[] = [];
  /** Attached domains in add order; a removal moves the last into the hole. */
  readonly domains: PagingDomain[] = [];

  constructor(context: IommufdContext) {
    this.context = context;
  }

  /** Takes the mutex that guards {@link hwpts} and the automatic page-table search (ioas.mutex). */
  *lockHwpts(): KernelTask<void> {}

  /** Releases {@link lockHwpts}. */
  unlockHwpts(): void {}

  /** Maps every area into `domain` and keeps it in step from now on (iopt_table_add_domain). 0 or errno, undone. */
  *addDomain(_domain: PagingDomain): KernelTask<number> {
    return 0;
  }

  /** Empties `domain` of this IOAS's areas; unpins when it was the last (iopt_table_remove_domain). */
  *removeDomain(_domain: PagingDomain): KernelTask<void> {}

  /** Keeps [start, last] free of areas for `owner`; 0 or -EADDRINUSE (iopt_reserve_iova). */
  reserveIova(_start: bigint, _last: bigint, _owner: object): number {
    return 0;
  }

  /** Drops every reservation of `owner` (iopt_remove_reserved_iova). */
  removeReserved(_owner: object): void {}

  /**
   * Reserves what `device` cannot translate (iopt_table_enforce_dev_resv_regions): all regions but relaxable ones.
   * 0, or errno with none of the device's reservations left.
   */
  enforceDeviceReserved(_device: IommuDevice, _regions: readonly ReservedRegion[]): number {
    return 0;
  }

  /** Registers an access; the alignment may rise. 0 or -EADDRINUSE (iopt_add_access). */
  addAccess(_access: IoasAccess): number {
    return 0;
  }

  /** Drops an access; the alignment may fall (iopt_remove_access). */
  removeAccess(_access: IoasAccess): void {}

  /** Type destructor: unmaps everything. */
  *destroy(): KernelTask<void> {}
}
