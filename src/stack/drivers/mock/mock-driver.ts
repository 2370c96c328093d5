/**
 * The kernel's iommufd self-test IOMMU as a driver of the seam: a second implementation without hardware, used to hold
 * the stack against transcripts of the kernel's own test devices (Linux drivers/iommu/iommufd/selftest.c).
 */
import type { Pasid } from '../../../address.ts';
import { assert } from '../../../assert.ts';
import { Errno } from '../../../errno.ts';
import {
  type HwInfo,
  HwptAllocFlag,
  type IommuCapability,
  type IommuDevice,
  type IommuDomain,
  type IommuDriver,
  type NestedDomain,
  type PagingDomain,
  type ReservedRegion,
  type UserData,
  type ViommuOps,
} from '../../iommu/ops.ts';
import type { KernelTask } from '../../kernel/task.ts';
import {
  MOCK_FAILING_PASID,
  MOCK_HUGE_PAGE_SIZE,
  MOCK_HW_INFO_TYPE,
  MOCK_HW_INFO_VALUE,
  MOCK_IO_PAGE_SIZE,
  MOCK_VIOMMU_TYPE,
  MockDeviceFlag,
} from './constants.ts';
import { MockDevice } from './mock-device.ts';
import { type MockDomainOptions, MockPagingDomain } from './mock-domain.ts';
import type { MockFeatures } from './mock-features.ts';
import { MockNestedDomain } from './mock-nested.ts';
import { allocateMockNested, readMockUserData } from './mock-nested-alloc.ts';
import { allocateMockViommu } from './mock-viommu.ts';

const CPU_PAGE_SIZE = 4096n;
/** Page-table formats of struct iommu_hwpt_selftest. */
const PageTableType = { standard: 0, huge: 1, amdv1: 2 } as const;

/** The mock driver. One instance serves all mock devices of a machine. */
export class MockDriver implements IommuDriver {
  readonly name = 'mock';
  readonly features: MockFeatures;
  readonly blockedDomain: IommuDomain = { type: 'blocked', driver: this };
  readonly identityDomain = undefined;
  readonly allocatesWithFlags = true;
  readonly iopfAtAttach: boolean;
  readonly viommu: ViommuOps | undefined;

  constructor(features: MockFeatures) {
    this.features = features;
    this.iopfAtAttach = features.pasid;
    this.viommu = features.viommu
      ? {
          supports: (type) => type === MOCK_VIOMMU_TYPE,
          alloc: (_device, core, _type, data) => allocateMockViommu(this, core, features, data),
        }
      : undefined;
  }

  capable(device: IommuDevice, capability: IommuCapability): boolean {
    switch (capability) {
      case 'cache-coherency':
        return true;
      case 'dirty-tracking':
        return (mock(device).flags & MockDeviceFlag.noDirty) === 0;
      default:
        return false;
    }
  }

  reservedRegions(): readonly ReservedRegion[] {
    return [];
  }

  hwInfo(_device: IommuDevice, requestedType: number): HwInfo | number {
    if (requestedType !== 0 && requestedType !== MOCK_HW_INFO_TYPE) return -Errno.EOPNOTSUPP;
    const data = new DataView(new ArrayBuffer(8));
    data.setUint32(4, MOCK_HW_INFO_VALUE, true);
    return { type: MOCK_HW_INFO_TYPE, data: new Uint8Array(data.buffer) };
  }

  /** EOPNOTSUPP: flags, data or format unknown, or dirty tracking on a device without; EINVAL/EFAULT: user data. */
  *allocPaging(
    device: IommuDevice,
    _purpose: 'user' | 'dma' | 'dma-fq',
    flags: number,
    data: UserData | undefined,
  ): KernelTask<PagingDomain | number> {
    yield 0;
    const known =
      HwptAllocFlag.dirtyTracking | HwptAllocFlag.nestParent | (this.features.pasid ? HwptAllocFlag.pasid : 0);
    const dirtyTracking = (flags & HwptAllocFlag.dirtyTracking) !== 0;
    const noDirty = (mock(device).flags & MockDeviceFlag.noDirty) !== 0;
    if ((flags & ~known) !== 0 || (dirtyTracking && noDirty)) return -Errno.EOPNOTSUPP;
    let format: number = PageTableType.standard;
    if (data !== undefined) {
      if (!this.features.pageTableTypes) return -Errno.EOPNOTSUPP;
      const copy = readMockUserData(data, this.features);
      if (typeof copy === 'number') return copy;
      format = copy.getUint32(4, true);
    }
    const nestParent = (flags & HwptAllocFlag.nestParent) !== 0;
    const sizes = this.#pageSizes(format, (mock(device).flags & MockDeviceFlag.hugeIova) !== 0);
    return sizes === undefined
      ? -Errno.EOPNOTSUPP
      : new MockPagingDomain(this, { ...sizes, nestParent, dirtyTracking });
  }

  *allocNested(
    _device: IommuDevice,
    parent: PagingDomain,
    flags: number,
    data: UserData,
  ): KernelTask<NestedDomain | number> {
    yield 0;
    if ((flags & ~(this.features.pasid ? HwptAllocFlag.pasid : 0)) !== 0) return -Errno.EOPNOTSUPP;
    if (!(parent instanceof MockPagingDomain)) return -Errno.EINVAL;
    return allocateMockNested(this, undefined, data, this.features);
  }

  /** EINVAL dirty tracking on a device without; ENOENT nested on a vIOMMU where the device has no vDEVICE. */
  *attach(device: IommuDevice, domain: IommuDomain, old: IommuDomain | undefined): KernelTask<number> {
    yield 0;
    const target = mock(device);
    if (hasDirty(domain) && (target.flags & MockDeviceFlag.noDirty) !== 0) return -Errno.EINVAL;
    const viommu = domain instanceof MockNestedDomain ? domain.viommu : undefined;
    if (viommu !== undefined) {
      const virtualId = viommu.virtualIdOf(target);
      if (typeof virtualId === 'number') return virtualId;
      target.virtualId = virtualId;
    }
    target.viommu = viommu;
    if (this.iopfAtAttach) this.#moveIopf(target, domain, old);
    return 0;
  }

  supportsPasid(_domain: IommuDomain): boolean {
    return this.features.pasid;
  }

  /** ENOMEM at every second set call of {@link MOCK_FAILING_PASID}; blocking it starts over. */
  *setPasid(device: IommuDevice, pasid: Pasid, domain: IommuDomain, old: IommuDomain | undefined): KernelTask<number> {
    yield 0;
    const target = mock(device);
    if (pasid === MOCK_FAILING_PASID) {
      if (domain.type === 'blocked') {
        target.failNextPasid = false;
      } else if (target.failNextPasid) {
        target.failNextPasid = false;
        return -Errno.ENOMEM;
      } else {
        target.failNextPasid = true;
      }
    }
    this.#moveIopf(target, domain, old);
    return 0;
  }

  enableIopf(device: IommuDevice): number {
    mock(device).iopfUsers++;
    return 0;
  }

  disableIopf(device: IommuDevice): void {
    const target = mock(device);
    assert(target.iopfUsers > 0, `${device.name}: page faults switched off twice`);
    target.iopfUsers--;
  }

  respondToPageRequests(): void {}

  #moveIopf(device: MockDevice, domain: IommuDomain, old: IommuDomain | undefined): void {
    if (domain.faultCapable === true) this.enableIopf(device);
    if (old?.faultCapable === true) this.disableIopf(device);
  }

  #pageSizes(format: number, hugeIova: boolean): Pick<MockDomainOptions, 'pageSizeBitmap' | 'largestLeaf'> | undefined {
    switch (format) {
      case PageTableType.standard: {
        const largestLeaf = this.features.mergesToPageSize ? CPU_PAGE_SIZE : MOCK_IO_PAGE_SIZE;
        return { pageSizeBitmap: MOCK_IO_PAGE_SIZE | (hugeIova ? MOCK_HUGE_PAGE_SIZE : 0n), largestLeaf };
      }
      case PageTableType.huge:
        return { pageSizeBitmap: CPU_PAGE_SIZE | MOCK_HUGE_PAGE_SIZE, largestLeaf: MOCK_HUGE_PAGE_SIZE };
      case PageTableType.amdv1:
        // APPROX: the AMD v1 format differs from the huge one only in sizes user space cannot see.
        return { pageSizeBitmap: CPU_PAGE_SIZE, largestLeaf: CPU_PAGE_SIZE };
      default:
        return undefined;
    }
  }
}

function mock(device: IommuDevice): MockDevice {
  assert(device instanceof MockDevice, `${device.name} is not a mock device`);
  return device;
}

function hasDirty(domain: IommuDomain): boolean {
  return domain instanceof MockPagingDomain && domain.dirty !== undefined;
}
