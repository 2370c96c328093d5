/** Names of VFIO's nodes under /dev/vfio (Linux drivers/vfio/{group,vfio_main}.c). */
import type { VfioDevice } from './device.ts';
import type { VfioGroup } from './group-state.ts';
import type { VfioProfile } from './profile.ts';

/** The container's node. */
export const CONTAINER_NODE = '/dev/vfio/vfio';

/** Node of a group: its number, marked when its device has no IOMMU. */
export function groupNode(group: VfioGroup): string {
  return `/dev/vfio/${group.type === 'no-iommu' ? 'noiommu-' : ''}${group.id}`;
}

/** Node of a device; undefined for one without IOMMU where only its group has a node. */
export function deviceNode(device: VfioDevice, profile: VfioProfile): string | undefined {
  if (device.isNoIommu && !profile.noIommuCdev) return undefined;
  return `/dev/vfio/devices/${device.isNoIommu ? 'noiommu-' : ''}vfio${device.index}`;
}
