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

/** Kinds of groups: a real IOMMU group, the private one of an emulated device, or that of a device without IOMMU. */
export type VfioGroupType = 'iommu' | 'emulated' | 'no-iommu';

/** A VFIO group. */
export class VfioGroup {
  readonly type: VfioGroupType;
  /** Number in the node's name: the IOMMU group's id. */
  readonly id: number;
  /** Undefined for fake groups, and once the last device driver has left. */
  iommuGroup: IommuGroup | undefined;
  /** Registered devices, newest first: the order name look-ups walk. */
  readonly devices: VfioDevice[] = [];
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

  constructor(type: VfioGroupType, id: number, iommuGroup: IommuGroup | undefined, timeline: Timeline) {
    this.type = type;
    this.id = id;
    this.iommuGroup = iommuGroup;
    this.lock = new Mutex(timeline, `vfio group ${id}`);
  }
}
