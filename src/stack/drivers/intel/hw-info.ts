/** GET_HW_INFO of VT-d: struct iommu_hw_info_vtd (Linux include/uapi/linux/iommufd.h). */
import { Errno } from '../../../errno.ts';
import type { HwInfo } from '../../iommu/ops.ts';
import type { UnitCapabilities } from './capabilities.ts';

/** IOMMU_HW_INFO_TYPE_INTEL_VTD. */
const TYPE_VTD = 1;
/** IOMMU_HW_INFO_TYPE_DEFAULT: whatever the driver has. */
const TYPE_DEFAULT = 0;

/** 24 bytes {flags, reserved, cap, ecap}; EOPNOTSUPP for another type. No erratum is modelled, so flags are 0. */
export function hardwareInfo(caps: UnitCapabilities, requestedType: number): HwInfo | number {
  if (requestedType !== TYPE_DEFAULT && requestedType !== TYPE_VTD) return -Errno.EOPNOTSUPP;
  const data = new Uint8Array(24);
  const view = new DataView(data.buffer);
  view.setUint32(8, caps.capWords[0], true);
  view.setUint32(12, caps.capWords[1], true);
  view.setUint32(16, caps.ecapWords[0], true);
  view.setUint32(20, caps.ecapWords[1], true);
  return { type: TYPE_VTD, data };
}
