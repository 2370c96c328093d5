/**
 * Dirty bits of type1 mappings and how they reach user memory (vfio_dma_bitmap_alloc, update_user_bitmap of Linux
 * drivers/vfio/vfio_iommu_type1.c). One bit per page of the container's granularity.
 */
import { Errno } from '../../../errno.ts';
import type { Process } from '../../kernel/process.ts';
import type { Dma } from './dma.ts';
import type { Type1 } from './type1.ts';

/** Most pages a bitmap can describe (DIRTY_BITMAP_PAGES_MAX = INT_MAX). */
const PAGES_MAX = 0x7fff_ffffn;
/** [bytes] Largest bitmap a user may pass (DIRTY_BITMAP_SIZE_MAX). */
export const BITMAP_BYTES_MAX = 0x1000_0000n;
/** Bitmaps are arrays of 64-bit words. */
const WORD_BITS = 64n;

/** struct vfio_bitmap of user space. */
export interface UserBitmap {
  /** [bytes] */
  readonly pageSize: bigint;
  /** [bytes] */
  readonly lengthBytes: bigint;
  readonly address: bigint;
}

/** [bytes] Room that a bitmap of that many bits takes. */
function bitmapBytes(bits: bigint): bigint {
  return ((bits + WORD_BITS - 1n) / WORD_BITS) * 8n;
}

/** verify_bitmap_size: EINVAL for no pages, an empty or an oversized bitmap, or one too small. */
export function checkBitmapSize(pageCount: bigint, bitmapLengthBytes: bigint): number {
  const bad =
    pageCount === 0n ||
    bitmapLengthBytes === 0n ||
    bitmapLengthBytes > BITMAP_BYTES_MAX ||
    bitmapLengthBytes < bitmapBytes(pageCount);
  return bad ? -Errno.EINVAL : 0;
}

/** Gives a mapping its bitmap; -EINVAL when it has too many pages. */
export function allocateBitmap(dma: Dma, pageSize: bigint): number {
  const pages = dma.sizeBytes / pageSize;
  if (pages === 0n || pages > PAGES_MAX) return -Errno.EINVAL;
  dma.bitmap = new Uint8Array(Number(bitmapBytes(pages)));
  return 0;
}

/** Sets the bits of the pages that hold bytes [offset, offset+length) of the mapping. */
export function markDirty(dma: Dma, offsetBytes: bigint, lengthBytes: bigint, pageSize: bigint): void {
  if (dma.bitmap === undefined) return;
  const last = Number((offsetBytes + lengthBytes - 1n) / pageSize);
  for (let bit = Number(offsetBytes / pageSize); bit <= last; bit++) setBit(dma.bitmap, bit);
}

/** Every page of the mapping. */
export function markAllDirty(dma: Dma, pageSize: bigint): void {
  markDirty(dma, 0n, dma.sizeBytes, pageSize);
}

/** vfio_dma_populate_bitmap: pages that are pinned from outside count as dirty until they are unpinned. */
export function markPinsDirty(dma: Dma, pageSize: bigint): void {
  for (const iova of dma.pins.keys()) markDirty(dma, iova - dma.iova, 1n, pageSize);
}

/**
 * update_user_bitmap: writes a mapping's bits into the user's bitmap, whose bit 0 stands for `baseIova`. Words at the
 * seam keep the bits of the mapping before. -EFAULT.
 */
export function writeUserBitmap(type1: Type1, process: Process, dma: Dma, baseIova: bigint, user: UserBitmap): number {
  const { pageSize } = type1;
  if (dma.bitmap === undefined) return 0;
  // Some group can dirty memory without pinning it: nothing in its reach is known to be clean.
  if (type1.nonPinnedGroupCount > 0 && dma.iommuMapped) markAllDirty(dma, pageSize);
  const bits = dma.sizeBytes / pageSize;
  const firstBit = (dma.iova - baseIova) / pageSize;
  const shift = firstBit % WORD_BITS;
  const address = user.address + (firstBit / WORD_BITS) * 8n;
  const out = new Uint8Array(Number(bitmapBytes(bits + shift)));
  for (let bit = 0; bit < Number(bits); bit++) {
    if (((dma.bitmap[bit >> 3] as number) & (1 << (bit & 7))) !== 0) setBit(out, bit + Number(shift));
  }
  if (shift > 0n) {
    const seam = process.memory.read(address, 8);
    if (seam === undefined) return -Errno.EFAULT;
    for (let bit = 0; bit < Number(shift); bit++) {
      if (((seam[bit >> 3] as number) & (1 << (bit & 7))) !== 0) setBit(out, bit);
    }
  }
  return process.memory.write(address, out) ? 0 : -Errno.EFAULT;
}

function setBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] as number) | (1 << (bit & 7));
}
