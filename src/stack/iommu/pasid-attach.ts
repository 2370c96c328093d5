/**
 * Attaching domains to PASIDs of a group's devices: iommu_attach_device_pasid, iommu_replace_device_pasid and
 * iommu_detach_device_pasid (Linux drivers/iommu/iommu.c). PASID slots and the RID are independent in the core.
 */
import type { Pasid } from '../../address.ts';
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { observed } from '../kernel/call-observer.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommuGroup } from './group.ts';
import type { AttachHandle, IommuDevice, IommuDomain } from './ops.ts';

/** A device of the group without PASID support is skipped: such an attach succeeds with no effect in hardware. */
function hasPasid(device: IommuDevice): boolean {
  return device.maxPasids > 0;
}

/** Checks shared by attach and replace up to the group lock. */
function checkPasidDomain(
  group: IommuGroup | undefined,
  device: IommuDevice,
  domain: IommuDomain,
  pasid: Pasid,
): number {
  const driver = device.driver;
  const rules = group?.rules;
  const unsupported = !driver.supportsPasid(domain);
  // Linux 6.12 asks for the operation first, 6.15 for the group first; both refuse a driver that cannot block a PASID.
  if (rules !== undefined && !rules.pasidNeedsBlockedDomain && unsupported) return -Errno.EOPNOTSUPP;
  if (group === undefined) return -Errno.ENODEV;
  if (unsupported) return -Errno.EOPNOTSUPP;
  if (group.rules.pasidNeedsBlockedDomain && !driver.supportsPasid(driver.blockedDomain)) return -Errno.EOPNOTSUPP;
  if (domain.driver !== driver || pasid === 0) return -Errno.EINVAL;
  return 0;
}

/** Installs `domain` on each PASID-capable device in order; on failure the earlier ones get `old` back. */
function* setGroupPasid(
  group: IommuGroup,
  pasid: Pasid,
  domain: IommuDomain,
  old: IommuDomain | undefined,
): KernelTask<number> {
  for (let index = 0; index < group.devices.length; index++) {
    const device = group.devices[index] as IommuDevice;
    if (!hasPasid(device)) continue;
    const error = yield* device.driver.setPasid(device, pasid, domain, old);
    if (error === 0) continue;
    for (let undo = 0; undo < index; undo++) {
      const earlier = group.devices[undo] as IommuDevice;
      if (!hasPasid(earlier)) continue;
      const back = old ?? earlier.driver.blockedDomain;
      const undone = yield* earlier.driver.setPasid(earlier, pasid, back, domain);
      // The kernel warns and blocks the PASID when even the old domain is refused.
      if (undone !== 0) yield* earlier.driver.setPasid(earlier, pasid, earlier.driver.blockedDomain, domain);
    }
    return error;
  }
  return 0;
}

/**
 * iommu_attach_device_pasid. Check order: operations EOPNOTSUPP, no group ENODEV, foreign domain or PASID 0 EINVAL,
 * device in reset EBUSY, PASID beyond a device's limit EINVAL, slot taken EBUSY, driver errno.
 */
export function attachDevicePasid(
  group: IommuGroup | undefined,
  device: IommuDevice,
  domain: IommuDomain,
  pasid: Pasid,
  handle: AttachHandle | undefined,
): KernelTask<number> {
  return observed(
    group?.observer,
    'iommu_attach_device_pasid',
    doAttachDevicePasid(group, device, domain, pasid, handle),
  );
}

function* doAttachDevicePasid(
  group: IommuGroup | undefined,
  device: IommuDevice,
  domain: IommuDomain,
  pasid: Pasid,
  handle: AttachHandle | undefined,
): KernelTask<number> {
  const refused = checkPasidDomain(group, device, domain, pasid);
  if (refused !== 0) return refused;
  assert(group !== undefined, 'a checked PASID attach has a group');
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  try {
    if (group.rules.refusesDuringReset && group.resetCount > 0) return -Errno.EBUSY;
    for (const member of group.devices) {
      if (hasPasid(member) && pasid >= member.maxPasids) return -Errno.EINVAL;
    }
    if (group.pasids.has(pasid)) return -Errno.EBUSY;
    const error = yield* setGroupPasid(group, pasid, domain, undefined);
    if (error === 0) group.pasids.set(pasid, { domain, handle });
    return error;
  } finally {
    group.mutex.release();
  }
}

/**
 * iommu_replace_device_pasid. As attach, but the slot must be occupied (EINVAL), the handle new (EINVAL), and the
 * PASID range is not checked again. The same domain changes only the handle.
 */
export function replaceDevicePasid(
  group: IommuGroup | undefined,
  device: IommuDevice,
  domain: IommuDomain,
  pasid: Pasid,
  handle: AttachHandle | undefined,
): KernelTask<number> {
  return observed(
    group?.observer,
    'iommu_replace_device_pasid',
    doReplaceDevicePasid(group, device, domain, pasid, handle),
  );
}

function* doReplaceDevicePasid(
  group: IommuGroup | undefined,
  device: IommuDevice,
  domain: IommuDomain,
  pasid: Pasid,
  handle: AttachHandle | undefined,
): KernelTask<number> {
  const refused = checkPasidDomain(group, device, domain, pasid);
  if (refused !== 0) return refused;
  if (handle === undefined) return -Errno.EINVAL;
  assert(group !== undefined, 'a checked PASID replace has a group');
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  try {
    if (group.rules.refusesDuringReset && group.resetCount > 0) return -Errno.EBUSY;
    const current = group.pasids.get(pasid);
    if (current === undefined || current.handle === handle) return -Errno.EINVAL;
    if (current.domain !== domain) {
      const error = yield* setGroupPasid(group, pasid, domain, current.domain);
      if (error !== 0) return error;
    }
    group.pasids.set(pasid, { domain, handle });
    return 0;
  } finally {
    group.mutex.release();
  }
}

/** iommu_detach_device_pasid: blocks the PASID on every device that has PASIDs; cannot fail. */
export function detachDevicePasid(group: IommuGroup, pasid: Pasid): KernelTask<void> {
  return observed(group.observer, 'iommu_detach_device_pasid', doDetachDevicePasid(group, pasid));
}

function* doDetachDevicePasid(group: IommuGroup, pasid: Pasid): KernelTask<void> {
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  const old = group.pasids.get(pasid)?.domain;
  for (const device of group.devices) {
    if (hasPasid(device)) yield* device.driver.setPasid(device, pasid, device.driver.blockedDomain, old);
  }
  group.pasids.delete(pasid);
  group.mutex.release();
}
