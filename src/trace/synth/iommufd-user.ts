/**
 * What a user of iommufd and a device's node does before a device can be used, as rows of a synthetic trace. A device has a
 * context of its own, which has the device's number; so has the CPU that calls for it.
 */
import { PAGE_SIZE } from '../../address.ts';
import { WITH_PASID } from '../../vfio-flags.ts';
import type { GuestTable } from './guest-table.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** IOMMU_IOAS_MAP_FIXED_IOVA | _WRITEABLE | _READABLE (include/uapi/linux/iommufd.h). */
export const MAP_FLAGS = 7;
/** IOMMU_HWPT_ALLOC_NEST_PARENT: always second stage; _PASID: may be attached at PASIDs. */
export const ALLOC_NEST_PARENT = 1;
const ALLOC_PASID = 8;
/** [bits] addr_width of struct iommu_hwpt_vtd_s1: four levels. */
const ADDRESS_WIDTH = 48;
/** [4 KiB pages] Regions start at 1 MiB, or at their block size. */
export const BASE_PFN = 0x100;
/** [bytes] User address of the first region. */
const USER_BASE = 2 ** 44;
/** [bytes] Least distance of spaces of user memory. */
const SPACE_BYTES = 2 ** 20;

/** Ids as iommufd hands them out: one counter a context. */
export interface Ids {
  next: number;
}

/** Device or PASID whose tables are made. */
export interface TableUser {
  readonly device: number;
  readonly pasid: number;
  /** Id of the bound device. */
  readonly deviceId: number;
  readonly ids: Ids;
}

/** Size of what is mapped. */
interface Region {
  readonly regionBytes: number;
  readonly pageBytes: number;
}

/** Opens iommufd and the device's node, binds, and gives the id of the bound device. */
export function bindDevice(trace: SyntheticTrace, device: number, ids: Ids): number {
  const context = device;
  trace.control('open_iommufd', { context, cpu: device });
  trace.control('open_cdev', { device, cpu: device });
  const deviceId = ids.next++;
  trace.control('VFIO_DEVICE_BIND_IOMMUFD', { device, context, cpu: device, recordedObject: deviceId });
  return deviceId;
}

/** Fields of an attach or detach. */
export function attachFields(device: number, pasid: number) {
  return { context: device, cpu: device, device, ...(pasid > 0 ? { flags: WITH_PASID, pasid } : { flags: 0 }) };
}

/** Makes an IOAS. */
export function allocIoas(trace: SyntheticTrace, device: number, ids: Ids): number {
  const ioas = ids.next++;
  trace.control('IOMMU_IOAS_ALLOC', { context: device, cpu: device, recordedObject: ioas });
  return ioas;
}

/** Makes a page table on an IOAS or a parent; `kind`: {@link ALLOC_NEST_PARENT} or 0. */
export function allocHwpt(trace: SyntheticTrace, user: TableUser, on: number, kind: number): number {
  const { device, pasid, deviceId, ids } = user;
  const hwpt = ids.next++;
  const flags = kind | (pasid > 0 ? ALLOC_PASID : 0);
  const row = { context: device, cpu: device, object: on, target: deviceId, flags, recordedObject: hwpt };
  trace.control('IOMMU_HWPT_ALLOC', row);
  return hwpt;
}

/** Makes a nested page table: a guest's `table` on `parent` (struct iommu_hwpt_vtd_s1 without flags). */
export function allocNested(trace: SyntheticTrace, user: TableUser, parent: number, table: GuestTable): number {
  const hwpt = allocHwpt(trace, user, parent, 0);
  trace.userData('vtd_s1', BigInt(table.rootPfn) << 12n, 0n, 0n, ADDRESS_WIDTH);
  return hwpt;
}

/** [4 KiB pages] First page of a region. */
export function firstPfn({ pageBytes }: { readonly pageBytes: number }): number {
  return Math.max(BASE_PFN, pageBytes / PAGE_SIZE);
}

/** User memory of the `index`-th space of a device: apart from all others. */
export function userAddressOf(
  { regionBytes }: { readonly regionBytes: number },
  device: number,
  index: number,
): bigint {
  return BigInt(USER_BASE) + BigInt(device * 4096 + index) * BigInt(Math.max(SPACE_BYTES, 2 * regionBytes));
}

/** Maps `pages` pages of new memory, the device's `space`-th, into an IOAS and returns the row. */
export function mapMemory(
  region: Region,
  trace: SyntheticTrace,
  to: { readonly device: number; readonly ioas: number; readonly iovaPfn: number; readonly pages: number },
  space = to.ioas,
): number {
  const { device, ioas, iovaPfn, pages } = to;
  const range = { iovaPfn, pageCount: pages, userAddress: userAddressOf(region, device, space) };
  const row = trace.control('IOMMU_IOAS_MAP', {
    context: device,
    cpu: device,
    object: ioas,
    flags: MAP_FLAGS,
    ...range,
  });
  trace.frames(row, iovaPfn, trace.physical.allocate(pages * PAGE_SIZE, region.pageBytes));
  return row;
}
