/** What a `switches` trace moves: a device, one of its PASIDs, a group between containers, a mediated device. */
import { PAGE_SIZE } from '../../address.ts';
import { enterContainer, mapGuestMemory } from './container-guest.ts';
import {
  allocIoas,
  attachFields,
  BASE_PFN,
  bindDevice,
  firstPfn,
  type Ids,
  MAP_FLAGS,
  userAddressOf,
} from './iommufd-user.ts';
import type { RecipeOf } from './recipe.ts';
import { mapRegion, switchTables } from './switch-tables.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

const PASID_BITS = 20;
/** VFIO_TYPE1v2_IOMMU (include/uapi/linux/vfio.h). */
const TYPE1_V2 = 3;
/** [4 KiB pages] The interrupt range of x86, reserved on every device. */
const RESERVED_PFN = 0xfee00;
/** Contexts of containers: those below are the devices' iommufds. */
const FIRST_CONTAINER = 100_000;

type SwitchRecipe = RecipeOf<'switches'>;

/** A second half of a switch, to be written once time has come that far. */
export interface Due {
  /** [ns] */
  readonly timeNs: number;
  readonly write: () => void;
}

/** Something that is moved to and fro. */
export interface SwitchTarget {
  readonly device: number;
  readonly pasid: number;
  readonly basePfn: number;
  /** 1 + control row of the mapping that requests wait for. */
  readonly afterMap: number;
  /** Writes the rows of a switch; `refused`: to a target that the kernel does not accept. */
  readonly exchange: (refused: boolean, due: Due[]) => void;
}

/** A device with page tables of its own, or with one pair for each of its PASIDs. */
export function cdevTargets(recipe: SwitchRecipe, trace: SyntheticTrace): SwitchTarget[] {
  const device = trace.addDevice('vfio-pci', recipe.pasids > 0 ? PASID_BITS : 0);
  const ids: Ids = { next: 1 };
  const deviceId = bindDevice(trace, device, ids);
  const pasids = recipe.pasids === 0 ? [0] : Array.from({ length: recipe.pasids }, (_, i) => i + 1);
  return pasids.map((pasid) => cdevTarget(recipe, trace, device, pasid, deviceId, ids));
}

function cdevTarget(
  recipe: SwitchRecipe,
  trace: SyntheticTrace,
  device: number,
  pasid: number,
  deviceId: number,
  ids: Ids,
): SwitchTarget {
  const basePfn = firstPfn(recipe);
  const attachRow = attachFields(device, pasid);
  const badTable = recipe.failEvery === 0 ? 0 : refusedIoas(recipe, trace, device, ids);
  const attach = (target: number): number => trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { ...attachRow, target });
  const tables = switchTables(recipe, trace, { device, pasid, deviceId, ids }, attach);
  let current = tables.from;
  const exchange = (refused: boolean, due: Due[]): void => {
    if (!refused) current = current === tables.from ? tables.to : tables.from;
    moveCdev(recipe, trace, attachRow, refused ? badTable : current, due);
  };
  return { device, pasid, basePfn, afterMap: tables.readyRow + 1, exchange };
}

/** A mediated device between two IOASes. */
export function mediatedTarget(recipe: SwitchRecipe, trace: SyntheticTrace): SwitchTarget {
  const device = trace.addMediatedDevice();
  const ids: Ids = { next: 1 };
  bindDevice(trace, device, ids);
  const spaces = [allocIoas(trace, device, ids), allocIoas(trace, device, ids)];
  const rows = spaces.map((ioas) => mapRegion(recipe, trace, device, ioas));
  const attachRow = attachFields(device, 0);
  trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { ...attachRow, target: spaces[0]! });
  let current = 0;
  const exchange = (_refused: boolean, due: Due[]): void => {
    current = 1 - current;
    moveCdev(recipe, trace, attachRow, spaces[current]!, due);
  };
  return { device, pasid: 0, basePfn: firstPfn(recipe), afterMap: rows[0]! + 1, exchange };
}

/** A group between two type1 containers: all of its memory is mapped anew in each move. */
export function containerTarget(recipe: SwitchRecipe, trace: SyntheticTrace): SwitchTarget {
  const device = trace.addDevice('vfio-pci');
  const contexts = [FIRST_CONTAINER + 2 * device, FIRST_CONTAINER + 2 * device + 1];
  const pageCount = recipe.regionBytes / PAGE_SIZE;
  const basePfn = firstPfn(recipe);
  const regions = contexts.map(() => trace.physical.allocate(recipe.regionBytes, recipe.pageBytes));
  const map = (index: number): number => {
    const userAddress = userAddressOf(recipe, device, index);
    return mapGuestMemory(
      trace,
      contexts[index]!,
      { iovaPfn: basePfn, pageCount, userAddress },
      regions[index]!,
      device,
    );
  };
  for (const context of contexts) trace.control('open_container', { context, cpu: device });
  enterContainer(trace, device, contexts[0]!, true, device);
  const afterMap = map(0) + 1;
  trace.control('VFIO_GROUP_GET_DEVICE_FD', { device, cpu: device });
  let current = 0;
  const exchange = (_refused: boolean, due: Due[]): void => {
    current = 1 - current;
    const context = contexts[current]!;
    trace.control('close', { device, cpu: device }, 0);
    trace.control('VFIO_GROUP_UNSET_CONTAINER', { device, cpu: device }, 0);
    const enter = (): void => {
      trace.control('VFIO_GROUP_SET_CONTAINER', { device, context, cpu: device }, 0);
      trace.control('VFIO_SET_IOMMU', { context, flags: TYPE1_V2, cpu: device }, 0);
      const userAddress = userAddressOf(recipe, device, current);
      const range = { iovaPfn: basePfn, pageCount, userAddress };
      const row = trace.control('VFIO_IOMMU_MAP_DMA', { context, flags: 3, cpu: device, ...range }, 0);
      trace.frames(row, basePfn, regions[current]!);
      trace.control('VFIO_GROUP_GET_DEVICE_FD', { device, cpu: device }, 0);
    };
    later(trace, recipe.userGapNs, enter, due);
  };
  return { device, pasid: 0, basePfn, afterMap, exchange };
}

function moveCdev(
  recipe: SwitchRecipe,
  trace: SyntheticTrace,
  row: { readonly context: number; readonly device: number; readonly cpu: number; readonly flags?: number },
  target: number,
  due: Due[],
): void {
  const attach = (): void => void trace.control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { ...row, target }, 0);
  if (recipe.call !== 'detach-attach') {
    attach();
    return;
  }
  trace.control('VFIO_DEVICE_DETACH_IOMMUFD_PT', row, 0);
  later(trace, recipe.userGapNs, attach, due);
}

function later(trace: SyntheticTrace, gapNs: number, write: () => void, due: Due[]): void {
  if (gapNs === 0) write();
  else due.push({ timeNs: trace.timeNs + gapNs, write });
}

/** An IOAS that no device can be attached to: it maps the interrupt range, or memory that is not there. */
function refusedIoas(recipe: SwitchRecipe, trace: SyntheticTrace, device: number, ids: Ids): number {
  const ioas = allocIoas(trace, device, ids);
  const userAddress = userAddressOf(recipe, device, ioas);
  const row = { context: device, cpu: device, object: ioas, flags: MAP_FLAGS, userAddress };
  if (recipe.failBy === 'reserved') {
    trace.control('IOMMU_IOAS_MAP', { ...row, iovaPfn: RESERVED_PFN, pageCount: 1 });
    return ioas;
  }
  // The first page has memory; the range mapped behind it reaches beyond, into a hole.
  const backed = trace.control('IOMMU_IOAS_MAP', { ...row, iovaPfn: BASE_PFN, pageCount: 1 });
  trace.frames(backed, BASE_PFN, trace.physical.allocate(PAGE_SIZE, PAGE_SIZE));
  trace.control('IOMMU_IOAS_MAP', { ...row, iovaPfn: BASE_PFN + 16, pageCount: 2 });
  return ioas;
}
