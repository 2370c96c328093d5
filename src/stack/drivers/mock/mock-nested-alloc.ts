/** Allocation of nested mock domains, on a parent page table or on a vIOMMU (__mock_domain_alloc_nested). */
import { Errno } from '../../../errno.ts';
import type { IommuDriver, UserData } from '../../iommu/ops.ts';
import { copyUserStruct } from '../../iommu/user-data.ts';
import { MOCK_HWPT_DATA_TYPE } from './constants.ts';
import type { MockFeatures } from './mock-features.ts';
import { MockNestedDomain } from './mock-nested.ts';
import type { MockViommu } from './mock-viommu.ts';

/** [bytes] struct iommu_hwpt_selftest: iotlb; later kernels add pagetable_type. */
const USER_DATA_MIN_BYTES = 4;

/** [bytes] Known size of struct iommu_hwpt_selftest. */
export function userDataBytes(features: MockFeatures): number {
  return features.pageTableTypes ? 8 : USER_DATA_MIN_BYTES;
}

/** Reads struct iommu_hwpt_selftest; another type is EOPNOTSUPP, lengths and memory as usual. */
export function readMockUserData(data: UserData, features: MockFeatures): DataView | number {
  if (data.type !== MOCK_HWPT_DATA_TYPE) return -Errno.EOPNOTSUPP;
  return copyUserStruct(data, MOCK_HWPT_DATA_TYPE, USER_DATA_MIN_BYTES, userDataBytes(features));
}

/** The domain, or a negative errno. */
export function allocateMockNested(
  driver: IommuDriver,
  viommu: MockViommu | undefined,
  data: UserData,
  features: MockFeatures,
): MockNestedDomain | number {
  const copy = readMockUserData(data, features);
  if (typeof copy === 'number') return copy;
  return new MockNestedDomain(driver, viommu, copy.getUint32(0, true));
}
