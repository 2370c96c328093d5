/**
 * VFIO_IOMMU_GET_INFO on an iommufd: page sizes and the capability chain. Source: Linux
 * drivers/iommu/iommufd/vfio_compat.c iommufd_vfio_iommu_get_info.
 */
import { Errno } from '../../errno.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import type { Ioas } from './ioas.ts';
import { acquireCompat } from './vfio-compat.ts';

/** [bytes] struct vfio_iommu_type1_info up to iova_pgsizes, and whole. */
const MIN_BYTES = 16;
const INFO_BYTES = 24;
const FLAG_PAGE_SIZES = 1;
const FLAG_CAPS = 2;
const CAP_IOVA_RANGE = 1;
const CAP_DMA_AVAIL = 3;
/** What the compatible interface reports as available maps: it has no limit. */
const DMA_AVAIL = 0xffff_ffff;

/** The call: EFAULT, EINVAL (argsz), ENODEV. Capabilities are written as far as the user's argsz reaches. */
export function* vfioIommuGetInfo(context: IommufdContext, process: Process, address: bigint): KernelTask<number> {
  const head = process.memory.read(address, MIN_BYTES);
  if (head === undefined) return -Errno.EFAULT;
  const argsz = new DataView(head.buffer).getUint32(0, true);
  if (argsz < MIN_BYTES) return -Errno.EINVAL;
  const ioas = acquireCompat(context);
  if (ioas === undefined) return -Errno.ENODEV;
  if (!ioas.iovaLock.tryAcquireShared()) yield ioas.iovaLock.sharedQueue;
  const rc = writeInfo(ioas, process, address, argsz);
  ioas.iovaLock.releaseShared();
  context.objects.release(ioas);
  return rc;
}

function writeInfo(ioas: Ioas, process: Process, address: bigint, argsz: number): number {
  const caps = [dmaAvailCap(), iovaRangeCap(ioas)];
  let total = INFO_BYTES;
  for (const [index, cap] of caps.entries()) {
    const end = total + cap.length;
    // The link to the next capability is written once there is room for the next one's header.
    if (argsz >= end) {
      if (index + 1 < caps.length) new DataView(cap.buffer).setUint32(4, end, true);
      if (!process.memory.write(address + BigInt(total), cap)) return -Errno.EFAULT;
    }
    total = end;
  }
  const info = new Uint8Array(INFO_BYTES);
  const view = new DataView(info.buffer);
  view.setUint32(0, total, true);
  view.setUint32(4, FLAG_PAGE_SIZES | FLAG_CAPS, true);
  view.setBigUint64(8, pageSizes(ioas), true);
  view.setUint32(16, argsz >= total ? INFO_BYTES : 0, true);
  return process.memory.write(address, info.subarray(0, Math.min(argsz, INFO_BYTES))) ? 0 : -Errno.EFAULT;
}

/** Page sizes all domains share, with sub-page sizes shown as a page (iommufd_get_pagesizes). */
function pageSizes(ioas: Ioas): bigint {
  let bitmap = 0xffff_ffff_ffff_ffffn;
  for (const domain of ioas.domains) bitmap &= domain.pageSizeBitmap;
  if ((bitmap & 4095n) !== 0n) bitmap = (bitmap & ~4095n) | 4096n;
  return bitmap > ioas.alignment ? bitmap : ioas.alignment;
}

function iovaRangeCap(ioas: Ioas): Uint8Array {
  const ranges = ioas.usableRanges();
  const bytes = new Uint8Array(16 + 16 * ranges.length);
  const view = capHeader(bytes, CAP_IOVA_RANGE);
  view.setUint32(8, ranges.length, true);
  for (const [index, range] of ranges.entries()) {
    view.setBigUint64(16 + 16 * index, range.start, true);
    view.setBigUint64(24 + 16 * index, range.last, true);
  }
  return bytes;
}

/** 12 bytes, padded: capabilities begin at multiples of 8. */
function dmaAvailCap(): Uint8Array {
  const bytes = new Uint8Array(16);
  capHeader(bytes, CAP_DMA_AVAIL).setUint32(8, DMA_AVAIL, true);
  return bytes;
}

function capHeader(bytes: Uint8Array, id: number): DataView {
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id, true);
  view.setUint16(2, 1, true);
  return view;
}
