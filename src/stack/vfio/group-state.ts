/**
 * State of a VFIO group (struct vfio_group): what the group file, the containers and the device nodes share. The rules
 * of the group file are elsewhere; the device nodes only count their openers here.
 */
import type { Timeline } from '../../timeline.ts';
import type { IommuGroup } from '../iommu/group.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import { Mutex } from '../kernel/locks.ts';
import type { Container } from './container.ts';
import type { VfioDevice } from './device.ts';
import type { VfioGroupFile } from './group-file.ts';
import type { VfioProfile } from './profile.ts';
import type { MediatedMember } from './type1/group-target.ts';

/** Kinds of groups: a real IOMMU group, the private one of an emulated device, or that of a device without IOMMU. */
export type VfioGroupType = 'iommu' | 'emulated' | 'no-iommu';

/** A device of the IOMMU group and who drives it: what viability was judged by before DMA ownership (Linux 5.19). */
export interface GroupMember {
  /** Bound driver; undefined = none. */
  readonly driver: string | undefined;
  /** A PCI device with a bridge header. */
  readonly isBridge: boolean;
}

/** A VFIO group. */
export class VfioGroup {
  readonly type: VfioGroupType;
  readonly profile: VfioProfile;
  readonly timeline: Timeline;
  /** Number in the node's name: the IOMMU group's id. */
  readonly id: number;
  /** Undefined for fake groups, and once the last device driver has left. */
  iommuGroup: IommuGroup | undefined;
  /** Registered devices, newest first: the order name look-ups walk. */
  readonly devices: VfioDevice[] = [];
  /** Registered devices including those on their way out: without any, the group is dead. */
  driverCount = 0;
  /** All devices of the IOMMU group, as far as the machine tells. */
  members: (() => readonly GroupMember[]) | undefined;
  /** Its devices are mediated ones that a physical device may isolate (Linux 5.2 .. 5.15). */
  mediated: readonly MediatedMember[] | undefined;
  /** Guards the fields below (group_lock). */
  readonly lock: Mutex;
  /** The one open group file. */
  openedFile: VfioGroupFile | undefined;
  /** The container the group is in, and its users: 1 plus the open devices. */
  container: Container | undefined;
  containerUsers = 0;
  /** The iommufd used as a container. */
  iommufd: IommufdContext | undefined;
  /** BINDs in progress or done through device nodes. */
  cdevOpenCount = 0;
  /** VM set by KVM for devices opened through the group. */
  vm: object | undefined;

  constructor(
    type: VfioGroupType,
    id: number,
    iommuGroup: IommuGroup | undefined,
    profile: VfioProfile,
    timeline: Timeline,
  ) {
    this.type = type;
    this.id = id;
    this.iommuGroup = iommuGroup;
    this.profile = profile;
    this.timeline = timeline;
    this.lock = new Mutex(timeline, `vfio group ${id}`);
  }
}
