/**
 * A group joins a type1 container (vfio_iommu_type1_attach_group of Linux drivers/vfio/vfio_iommu_type1.c). The caller
 * owns the group's DMA already.
 */
import { assert } from '../../../assert.ts';
import { Errno } from '../../../errno.ts';
import { attachGroup as iommuAttachGroup, detachGroup as iommuDetachGroup } from '../../iommu/attach.ts';
import type { IommuGroup } from '../../iommu/group.ts';
import type { PagingDomain, ReservedRegion } from '../../iommu/ops.ts';
import type { Process } from '../../kernel/process.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { VfioGroup } from '../group-state.ts';
import type { IovaList } from './iova-list.ts';
import { probeFineGrainedSuperPages, replayInto } from './replay.ts';
import type { Type1, Type1Domain, Type1Group } from './type1.ts';

/** Reserved regions of every device of a group (iommu_get_group_resv_regions). */
export function groupReservedRegions(group: IommuGroup): ReservedRegion[] {
  return group.devices.flatMap((device) => device.driver.reservedRegions(device));
}

/**
 * Errors in check order: EBUSY a user address is given up; EINVAL in the container already; domain and nesting errno;
 * attach errno; EINVAL aperture, reserved region over a mapping, nothing usable left; EPERM interrupts not isolated;
 * re-attach errno of a failed merge; replay errno.
 */
export function* attachType1Group(type1: Type1, process: Process, group: VfioGroup): KernelTask<number> {
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  const error = yield* attachLocked(type1, process, group);
  type1.lock.release();
  return error;
}

function* attachLocked(type1: Type1, process: Process, group: VfioGroup): KernelTask<number> {
  if (type1.vaddrInvalidCount > 0) return -Errno.EBUSY;
  if (type1.find(group) !== undefined) return -Errno.EINVAL;
  if (group.type === 'emulated') {
    // It reaches memory only through calls that pin, so that it never makes more dirty than is pinned.
    type1.emulatedGroups.unshift({ group, pinnedPageDirtyScope: true });
    return 0;
  }
  const { iommuGroup } = group;
  assert(iommuGroup !== undefined, `group ${group.id} has no IOMMU`);
  const device = iommuGroup.firstDevice;
  const domain = yield* device.driver.allocPaging(device, 'user', 0, undefined);
  if (typeof domain === 'number') return domain;
  let error = type1.variant.nesting ? (domain.enableNesting?.() ?? -Errno.EINVAL) : 0;
  if (error === 0) error = yield* iommuAttachGroup(iommuGroup, domain);
  if (error !== 0) {
    yield* domain.free();
    return error;
  }
  const member: Type1Group = { group, pinnedPageDirtyScope: false };
  const entry: Type1Domain = {
    domain,
    groups: [member],
    enforcesCoherency: false,
    fineGrainedSuperPages: false,
  };
  const regions = groupReservedRegions(iommuGroup);
  const iovaList = type1.iovaList.copy();
  error = checkRanges(type1, domain, regions, iovaList);
  if (error === 0 && !iommuGroup.hasIsolatedMsi && !type1.parameters.allowUnsafeInterrupts) error = -Errno.EPERM;
  if (error !== 0) {
    yield* dropDomain(iommuGroup, domain);
    return error;
  }
  entry.enforcesCoherency = domain.enforceCacheCoherency();
  const merged = yield* joinExisting(type1, iommuGroup, entry, member);
  if (merged < 0) return merged;
  if (merged === 0) {
    error = yield* fill(type1, process, entry, iovaList);
    if (error !== 0) {
      yield* dropDomain(iommuGroup, domain);
      return error;
    }
  }
  type1.iovaList = iovaList;
  type1.nonPinnedGroupCount++;
  return 0;
}

function* dropDomain(iommuGroup: IommuGroup, domain: PagingDomain): KernelTask<void> {
  yield* iommuDetachGroup(iommuGroup);
  yield* domain.free();
}

/** Aperture and reserved regions against the mappings; narrows `iovaList`. */
function checkRanges(
  type1: Type1,
  domain: PagingDomain,
  regions: readonly ReservedRegion[],
  iovaList: IovaList,
): number {
  const hasMapping = (start: bigint, lengthBytes: bigint): boolean => type1.dmas.find(start, lengthBytes) !== undefined;
  const { apertureStart, apertureEnd } = domain;
  if (type1.iovaList.conflicts(apertureStart, apertureEnd, hasMapping)) return -Errno.EINVAL;
  for (const { type, start, last } of regions) {
    if (type !== 'direct-relaxable' && hasMapping(start, last - start + 1n)) return -Errno.EINVAL;
  }
  iovaList.resize(apertureStart, apertureEnd);
  return iovaList.exclude(regions);
}

/**
 * Tries the domains that look alike, newest first. 1 = joined one, and the new domain is gone; 0 = back on the new
 * domain; errno = not even that worked, and the new domain is gone.
 *
 * APPROX: domains look alike when one driver made them; Linux compares their operations, which also tells the two stages
 * of VT-d apart from 6.19 on. The driver's attach refuses what does not fit in either case.
 */
function* joinExisting(
  type1: Type1,
  iommuGroup: IommuGroup,
  entry: Type1Domain,
  member: Type1Group,
): KernelTask<number> {
  for (const existing of type1.domains) {
    if (existing.domain.driver !== entry.domain.driver) continue;
    if (existing.enforcesCoherency !== entry.enforcesCoherency) continue;
    yield* iommuDetachGroup(iommuGroup);
    if ((yield* iommuAttachGroup(iommuGroup, existing.domain)) === 0) {
      existing.groups.unshift(member);
      yield* entry.domain.free();
      return 1;
    }
    const error = yield* iommuAttachGroup(iommuGroup, entry.domain);
    if (error !== 0) {
      yield* entry.domain.free();
      return error;
    }
  }
  return 0;
}

/**
 * The new domain gets all mappings and becomes the first of the container.
 *
 * APPROX: no MSI cookie: every platform modelled has hardware MSI regions.
 */
function* fill(type1: Type1, process: Process, entry: Type1Domain, iovaList: IovaList): KernelTask<number> {
  if (type1.profile.superPageProbe) yield* probeFineGrainedSuperPages(process, entry, iovaList);
  const error = yield* replayInto(type1, process, entry.domain);
  if (error !== 0) return error;
  type1.domains.unshift(entry);
  type1.updatePageSizes();
  return 0;
}
