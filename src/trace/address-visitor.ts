/**
 * Walks over every address and thread id of a bundle's rows and lets a visitor replace them. One walk serves for finding
 * out which addresses there are and for replacing them, so the two cannot disagree.
 */
import { type ColumnArray, readU64, writeU64 } from './columns.ts';
import { remapDescriptor } from './descriptor-address.ts';
import type { ColumnType } from './schema/column-type.ts';
import type { StreamName } from './schema/streams.ts';

/** Told of every address as a page number and a count of pages [4 KiB pages]; answers the page number to put there. */
export interface AddressVisitor {
  iova(pfn: number, pageCount: number): number;
  physical(pfn: number, pageCount: number): number;
  user(pfn: number, pageCount: number): number;
  thread(id: number): number;
}

/** Columns of a chunk, of whatever stream. */
export type AnyColumns = Readonly<Record<string, ColumnArray<ColumnType>>>;

/** Strings of the dictionary columns that decide what an address is. */
export interface ChunkWords {
  readonly op: readonly string[];
  readonly kind: readonly string[];
}

/** Ranges longer than this (unmap everything) name no place and are left alone. */
const LONGEST_RANGE = 2n ** 39n;
/** Bits 63:52 of a leaf entry are flags. */
const LEAF_HIGH_FLAGS = 0xfff0_0000;

/** Replaces the addresses and thread ids of rows 0 .. rowCount-1 where they lie. */
export function visitAddresses(
  name: StreamName,
  columns: AnyColumns,
  rowCount: number,
  words: ChunkWords,
  visitor: AddressVisitor,
): void {
  if (name === 'control') visitControl(columns, rowCount, words.op, visitor);
  else if (name === 'frames' || name === 'initial') visitRuns(columns, rowCount, visitor);
  // Indices in tables of user space follow from its IOVAs: a bundle with such tables keeps them.
  else if (name === 'user-data') return;
  else if (name.startsWith('dma-')) visitDma(columns, rowCount, visitor);
  else visitObserved(name, columns, rowCount, words.kind, visitor);
}

function visitObserved(
  name: StreamName,
  columns: AnyColumns,
  rowCount: number,
  kinds: readonly string[],
  visitor: AddressVisitor,
): void {
  const { kind, word0, word1, thread, pfn, iovaPfn } = columns as Record<string, Uint32Array>;
  for (let row = 0; row < rowCount; row++) {
    if (name === 'observed-hardware') {
      visitHardware(word0!, word1!, row, kinds[kind![row]!], visitor);
    } else if (name === 'observed-submissions') {
      visitDescriptor(word0!, word1!, row, visitor);
      visitThread(thread!, row, visitor);
    } else {
      // observed-dma-<unit> and observed-tables; 0 is "none" in the former.
      replacePage(pfn!, row, (page) => (page === 0 ? 0 : visitor.physical(page, 1)));
      if (name === 'observed-tables') replacePage(iovaPfn!, row, (page) => visitor.iova(page, 1));
    }
  }
}

function visitControl(columns: AnyColumns, rowCount: number, ops: readonly string[], visitor: AddressVisitor): void {
  const { op, iova, length, userAddress, thread } = columns as Record<string, Uint32Array>;
  for (let row = 0; row < rowCount; row++) {
    visitThread(thread!, row, visitor);
    const bytes = readU64(length!, row);
    const pages = rangePages(readU64(iova!, row), bytes);
    if (pages > 0) replaceAddress(iova!, row, (pfn) => visitor.iova(pfn, pages));
    const userPages = rangePages(readU64(userAddress!, row), bytes);
    if (userPages === 0) continue;
    const copies = ops[op![row]!] === 'IOMMU_IOAS_COPY';
    replaceAddress(userAddress!, row, (pfn) => (copies ? visitor.iova(pfn, userPages) : visitor.user(pfn, userPages)));
  }
}

function visitRuns(columns: AnyColumns, rowCount: number, visitor: AddressVisitor): void {
  const { iovaPfn, pfn, pageCount } = columns as Record<string, Uint32Array>;
  for (let row = 0; row < rowCount; row++) {
    const pages = pageCount![row]!;
    replacePage(iovaPfn!, row, (page) => visitor.iova(page, pages));
    replacePage(pfn!, row, (page) => visitor.physical(page, pages));
  }
}

function visitDma(columns: AnyColumns, rowCount: number, visitor: AddressVisitor): void {
  const { iova, bytes } = columns as Record<string, Uint32Array>;
  for (let row = 0; row < rowCount; row++) {
    const low = iova![2 * row]!;
    const pages = Math.ceil(((low & 0xfff) + bytes![row]!) / 4096);
    const pfn = visitor.iova(iova![2 * row + 1]! * 1048576 + (low >>> 12), pages);
    iova![2 * row] = (pfn % 1048576) * 4096 + (low & 0xfff);
    iova![2 * row + 1] = Math.floor(pfn / 1048576);
  }
}

function visitHardware(
  word0: Uint32Array,
  word1: Uint32Array,
  row: number,
  kind: string | undefined,
  visitor: AddressVisitor,
): void {
  if (kind === 'descriptor') visitDescriptor(word0, word1, row, visitor);
  if (kind === 'iotlb_fill' || kind === 'fault_record') replaceAddress(word0, row, (pfn) => visitor.iova(pfn, 1));
  if (kind !== 'iotlb_fill') return;
  // A leaf entry: page address in bits 51:12, permissions and flags around it.
  const flags = word1[2 * row + 1]! & LEAF_HIGH_FLAGS;
  word1[2 * row + 1] = word1[2 * row + 1]! & ~LEAF_HIGH_FLAGS;
  replaceAddress(word1, row, (pfn) => visitor.physical(pfn, 1));
  word1[2 * row + 1] = (word1[2 * row + 1]! | flags) >>> 0;
}

function visitDescriptor(word0: Uint32Array, word1: Uint32Array, row: number, visitor: AddressVisitor): void {
  const remap = (address: bigint): bigint => BigInt(visitor.iova(Number(address >> 12n), 1)) << 12n;
  writeU64(word1, row, remapDescriptor(readU64(word0, row), readU64(word1, row), remap));
}

function visitThread(threads: Uint32Array, row: number, visitor: AddressVisitor): void {
  threads[row] = visitor.thread(threads[row]!);
}

/** [4 KiB pages] Pages of a range that names a place; 0 when it is empty or "everything". */
function rangePages(address: bigint, length: bigint): number {
  if (length === 0n || length > LONGEST_RANGE || address + length > 1n << 64n) return 0;
  return Number(((address + length - 1n) >> 12n) - (address >> 12n)) + 1;
}

function replacePage(column: Uint32Array, row: number, replace: (pfn: number) => number): void {
  writeU64(column, row, replace(column[2 * row + 1]! * 4294967296 + column[2 * row]!));
}

/** Replaces the page of a byte address and keeps the offset in it. */
function replaceAddress(column: Uint32Array, row: number, replace: (pfn: number) => number): void {
  const address = readU64(column, row);
  writeU64(column, row, (BigInt(replace(Number(address >> 12n))) << 12n) | (address & 0xfffn));
}
