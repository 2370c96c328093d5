/**
 * Probing a group: the default domain its devices start in (iommu_setup_default_domain, Linux drivers/iommu/iommu.c).
 */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import { setGroupDomain } from './attach.ts';
import type { IommuGroup } from './group.ts';
import type { IommuDomain } from './ops.ts';

/** System policy (iommu.passthrough, iommu.strict): kind of default domain. `blocked` is the mock driver's choice. */
export type DefaultDomainType = 'dma' | 'dma-fq' | 'identity' | 'blocked';

/**
 * Allocates the default domain of a group whose devices are all present and puts them on it. Errors: ENODEV when the
 * driver has no such domain, driver errno.
 */
export function* setupDefaultDomain(group: IommuGroup, type: DefaultDomainType): KernelTask<number> {
  assert(group.defaultDomain === undefined, `group ${group.id} already has a default domain`);
  const device = group.firstDevice;
  let domain: IommuDomain | undefined;
  if (type === 'identity') {
    domain = device.driver.identityDomain;
  } else if (type === 'blocked') {
    domain = device.driver.blockedDomain;
  } else {
    const allocated = yield* device.driver.allocPaging(device, type, 0, undefined);
    if (typeof allocated === 'number') return allocated;
    domain = allocated;
  }
  if (domain === undefined) return -Errno.ENODEV;
  group.defaultDomain = domain;
  return yield* setGroupDomain(group, domain);
}
