/**
 * First stages that user space keeps in its own memory: the user data of page tables and invalidations as the kernel gets
 * it, and the words of the tables as hardware reads them.
 *
 * APPROX: stores take no time and go to the frames that are known by then; several rows of one event are seen at once.
 */
import { Errno } from '../errno.ts';
import type { PhysicalMemory } from '../hw/memory.ts';
import type { UserData } from '../stack/iommu/ops.ts';
import type { IommufdContext } from '../stack/iommufd/context.ts';
import { invalidateHwpt } from '../stack/iommufd/invalidate.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import type { ControlRow } from './control-row.ts';

/** IOMMU_HWPT_DATA_VTD_S1; IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 (include/uapi/linux/iommufd.h). */
const VTD_S1 = 1;
const VTD_S1_INVALIDATE = 0;
/** [bytes] struct iommu_hwpt_vtd_s1 and struct iommu_hwpt_vtd_s1_invalidate. */
const STRUCT_BYTES = 24;
const WORD_BYTES = 8n;
const U64 = 0xffff_ffff_ffff_ffffn;

/** The user data of IOMMU_HWPT_ALLOC; none for a page table that the kernel fills. */
export function hwptUserData({ userData }: ControlRow): UserData {
  const given = userData.find(({ kind }) => kind === 'vtd_s1');
  if (given === undefined) return { type: 0, lengthBytes: 0, bytes: undefined };
  const bytes = new Uint8Array(STRUCT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, given.value, true);
  view.setBigUint64(8, given.address, true);
  view.setUint32(16, Number(given.count), true);
  return { type: VTD_S1, lengthBytes: STRUCT_BYTES, bytes };
}

/** IOMMU_HWPT_INVALIDATE of the page table `hwptId` with the row's entries. */
export function* invalidateNested(context: IommufdContext, hwptId: number, row: ControlRow): KernelTask<number> {
  const entries = row.userData.filter(({ kind }) => kind === 'vtd_s1_invalidate');
  const bytes = new Uint8Array(entries.length * STRUCT_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, { address, value, count }] of entries.entries()) {
    view.setBigUint64(index * STRUCT_BYTES, address, true);
    view.setBigUint64(index * STRUCT_BYTES + 8, count, true);
    view.setUint32(index * STRUCT_BYTES + 16, Number(value & 0xffff_ffffn), true);
  }
  return yield* invalidateHwpt(context, {
    reserved: 0,
    hwptId,
    hasData: entries.length > 0,
    dataType: VTD_S1_INVALIDATE,
    entryLength: STRUCT_BYTES,
    entryCount: entries.length,
    bytes,
  });
}

/**
 * Writes the words of a `user_store`. `frameOf` gives the frame behind an address of the IOAS, -1 = none. Returns 0, or
 * -EFAULT at the first word that has no memory; the words before it are written.
 */
export function storeUserWords(
  { userData }: ControlRow,
  memory: PhysicalMemory,
  frameOf: (address: bigint) => number,
): number {
  for (const { kind, address, value, step, count } of userData) {
    if (kind !== 'words') continue;
    let page = -1n;
    let frame = -1;
    for (let i = 0n; i < count; i++) {
      const at = address + i * WORD_BYTES;
      if (at >> 12n !== page) {
        page = at >> 12n;
        frame = frameOf(at);
        if (frame < 0) return -Errno.EFAULT;
        memory.adopt(frame);
      }
      const word = (value + i * step) & U64;
      const low = Number(word & 0xffff_ffffn) | 0;
      memory.writeQword(frame, Number(at & 0xfffn) / 4, low, Number(word >> 32n) | 0);
    }
  }
  return 0;
}
