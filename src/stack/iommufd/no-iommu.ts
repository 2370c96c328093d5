/**
 * Devices without an IOMMU bound to iommufd (Linux 7.3): page tables that pin memory and remember where it is, but
 * translate nothing. Their user-space drivers program physical addresses.
 */

import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { Timeline } from '../../timeline.ts';
import { IommuGroup, iommuGroupRules } from '../iommu/group.ts';
import type {
  HwInfo,
  IommuCapability,
  IommuDevice,
  IommuDomain,
  IommuDriver,
  IotlbGather,
  NestedDomain,
  PagingDomain,
  ReservedRegion,
} from '../iommu/ops.ts';
import type { KernelVersion } from '../kernel/profile.ts';
import type { KernelTask } from '../kernel/task.ts';

const PAGE = 4096n;

/** A domain without hardware behind it: page by page, IOVA to physical address. */
class NoIommuDomain implements PagingDomain {
  readonly type = 'paging';
  readonly driver: IommuDriver;
  readonly minPageSize = PAGE;
  readonly pageSizeBitmap = PAGE;
  readonly apertureStart = 0n;
  readonly apertureEnd = U64_MAX;
  readonly dirty = undefined;
  readonly #pages = new Map<bigint, bigint>();

  constructor(driver: IommuDriver) {
    this.driver = driver;
  }

  *map(iova: bigint, paddr: bigint, lengthBytes: bigint, _prot: number): KernelTask<number> {
    yield 0;
    for (let at = 0n; at < lengthBytes; at += PAGE) this.#pages.set((iova + at) / PAGE, paddr + at);
    return 0;
  }

  *unmap(iova: bigint, lengthBytes: bigint, _gather: IotlbGather): KernelTask<bigint> {
    yield 0;
    for (let at = 0n; at < lengthBytes; at += PAGE) this.#pages.delete((iova + at) / PAGE);
    return lengthBytes;
  }

  *sync(_gather: IotlbGather): KernelTask<number> {
    yield 0;
    return 0;
  }

  *flushAll(): KernelTask<number> {
    yield 0;
    return 0;
  }

  iovaToPhys(iova: bigint): bigint | undefined {
    const page = this.#pages.get(iova / PAGE);
    return page === undefined ? undefined : page + (iova % PAGE);
  }

  enforceCacheCoherency(): boolean {
    return false;
  }

  *free(): KernelTask<number> {
    yield 0;
    return 0;
  }
}

/** Stands where a driver would: every attach succeeds and does nothing. */
class NoIommuDriver implements IommuDriver {
  readonly name = 'no-iommu';
  readonly blockedDomain: IommuDomain = { type: 'blocked', driver: this };
  readonly identityDomain = undefined;
  readonly allocatesWithFlags = false;
  readonly viommu = undefined;

  capable(_device: IommuDevice, _capability: IommuCapability): boolean {
    return false;
  }

  reservedRegions(): readonly ReservedRegion[] {
    return [];
  }

  hwInfo(): HwInfo | number {
    return -Errno.EOPNOTSUPP;
  }

  *allocPaging(): KernelTask<PagingDomain | number> {
    yield 0;
    return new NoIommuDomain(this);
  }

  *allocNested(): KernelTask<NestedDomain | number> {
    yield 0;
    return -Errno.EOPNOTSUPP;
  }

  *attach(): KernelTask<number> {
    yield 0;
    return 0;
  }

  supportsPasid(): boolean {
    return false;
  }

  *setPasid(): KernelTask<number> {
    yield 0;
    return -Errno.EOPNOTSUPP;
  }

  enableIopf(): number {
    return -Errno.ENODEV;
  }

  disableIopf(): void {}
}

/** A device without IOMMU as iommufd binds it, alone in a group that no other context sees. */
export function noIommuDevice(
  name: string,
  version: KernelVersion,
  timeline: Timeline,
): { readonly device: IommuDevice; readonly group: IommuGroup } {
  const driver = new NoIommuDriver();
  const device: IommuDevice = {
    name,
    sourceIds: [],
    unit: '',
    driver,
    maxPasids: 0,
    isVirtualFunction: false,
    supportsPri: false,
    isolatedMsi: true,
  };
  const group = new IommuGroup(0, iommuGroupRules(version), timeline);
  group.add(device);
  group.defaultDomain = driver.blockedDomain;
  group.domain = driver.blockedDomain;
  return { device, group };
}
