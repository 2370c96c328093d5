/**
 * `demand`: devices whose page tables are filled by I/O page faults. A guest makes a fault queue and a page table that
 * sends its faults there, and attaches; nothing is mapped. Whoever replays the trace answers the faults. Once a round the
 * next part of the region is unmapped, so that its pages are asked for again.
 */
import { PAGE_SIZE } from '../../address.ts';
import { ConfigError } from '../../input-error.ts';
import { WITH_PASID } from '../../vfio-flags.ts';
import { type PagePicker, pagePicker } from './page-picker.ts';
import type { RecipeOf } from './recipe.ts';
import { checkRegion, request } from './static-region.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** IOMMU_HWPT_FAULT_ID_VALID, IOMMU_HWPT_ALLOC_PASID (include/uapi/linux/iommufd.h). */
const FAULT_ID_VALID = 4;
const ALLOC_PASID = 8;
const PASID_BITS = 20;
/** [bytes] User memory of the handlers: one page table behind the other. */
const USER_BASE = 2 ** 45;
/** [ns] Opening and attaching is over by then; requests begin. */
const START_NS = 1_000_000;

type DemandRecipe = RecipeOf<'demand'>;

/** A page table with demand paging, and who uses it. */
interface Guest {
  readonly device: number;
  readonly pasid: number;
  readonly ioas: number;
  readonly basePfn: number;
  /** 1 + control row of the attach. */
  readonly afterAttach: number;
  /** 1 + latest DMA row; 0 before the first. */
  afterDma: number;
  /** [4 KiB pages] What is taken away next, from the base. */
  nextPage: number;
}

/** Writes a `demand` trace. */
export function demand(recipe: DemandRecipe, trace: SyntheticTrace): void {
  checkRegion(recipe);
  if (recipe.regionBytes % recipe.blockBytes !== 0) {
    throw new ConfigError({ source: 'recipe', path: 'regionBytes', reason: 'not a multiple of blockBytes' });
  }
  const guests = Array.from({ length: recipe.devices }, () => startDevice(recipe, trace)).flat();
  trace.advanceTo(START_NS);
  const picker = pagePicker(recipe.locality, recipe.regionBytes / PAGE_SIZE);
  const stride = trace.rowsLeft / (recipe.rounds + 1);
  const total = trace.rowsLeft;
  let round = 0;
  while (trace.rowsLeft > 0) {
    if (round < recipe.rounds && total - trace.rowsLeft >= (round + 1) * stride) {
      for (const guest of guests) takeAway(recipe, trace, guest);
      round++;
    }
    ask(recipe, trace, guests[trace.random.below(guests.length)]!, picker);
  }
}

function ask(recipe: DemandRecipe, trace: SyntheticTrace, guest: Guest, picker: PagePicker): void {
  const { device, basePfn, afterAttach, pasid } = guest;
  guest.afterDma = 1 + request(recipe, trace, device, basePfn, picker, afterAttach, pasid);
}

/** Opens iommufd and the device; one fault queue, IOAS and page table for the device, or for each of its PASIDs. */
function startDevice(recipe: DemandRecipe, trace: SyntheticTrace): Guest[] {
  const device = trace.addDevice('vfio-pci', recipe.pasids > 0 ? PASID_BITS : 0, true);
  const row = { context: device, cpu: device };
  trace.control('open_iommufd', row);
  trace.control('open_cdev', { device, cpu: device });
  let ids = 1;
  const deviceId = ids++;
  trace.control('VFIO_DEVICE_BIND_IOMMUFD', { ...row, device, recordedObject: deviceId });
  const basePfn = Math.max(0x100, recipe.blockBytes / PAGE_SIZE);
  const pasids = recipe.pasids === 0 ? [0] : Array.from({ length: recipe.pasids }, (_, index) => index + 1);
  return pasids.map((pasid): Guest => {
    const fault = ids++;
    const table = device * Math.max(1, recipe.pasids) + Math.max(0, pasid - 1);
    const userAddress = BigInt(USER_BASE) + BigInt(table) * BigInt(2 * recipe.regionBytes + 2 ** 21);
    const pageCount = recipe.blockBytes / PAGE_SIZE;
    trace.control('IOMMU_FAULT_QUEUE_ALLOC', { ...row, pageCount, userAddress, recordedObject: fault });
    const ioas = ids++;
    trace.control('IOMMU_IOAS_ALLOC', { ...row, recordedObject: ioas });
    const hwpt = ids++;
    const flags = FAULT_ID_VALID | (pasid > 0 ? ALLOC_PASID : 0);
    trace.control('IOMMU_HWPT_ALLOC', { ...row, object: ioas, target: deviceId, flags, recordedObject: hwpt });
    const attach = trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', {
      ...row,
      device,
      target: hwpt,
      flags: pasid > 0 ? WITH_PASID : 0,
      ...(pasid > 0 ? { pasid } : {}),
    });
    return { device, pasid, ioas, basePfn, afterAttach: attach + 1, afterDma: 0, nextPage: 0 };
  });
}

/** Unmaps the next part of the region, as a monitor that reclaims memory does, after what the guest has done so far. */
function takeAway(recipe: DemandRecipe, trace: SyntheticTrace, guest: Guest): void {
  const blockPages = recipe.blockBytes / PAGE_SIZE;
  const pages = recipe.regionBytes / PAGE_SIZE;
  const part = Math.max(blockPages, Math.floor((pages * recipe.reclaim) / blockPages) * blockPages);
  const pageCount = Math.min(part, pages - guest.nextPage);
  const range = { iovaPfn: guest.basePfn + guest.nextPage, pageCount, afterDma: guest.afterDma };
  trace.control('IOMMU_IOAS_UNMAP', { context: guest.device, cpu: guest.device, object: guest.ioas, ...range }, 0);
  guest.nextPage = (guest.nextPage + pageCount) % pages;
}
