/**
 * `switches`: devices (or PASIDs of devices) under load while their page tables are exchanged. Each has two IOASes that
 * map the same IOVAs to different memory, so that every request shows which table served it. Requests wait for nothing
 * but the first mapping: a switch may come at any moment.
 */
import { PAGE_SIZE } from '../../address.ts';
import { pagePicker } from './page-picker.ts';
import type { RecipeOf } from './recipe.ts';
import { checkRegion, request } from './static-region.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** IOMMU_IOAS_MAP_FIXED_IOVA | _WRITEABLE | _READABLE (include/uapi/linux/iommufd.h). */
const MAP_FLAGS = 7;
/** IOMMU_HWPT_ALLOC_NEST_PARENT: always second stage; _PASID: may be attached at PASIDs. */
const ALLOC_NEST_PARENT = 1;
const ALLOC_PASID = 8;
/** VFIO_DEVICE_ATTACH_PASID. */
const WITH_PASID = 1;
const PASID_BITS = 20;
/** [4 KiB pages] Regions start at 1 MiB, or at their block size. */
const BASE_PFN = 0x100;
/** [bytes] User address of the first region. */
const USER_BASE = 2 ** 44;
/** [4 KiB pages] The interrupt range of x86, reserved on every device. */
const RESERVED_PFN = 0xfee00;

/** Something that is switched: a device's RID or one of its PASIDs. */
interface Target {
  readonly device: number;
  readonly context: number;
  readonly pasid: number;
  readonly basePfn: number;
  readonly tables: readonly [number, number];
  /** Refuses every attach; 0 = none made. */
  readonly badTable: number;
  readonly afterMap: number;
  current: 0 | 1;
}

/** A row to be written once time has come that far. */
interface Due {
  readonly timeNs: number;
  readonly write: () => void;
}

/** Ids as iommufd hands them out: one counter a context. */
interface Ids {
  next: number;
}

/** Writes a `switches` trace. */
export function switches(recipe: RecipeOf<'switches'>, trace: SyntheticTrace): void {
  checkRegion(recipe);
  const targets: Target[] = [];
  for (let device = 0; device < recipe.devices; device++) targets.push(...setUpDevice(recipe, trace, device));
  trace.advanceTo(recipe.startNs);
  const picker = pagePicker(recipe.locality, recipe.regionBytes / PAGE_SIZE);
  const stride = trace.rowsLeft / recipe.switches;
  let done = 0;
  /** Second halves of switches, which come while requests go on; in the order of their time. */
  const due: Due[] = [];
  for (let row = 0; trace.rowsLeft > 0; row++) {
    while (due.length > 0 && trace.timeNs >= due[0]!.timeNs) due.shift()!.write();
    if (done < recipe.switches && row >= (done + 0.5) * stride) {
      exchange(recipe, trace, targets[done % targets.length]!, done, due);
      done++;
    }
    const { device, basePfn, afterMap, pasid } = targets[trace.random.below(targets.length)]!;
    request(recipe, trace, device, basePfn, picker, afterMap, pasid);
  }
  for (const { timeNs, write } of due) {
    trace.advanceTo(timeNs);
    write();
  }
}

function setUpDevice(recipe: RecipeOf<'switches'>, trace: SyntheticTrace, index: number): Target[] {
  const device = trace.addDevice('vfio-pci', recipe.pasids > 0 ? PASID_BITS : 0);
  const context = index;
  const ids: Ids = { next: 1 };
  const row = { context, cpu: device };
  trace.control('open_iommufd', row);
  trace.control('open_cdev', { device, cpu: device });
  const deviceId = ids.next++;
  trace.control('VFIO_DEVICE_BIND_IOMMUFD', { ...row, device, recordedObject: deviceId });
  const pasids = recipe.pasids === 0 ? [0] : Array.from({ length: recipe.pasids }, (_, i) => i + 1);
  return pasids.map((pasid) => setUpTarget(recipe, trace, { device, context, pasid, deviceId, ids }));
}

interface TargetPlace {
  readonly device: number;
  readonly context: number;
  readonly pasid: number;
  readonly deviceId: number;
  readonly ids: Ids;
}

function setUpTarget(recipe: RecipeOf<'switches'>, trace: SyntheticTrace, place: TargetPlace): Target {
  const { device, context, pasid, deviceId, ids } = place;
  const row = { context, cpu: device };
  const basePfn = Math.max(BASE_PFN, recipe.pageBytes / PAGE_SIZE);
  const pageCount = recipe.regionBytes / PAGE_SIZE;
  const flags = pasid > 0 ? WITH_PASID : 0;
  const table = (stage: 'first' | 'second', attaches: boolean): { hwpt: number; mapRow: number } => {
    const ioas = ids.next++;
    trace.control('IOMMU_IOAS_ALLOC', { ...row, recordedObject: ioas });
    const hwpt = ids.next++;
    const kind = (stage === 'second' ? ALLOC_NEST_PARENT : 0) | (pasid > 0 ? ALLOC_PASID : 0);
    trace.control('IOMMU_HWPT_ALLOC', { ...row, object: ioas, target: deviceId, flags: kind, recordedObject: hwpt });
    const attach = { ...row, device, target: hwpt, flags, ...(pasid > 0 ? { pasid } : {}) };
    if (attaches) trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', attach);
    const userAddress = BigInt(USER_BASE) + BigInt(context * 4096 + ioas) * BigInt(2 * recipe.regionBytes);
    const range = { iovaPfn: basePfn, pageCount, userAddress };
    const mapRow = trace.control('IOMMU_IOAS_MAP', { ...row, object: ioas, flags: MAP_FLAGS, ...range });
    trace.frames(mapRow, basePfn, trace.physical.allocate(recipe.regionBytes, recipe.pageBytes));
    return { hwpt, mapRow };
  };
  const badTable = recipe.failEvery === 0 ? 0 : refusedTarget(recipe, trace, place);
  const other = table(recipe.toStage, false);
  const first = table(recipe.fromStage, true);
  const tables: [number, number] = [first.hwpt, other.hwpt];
  return { device, context, pasid, basePfn, tables, badTable, afterMap: first.mapRow + 1, current: 0 };
}

/** An IOAS that no device can be attached to: it maps the interrupt range, or memory that is not there. */
function refusedTarget(recipe: RecipeOf<'switches'>, trace: SyntheticTrace, place: TargetPlace): number {
  const { device, context, ids } = place;
  const row = { context, cpu: device };
  const ioas = ids.next++;
  trace.control('IOMMU_IOAS_ALLOC', { ...row, recordedObject: ioas });
  const userAddress = BigInt(USER_BASE) + BigInt(context * 4096 + ioas) * BigInt(2 * recipe.regionBytes);
  if (recipe.failBy === 'reserved') {
    const range = { iovaPfn: RESERVED_PFN, pageCount: 1, userAddress };
    trace.control('IOMMU_IOAS_MAP', { ...row, object: ioas, flags: MAP_FLAGS, ...range });
    return ioas;
  }
  // The first page has memory; the range mapped reaches beyond it, into a hole.
  const backed = trace.control('IOMMU_IOAS_MAP', {
    ...row,
    object: ioas,
    flags: MAP_FLAGS,
    iovaPfn: BASE_PFN,
    pageCount: 1,
    userAddress,
  });
  trace.frames(backed, BASE_PFN, trace.physical.allocate(PAGE_SIZE, PAGE_SIZE));
  const range = { iovaPfn: BASE_PFN + 16, pageCount: 2, userAddress };
  trace.control('IOMMU_IOAS_MAP', { ...row, object: ioas, flags: MAP_FLAGS, ...range });
  return ioas;
}

function exchange(recipe: RecipeOf<'switches'>, trace: SyntheticTrace, target: Target, turn: number, due: Due[]): void {
  const { device, context, pasid, tables } = target;
  const flags = pasid > 0 ? WITH_PASID : 0;
  const row = { context, device, cpu: device, flags, ...(pasid > 0 ? { pasid } : {}) };
  const refused = recipe.failEvery > 0 && turn % recipe.failEvery === recipe.failEvery - 1;
  if (!refused) target.current = target.current === 0 ? 1 : 0;
  const goal = refused ? target.badTable : tables[target.current];
  if (recipe.call === 'detach-attach') {
    trace.control('VFIO_DEVICE_DETACH_IOMMUFD_PT', row, 0);
    const attach = (): void => {
      trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { ...row, target: goal }, 0);
    };
    if (recipe.userGapNs === 0) attach();
    else due.push({ timeNs: trace.timeNs + recipe.userGapNs, write: attach });
    return;
  }
  trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { ...row, target: goal }, 0);
}
