/**
 * `nested`: guests that keep page tables of their own behind the host's. Each device or PASID has a guest memory, a nesting
 * parent that maps it, and a first stage in it. Once a round the guest takes one slot away, invalidates it and maps it to
 * other memory of its own, as a guest's IOMMU driver does for every unmap.
 */
import { PAGE_SIZE } from '../../address.ts';
import { ConfigError } from '../../input-error.ts';
import { GuestTable } from './guest-table.ts';
import {
  ALLOC_NEST_PARENT,
  allocHwpt,
  allocIoas,
  allocNested,
  attachFields,
  bindDevice,
  firstPfn,
  mapMemory,
} from './iommufd-user.ts';
import { pagePicker } from './page-picker.ts';
import type { RecipeOf } from './recipe.ts';
import { checkRegion } from './static-region.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** [4 KiB pages] Guest memory starts at guest physical 4 GiB: no IOVA is its own guest address. */
const GUEST_BASE_PFN = 0x10_0000;
const PASID_BITS = 20;

type NestedRecipe = RecipeOf<'nested'>;

/** A mapping of a guest's table. */
interface Slot {
  readonly iovaPfn: number;
  /** [4 KiB pages] Where in guest memory it lies. */
  guestPfn: number;
  /** 1 + control row of the store that mapped it. */
  afterMap: number;
  /** 1 + row of the latest request; 0 = none since. */
  afterDma: number;
}

/** A device or PASID with a table of its own. */
interface Lane {
  readonly device: number;
  readonly pasid: number;
  readonly ioas: number;
  readonly hwpt: number;
  readonly table: GuestTable;
  readonly slots: readonly Slot[];
  /** [4 KiB pages] The part of guest memory that no slot shows. */
  freePfn: number;
}

/** Writes a `nested` trace; throws ConfigError for slots that do not fit. */
export function nested(recipe: NestedRecipe, trace: SyntheticTrace): void {
  checkRegion(recipe);
  if ((recipe.regionBytes / recipe.pageBytes) % recipe.slots !== 0) {
    throw new ConfigError({ source: 'recipe', path: 'slots', reason: 'do not divide the blocks of the region evenly' });
  }
  const lanes = Array.from({ length: recipe.devices }, () => startDevice(recipe, trace)).flat();
  const pages = recipe.regionBytes / PAGE_SIZE;
  const slotPages = pages / recipe.slots;
  const picker = pagePicker(recipe.locality, pages);
  for (let round = 0; round <= recipe.rounds; round++) {
    const rows = Math.ceil(trace.rowsLeft / (recipe.rounds + 1 - round));
    for (let i = 0; i < rows; i++) {
      const { device, pasid, slots } = lanes[i % lanes.length]!;
      const page = picker.next(trace.random);
      const slot = slots[Math.floor(page / slotPages)]!;
      const write = !trace.random.chance(recipe.readFraction);
      const offset = trace.random.below(PAGE_SIZE / recipe.requestBytes) * recipe.requestBytes;
      const iovaPfn = slot.iovaPfn + (page % slotPages);
      slot.afterDma = 1 + trace.dma(device, iovaPfn, offset, recipe.requestBytes, write, slot.afterMap, pasid);
    }
    if (round < recipe.rounds) for (const lane of lanes) remap(recipe, trace, lane, round);
  }
}

function startDevice(recipe: NestedRecipe, trace: SyntheticTrace): Lane[] {
  const device = trace.addDevice('vfio-pci', recipe.pasids > 0 ? PASID_BITS : 0);
  const ids = { next: 1 };
  const deviceId = bindDevice(trace, device, ids);
  const pasids = recipe.pasids === 0 ? [0] : Array.from({ length: recipe.pasids }, (_, i) => i + 1);
  return pasids.map((pasid) => {
    const user = { device, pasid, deviceId, ids };
    const pages = recipe.regionBytes / PAGE_SIZE;
    const leafPages = recipe.pageBytes / PAGE_SIZE;
    const slotPages = pages / recipe.slots;
    const guestPfn = Math.ceil(GUEST_BASE_PFN / leafPages) * leafPages;
    const ioas = allocIoas(trace, device, ids);
    const parent = allocHwpt(trace, user, ioas, ALLOC_NEST_PARENT);
    // One slot more than is mapped at a time.
    mapMemory(recipe, trace, { device, ioas, iovaPfn: guestPfn, pages: pages + slotPages });
    const poolPages = GuestTable.poolPages(pages, leafPages);
    const poolPfn = guestPfn + 2 * pages;
    mapMemory({ ...recipe, pageBytes: PAGE_SIZE }, trace, { device, ioas, iovaPfn: poolPfn, pages: poolPages }, parent);
    const table = new GuestTable(poolPfn, poolPages);
    const stored = trace.store(
      { device, context: device, cpu: device, object: ioas },
      table.map(firstPfn(recipe), guestPfn, pages, leafPages),
    );
    const hwpt = allocNested(trace, user, parent, table);
    const attached = trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { ...attachFields(device, pasid), target: hwpt });
    const slots = Array.from({ length: recipe.slots }, (_, index) => ({
      iovaPfn: firstPfn(recipe) + index * slotPages,
      guestPfn: guestPfn + index * slotPages,
      afterMap: 1 + Math.max(stored, attached),
      afterDma: 0,
    }));
    return { device, pasid, ioas, hwpt, table, slots, freePfn: guestPfn + pages };
  });
}

/** Takes a slot away once its last request is complete, invalidates it, and maps it to the free part of guest memory. */
function remap(recipe: NestedRecipe, trace: SyntheticTrace, lane: Lane, round: number): void {
  const { device, ioas, hwpt, table } = lane;
  const slot = lane.slots[round % recipe.slots]!;
  const leafPages = recipe.pageBytes / PAGE_SIZE;
  const slotPages = recipe.regionBytes / PAGE_SIZE / recipe.slots;
  const row = { device, context: device, cpu: device };
  const { afterDma } = slot;
  trace.store({ ...row, object: ioas, afterDma }, table.unmap(slot.iovaPfn, slotPages, leafPages));
  if (recipe.forgetEvery === 0 || (round + 1) % recipe.forgetEvery !== 0) {
    trace.control('IOMMU_HWPT_INVALIDATE', { ...row, object: hwpt });
    trace.userData('vtd_s1_invalidate', BigInt(slot.iovaPfn) << 12n, LEAF_ONLY, 0n, slotPages);
  }
  const old = slot.guestPfn;
  slot.guestPfn = lane.freePfn;
  lane.freePfn = old;
  slot.afterMap =
    1 + trace.store({ ...row, object: ioas }, table.map(slot.iovaPfn, slot.guestPfn, slotPages, leafPages));
  slot.afterDma = 0;
}

/** IOMMU_VTD_INV_FLAGS_LEAF: no table page was freed. */
const LEAF_ONLY = 1n;
