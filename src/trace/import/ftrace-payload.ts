/**
 * The payload grammar that all text forms of ftrace share. Formats: Linux include/trace/events/iommu.h, dma.h,
 * drivers/iommu/intel/trace.h; both the older and the newer printed forms are accepted.
 */
import type { GuestEvent, GuestStamp, IovaRange, MapDirection } from './guest-event.ts';
import type { TextCursor } from './text-cursor.ts';
import { ascii } from './word-table.ts';

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

/** Decodes the payload of one event; `cursor` stands at its first character. */
export type PayloadDecoder = (cursor: TextCursor, stamp: GuestStamp) => DecodedEvent;

const DECODERS: Readonly<Record<string, PayloadDecoder>> = {
  map: decodeMap,
  unmap: decodeUnmap,
  dma_map_page: decodeDmaMap,
  dma_map_phys: decodeDmaMap,
  dma_map_resource: decodeDmaMap,
  dma_unmap_page: decodeDmaUnmap,
  dma_unmap_phys: decodeDmaUnmap,
  dma_unmap_resource: decodeDmaUnmap,
  dma_map_sg: decodeDmaMapSg,
  dma_unmap_sg: decodeDmaUnmapSg,
  dma_alloc: decodeDmaAlloc,
  dma_alloc_pages: decodeDmaAlloc,
  dma_free: decodeDmaFree,
  dma_free_pages: decodeDmaFree,
  qi_submit: decodeSubmit,
  cache_tag_flush_range: decodeFlush,
  cache_tag_flush_all: decodeFlush,
  cache_tag_flush_range_np: decodeFlushAfterMap,
  cache_tag_assign: (cursor, stamp) => decodeTag('tag_assign', cursor, stamp),
  cache_tag_unassign: (cursor, stamp) => decodeTag('tag_unassign', cursor, stamp),
  attach_device_to_domain: decodeAttach,
  sys_enter_ioctl: decodeIoctlEnter,
  sys_exit_ioctl: decodeIoctlExit,
  tracing_mark_write: decodeMarker,
  print: decodeMarker,
  bputs: decodeMarker,
};

/** Decoder of event `name`. */
export function payloadDecoder(name: string): PayloadDecoder {
  if (Object.hasOwn(DECODERS, name)) return DECODERS[name] as PayloadDecoder;
  const unused = UNUSED_NAMES.has(name) || UNUSED_PREFIXES.some((prefix) => name.startsWith(prefix));
  return unused ? () => 'unused' : () => 'unknown';
}

const DEVICE_EQUALS = ascii('device=');
const IOVA_EQUALS = ascii('iova=');
const PADDR_EQUALS = ascii('paddr=');
const SIZE_EQUALS = ascii('size=');
const SPACE_SIZE_EQUALS = ascii(' size=');
const UNMAPPED_SIZE_EQUALS = ascii('unmapped_size=');
const DMA_ADDR_EQUALS = ascii('dma_addr=');
const PHYS_ADDR_EQUALS = ascii('phys_addr=');
const DMA_ADDRS = ascii('dma_addrs={');
const SIZES = ascii('sizes={');
const PHYS_ADDRS = ascii('phys_addrs={');
const TYPE = ascii('type ');
const DID = ascii('did ');
const PASID = ascii('pasid ');
const SLASH = ascii('/');
const FD = ascii('fd: ');
const CMD = ascii('cmd: ');
const HEX_PREFIX = ascii('0x');
const DIR_EQUALS = ascii('dir=');

function decodeMarker(cursor: TextCursor, stamp: GuestStamp): DecodedEvent {
  return markerEvent(cursor.rest().trim(), stamp);
}

/** A marker with `text`. */
export function markerEvent(text: string, { timeNs, cpu, thread }: GuestStamp): GuestEvent {
  return { timeNs, cpu, thread, kind: 'marker', text };
}

function decodeAttach(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  if (!cursor.seek(DEVICE_EQUALS)) return 'malformed';
  return { timeNs, cpu, thread, kind: 'attach', device: cursor.word() };
}

/** `IOMMU: iova=0x.. - 0x.. paddr=0x.. size=N`, or the older `IOMMU: iova=0x.. paddr=0x.. size=N`. */
function decodeMap(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const iova = cursor.hexAfter(IOVA_EQUALS);
  const phys = cursor.hexAfter(PADDR_EQUALS);
  const bytes = cursor.seek(SIZE_EQUALS) ? cursor.number() : Number.NaN;
  return isNumber(iova) && isNumber(phys) && bytes > 0
    ? { timeNs, cpu, thread, kind: 'map', iova, bytes, phys }
    : 'malformed';
}

function decodeUnmap(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const iova = cursor.hexAfter(IOVA_EQUALS);
  const bytes = cursor.seek(SPACE_SIZE_EQUALS) ? cursor.number() : Number.NaN;
  const unmappedBytes = cursor.seek(UNMAPPED_SIZE_EQUALS) ? cursor.number() : Number.NaN;
  if (!isNumber(iova) || !isNumber(bytes) || !isNumber(unmappedBytes)) return 'malformed';
  return { timeNs, cpu, thread, kind: 'unmap', iova, bytes, unmappedBytes };
}

function decodeDmaMap(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const device = cursor.word();
  const direction = decodeDirection(cursor);
  const iova = cursor.hexAfter(DMA_ADDR_EQUALS);
  const bytes = cursor.decimalAfter(SIZE_EQUALS);
  const phys = cursor.hexAfter(PHYS_ADDR_EQUALS);
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
  const iova = cursor.hexAfter(DMA_ADDR_EQUALS);
  const bytes = cursor.decimalAfter(SIZE_EQUALS);
  return isNumber(iova) && isNumber(bytes)
    ? { timeNs, cpu, thread, kind, device, direction, iova, bytes }
    : 'malformed';
}

function decodeDmaUnmap(cursor: TextCursor, stamp: GuestStamp): DecodedEvent {
  return decodeDmaRange('dma_unmap', cursor, stamp);
}

function decodeDmaAlloc(cursor: TextCursor, stamp: GuestStamp): DecodedEvent {
  return decodeDmaRange('dma_alloc', cursor, stamp);
}

function decodeDmaFree(cursor: TextCursor, stamp: GuestStamp): DecodedEvent {
  return decodeDmaRange('dma_free', cursor, stamp);
}

function decodeDmaMapSg(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const device = cursor.word();
  const direction = decodeDirection(cursor);
  const addresses = decodeList(cursor, DMA_ADDRS);
  const sizes = decodeList(cursor, SIZES);
  const phys = decodeList(cursor, PHYS_ADDRS);
  if (direction === undefined || addresses === undefined || sizes === undefined) return 'malformed';
  const ranges: IovaRange[] = addresses.map((iova, index) => ({ iova, bytes: sizes[index] ?? 0 }));
  return { timeNs, cpu, thread, kind: 'dma_map', device, direction, scattered: true, ranges, phys: phys ?? [] };
}

function decodeDmaUnmapSg(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const device = cursor.word();
  const direction = decodeDirection(cursor);
  const phys = decodeList(cursor, PHYS_ADDRS);
  if (direction === undefined || phys === undefined) return 'malformed';
  return { timeNs, cpu, thread, kind: 'dma_unmap_sg', device, direction, phys };
}

/** `iotlb_inv dmar0: 0x.. 0x.. 0x.. 0x..` */
function decodeSubmit(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const type = cursor.word();
  cursor.skipSpaces();
  const unit = withoutColon(cursor);
  const words: bigint[] = [];
  for (let index = 0; index < 4; index++) {
    cursor.skipSpaces();
    const word = cursor.hex64();
    if (word === undefined) break;
    words.push(word);
  }
  return words.length === 4 && unit !== '' ? { timeNs, cpu, thread, kind: 'submit', unit, type, words } : 'malformed';
}

/** Word here without the colon that may end it. */
function withoutColon(cursor: TextCursor): string {
  const start = cursor.at;
  cursor.skipWord();
  const end = cursor.at;
  return cursor.wordAt(start, end > start && cursor.bytes[end - 1] === 58 ? end - 1 : end);
}

function decodeFlush(cursor: TextCursor, stamp: GuestStamp): DecodedEvent {
  return decodeFlushOf(cursor, stamp, false);
}

function decodeFlushAfterMap(cursor: TextCursor, stamp: GuestStamp): DecodedEvent {
  return decodeFlushOf(cursor, stamp, true);
}

function decodeFlushOf(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp, afterMap: boolean): DecodedEvent {
  if (!cursor.seek(TYPE)) return 'malformed';
  const type = cursor.word();
  const domainId = cursor.decimalAfter(DID);
  return isNumber(domainId) ? { timeNs, cpu, thread, kind: 'flush', domainId, type, afterMap } : 'malformed';
}

/** `dmar0/dmar0 type iotlb did 11 pasid 0 ref 1`; behind the slash stands the device for device-TLB tags. */
function decodeTag(
  kind: 'tag_assign' | 'tag_unassign',
  cursor: TextCursor,
  { timeNs, cpu, thread }: GuestStamp,
): DecodedEvent {
  if (!cursor.seek(SLASH)) return 'malformed';
  const device = cursor.word();
  if (!cursor.seek(TYPE)) return 'malformed';
  const type = cursor.word();
  const domainId = cursor.decimalAfter(DID);
  const pasid = cursor.decimalAfter(PASID);
  return isNumber(domainId)
    ? { timeNs, cpu, thread, kind, device, type, domainId, pasid: isNumber(pasid) ? pasid : 0 }
    : 'malformed';
}

/** `(fd: 5, cmd: 3b81, arg: ..)`: the numbers are hex, in the newer form with 0x. */
function decodeIoctlEnter(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const fd = cursor.hexAfter(FD);
  const command = cursor.hexAfter(CMD);
  return isNumber(fd) && isNumber(command) ? { timeNs, cpu, thread, kind: 'ioctl_enter', fd, command } : 'malformed';
}

/** `-> 0x0`: an unsigned 64-bit number, negative errno in two's complement. */
function decodeIoctlExit(cursor: TextCursor, { timeNs, cpu, thread }: GuestStamp): DecodedEvent {
  const result = cursor.hex64After(HEX_PREFIX);
  return result === undefined
    ? 'malformed'
    : { timeNs, cpu, thread, kind: 'ioctl_exit', result: Number(BigInt.asIntN(64, result)) };
}

function decodeDirection(cursor: TextCursor): MapDirection | undefined {
  if (!cursor.seek(DIR_EQUALS)) return undefined;
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

function decodeList(cursor: TextCursor, token: Uint8Array): number[] | undefined {
  if (!cursor.seek(token)) return undefined;
  const values: number[] = [];
  for (;;) {
    const value = cursor.hex();
    if (!isNumber(value)) return cursor.peek() === 125 ? values : undefined;
    values.push(value);
    if (cursor.peek() === 44) cursor.at++;
  }
}

function isNumber(value: number): boolean {
  return !Number.isNaN(value);
}
