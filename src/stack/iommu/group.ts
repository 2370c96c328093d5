/**
 * An IOMMU group (struct iommu_group of drivers/iommu/iommu.c): the smallest set of devices that the IOMMU can tell
 * apart. One owner, one RID domain and one table of PASID attachments per group; the group mutex guards all of it.
 */
import { assert } from '../../assert.ts';
import type { Timeline } from '../../timeline.ts';
import type { CallObserver } from '../kernel/call-observer.ts';
import { Mutex } from '../kernel/locks.ts';
import { KERNEL_VERSIONS, type KernelVersion } from '../kernel/profile.ts';
import type { AttachHandle, IommuDevice, IommuDomain } from './ops.ts';

/** What differs between kernels in the group code. */
export interface IommuGroupRules {
  /** PASID attach needs a driver whose blocked domain can be set at a PASID (Linux 6.15; before that remove_dev_pasid). */
  readonly pasidNeedsBlockedDomain: boolean;
  /** A device of the group in reset makes every change of domain that may fail return EBUSY (Linux 7.0). */
  readonly refusesDuringReset: boolean;
}

/** The group rules of that kernel. */
export function iommuGroupRules(version: KernelVersion): IommuGroupRules {
  const since = (first: KernelVersion): boolean => KERNEL_VERSIONS.indexOf(version) >= KERNEL_VERSIONS.indexOf(first);
  return { pasidNeedsBlockedDomain: since('L615'), refusesDuringReset: since('L70') };
}

/** One occupied slot of the PASID table. */
export interface PasidAttachment {
  readonly domain: IommuDomain;
  /** Absent for attachments made without one (SVA of old, in-kernel users). */
  readonly handle: AttachHandle | undefined;
}

/** State of one group. Functions of this folder act on it; nothing else writes it. */
export class IommuGroup {
  readonly id: number;
  readonly rules: IommuGroupRules;
  /** Clock of the locks around this group. */
  readonly timeline: Timeline;
  /** In the order the devices were added: the order of every per-device driver call. */
  readonly devices: IommuDevice[] = [];
  readonly mutex: Mutex;
  /** Domain of the DMA API; undefined until probing made one. */
  defaultDomain: IommuDomain | undefined;
  /** Made on the first claim of ownership. */
  blockingDomain: IommuDomain | undefined;
  /** What the RIDs of all devices translate through now. */
  domain: IommuDomain | undefined;
  /** Who may attach domains: an iommufd context or a VFIO group; undefined for the DMA API. */
  owner: object | undefined;
  ownerCount = 0;
  /** Slot 0 holds the RID's handle, other slots PASID attachments. */
  readonly pasids = new Map<number, PasidAttachment>();
  /** Devices of the group being reset. */
  resetCount = 0;
  /** Told of the calls on this group; absent = nobody looks. */
  readonly observer: CallObserver | undefined;

  constructor(id: number, rules: IommuGroupRules, timeline: Timeline, observer?: CallObserver) {
    this.observer = observer;
    this.id = id;
    this.rules = rules;
    this.timeline = timeline;
    this.mutex = new Mutex(timeline, `iommu_group ${id}`);
  }

  /** Adds a device; its RID starts in the group's current domain (the caller attaches the default domain). */
  add(device: IommuDevice): void {
    assert(!this.devices.includes(device), `device ${device.name} is already in group ${this.id}`);
    this.devices.push(device);
  }

  /** Takes a device out; no domain changes. */
  remove(device: IommuDevice): void {
    const index = this.devices.indexOf(device);
    assert(index >= 0, `device ${device.name} is not in group ${this.id}`);
    this.devices.splice(index, 1);
  }

  /** First device: its driver stands for the group where the kernel asks iommu_group_first_dev. */
  get firstDevice(): IommuDevice {
    const first = this.devices[0];
    assert(first !== undefined, `group ${this.id} has no device`);
    return first;
  }

  /** True when every device's interrupts are isolated (iommu_group_has_isolated_msi). */
  get hasIsolatedMsi(): boolean {
    return this.devices.every((device) => device.isolatedMsi);
  }
}

/** True when some device of the group has firmware-mapped memory it must keep reaching (dev->iommu->require_direct). */
export function requiresDirectMap(device: IommuDevice): boolean {
  return device.driver.reservedRegions(device).some((region) => region.type === 'direct');
}
