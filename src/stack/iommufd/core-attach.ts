/**
 * The step from a slot to the IOMMU core: fault rules, PASID rules, then attach, replace or detach with a handle
 * (iommufd_hwpt_attach_device, iommufd_hwpt_replace_device, iommufd_hwpt_detach_device).
 */
import type { Pasid } from '../../address.ts';
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { attachGroupHandle, detachGroupHandle, replaceGroupHandle } from '../iommu/attach.ts';
import type { AttachHandle } from '../iommu/ops.ts';
import { attachDevicePasid, detachDevicePasid, replaceDevicePasid } from '../iommu/pasid-attach.ts';
import type { KernelTask } from '../kernel/task.ts';
import { DeviceAttachHandle } from './attach-handle.ts';
import type { IommufdDevice } from './device.ts';
import type { Hwpt } from './hwpt.ts';
import { checkPasidCompatible } from './pasid.ts';

/** Before Linux 6.15 iommufd switches page faults itself; later the driver does so inside its attach. */
function switchesIopf(device: IommufdDevice): boolean {
  return device.device.driver.iopfAtAttach !== true;
}

/** A VF shares its PF's page request interface, so faults of one cannot be told from another's. */
function checkFaultTarget(device: IommufdDevice, hwpt: Hwpt): number {
  if (hwpt.fault === undefined || !device.device.isVirtualFunction) return 0;
  const refused = !device.context.profile.pasidAttach || device.device.supportsPri;
  return refused ? -Errno.EINVAL : 0;
}

function checkTarget(device: IommufdDevice, pasid: Pasid, hwpt: Hwpt): number {
  const refused = checkFaultTarget(device, hwpt);
  if (refused !== 0) return refused;
  return device.context.profile.pasidAttach ? checkPasidCompatible(device, pasid, hwpt) : 0;
}

function currentHandle(device: IommufdDevice, pasid: Pasid): AttachHandle {
  const handle = device.igroup.group.pasids.get(pasid)?.handle;
  assert(handle !== undefined, `${device.device.name}: no attach handle at PASID ${pasid}`);
  return handle;
}

/** First device of a slot. Errors: EINVAL (VF with faults, PASID rules), driver and core errno. */
export function* coreAttach(device: IommufdDevice, pasid: Pasid, hwpt: Hwpt): KernelTask<number> {
  const refused = checkTarget(device, pasid, hwpt);
  if (refused !== 0) return refused;
  const driver = device.device.driver;
  const enables = hwpt.fault !== undefined && switchesIopf(device);
  if (enables) {
    const error = driver.enableIopf(device.device);
    if (error !== 0) return error;
  }
  const group = device.igroup.group;
  const handle = new DeviceAttachHandle(device, hwpt);
  const error =
    pasid === 0
      ? yield* attachGroupHandle(group, hwpt.domain, handle)
      : yield* attachDevicePasid(group, device.device, hwpt.domain, pasid, handle);
  if (error !== 0 && enables) driver.disableIopf(device.device);
  return error;
}

/** The whole slot moves from `old` to `hwpt`; faults pending on the old attachment are answered INVALID. */
export function* coreReplace(device: IommufdDevice, pasid: Pasid, hwpt: Hwpt, old: Hwpt): KernelTask<number> {
  const refused = checkTarget(device, pasid, hwpt);
  if (refused !== 0) return refused;
  const driver = device.device.driver;
  const enables = switchesIopf(device) && hwpt.fault !== undefined && old.fault === undefined;
  if (enables) {
    const error = driver.enableIopf(device.device);
    if (error !== 0) return error;
  }
  const group = device.igroup.group;
  const oldHandle = currentHandle(device, pasid);
  const handle = new DeviceAttachHandle(device, hwpt);
  const error =
    pasid === 0
      ? yield* replaceGroupHandle(group, hwpt.domain, handle)
      : yield* replaceDevicePasid(group, device.device, hwpt.domain, pasid, handle);
  if (error !== 0) {
    if (enables) driver.disableIopf(device.device);
    return error;
  }
  old.fault?.answerAttachment(oldHandle);
  if (switchesIopf(device) && old.fault !== undefined && hwpt.fault === undefined) driver.disableIopf(device.device);
  return 0;
}

/** Last device of a slot; cannot fail. */
export function* coreDetach(device: IommufdDevice, pasid: Pasid, hwpt: Hwpt): KernelTask<void> {
  const group = device.igroup.group;
  const handle = currentHandle(device, pasid);
  if (pasid === 0) yield* detachGroupHandle(group);
  else yield* detachDevicePasid(group, pasid);
  hwpt.fault?.answerAttachment(handle);
  if (hwpt.fault !== undefined && switchesIopf(device)) device.device.driver.disableIopf(device.device);
}
