/** The mock's vIOMMU (struct mock_viommu): nested domains, device-cache invalidation, two hardware queues. */
import { Errno } from '../../../errno.ts';
import { readInvalidationEntry } from '../../iommu/invalidation-entry.ts';
import {
  HwptAllocFlag,
  type IommuDriver,
  type NestedDomain,
  type UserData,
  type UserInvalidation,
  type ViommuCore,
  type ViommuDriverState,
} from '../../iommu/ops.ts';
import { copyUserStruct } from '../../iommu/user-data.ts';
import type { KernelTask } from '../../kernel/task.ts';
import {
  MOCK_DEVICE_CACHE_COUNT,
  MOCK_HW_QUEUE_COUNT,
  MOCK_HW_QUEUE_TYPE,
  MOCK_INVALIDATE_TYPE,
  MOCK_VEVENTQ_TYPE,
  MOCK_VIOMMU_MMAP_BYTES,
  MOCK_VIOMMU_TYPE,
} from './constants.ts';
import { MockDevice } from './mock-device.ts';
import type { MockFeatures } from './mock-features.ts';
import { allocateMockNested } from './mock-nested-alloc.ts';

/** struct iommu_viommu_selftest: in_data, out_data, out_mmap_offset u64, out_mmap_length u64. */
const USER_DATA_BYTES = 24;
/** struct iommu_viommu_invalidate_selftest: flags, vdev_id, cache_id. */
const ENTRY_BYTES = 12;
const INVALIDATE_ALL = 1;

/** A mock vIOMMU. */
export class MockViommu implements ViommuDriverState {
  readonly #driver: IommuDriver;
  readonly #core: ViommuCore;
  readonly #features: MockFeatures;
  readonly outData: Uint8Array | undefined;
  readonly #queues: (number | undefined)[] = new Array(MOCK_HW_QUEUE_COUNT).fill(undefined);

  constructor(driver: IommuDriver, core: ViommuCore, features: MockFeatures, outData: Uint8Array | undefined) {
    this.#driver = driver;
    this.#core = core;
    this.#features = features;
    this.outData = outData;
  }

  *allocNested(flags: number, data: UserData): KernelTask<NestedDomain | number> {
    yield 0;
    if ((flags & ~HwptAllocFlag.pasid) !== 0) return -Errno.EOPNOTSUPP;
    return allocateMockNested(this.#driver, this, data, this.#features);
  }

  /** Virtual id of `device` in this vIOMMU or -ENOENT: a nested attach needs it. */
  virtualIdOf(device: MockDevice): bigint | number {
    return this.#core.virtualIdOf(device);
  }

  /** Raises an event that names a device by its virtual id (struct iommu_viommu_event_selftest). */
  reportEvent(virtualId: bigint): number {
    const data = new DataView(new ArrayBuffer(4));
    data.setUint32(0, Number(BigInt.asUintN(32, virtualId)), true);
    return this.#core.reportEvent(MOCK_VEVENTQ_TYPE, new Uint8Array(data.buffer));
  }

  /**
   * Clears device-cache entries. EINVAL wrong type, unknown device id or cache index, EOPNOTSUPP flags; entries before
   * the failing one are done.
   */
  *invalidate(request: UserInvalidation): KernelTask<number> {
    yield 0;
    if (request.type !== MOCK_INVALIDATE_TYPE) return -Errno.EINVAL;
    for (let index = 0; index < request.entryCount; index++) {
      const entry = readInvalidationEntry(request, index, ENTRY_BYTES, ENTRY_BYTES);
      if (typeof entry === 'number') return entry;
      const flags = entry.getUint32(0, true);
      const virtualId = entry.getUint32(4, true);
      const cacheId = entry.getUint32(8, true);
      if ((flags & ~INVALIDATE_ALL) !== 0) return -Errno.EOPNOTSUPP;
      if (cacheId >= MOCK_DEVICE_CACHE_COUNT) return -Errno.EINVAL;
      const device = this.#core.deviceOf(BigInt(virtualId));
      if (!(device instanceof MockDevice)) return -Errno.EINVAL;
      if ((flags & INVALIDATE_ALL) !== 0) device.cache.fill(0);
      else device.cache[cacheId] = 0;
      request.done++;
    }
    return 0;
  }

  supportsHwQueue(type: number): boolean {
    return type === MOCK_HW_QUEUE_TYPE;
  }

  /** EINVAL index, EEXIST taken, EIO the queue before it is missing, EFAULT when the core translated wrongly. */
  initHwQueue(
    _type: number,
    index: number,
    baseAddress: bigint,
    _lengthBytes: bigint,
    physicalAddress: bigint,
  ): number {
    if (index >= MOCK_HW_QUEUE_COUNT) return -Errno.EINVAL;
    if (this.#queues[index] !== undefined) return -Errno.EEXIST;
    if (index > 0 && this.#queues[index - 1] === undefined) return -Errno.EIO;
    if (this.#core.parent.iovaToPhys(baseAddress) !== physicalAddress) return -Errno.EFAULT;
    this.#queues[index] = index;
    return 0;
  }

  destroyHwQueue(index: number): void {
    this.#queues[index] = undefined;
  }

  hwQueueDependsOn(_type: number, index: number): number | undefined {
    return index > 0 ? index - 1 : undefined;
  }
}

/** mock_viommu_init: with user data it grants a two-page region whose first word loops the input back. */
export function allocateMockViommu(
  driver: IommuDriver,
  core: ViommuCore,
  features: MockFeatures,
  data: UserData | undefined,
): MockViommu | number {
  if (data === undefined) return new MockViommu(driver, core, features, undefined);
  const copy = copyUserStruct(data, MOCK_VIOMMU_TYPE, USER_DATA_BYTES, USER_DATA_BYTES);
  if (typeof copy === 'number') return copy;
  const input = copy.getUint32(0, true);
  const region = new Uint8Array(MOCK_VIOMMU_MMAP_BYTES);
  new DataView(region.buffer).setUint32(0, input, true);
  const at = core.grantMmap(MOCK_VIOMMU_MMAP_BYTES, region);
  if (at < 0) return at;
  copy.setUint32(4, input, true);
  copy.setBigUint64(8, BigInt(at), true);
  copy.setBigUint64(16, BigInt(MOCK_VIOMMU_MMAP_BYTES), true);
  return new MockViommu(driver, core, features, new Uint8Array(copy.buffer));
}
