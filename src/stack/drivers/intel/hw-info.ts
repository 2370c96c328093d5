/** GET_HW_INFO of VT-d: struct iommu_hw_info_vtd (Linux include/uapi/linux/iommufd.h). */
import { Errno } from '../../../errno.ts';
import type { HwInfo } from '../../iommu/ops.ts';
import type { UnitCapabilities } from './capabilities.ts';

/** IOMMU_HW_INFO_TYPE_INTEL_VTD. */
const TYPE_VTD = 1;
/** IOMMU_HW_INFO_TYPE_DEFAULT: whatever the driver has. */
const TYPE_DEFAULT = 0;

/** IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17: Linux sets it on every unit. */
const ERRATA_772415 = 1;

/** 24 bytes {flags, reserved, cap, ecap}; EOPNOTSUPP for another type. */
export function hardwareInfo(caps: UnitCapabilities, requestedType: number): HwInfo | number {
  if (requestedType !== TYPE_DEFAULT && requestedType !== TYPE_VTD) return -Errno.EOPNOTSUPP;
  const data = new Uint8Array(24);
  const view = new DataView(data.buffer);
  view.setUint32(0, ERRATA_772415, true);
  view.setUint32(8, caps.capWords[0], true);
  view.setUint32(12, caps.capWords[1], true);
  view.setUint32(16, caps.ecapWords[0], true);
  view.setUint32(20, caps.ecapWords[1], true);
  return { type: TYPE_VTD, data };
}
