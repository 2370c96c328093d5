/** `tenants` and `migration`: devices assigned through vfio cdev and iommufd, guest memory mapped at its own address. */
import { PAGE_SIZE } from '../../address.ts';
import { pagePicker } from './page-picker.ts';
import type { RecipeOf } from './recipe.ts';
import { checkRegion, request } from './static-region.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** IOMMU_IOAS_MAP_FIXED_IOVA | _WRITEABLE | _READABLE (include/uapi/linux/iommufd.h). */
const MAP_FLAGS = 7;
/** IOMMU_HWPT_ALLOC_DIRTY_TRACKING and IOMMU_HWPT_DIRTY_TRACKING_ENABLE (include/uapi/linux/iommufd.h). */
const ALLOC_DIRTY_TRACKING = 2;
const DIRTY_TRACKING_ENABLE = 1;
/** iommufd gives ids from 1 up in the order in which objects are made. */
const DEVICE_ID = 1;
const IOAS_ID = 2;
const HWPT_ID = 3;
/** [4 KiB pages] Guest memory starts at guest physical 1 MiB. */
const GUEST_BASE_PFN = 0x100;
/** [bytes] User address of the first guest's memory; all guests are mapped into one process. */
const USER_BASE = 2 ** 44;

type GuestRecipe = RecipeOf<'tenants' | 'migration'>;

/** A device with guest memory mapped for it. */
interface Guest {
  readonly device: number;
  readonly context: number;
  /** [4 KiB pages] First IOVA page. */
  readonly basePfn: number;
  readonly pageCount: number;
  /** 1 + control row of the map. */
  readonly afterMap: number;
}

/** Writes a `tenants` trace. */
export function tenants(recipe: RecipeOf<'tenants'>, trace: SyntheticTrace): void {
  const guests = Array.from({ length: recipe.tenants }, (_, context) => startGuest(recipe, trace, context, false));
  const picker = pagePicker(recipe.locality, recipe.regionBytes / PAGE_SIZE);
  for (let turn = 0; trace.rowsLeft > 0; turn++) {
    const index = recipe.order === 'random' ? trace.random.below(guests.length) : turn % guests.length;
    const { device, basePfn, afterMap } = guests[index]!;
    for (let i = 0; i < recipe.burst; i++) request(recipe, trace, device, basePfn, picker, afterMap);
  }
}

/** Writes a `migration` trace: rounds of DMA, each followed by reading and clearing the dirty bitmap. */
export function migration(recipe: RecipeOf<'migration'>, trace: SyntheticTrace): void {
  const { device, context, basePfn, pageCount, afterMap } = startGuest(recipe, trace, 0, true);
  const picker = pagePicker(recipe.locality, pageCount);
  trace.control('IOMMU_HWPT_SET_DIRTY_TRACKING', { context, object: HWPT_ID, flags: DIRTY_TRACKING_ENABLE });
  for (let round = 0; round < recipe.rounds; round++) {
    const rows = Math.ceil(trace.rowsLeft / (recipe.rounds - round));
    for (let i = 0; i < rows; i++) request(recipe, trace, device, basePfn, picker, afterMap);
    trace.control('IOMMU_HWPT_GET_DIRTY_BITMAP', { context, object: HWPT_ID, iovaPfn: basePfn, pageCount });
  }
  trace.control('IOMMU_HWPT_SET_DIRTY_TRACKING', { context, object: HWPT_ID, flags: 0 });
}

/** Opens iommufd and the device, binds, makes an IOAS with guest memory in it, attaches. */
function startGuest(recipe: GuestRecipe, trace: SyntheticTrace, context: number, dirtyTracking: boolean): Guest {
  checkRegion(recipe);
  const device = trace.addDevice('vfio-pci');
  const pageCount = recipe.regionBytes / PAGE_SIZE;
  // Aligned to the block size, so that the blocks can become leaves of their own size.
  const basePfn = Math.max(GUEST_BASE_PFN, recipe.pageBytes / PAGE_SIZE);
  const region = trace.physical.allocate(recipe.regionBytes, recipe.pageBytes);
  trace.control('open_iommufd', { context });
  trace.control('open_cdev', { device });
  trace.control('VFIO_DEVICE_BIND_IOMMUFD', { device, context, recordedObject: DEVICE_ID });
  trace.control('IOMMU_IOAS_ALLOC', { context, recordedObject: IOAS_ID });
  if (dirtyTracking) {
    const fields = { object: IOAS_ID, target: DEVICE_ID, flags: ALLOC_DIRTY_TRACKING, recordedObject: HWPT_ID };
    trace.control('IOMMU_HWPT_ALLOC', { context, ...fields });
  }
  const target = dirtyTracking ? HWPT_ID : IOAS_ID;
  trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { device, context, target, recordedObject: HWPT_ID });
  const range = { iovaPfn: basePfn, pageCount, userAddress: BigInt(USER_BASE + context * recipe.regionBytes) };
  const row = trace.control('IOMMU_IOAS_MAP', { context, object: IOAS_ID, flags: MAP_FLAGS, ...range });
  trace.frames(row, basePfn, region);
  return { device, context, basePfn, pageCount, afterMap: row + 1 };
}
