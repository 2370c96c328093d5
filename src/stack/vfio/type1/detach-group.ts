/** A group leaves a type1 container (vfio_iommu_type1_detach_group of Linux drivers/vfio/vfio_iommu_type1.c). */
import { U64_MAX } from '../../../address.ts';
import { assert } from '../../../assert.ts';
import type { ReservedRegion } from '../../iommu/ops.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { VfioGroup } from '../group-state.ts';
import { markAllDirty } from './dirty-bitmap.ts';
import { removeAllDmas, unmapKeepingDmas } from './translations.ts';
import type { Type1, Type1Domain, Type1Group } from './type1.ts';

/** Detaches the group and drops what only it needed. Its devices are back in the blocking domain before mappings go. */
export function* detachType1Group(type1: Type1, group: VfioGroup): KernelTask<void> {
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  const found = type1.find(group);
  assert(found !== undefined, `group ${group.id} is not in the container`);
  const { entry, domain } = found;
  if (domain === undefined) yield* removeEmulated(type1, entry);
  else yield* removePhysical(type1, entry, domain);
  if (!entry.pinnedPageDirtyScope) {
    type1.nonPinnedGroupCount--;
    // It may have written anywhere until now.
    if (type1.dirtyTracking) for (const dma of type1.dmas) markAllDirty(dma, type1.pageSize);
  }
  type1.lock.release();
}

function* removeEmulated(type1: Type1, entry: Type1Group): KernelTask<void> {
  type1.emulatedGroups.splice(type1.emulatedGroups.indexOf(entry), 1);
  if (type1.emulatedGroups.length === 0 && type1.domains.length === 0) yield* removeAllDmas(type1);
}

function* removePhysical(type1: Type1, entry: Type1Group, domain: Type1Domain): KernelTask<void> {
  if (entry.target !== undefined) yield* entry.target.detach(domain.domain);
  domain.groups.splice(domain.groups.indexOf(entry), 1);
  const iovaList = type1.iovaList.copy();
  if (domain.groups.length === 0) {
    if (type1.domains.length === 1) {
      if (type1.emulatedGroups.length === 0) yield* removeAllDmas(type1);
      else yield* unmapKeepingDmas(type1);
    }
    yield* domain.domain.free();
    type1.domains.splice(type1.domains.indexOf(domain), 1);
    const aperture = commonAperture(type1);
    iovaList.expand(aperture.start, aperture.last);
    type1.updatePageSizes();
  }
  if (iovaList.refresh(remainingRegions(type1)) === 0) type1.iovaList = iovaList;
}

/** Tightest aperture of the domains left; everything when there is none. */
function commonAperture(type1: Type1): { readonly start: bigint; readonly last: bigint } {
  let start = 0n;
  let last = U64_MAX;
  for (const { domain } of type1.domains) {
    if (domain.apertureStart > start) start = domain.apertureStart;
    if (domain.apertureEnd < last) last = domain.apertureEnd;
  }
  return { start, last };
}

function remainingRegions(type1: Type1): ReservedRegion[] {
  return type1.domains.flatMap((domain) => domain.groups).flatMap(({ target }) => target?.reservedRegions() ?? []);
}
