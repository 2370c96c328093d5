/**
 * Who may do DMA through a group: iommu_device_claim_dma_owner, iommu_group_claim_dma_owner, their releases, and the
 * use of the default domain by ordinary drivers (Linux drivers/iommu/iommu.c). While a group is owned its devices
 * translate through what the owner attaches, or are blocked.
 */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { observed } from '../kernel/call-observer.ts';
import type { KernelTask } from '../kernel/task.ts';
import { setGroupDomain } from './attach.ts';
import type { IommuGroup } from './group.ts';

/** __iommu_take_dma_ownership: from the default domain to blocking. Errors: EBUSY, EINVAL (direct region), driver. */
function* takeOwnership(group: IommuGroup, owner: object): KernelTask<number> {
  if ((group.domain !== undefined && group.domain !== group.defaultDomain) || group.pasids.size > 0) {
    return -Errno.EBUSY;
  }
  group.blockingDomain ??= group.firstDevice.driver.blockedDomain;
  const error = yield* setGroupDomain(group, group.blockingDomain);
  if (error !== 0) return error;
  group.owner = owner;
  group.ownerCount++;
  return 0;
}

/** iommu_device_claim_dma_owner. Errors: ENODEV no group, EPERM other owner, EBUSY, EINVAL, driver errno. */
export function claimDeviceOwner(group: IommuGroup | undefined, owner: object): KernelTask<number> {
  return observed(group?.observer, 'iommu_device_claim_dma_owner', doClaimDeviceOwner(group, owner));
}

function* doClaimDeviceOwner(group: IommuGroup | undefined, owner: object): KernelTask<number> {
  if (group === undefined) return -Errno.ENODEV;
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  try {
    if (group.ownerCount > 0) {
      if (group.owner !== owner) return -Errno.EPERM;
      group.ownerCount++;
      return 0;
    }
    return yield* takeOwnership(group, owner);
  } finally {
    group.mutex.release();
  }
}

/** iommu_group_claim_dma_owner (VFIO containers): any owner at all is EPERM. */
export function claimGroupOwner(group: IommuGroup, owner: object): KernelTask<number> {
  return observed(group.observer, 'iommu_group_claim_dma_owner', doClaimGroupOwner(group, owner));
}

function* doClaimGroupOwner(group: IommuGroup, owner: object): KernelTask<number> {
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  try {
    if (group.ownerCount > 0) return -Errno.EPERM;
    return yield* takeOwnership(group, owner);
  } finally {
    group.mutex.release();
  }
}

function* giveUpOwnership(group: IommuGroup): KernelTask<void> {
  assert(group.pasids.size === 0, `group ${group.id} released with attachments`);
  group.ownerCount = 0;
  group.owner = undefined;
  assert(group.defaultDomain !== undefined, `group ${group.id} has no default domain to return to`);
  yield* setGroupDomain(group, group.defaultDomain, true);
}

/** iommu_device_release_dma_owner: the last of several claims returns the group to its default domain. */
export function releaseDeviceOwner(group: IommuGroup): KernelTask<void> {
  return observed(group.observer, 'iommu_device_release_dma_owner', doReleaseDeviceOwner(group));
}

function* doReleaseDeviceOwner(group: IommuGroup): KernelTask<void> {
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  assert(group.ownerCount > 0 && group.owner !== undefined, `group ${group.id} is not owned`);
  if (group.ownerCount > 1) group.ownerCount--;
  else yield* giveUpOwnership(group);
  group.mutex.release();
}

/** iommu_group_release_dma_owner. */
export function releaseGroupOwner(group: IommuGroup): KernelTask<void> {
  return observed(group.observer, 'iommu_group_release_dma_owner', doReleaseGroupOwner(group));
}

function* doReleaseGroupOwner(group: IommuGroup): KernelTask<void> {
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  assert(group.ownerCount > 0 && group.owner !== undefined, `group ${group.id} is not owned`);
  yield* giveUpOwnership(group);
  group.mutex.release();
}

/**
 * iommu_device_use_default_domain: an ordinary driver is bound to a device of the group. Drivers that manage DMA
 * themselves (vfio-pci, stub and bridge drivers) never call it. Errors: EPROBE_DEFER, EBUSY.
 */
export function* useDefaultDomain(group: IommuGroup | undefined): KernelTask<number> {
  if (group === undefined) return 0;
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  try {
    if (group.defaultDomain === undefined) return -Errno.EPROBE_DEFER;
    if (group.ownerCount > 0) {
      const foreign = group.domain !== group.defaultDomain || group.owner !== undefined || group.pasids.size > 0;
      if (foreign) return -Errno.EBUSY;
    }
    group.ownerCount++;
    return 0;
  } finally {
    group.mutex.release();
  }
}

/** iommu_device_unuse_default_domain. */
export function* unuseDefaultDomain(group: IommuGroup | undefined): KernelTask<void> {
  if (group === undefined) return;
  if (!group.mutex.tryAcquire()) yield group.mutex.queue;
  assert(group.ownerCount > 0, `group ${group.id} is not in use`);
  group.ownerCount--;
  group.mutex.release();
}
