/**
 * `container`: devices assigned through groups and a type1 container, as before device nodes. Guest memory consists of
 * slots, one mapping each; once a round one of them is unmapped and mapped again, as memory hot-plug does.
 */
import { PAGE_SIZE } from '../../address.ts';
import { ConfigError } from '../../input-error.ts';
import type { PhysicalRegion } from './memory-layout.ts';
import { pagePicker } from './page-picker.ts';
import type { RecipeOf } from './recipe.ts';
import { checkRegion } from './static-region.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** VFIO_DMA_MAP_FLAG_READ | _WRITE and VFIO_TYPE1v2_IOMMU (include/uapi/linux/vfio.h). */
const MAP_FLAGS = 3;
const TYPE1_V2 = 3;
const CONTEXT = 0;
/** [4 KiB pages] Guest memory starts at guest physical 4 GiB, above the MSI window. */
export const GUEST_BASE_PFN = 0x10_0000;
/** [bytes] User address of guest memory. */
export const USER_BASE = 2 ** 44;

/** A mapping of guest memory. */
interface Slot {
  readonly iovaPfn: number;
  readonly userAddress: bigint;
  readonly region: PhysicalRegion;
  /** 1 + control row of the map that is in force. */
  afterMap: number;
  /** 1 + row of the latest request; 0 = none since the map. */
  afterDma: number;
}

/** Writes a `container` trace; throws ConfigError for slots that do not fit. */
export function container(recipe: RecipeOf<'container'>, trace: SyntheticTrace): void {
  checkSlots(recipe);
  const devices = Array.from({ length: recipe.devices }, () => trace.addDevice('vfio-pci'));
  trace.control('open_container', { context: CONTEXT });
  for (const device of devices) enterContainer(trace, device, CONTEXT, device === devices[0]);
  const slots = mapSlots(recipe, trace);
  for (const device of devices) trace.control('VFIO_GROUP_GET_DEVICE_FD', { device });
  const picker = pagePicker(recipe.locality, recipe.regionBytes / PAGE_SIZE);
  const slotPages = recipe.regionBytes / PAGE_SIZE / recipe.slots;
  const lastDma = devices.map(() => 0);
  for (let round = 0; round <= recipe.rounds; round++) {
    const rows = Math.ceil(trace.rowsLeft / (recipe.rounds + 1 - round));
    for (let i = 0; i < rows; i++) {
      const page = picker.next(trace.random);
      const slot = slots[Math.floor(page / slotPages)]!;
      const write = !trace.random.chance(recipe.readFraction);
      const offset = trace.random.below(PAGE_SIZE / recipe.requestBytes) * recipe.requestBytes;
      const turn = i % devices.length;
      const iovaPfn = slot.iovaPfn + (page % slotPages);
      slot.afterDma = 1 + trace.dma(devices[turn]!, iovaPfn, offset, recipe.requestBytes, write, slot.afterMap);
      lastDma[turn] = slot.afterDma;
    }
    if (round < recipe.rounds) replug(trace, slots[round % slots.length]!, slotPages);
  }
  for (const [turn, device] of devices.entries()) {
    // The device, out of the container, the group.
    trace.control('close', { device, afterDma: lastDma[turn]! });
    trace.control('VFIO_GROUP_UNSET_CONTAINER', { device, context: CONTEXT });
    trace.control('close', { device });
  }
  trace.control('close', { context: CONTEXT });
}

/** Opens the group of a device and puts it into a container; the first one chooses type1 v2. */
export function enterContainer(trace: SyntheticTrace, device: number, context: number, first: boolean, cpu = 0): void {
  trace.control('open_group', { device, cpu });
  trace.control('VFIO_GROUP_SET_CONTAINER', { device, context, cpu });
  if (first) trace.control('VFIO_SET_IOMMU', { context, flags: TYPE1_V2, cpu });
}

/** Maps a range of guest memory and returns the row. */
export function mapGuestMemory(
  trace: SyntheticTrace,
  context: number,
  range: { readonly iovaPfn: number; readonly pageCount: number; readonly userAddress: bigint },
  region: PhysicalRegion,
  cpu = 0,
): number {
  const row = trace.control('VFIO_IOMMU_MAP_DMA', { context, flags: MAP_FLAGS, cpu, ...range });
  trace.frames(row, range.iovaPfn, region);
  return row;
}

function mapSlots(recipe: RecipeOf<'container'>, trace: SyntheticTrace): Slot[] {
  const slotBytes = recipe.regionBytes / recipe.slots;
  const pageCount = slotBytes / PAGE_SIZE;
  return Array.from({ length: recipe.slots }, (_, index) => {
    const iovaPfn = GUEST_BASE_PFN + index * pageCount;
    const userAddress = BigInt(USER_BASE + index * slotBytes);
    const region = trace.physical.allocate(slotBytes, recipe.pageBytes);
    const row = mapGuestMemory(trace, CONTEXT, { iovaPfn, pageCount, userAddress }, region);
    return { iovaPfn, userAddress, region, afterMap: row + 1, afterDma: 0 };
  });
}

/** Unmaps a slot once its last request is complete, and maps it again. */
function replug(trace: SyntheticTrace, slot: Slot, pageCount: number): void {
  const { iovaPfn, userAddress, region, afterDma } = slot;
  trace.control('VFIO_IOMMU_UNMAP_DMA', { context: CONTEXT, iovaPfn, pageCount, afterDma });
  slot.afterMap = 1 + mapGuestMemory(trace, CONTEXT, { iovaPfn, pageCount, userAddress }, region);
  slot.afterDma = 0;
}

function checkSlots(recipe: RecipeOf<'container'>): void {
  checkRegion(recipe);
  if ((recipe.regionBytes / recipe.pageBytes) % recipe.slots !== 0) {
    throw new ConfigError({ source: 'recipe', path: 'slots', reason: 'do not divide the blocks of the region evenly' });
  }
  if (recipe.units > 1 || recipe.devices > 1) checkOneWaiter(recipe);
}

/** An unmap waits for one request, so that the requests of a slot must be complete in order. */
function checkOneWaiter(recipe: RecipeOf<'container'>): void {
  if (recipe.rounds === 0) return;
  const path = recipe.units > 1 ? 'units' : 'devices';
  throw new ConfigError({
    source: 'recipe',
    path,
    reason: 'with rounds, an unmap waits for one device behind one unit',
  });
}
