/** A device behind the self-test IOMMU (struct mock_dev). Each is alone in its group. */
import type { IommuDevice, IommuDriver } from '../../iommu/ops.ts';
import { MOCK_DEVICE_CACHE_COUNT, MOCK_DEVICE_CACHE_DEFAULT, MOCK_MAX_PASIDS, MockDeviceFlag } from './constants.ts';
import type { MockViommu } from './mock-viommu.ts';

/** A mock device. */
export class MockDevice implements IommuDevice {
  readonly name: string;
  readonly sourceIds = [];
  readonly unit = 'mock';
  readonly driver: IommuDriver;
  readonly maxPasids: number;
  readonly isVirtualFunction = false;
  readonly supportsPri = false;
  readonly isolatedMsi = true;
  /** MockDeviceFlag bits. */
  readonly flags: number;
  /** Pretended device cache that vIOMMU invalidation clears. */
  readonly cache = new Uint32Array(MOCK_DEVICE_CACHE_COUNT).fill(MOCK_DEVICE_CACHE_DEFAULT);
  /** vIOMMU of the attached nested domain, and this device's id there. */
  viommu: MockViommu | undefined;
  virtualId = 0n;
  /** Next set call of the failing PASID fails. */
  failNextPasid = false;
  /** Fault-capable attachments. */
  iopfUsers = 0;

  constructor(name: string, driver: IommuDriver, flags: number) {
    this.name = name;
    this.driver = driver;
    this.flags = flags;
    // Without the flag the device still tells a width: zero bits, so that only PASID 0 exists.
    this.maxPasids = (flags & MockDeviceFlag.pasid) !== 0 ? MOCK_MAX_PASIDS : 1;
  }
}
