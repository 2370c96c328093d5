/**
 * `mdev`: a mediated device in the address space of a guest that also has a physical one. Once a round its driver pins
 * pages, reads and writes guest memory by CPU, and gives the pages back; the physical device goes on with DMA.
 */
import { PAGE_SIZE } from '../../address.ts';
import { ConfigError } from '../../input-error.ts';
import { enterContainer, GUEST_BASE_PFN, mapGuestMemory, USER_BASE } from './container-guest.ts';
import { pagePicker } from './page-picker.ts';
import type { RecipeOf } from './recipe.ts';
import { checkRegion, request } from './static-region.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

const CONTEXT = 0;
/** IOMMU_IOAS_MAP_FIXED_IOVA | _WRITEABLE | _READABLE (include/uapi/linux/iommufd.h). */
const IOAS_MAP_FLAGS = 7;
/** IOMMU_READ, IOMMU_WRITE (include/linux/iommu.h). */
const [READ, WRITE] = [1, 2];
/** iommufd gives ids from 1 up in the order in which objects are made. */
const [PHYSICAL_ID, MEDIATED_ID, IOAS_ID, HWPT_ID] = [1, 2, 3, 4];

type MdevRecipe = RecipeOf<'mdev'>;

/** Writes an `mdev` trace; throws ConfigError when more is pinned than there is. */
export function mdev(recipe: MdevRecipe, trace: SyntheticTrace): void {
  checkRegion(recipe);
  const pageCount = recipe.regionBytes / PAGE_SIZE;
  if (recipe.pinPages > pageCount) {
    throw new ConfigError({ source: 'recipe', path: 'pinPages', reason: `more than the ${pageCount} pages mapped` });
  }
  const physical = trace.addDevice('vfio-pci');
  const mediated = trace.addMediatedDevice();
  const start = recipe.path === 'iommufd' ? startOnIommufd : startInContainer;
  const afterMap = 1 + start(recipe, trace, physical, mediated);
  const picker = pagePicker(recipe.locality, pageCount);
  let afterDma = 0;
  for (let round = 0; round < recipe.rounds; round++) {
    const iovaPfn = GUEST_BASE_PFN + trace.random.below(pageCount - recipe.pinPages + 1);
    const pinned = { device: mediated, context: CONTEXT, iovaPfn, pageCount: recipe.pinPages };
    trace.control('vfio_pin_pages', { ...pinned, flags: READ | WRITE });
    const rows = Math.ceil(trace.rowsLeft / (recipe.rounds - round));
    for (let i = 0; i < rows; i++) {
      afterDma = 1 + request(recipe, trace, physical, GUEST_BASE_PFN, picker, afterMap);
    }
    trace.control('vfio_dma_rw', { ...pinned, pageCount: 1, flags: READ });
    trace.control('vfio_dma_rw', { ...pinned, pageCount: 1, flags: WRITE });
    trace.control('vfio_unpin_pages', pinned);
  }
  if (recipe.path === 'iommufd') trace.control('VFIO_DEVICE_DETACH_IOMMUFD_PT', { device: mediated, context: CONTEXT });
  trace.control('close', { device: mediated });
  trace.control('close', { device: physical, afterDma });
  // In a container the groups are left.
  if (recipe.path === 'container') for (const device of [mediated, physical]) trace.control('close', { device });
  trace.control('close', { context: CONTEXT });
}

/** Guest memory as one mapping. */
function guestMemory(recipe: MdevRecipe) {
  return { iovaPfn: GUEST_BASE_PFN, pageCount: recipe.regionBytes / PAGE_SIZE, userAddress: BigInt(USER_BASE) };
}

/** Both devices bound and attached to one IOAS; the row of the map. */
function startOnIommufd(recipe: MdevRecipe, trace: SyntheticTrace, physical: number, mediated: number): number {
  const context = CONTEXT;
  const region = trace.physical.allocate(recipe.regionBytes, recipe.pageBytes);
  trace.control('open_iommufd', { context });
  for (const [device, recordedObject] of [
    [physical, PHYSICAL_ID],
    [mediated, MEDIATED_ID],
  ] as const) {
    trace.control('open_cdev', { device });
    trace.control('VFIO_DEVICE_BIND_IOMMUFD', { device, context, recordedObject });
  }
  trace.control('IOMMU_IOAS_ALLOC', { context, recordedObject: IOAS_ID });
  const attach = { context, target: IOAS_ID };
  trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { ...attach, device: physical, recordedObject: HWPT_ID });
  trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { ...attach, device: mediated });
  const map = { context, object: IOAS_ID, flags: IOAS_MAP_FLAGS, ...guestMemory(recipe) };
  const row = trace.control('IOMMU_IOAS_MAP', map);
  trace.frames(row, GUEST_BASE_PFN, region);
  return row;
}

/** Both groups in one container; the row of the map. */
function startInContainer(recipe: MdevRecipe, trace: SyntheticTrace, physical: number, mediated: number): number {
  trace.control('open_container', { context: CONTEXT });
  enterContainer(trace, physical, CONTEXT, true);
  enterContainer(trace, mediated, CONTEXT, false);
  const region = trace.physical.allocate(recipe.regionBytes, recipe.pageBytes);
  const row = mapGuestMemory(trace, CONTEXT, guestMemory(recipe), region);
  for (const device of [physical, mediated]) trace.control('VFIO_GROUP_GET_DEVICE_FD', { device });
  return row;
}
