/**
 * The payload grammar that all text forms of ftrace share. Formats: Linux include/trace/events/iommu.h, dma.h,
 * drivers/iommu/intel/trace.h; both the older and the newer printed forms are accepted.
 */
import type { GuestEvent, GuestStamp, IovaRange, MapDirection } from './guest-event.ts';
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

/** Outcome of decoding: an event, or why there is none. */
export type DecodedEvent = GuestEvent | 'unused' | 'unknown' | 'malformed';

/** Decodes event `name`; `cursor` stands at the payload's first character. @hot */
export function decodeFtraceEvent(name: string, cursor: TextCursor, stamp: GuestStamp): DecodedEvent {
  switch (name) {
    case 'map':
      return decodeMap(cursor, stamp);
    case 'unmap':
      return decodeUnmap(cursor, stamp);
    case 'dma_map_page':
    case 'dma_map_phys':
    case 'dma_map_resource':
      return decodeDmaMap(cursor, stamp);
    case 'dma_unmap_page':
    case 'dma_unmap_phys':
    case 'dma_unmap_resource':
      return decodeDmaRange('dma_unmap', cursor, stamp);
    case 'dma_map_sg':
      return decodeDmaMapSg(cursor, stamp);
    case 'dma_unmap_sg':
      return decodeDmaUnmapSg(cursor, stamp);
    case 'dma_alloc':
    case 'dma_alloc_pages':
      return decodeDmaRange('dma_alloc', cursor, stamp);
    case 'dma_free':
    case 'dma_free_pages':
      return decodeDmaRange('dma_free', cursor, stamp);
    case 'qi_submit':
      return decodeSubmit(cursor, stamp);
    case 'cache_tag_flush_range':
    case 'cache_tag_flush_all':
      return decodeFlush(cursor, stamp, false);
    case 'cache_tag_flush_range_np':
      return decodeFlush(cursor, stamp, true);
    case 'cache_tag_assign':
      return decodeTag('tag_assign', cursor, stamp);
    case 'cache_tag_unassign':
      return decodeTag('tag_unassign', cursor, stamp);
    case 'attach_device_to_domain':
      return decodeAttach(cursor, stamp);
    case 'sys_enter_ioctl':
      return decodeIoctlEnter(cursor, stamp);
    case 'sys_exit_ioctl':
      return decodeIoctlExit(cursor, stamp);
    case 'tracing_mark_write':
    case 'print':
    case 'bputs':
      return markerEvent(cursor.line.slice(cursor.at).trim(), stamp);
    default:
      return isUnused(name) ? 'unused' : 'unknown';
  }
}

function isUnused(name: string): boolean {
  return UNUSED_NAMES.has(name) || UNUSED_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** A marker with `text`. */
export function markerEvent(text: string, { timeNs, cpu, thread }: GuestStamp): GuestEvent {
  return { timeNs, cpu, thread, kind: 'marker', text };
}

function decodeAttach(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  if (!cursor.seek('device=')) return 'malformed';
  return { timeNs, cpu, thread, kind: 'attach', device: cursor.word() };
}

/** `IOMMU: iova=0x.. - 0x.. paddr=0x.. size=N`, or the older `IOMMU: iova=0x.. paddr=0x.. size=N`. */
function decodeMap(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const iova = cursor.hexAfter('iova=');
  const phys = cursor.hexAfter('paddr=');
  const bytes = cursor.seek('size=') ? cursor.number() : Number.NaN;
  return isNumber(iova) && isNumber(phys) && bytes > 0
    ? { timeNs, cpu, thread, kind: 'map', iova, bytes, phys }
    : 'malformed';
}

function decodeUnmap(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const iova = cursor.hexAfter('iova=');
  const bytes = cursor.seek(' size=') ? cursor.number() : Number.NaN;
  const unmappedBytes = cursor.seek('unmapped_size=') ? cursor.number() : Number.NaN;
  if (!isNumber(iova) || !isNumber(bytes) || !isNumber(unmappedBytes)) return 'malformed';
  return { timeNs, cpu, thread, kind: 'unmap', iova, bytes, unmappedBytes };
}

function decodeDmaMap(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const device = cursor.word();
  const direction = decodeDirection(cursor);
  const iova = cursor.hexAfter('dma_addr=');
  const bytes = cursor.decimalAfter('size=');
  const phys = cursor.hexAfter('phys_addr=');
  if (direction === undefined || !isNumber(iova) || !isNumber(bytes)) return 'malformed';
  return {
    timeNs,
    cpu,
    thread,
    kind: 'dma_map',
    device,
    direction,
    scattered: false,
    ranges: [{ iova, bytes }],
    phys: isNumber(phys) ? [phys] : [],
  };
}

function decodeDmaRange(
  kind: 'dma_unmap' | 'dma_alloc' | 'dma_free',
  cursor: TextCursor,
  { timeNs, cpu, thread }: GuestStamp,
): DecodedEvent {
  const device = cursor.word();
  const direction = decodeDirection(cursor) ?? 0;
  const iova = cursor.hexAfter('dma_addr=');
  const bytes = cursor.decimalAfter('size=');
  return isNumber(iova) && isNumber(bytes)
    ? { timeNs, cpu, thread, kind, device, direction, iova, bytes }
    : 'malformed';
}

function decodeDmaMapSg(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const device = cursor.word();
  const direction = decodeDirection(cursor);
  const addresses = decodeList(cursor, 'dma_addrs={');
  const sizes = decodeList(cursor, 'sizes={');
  const phys = decodeList(cursor, 'phys_addrs={');
  if (direction === undefined || addresses === undefined || sizes === undefined) return 'malformed';
  const ranges: IovaRange[] = addresses.map((iova, index) => ({ iova, bytes: sizes[index] ?? 0 }));
  return { timeNs, cpu, thread, kind: 'dma_map', device, direction, scattered: true, ranges, phys: phys ?? [] };
}

function decodeDmaUnmapSg(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const device = cursor.word();
  const direction = decodeDirection(cursor);
  const phys = decodeList(cursor, 'phys_addrs={');
  if (direction === undefined || phys === undefined) return 'malformed';
  return { timeNs, cpu, thread, kind: 'dma_unmap_sg', device, direction, phys };
}

/** `iotlb_inv dmar0: 0x.. 0x.. 0x.. 0x..` */
function decodeSubmit(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
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
  return words.length === 4 && unit !== '' ? { timeNs, cpu, thread, kind: 'submit', unit, type, words } : 'malformed';
}

function decodeFlush(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp, afterMap: boolean): DecodedEvent {
  if (!cursor.seek('type ')) return 'malformed';
  const type = cursor.word();
  const domainId = cursor.decimalAfter('did ');
  return isNumber(domainId) ? { timeNs, cpu, thread, kind: 'flush', domainId, type, afterMap } : 'malformed';
}

/** `dmar0/dmar0 type iotlb did 11 pasid 0 ref 1`; behind the slash stands the device for device-TLB tags. */
function decodeTag(
  kind: 'tag_assign' | 'tag_unassign',
  cursor: TextCursor,
  { timeNs, cpu, thread }: GuestStamp,
): DecodedEvent {
  if (!cursor.seek('/')) return 'malformed';
  const device = cursor.word();
  if (!cursor.seek('type ')) return 'malformed';
  const type = cursor.word();
  const domainId = cursor.decimalAfter('did ');
  const pasid = cursor.decimalAfter('pasid ');
  return isNumber(domainId)
    ? { timeNs, cpu, thread, kind, device, type, domainId, pasid: isNumber(pasid) ? pasid : 0 }
    : 'malformed';
}

/** `(fd: 5, cmd: 3b81, arg: ..)`: the numbers are hex, in the newer form with 0x. */
function decodeIoctlEnter(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const fd = cursor.hexAfter('fd: ');
  const command = cursor.hexAfter('cmd: ');
  return isNumber(fd) && isNumber(command) ? { timeNs, cpu, thread, kind: 'ioctl_enter', fd, command } : 'malformed';
}

/** `-> 0x0`: an unsigned 64-bit number, negative errno in two's complement. */
function decodeIoctlExit(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const result = cursor.hex64After('0x');
  return result === undefined
    ? 'malformed'
    : { timeNs, cpu, thread, kind: 'ioctl_exit', result: Number(BigInt.asIntN(64, result)) };
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
