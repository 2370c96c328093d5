/**
 * The two page tables between which a `switches` trace moves a device or a PASID. Both map the same IOVAs, each to memory
 * of its own. Without nesting each is filled by an IOAS of its own; with it both stand on one IOAS, the guest's memory: a
 * nested table is the guest's own, a second-stage one is the parent itself, a first-stage one another table of the IOAS.
 */
import { PAGE_SIZE } from '../../address.ts';
import { GuestTable } from './guest-table.ts';
import {
  ALLOC_NEST_PARENT,
  allocHwpt,
  allocIoas,
  allocNested,
  firstPfn,
  mapMemory,
  type TableUser,
} from './iommufd-user.ts';
import type { RecipeOf } from './recipe.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** [4 KiB pages] Further memory of a guest lies from 4 GiB on, above the interrupt range. */
const GUEST_HIGH_PFN = 0x10_0000;

type SwitchRecipe = RecipeOf<'switches'>;

/** Two tables, the first of them attached. */
export interface SwitchTables {
  readonly from: number;
  readonly to: number;
  /** Control row that requests wait for. */
  readonly readyRow: number;
}

/** Makes both tables and attaches the one to start with; `attach` writes the row of an attach. */
export function switchTables(
  recipe: SwitchRecipe,
  trace: SyntheticTrace,
  user: TableUser,
  attach: (hwpt: number) => number,
): SwitchTables {
  const { fromStage, toStage } = recipe;
  if (fromStage === 'nested' || toStage === 'nested') return guestTables(recipe, trace, user, attach);
  const table = (stage: 'first' | 'second', attaches: boolean): { hwpt: number; mapRow: number } => {
    const ioas = allocIoas(trace, user.device, user.ids);
    const hwpt = allocHwpt(trace, user, ioas, stage === 'second' ? ALLOC_NEST_PARENT : 0);
    if (attaches) attach(hwpt);
    return { hwpt, mapRow: mapRegion(recipe, trace, user.device, ioas) };
  };
  const to = table(toStage, false);
  const from = table(fromStage, true);
  return { from: from.hwpt, to: to.hwpt, readyRow: from.mapRow };
}

/** Maps the region that requests go to into an IOAS and returns the row. */
export function mapRegion(recipe: SwitchRecipe, trace: SyntheticTrace, device: number, ioas: number): number {
  return mapMemory(recipe, trace, { device, ioas, iovaPfn: firstPfn(recipe), pages: recipe.regionBytes / PAGE_SIZE });
}

/** Tables on one IOAS: the same memory of the guest, of which nested tables show another part. */
function guestTables(
  recipe: SwitchRecipe,
  trace: SyntheticTrace,
  user: TableUser,
  attach: (hwpt: number) => number,
): SwitchTables {
  const { device, ids } = user;
  const { fromStage, toStage } = recipe;
  const pages = recipe.regionBytes / PAGE_SIZE;
  const leafPages = recipe.pageBytes / PAGE_SIZE;
  const lowPfn = firstPfn(recipe);
  const highPfn = Math.ceil(GUEST_HIGH_PFN / leafPages) * leafPages;
  const ioas = allocIoas(trace, device, ids);
  const parent = allocHwpt(trace, user, ioas, ALLOC_NEST_PARENT);
  mapRegion(recipe, trace, device, ioas);
  // An id that stands for no IOAS names a space of user memory as well.
  mapMemory(recipe, trace, { device, ioas, iovaPfn: highPfn, pages }, parent);
  const poolPages = GuestTable.poolPages(pages, leafPages);
  const poolPfn = highPfn + 2 * pages;
  const pool = { device, ioas, iovaPfn: poolPfn, pages: 2 * poolPages };
  mapMemory({ ...recipe, pageBytes: PAGE_SIZE }, trace, pool, user.deviceId);
  const make = (stage: SwitchRecipe['fromStage'], index: number): number => {
    if (stage === 'second') return parent;
    if (stage === 'first') return allocHwpt(trace, user, ioas, 0);
    // Tables of the kernel show the low part; of two nested ones the first does.
    const guestPfn = index === 0 && fromStage === toStage ? lowPfn : highPfn;
    const table = new GuestTable(poolPfn + index * poolPages, poolPages);
    trace.store({ context: device, cpu: device, object: ioas }, table.map(lowPfn, guestPfn, pages, leafPages));
    return allocNested(trace, user, parent, table);
  };
  const from = make(fromStage, 0);
  const to = make(toStage, 1);
  return { from, to, readyRow: attach(from) };
}
