/** VFIO_IOMMU_GET_INFO on a type1 container (vfio_iommu_type1_get_info of Linux drivers/vfio/vfio_iommu_type1.c). */
import { Errno } from '../../../errno.ts';
import type { Process } from '../../kernel/process.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { BITMAP_BYTES_MAX } from './dirty-bitmap.ts';
import type { Type1 } from './type1.ts';

/** [bytes] struct vfio_iommu_type1_info up to iova_pgsizes, and whole. */
const MIN_BYTES = 16;
const INFO_BYTES = 24;
const FLAG_PAGE_SIZES = 1;
const FLAG_CAPS = 2;
/** VFIO_IOMMU_TYPE1_INFO_CAP_* and VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL. */
const CAP_IOVA_RANGE = 1;
const CAP_MIGRATION = 2;
const CAP_DMA_AVAIL = 3;

/** Page sizes and the capability chain. EFAULT; EINVAL argsz. A chain that does not fit is left out, its size told. */
export function* getIommuInfo(type1: Type1, process: Process, address: bigint): KernelTask<number> {
  const head = process.memory.read(address, MIN_BYTES);
  if (head === undefined) return -Errno.EFAULT;
  const argsz = new DataView(head.buffer).getUint32(0, true);
  if (argsz < MIN_BYTES) return -Errno.EINVAL;
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  const chain = capabilityChain(type1);
  const pageSizes = type1.pageSizeBitmap;
  type1.lock.release();
  const fits = argsz >= INFO_BYTES + chain.length;
  const info = new DataView(new ArrayBuffer(INFO_BYTES));
  info.setUint32(0, fits ? argsz : INFO_BYTES + chain.length, true);
  info.setUint32(4, FLAG_PAGE_SIZES | FLAG_CAPS, true);
  info.setBigUint64(8, pageSizes, true);
  info.setUint32(16, fits ? INFO_BYTES : 0, true);
  if (fits && !process.memory.write(address + BigInt(INFO_BYTES), chain)) return -Errno.EFAULT;
  const bytes = new Uint8Array(info.buffer).subarray(0, Math.min(argsz, INFO_BYTES));
  return process.memory.write(address, bytes) ? 0 : -Errno.EFAULT;
}

/** Migration, maps left, usable ranges (none before the first IOMMU group), linked by offsets from the structure. */
function capabilityChain(type1: Type1): Uint8Array {
  const caps = [migrationCap(type1), dmaAvailableCap(type1)];
  if (type1.iovaList.nodes.length > 0) caps.push(iovaRangeCap(type1));
  const chain = new Uint8Array(caps.reduce((total, cap) => total + cap.length, 0));
  let at = 0;
  for (const [index, cap] of caps.entries()) {
    chain.set(cap, at);
    const next = at + cap.length;
    if (index < caps.length - 1) new DataView(chain.buffer).setUint32(at + 4, INFO_BYTES + next, true);
    at = next;
  }
  return chain;
}

function capability(lengthBytes: number, id: number): { readonly bytes: Uint8Array; readonly view: DataView } {
  const bytes = new Uint8Array(lengthBytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id, true);
  view.setUint16(2, 1, true);
  return { bytes, view };
}

function migrationCap(type1: Type1): Uint8Array {
  const { bytes, view } = capability(32, CAP_MIGRATION);
  view.setBigUint64(16, type1.pageSize, true);
  view.setBigUint64(24, BITMAP_BYTES_MAX, true);
  return bytes;
}

function dmaAvailableCap(type1: Type1): Uint8Array {
  const { bytes, view } = capability(16, CAP_DMA_AVAIL);
  view.setUint32(8, type1.dmaAvailable, true);
  return bytes;
}

function iovaRangeCap(type1: Type1): Uint8Array {
  const { nodes } = type1.iovaList;
  const { bytes, view } = capability(16 + 16 * nodes.length, CAP_IOVA_RANGE);
  view.setUint32(8, nodes.length, true);
  for (const [index, node] of nodes.entries()) {
    view.setBigUint64(16 + 16 * index, node.start, true);
    view.setBigUint64(24 + 16 * index, node.last, true);
  }
  return bytes;
}
