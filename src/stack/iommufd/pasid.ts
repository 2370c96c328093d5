/** Which page tables may sit beside PASID attachments (iommufd_hwpt_pasid_compat, Linux 6.15). */
import type { Pasid } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { IommufdDevice } from './device.ts';
import type { Hwpt } from './hwpt.ts';

/**
 * EINVAL for a RID target without ALLOC_PASID while a PASID of the group is attached, for a PASID target without it, and
 * for any PASID while the RID's page table lacks it (an unattached RID is fine).
 */
export function checkPasidCompatible(device: IommufdDevice, pasid: Pasid, hwpt: Hwpt): number {
  const igroup = device.igroup;
  if (pasid === 0) return !hwpt.pasidCompatible && igroup.hasPasidAttachment ? -Errno.EINVAL : 0;
  const rid = igroup.slots.get(0);
  if (rid !== undefined && !rid.hwpt.pasidCompatible) return -Errno.EINVAL;
  return hwpt.pasidCompatible ? 0 : -Errno.EINVAL;
}
