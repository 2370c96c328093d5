/** Where a device's invalidation descriptors go, and the descriptors of a whole device TLB. */
import {
  type DescriptorBatch,
  type DeviceTlbTarget,
  pushDeviceTlb,
  pushPasidDeviceTlb,
  WHOLE_SPACE_ORDER,
} from './descriptors.ts';
import type { DeviceInfo } from './device-info.ts';

/** Endpoint of device-TLB descriptors: the device's own requester id, never an alias. */
export function deviceTlbTarget(info: DeviceInfo): DeviceTlbTarget {
  return {
    sourceId: info.device.sourceIds[0] as number,
    pfSourceId: info.physicalFunctionId,
    queueDepth: info.invalidateQueueDepth,
  };
}

/** Everything in the device's TLB, or everything of one PASID (devtlb_invalidation_with_pasid). */
export function pushWholeDeviceTlb(batch: DescriptorBatch, info: DeviceInfo, pasid: number): void {
  if (pasid === 0) pushDeviceTlb(batch, deviceTlbTarget(info), 0, 0, WHOLE_SPACE_ORDER);
  else pushPasidDeviceTlb(batch, deviceTlbTarget(info), pasid, 0, 0, WHOLE_SPACE_ORDER);
}
