/** The reply of VFIO_IOMMU_GET_INFO as transcripts show it: page sizes and the decoded capability chain. */
import { hex } from './machine.ts';

/** VFIO_IOMMU_TYPE1_INFO_CAP_*. */
const CAP_IOVA_RANGE = 1;
const CAP_MIGRATION = 2;
const CAP_DMA_AVAIL = 3;

/** Decodes the structure; `sentBytes` is the argsz of the call, and shown again where the kernel changed it. */
export function readIommuInfo(reply: DataView, sentBytes: number): Record<string, unknown> {
  const out: Record<string, unknown> = {
    flags: hex(reply.getUint32(4, true)),
    pgsizes: hex(reply.getBigUint64(8, true)),
  };
  const first = sentBytes >= 20 ? reply.getUint32(16, true) : 0;
  if (first !== 0) {
    const caps: unknown[] = [];
    for (let at = first; at !== 0; at = reply.getUint32(at + 4, true)) caps.push(capability(reply, at));
    out['caps'] = caps;
  }
  const argsz = reply.getUint32(0, true);
  if (argsz !== sentBytes) out['argsz'] = argsz;
  return out;
}

function capability(reply: DataView, at: number): Record<string, unknown> {
  const head = { id: reply.getUint16(at, true), version: reply.getUint16(at + 2, true) };
  switch (head.id) {
    case CAP_MIGRATION:
      return {
        ...head,
        pgsize_bitmap: hex(reply.getBigUint64(at + 16, true)),
        max_dirty_bitmap_size: hex(reply.getBigUint64(at + 24, true)),
      };
    case CAP_DMA_AVAIL:
      return { ...head, avail: reply.getUint32(at + 8, true) };
    case CAP_IOVA_RANGE: {
      const ranges = Array.from({ length: reply.getUint32(at + 8, true) }, (_, index) => [
        hex(reply.getBigUint64(at + 16 + 16 * index, true)),
        hex(reply.getBigUint64(at + 24 + 16 * index, true)),
      ]);
      return { ...head, ranges };
    }
    default:
      return head;
  }
}
