/**
 * The payload grammar that all text forms of ftrace share. Formats: Linux include/trace/events/iommu.h, dma.h,
 * drivers/iommu/intel/trace.h; both the older and the newer printed forms are accepted.
 */
import type { GuestPayload, IovaRange, MapDirection } from './guest-event.ts';
import type { TextCursor } from './text-cursor.ts';

/** Events that are part of the workload's own I/O path: known, counted, not needed. */
const UNUSED_PREFIXES = [
  'nvme_',
  'block_',
  'net_',
  'netif_',
  'napi_',
  'dma_sync_',
  'sched_',
  'irq_',
  'softirq_',
  'virtio_',
];
const UNUSED_NAMES = new Set([
  'add_device_to_group',
  'remove_device_from_group',
  'detach_device_from_domain',
  'io_page_fault',
  'prq_report',
  'sys_enter_ioctl_arg',
]);

/** Outcome of decoding: a payload, or why there is none. */
export type DecodedPayload = GuestPayload | 'unused' | 'unknown' | 'malformed';

/** Decodes the payload of event `name`; `cursor` stands at the payload's first character. */
export function decodeFtracePayload(name: string, cursor: TextCursor): DecodedPayload {
  switch (name) {
    case 'map':
      return decodeMap(cursor);
    case 'unmap':
      return decodeUnmap(cursor);
    case 'dma_map_page':
    case 'dma_map_phys':
    case 'dma_map_resource':
      return decodeDmaMap(cursor);
    case 'dma_unmap_page':
    case 'dma_unmap_phys':
    case 'dma_unmap_resource':
      return decodeDmaRange('dma_unmap', cursor);
    case 'dma_map_sg':
      return decodeDmaMapSg(cursor);
    case 'dma_unmap_sg':
      return decodeDmaUnmapSg(cursor);
    case 'dma_alloc':
    case 'dma_alloc_pages':
      return decodeDmaRange('dma_alloc', cursor);
    case 'dma_free':
    case 'dma_free_pages':
      return decodeDmaRange('dma_free', cursor);
    case 'qi_submit':
      return decodeSubmit(cursor);
    case 'cache_tag_flush_range':
    case 'cache_tag_flush_range_np':
    case 'cache_tag_flush_all':
      return decodeFlush(cursor);
    case 'cache_tag_assign':
      return decodeTag('tag_assign', cursor);
    case 'cache_tag_unassign':
      return decodeTag('tag_unassign', cursor);
    case 'attach_device_to_domain':
      return cursor.seek('device=') ? { kind: 'attach', device: cursor.word() } : 'malformed';
    case 'sys_enter_ioctl':
      return decodeIoctlEnter(cursor);
    case 'sys_exit_ioctl':
      return decodeIoctlExit(cursor);
    case 'tracing_mark_write':
    case 'print':
    case 'bputs':
      return { kind: 'marker', text: cursor.line.slice(cursor.at).trim() };
    default:
      return isUnused(name) ? 'unused' : 'unknown';
  }
}

function isUnused(name: string): boolean {
  return UNUSED_NAMES.has(name) || UNUSED_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** `IOMMU: iova=0x.. - 0x.. paddr=0x.. size=N`, or the older `IOMMU: iova=0x.. paddr=0x.. size=N`. */
function decodeMap(cursor: TextCursor): DecodedPayload {
  const iova = cursor.hexAfter('iova=');
  const phys = cursor.hexAfter('paddr=');
  const bytes = cursor.seek('size=') ? cursor.number() : Number.NaN;
  return isNumber(iova) && isNumber(phys) && bytes > 0 ? { kind: 'map', iova, bytes, phys } : 'malformed';
}

function decodeUnmap(cursor: TextCursor): DecodedPayload {
  const iova = cursor.hexAfter('iova=');
  const bytes = cursor.seek(' size=') ? cursor.number() : Number.NaN;
  const unmappedBytes = cursor.seek('unmapped_size=') ? cursor.number() : Number.NaN;
  if (!isNumber(iova) || !isNumber(bytes) || !isNumber(unmappedBytes)) return 'malformed';
  return { kind: 'unmap', iova, bytes, unmappedBytes };
}

function decodeDmaMap(cursor: TextCursor): DecodedPayload {
  const device = cursor.word();
  const direction = decodeDirection(cursor);
  const iova = cursor.hexAfter('dma_addr=');
  const bytes = cursor.decimalAfter('size=');
  const phys = cursor.hexAfter('phys_addr=');
  if (direction === undefined || !isNumber(iova) || !isNumber(bytes)) return 'malformed';
  return {
    kind: 'dma_map',
    device,
    direction,
    scattered: false,
    ranges: [{ iova, bytes }],
    phys: isNumber(phys) ? [phys] : [],
  };
}

function decodeDmaRange(kind: 'dma_unmap' | 'dma_alloc' | 'dma_free', cursor: TextCursor): DecodedPayload {
  const device = cursor.word();
  const direction = decodeDirection(cursor) ?? 0;
  const iova = cursor.hexAfter('dma_addr=');
  const bytes = cursor.decimalAfter('size=');
  return isNumber(iova) && isNumber(bytes) ? { kind, device, direction, iova, bytes } : 'malformed';
}

function decodeDmaMapSg(cursor: TextCursor): DecodedPayload {
  const device = cursor.word();
  const direction = decodeDirection(cursor);
  const addresses = decodeList(cursor, 'dma_addrs={');
  const sizes = decodeList(cursor, 'sizes={');
  const phys = decodeList(cursor, 'phys_addrs={');
  if (direction === undefined || addresses === undefined || sizes === undefined) return 'malformed';
  const ranges: IovaRange[] = addresses.map((iova, index) => ({ iova, bytes: sizes[index] ?? 0 }));
  return { kind: 'dma_map', device, direction, scattered: true, ranges, phys: phys ?? [] };
}

function decodeDmaUnmapSg(cursor: TextCursor): DecodedPayload {
  const device = cursor.word();
  const direction = decodeDirection(cursor);
  const phys = decodeList(cursor, 'phys_addrs={');
  if (direction === undefined || phys === undefined) return 'malformed';
  return { kind: 'dma_unmap_sg', device, direction, phys };
}

/** `iotlb_inv dmar0: 0x.. 0x.. 0x.. 0x..` */
function decodeSubmit(cursor: TextCursor): DecodedPayload {
  const type = cursor.word();
  cursor.skipSpaces();
  const unit = cursor.word().replace(/:$/, '');
  const words: bigint[] = [];
  for (let index = 0; index < 4; index++) {
    cursor.skipSpaces();
    const word = cursor.hex64();
    if (word === undefined) break;
    words.push(word);
  }
  return words.length === 4 && unit !== '' ? { kind: 'submit', unit, type, words } : 'malformed';
}

function decodeFlush(cursor: TextCursor): DecodedPayload {
  if (!cursor.seek('type ')) return 'malformed';
  const type = cursor.word();
  const domainId = cursor.decimalAfter('did ');
  return isNumber(domainId) ? { kind: 'flush', domainId, type } : 'malformed';
}

/** `dmar0/dmar0 type iotlb did 11 pasid 0 ref 1`; behind the slash stands the device for device-TLB tags. */
function decodeTag(kind: 'tag_assign' | 'tag_unassign', cursor: TextCursor): DecodedPayload {
  if (!cursor.seek('/')) return 'malformed';
  const device = cursor.word();
  if (!cursor.seek('type ')) return 'malformed';
  const type = cursor.word();
  const domainId = cursor.decimalAfter('did ');
  const pasid = cursor.decimalAfter('pasid ');
  return isNumber(domainId) ? { kind, device, type, domainId, pasid: isNumber(pasid) ? pasid : 0 } : 'malformed';
}

/** `(fd: 5, cmd: 3b81, arg: ..)`: the numbers are hex, in the newer form with 0x. */
function decodeIoctlEnter(cursor: TextCursor): DecodedPayload {
  const fd = cursor.hexAfter('fd: ');
  const command = cursor.hexAfter('cmd: ');
  return isNumber(fd) && isNumber(command) ? { kind: 'ioctl_enter', fd, command } : 'malformed';
}

/** `-> 0x0`: an unsigned 64-bit number, negative errno in two's complement. */
function decodeIoctlExit(cursor: TextCursor): DecodedPayload {
  const result = cursor.hex64After('0x');
  return result === undefined ? 'malformed' : { kind: 'ioctl_exit', result: Number(BigInt.asIntN(64, result)) };
}

function decodeDirection(cursor: TextCursor): MapDirection | undefined {
  if (!cursor.seek('dir=')) return undefined;
  switch (cursor.word()) {
    case 'BIDIRECTIONAL':
      return 0;
    case 'TO_DEVICE':
      return 1;
    case 'FROM_DEVICE':
      return 2;
    case 'NONE':
      return 3;
    default:
      return undefined;
  }
}

function decodeList(cursor: TextCursor, token: string): number[] | undefined {
  if (!cursor.seek(token)) return undefined;
  const values: number[] = [];
  for (;;) {
    const value = cursor.hex();
    if (!isNumber(value)) return cursor.line.charCodeAt(cursor.at) === 125 ? values : undefined;
    values.push(value);
    if (cursor.line.charCodeAt(cursor.at) === 44) cursor.at++;
  }
}

function isNumber(value: number): boolean {
  return !Number.isNaN(value);
}
