/**
 * Registering devices with VFIO: groups, device sets, indices and the decision whether a device has an IOMMU (Linux
 * drivers/vfio/{vfio_main,group}.c).
 */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import type { IommuGroup } from '../iommu/group.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { VfioDevice, type VfioDeviceParts } from './device.ts';
import { DeviceSet } from './device-set.ts';
import { VfioGroup } from './group-state.ts';
import type { VfioBuild, VfioProfile } from './profile.ts';

/** Fake IOMMU groups get numbers from the same space as real ones: the machine says where it ends. */
export type NextGroupId = () => number;

/** All VFIO devices and groups of one kernel. */
export class VfioRegistry {
  readonly kernel: Kernel;
  readonly profile: VfioProfile;
  readonly build: VfioBuild;
  readonly #groups = new Map<IommuGroup, VfioGroup>();
  readonly #fakeGroups = new Set<VfioGroup>();
  readonly #sets = new Map<object | string, DeviceSet>();
  readonly #devices: (VfioDevice | undefined)[] = [];
  readonly #nextGroupId: NextGroupId;

  constructor(kernel: Kernel, profile: VfioProfile, build: VfioBuild, nextGroupId: NextGroupId) {
    this.kernel = kernel;
    this.profile = profile;
    this.build = build;
    this.#nextGroupId = nextGroupId;
  }

  /** The VFIO group of an IOMMU group, if a device of it is registered. */
  groupOf(iommuGroup: IommuGroup): VfioGroup | undefined {
    return this.#groups.get(iommuGroup);
  }

  /** Every group with a registered device. */
  *groups(): Generator<VfioGroup, void, undefined> {
    yield* this.#groups.values();
    yield* this.#fakeGroups;
  }

  /** Registered devices in index order. */
  *devices(): Generator<VfioDevice, void, undefined> {
    for (const device of this.#devices) if (device !== undefined) yield device;
  }

  /**
   * vfio_register_group_dev: a physical device. `setKey` names its device set (a PCI slot or bus); without one the
   * device is alone in its set. Errors: EINVAL (no IOMMU and unsafe mode off, not cache coherent, registered twice).
   */
  registerPhysical(parts: VfioDeviceParts, setKey?: object | string): VfioDevice | number {
    const { hardware, iommuGroup } = parts;
    if (iommuGroup === undefined || hardware === undefined) {
      if (!this.build.noIommu || !this.build.enableUnsafeNoIommu) return -Errno.EINVAL;
      return this.#register(parts, this.#makeFakeGroup('no-iommu'), setKey);
    }
    const existing = this.#groups.get(iommuGroup);
    if (existing?.devices.some((device) => device.hardware === hardware)) return -Errno.EINVAL;
    if (!hardware.driver.capable(hardware, 'cache-coherency')) return -Errno.EINVAL;
    const group = existing ?? new VfioGroup('iommu', iommuGroup.id, iommuGroup, this.profile, this.kernel.timeline);
    this.#groups.set(iommuGroup, group);
    return this.#register(parts, group, setKey);
  }

  /** vfio_register_emulated_iommu_dev: a device without DMA of its own (every mdev), in a private group. */
  registerEmulated(parts: VfioDeviceParts): VfioDevice {
    return this.#register(parts, this.#makeFakeGroup('emulated'), undefined);
  }

  /** First steps of unregistration: name look-ups and the node no longer find the device. */
  hide(device: VfioDevice): void {
    device.registered = false;
    remove(device.group.devices, device);
  }

  /** Last steps, once nobody has the device open: number, set and, with its last driver, the group go. */
  drop(device: VfioDevice): void {
    assert(!device.registered && device.fileCount === 0, `${device.name} dropped while in use`);
    this.#devices[device.index] = undefined;
    remove(device.set.devices, device);
    if (device.set.devices.length === 0) this.#sets.delete(device.set.key);
    const { group } = device;
    group.driverCount--;
    if (group.driverCount > 0) return;
    if (group.iommuGroup !== undefined) this.#groups.delete(group.iommuGroup);
    this.#fakeGroups.delete(group);
  }

  #makeFakeGroup(type: 'emulated' | 'no-iommu'): VfioGroup {
    const group = new VfioGroup(type, this.#nextGroupId(), undefined, this.profile, this.kernel.timeline);
    this.#fakeGroups.add(group);
    return group;
  }

  #register(parts: VfioDeviceParts, group: VfioGroup, setKey: object | string | undefined): VfioDevice {
    const key = setKey ?? {};
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = new DeviceSet(key, this.kernel.timeline);
      this.#sets.set(key, set);
    }
    let index = this.#devices.indexOf(undefined);
    if (index < 0) index = this.#devices.length;
    const device = new VfioDevice(parts, group, set, index);
    this.#devices[index] = device;
    set.devices.push(device);
    group.devices.unshift(device);
    group.driverCount++;
    return device;
  }
}

function remove(list: VfioDevice[], device: VfioDevice): void {
  const at = list.indexOf(device);
  assert(at >= 0, `${device.name} is not registered`);
  list.splice(at, 1);
}
