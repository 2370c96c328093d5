/** The bus of the self-test devices: every device is made on demand, alone in its group (mock_dev_create). */
import { Errno } from '../../../../errno.ts';
import { setupDefaultDomain } from '../../../iommu/default-domain.ts';
import { IommuGroup, iommuGroupRules } from '../../../iommu/group.ts';
import type { Kernel } from '../../../kernel/kernel.ts';
import { KERNEL_VERSIONS } from '../../../kernel/profile.ts';
import type { KernelTask } from '../../../kernel/task.ts';
import { MockDeviceFlag } from '../constants.ts';
import { MockDevice } from '../mock-device.ts';
import { MockDriver } from '../mock-driver.ts';
import { mockFeatures } from '../mock-features.ts';

/** A self-test device and its group. */
export interface MockBusDevice {
  readonly device: MockDevice;
  readonly group: IommuGroup;
}

/** One per kernel. */
export class MockBus {
  readonly kernel: Kernel;
  readonly driver: MockDriver;
  readonly #knownFlags: number;
  #nextId = 0;

  constructor(kernel: Kernel) {
    const { version } = kernel.profile;
    this.kernel = kernel;
    this.driver = new MockDriver(mockFeatures(version));
    const { noDirty, hugeIova, pasid } = MockDeviceFlag;
    const hugeIsDeviceFlag = KERNEL_VERSIONS.indexOf(version) < KERNEL_VERSIONS.indexOf('L73');
    this.#knownFlags = noDirty | (hugeIsDeviceFlag ? hugeIova : 0) | (this.driver.features.pasid ? pasid : 0);
  }

  /** A new device on its default domain, or -EINVAL for unknown flags. */
  *create(flags: number): KernelTask<MockBusDevice | number> {
    if ((flags & ~this.#knownFlags) !== 0) return -Errno.EINVAL;
    const id = this.#nextId++;
    const device = new MockDevice(`iommufd_mock${id}`, this.driver, flags);
    const group = new IommuGroup(id, iommuGroupRules(this.kernel.profile.version), this.kernel.timeline);
    group.add(device);
    const error = yield* setupDefaultDomain(group, 'blocked');
    return error === 0 ? { device, group } : error;
  }
}
