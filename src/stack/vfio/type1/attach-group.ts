/**
 * A group joins a type1 container (vfio_iommu_type1_attach_group of Linux drivers/vfio/vfio_iommu_type1.c). The caller
 * owns the group's DMA already.
 */
import { Errno } from '../../../errno.ts';
import type { PagingDomain, ReservedRegion } from '../../iommu/ops.ts';
import type { Process } from '../../kernel/process.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { VfioGroup } from '../group-state.ts';
import { type GroupTarget, iommuGroupTarget } from './group-target.ts';
import type { IovaList } from './iova-list.ts';
import { mediatedTarget } from './mediated-target.ts';
import { probeFineGrainedSuperPages, replayInto } from './replay.ts';
import type { Type1, Type1Domain, Type1Group } from './type1.ts';

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
  if (type1.profile.ownership && type1.vaddrInvalidCount > 0) return -Errno.EBUSY;
  if (type1.find(group) !== undefined) return -Errno.EINVAL;
  const target = targetOf(type1, group);
  if (target === undefined) {
    // It reaches memory only through calls that pin, so that it never makes more dirty than is pinned.
    type1.emulatedGroups.unshift({ group, target: undefined, pinnedPageDirtyScope: true });
    return 0;
  }
  const domain = yield* target.allocDomain();
  if (typeof domain === 'number') return domain;
  let error = type1.variant.nesting ? (domain.enableNesting?.() ?? -Errno.EINVAL) : 0;
  if (error === 0) error = yield* target.attach(domain);
  if (error !== 0) {
    yield* domain.free();
    return error;
  }
  const iovaList = type1.iovaList.copy();
  error = checkRanges(type1, domain, target.reservedRegions(), iovaList);
  if (error === 0 && !target.hasIsolatedMsi && !type1.parameters.allowUnsafeInterrupts) error = -Errno.EPERM;
  if (error !== 0) {
    yield* dropDomain(target, domain);
    return error;
  }
  const member: Type1Group = { group, target, pinnedPageDirtyScope: false };
  const entry: Type1Domain = {
    domain,
    groups: [member],
    enforcesCoherency: domain.enforceCacheCoherency(),
    fineGrainedSuperPages: false,
  };
  const merged = yield* joinExisting(type1, target, entry, member);
  if (merged < 0) return merged;
  if (merged === 0) {
    error = yield* fill(type1, process, entry, iovaList);
    if (error !== 0) {
      yield* dropDomain(target, domain);
      return error;
    }
  }
  type1.iovaList = iovaList;
  type1.nonPinnedGroupCount++;
  return 0;
}

/** What there is to attach; undefined for emulated groups. */
function targetOf(type1: Type1, group: VfioGroup): GroupTarget | undefined {
  const { mediated } = type1.parameters;
  if (mediated !== undefined && group.mediated !== undefined) return mediatedTarget(mediated, group.mediated);
  return group.iommuGroup === undefined ? undefined : iommuGroupTarget(group.iommuGroup);
}

function* dropDomain(target: GroupTarget, domain: PagingDomain): KernelTask<void> {
  yield* target.detach(domain);
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
function* joinExisting(type1: Type1, target: GroupTarget, entry: Type1Domain, member: Type1Group): KernelTask<number> {
  for (const existing of type1.domains) {
    if (existing.domain.driver !== entry.domain.driver) continue;
    if (existing.enforcesCoherency !== entry.enforcesCoherency) continue;
    yield* target.detach(entry.domain);
    if ((yield* target.attach(existing.domain)) === 0) {
      existing.groups.unshift(member);
      yield* entry.domain.free();
      return 1;
    }
    const error = yield* target.attach(entry.domain);
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
