/** The mock's nested domain (struct mock_iommu_domain_nested): four pretended IOTLB entries user space invalidates. */
import { Errno } from '../../../errno.ts';
import { readInvalidationEntry } from '../../iommu/invalidation-entry.ts';
import type { IommuDriver, NestedDomain, UserInvalidation } from '../../iommu/ops.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { MOCK_INVALIDATE_TYPE, MOCK_NESTED_IOTLB_COUNT } from './constants.ts';
import type { MockViommu } from './mock-viommu.ts';

/** struct iommu_hwpt_invalidate_selftest: flags, iotlb_id. */
const ENTRY_BYTES = 8;
/** IOMMU_TEST_INVALIDATE_FLAG_ALL. */
const INVALIDATE_ALL = 1;

/** A mock nested domain. */
export class MockNestedDomain implements NestedDomain {
  readonly type = 'nested';
  readonly driver: IommuDriver;
  /** The vIOMMU it was allocated on, if any: a device needs a vDEVICE there to attach. */
  readonly viommu: MockViommu | undefined;
  readonly iotlb = new Uint32Array(MOCK_NESTED_IOTLB_COUNT);
  faultCapable = false;

  constructor(driver: IommuDriver, viommu: MockViommu | undefined, iotlbValue: number) {
    this.driver = driver;
    this.viommu = viommu;
    this.iotlb.fill(iotlbValue);
  }

  /** EINVAL wrong type or index, EOPNOTSUPP flags, plus what reading an entry answers; entries before it are done. */
  *invalidateUser(request: UserInvalidation): KernelTask<number> {
    yield 0;
    if (request.type !== MOCK_INVALIDATE_TYPE) return -Errno.EINVAL;
    for (let index = 0; index < request.entryCount; index++) {
      const entry = readInvalidationEntry(request, index, ENTRY_BYTES, ENTRY_BYTES);
      if (typeof entry === 'number') return entry;
      const flags = entry.getUint32(0, true);
      const id = entry.getUint32(4, true);
      if ((flags & ~INVALIDATE_ALL) !== 0) return -Errno.EOPNOTSUPP;
      if (id >= MOCK_NESTED_IOTLB_COUNT) return -Errno.EINVAL;
      if ((flags & INVALIDATE_ALL) !== 0) this.iotlb.fill(0);
      else this.iotlb[id] = 0;
      request.done++;
    }
    return 0;
  }

  *free(): KernelTask<number> {
    yield 0;
    return 0;
  }
}
