/**
 * Attaching domains to the RIDs of a group: iommu_attach_group_handle, iommu_replace_group_handle,
 * iommu_detach_group_handle and their legacy forms (Linux drivers/iommu/iommu.c). Errors are negative errnos; a failed
 * change leaves the group on its old domain, with the limits that __iommu_group_set_domain_internal has.
 */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { observed } from '../kernel/call-observer.ts';
import type { KernelTask } from '../kernel/task.ts';
import { type IommuGroup, requiresDirectMap } from './group.ts';
import type { AttachHandle, IommuDomain } from './ops.ts';

const RID_SLOT = 0;

/** Moves one device; a device that must keep its firmware mapping cannot be blocked. */
function* setDeviceDomain(group: IommuGroup, index: number, domain: IommuDomain): KernelTask<number> {
  const device = group.devices[index];
  assert(device !== undefined, `group ${group.id} has no device ${index}`);
  if (domain === group.blockingDomain && requiresDirectMap(device)) return -Errno.EINVAL;
  return yield* device.driver.attach(device, domain, group.domain);
}

/**
 * __iommu_group_set_domain_internal: puts every device on `domain`. On failure the devices before the failing one go
 * back; the failing one is not touched again, so what its driver did before refusing stays (on VT-d: blocked).
 * With `mustSucceed` errors are dropped and the walk goes on. The caller holds the group mutex.
 */
export function* setGroupDomain(group: IommuGroup, domain: IommuDomain, mustSucceed = false): KernelTask<number> {
  if (group.domain === domain) return 0;
  if (!mustSucceed && group.rules.refusesDuringReset && group.resetCount > 0) return -Errno.EBUSY;
  for (let index = 0; index < group.devices.length; index++) {
    const error = yield* setDeviceDomain(group, index, domain);
    if (error === 0 || mustSucceed) continue;
    if (group.domain !== undefined) {
      for (let undo = 0; undo < index; undo++) yield* setDeviceDomain(group, undo, group.domain);
    }
    return error;
  }
  group.domain = domain;
  return 0;
}

/** __iommu_attach_group: only from the default, the blocking or no domain, and only a domain of the same driver. */
function* attachLocked(group: IommuGroup, domain: IommuDomain): KernelTask<number> {
  const current = group.domain;
  if (current !== undefined && current !== group.defaultDomain && current !== group.blockingDomain) {
    return -Errno.EBUSY;
  }
  if (group.devices.length === 0 || domain.driver !== group.firstDevice.driver) return -Errno.EINVAL;
  return yield* setGroupDomain(group, domain);
}

/** Back to blocking while owned, else to the default domain (__iommu_group_set_core_domain); cannot fail. */
export function* setCoreDomain(group: IommuGroup): KernelTask<void> {
  const target = group.owner !== undefined ? group.blockingDomain : group.defaultDomain;
  assert(target !== undefined, `group ${group.id} has no core domain to return to`);
  yield* setGroupDomain(group, target, true);
}

/** iommu_attach_group_handle. Errors: EINVAL (no handle, foreign domain), EBUSY, driver errno. */
export function attachGroupHandle(
  group: IommuGroup,
  domain: IommuDomain,
  handle: AttachHandle | undefined,
): KernelTask<number> {
  return observed(group.observer, 'iommu_attach_group_handle', doAttachGroupHandle(group, domain, handle));
}

function* doAttachGroupHandle(
  group: IommuGroup,
  domain: IommuDomain,
  handle: AttachHandle | undefined,
): KernelTask<number> {
  if (handle === undefined) return -Errno.EINVAL;
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  try {
    if (group.pasids.has(RID_SLOT)) return -Errno.EBUSY;
    const error = yield* attachLocked(group, domain);
    if (error === 0) group.pasids.set(RID_SLOT, { domain, handle });
    return error;
  } finally {
    group.mutex.release();
  }
}

/**
 * iommu_replace_group_handle: the same domain changes only the handle; another one goes straight from old to new (what
 * "straight" means in hardware is the driver's). Errors: EINVAL (no domain or handle), EBUSY in reset, driver errno.
 */
export function replaceGroupHandle(
  group: IommuGroup,
  domain: IommuDomain | undefined,
  handle: AttachHandle | undefined,
): KernelTask<number> {
  return observed(group.observer, 'iommu_replace_group_handle', doReplaceGroupHandle(group, domain, handle));
}

function* doReplaceGroupHandle(
  group: IommuGroup,
  domain: IommuDomain | undefined,
  handle: AttachHandle | undefined,
): KernelTask<number> {
  if (domain === undefined || handle === undefined) return -Errno.EINVAL;
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  try {
    const error = yield* setGroupDomain(group, domain);
    if (error === 0) group.pasids.set(RID_SLOT, { domain, handle });
    return error;
  } finally {
    group.mutex.release();
  }
}

/** iommu_detach_group_handle; cannot fail. */
export function detachGroupHandle(group: IommuGroup): KernelTask<void> {
  return observed(group.observer, 'iommu_detach_group_handle', doDetachGroupHandle(group));
}

function* doDetachGroupHandle(group: IommuGroup): KernelTask<void> {
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  yield* setCoreDomain(group);
  group.pasids.delete(RID_SLOT);
  group.mutex.release();
}

/** iommu_attach_group, the form without handle (VFIO type1). Errors: EBUSY, EINVAL, driver errno. */
export function attachGroup(group: IommuGroup, domain: IommuDomain): KernelTask<number> {
  return observed(group.observer, 'iommu_attach_group', doAttachGroup(group, domain));
}

function* doAttachGroup(group: IommuGroup, domain: IommuDomain): KernelTask<number> {
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  const error = yield* attachLocked(group, domain);
  group.mutex.release();
  return error;
}

/** iommu_detach_group; cannot fail. */
export function detachGroup(group: IommuGroup): KernelTask<void> {
  return observed(group.observer, 'iommu_detach_group', doDetachGroup(group));
}

function* doDetachGroup(group: IommuGroup): KernelTask<void> {
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  yield* setCoreDomain(group);
  group.mutex.release();
}
