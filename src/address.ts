/**
 * Addresses and identifiers. An address on a hot path is a page frame number (exact in a double: a PFN of a 64-bit
 * address is below 2^52) plus an offset; 64-bit byte addresses are BigInt and live on the control plane and at edges.
 */
import { assert } from './assert.ts';

declare const kind: unique symbol;

/** [4 KiB pages] Page number of an I/O virtual address. */
export type IovaPfn = number & { readonly [kind]?: 'iovaPfn' };
/** [4 KiB pages] Physical page frame number. */
export type Pfn = number & { readonly [kind]?: 'pfn' };
/** PCIe requester id: bus << 8 | device << 3 | function; 16 bits. */
export type SourceId = number & { readonly [kind]?: 'sourceId' };
/** Process address space id; 20 bits. {@link NO_PASID} (0) is the RID itself, as in IOMMU_NO_PASID. */
export type Pasid = number & { readonly [kind]?: 'pasid' };
/** VT-d domain id; 16 bits. */
export type DomainId = number & { readonly [kind]?: 'domainId' };

/** [bytes] Size of a base page, x86-64 PAGE_SIZE. */
export const PAGE_SIZE = 4096;
/** log2 of {@link PAGE_SIZE}. */
export const PAGE_SHIFT = 12;
/** The RID's own address space (IOMMU_NO_PASID). */
export const NO_PASID = 0 as Pasid;
/** Largest 64-bit value, U64_MAX = ULONG_MAX = SIZE_MAX. */
export const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** Page number of the 64-bit address whose u32 words are `lo` and `hi`. */
export function pfnFromWords(lo: number, hi: number): number {
  return (hi >>> 0) * 1048576 + (lo >>> 12);
}

/** Low u32 word of the address `pfn << 12`. */
export function addressLow(pfn: number): number {
  return (pfn % 1048576) * 4096;
}

/** High u32 word of the address `pfn << 12`. */
export function addressHigh(pfn: number): number {
  return Math.floor(pfn / 1048576);
}

/** Page number of a BigInt byte address. */
export function pfnFromAddress(address: bigint): number {
  return Number(address >> 12n);
}

/** BigInt byte address of a page number. */
export function addressFromPfn(pfn: number): bigint {
  return BigInt(pfn) << 12n;
}

/** Makes a {@link SourceId} from bus, device and function; throws when a part is out of range. */
export function sourceId(bus: number, device: number, fn: number): SourceId {
  assert(bus >= 0 && bus < 256 && device >= 0 && device < 32 && fn >= 0 && fn < 8, `bad BDF ${bus}:${device}.${fn}`);
  return ((bus << 8) | (device << 3) | fn) as SourceId;
}

/** `bb:dd.f` of a source id, lower-case hex. */
export function formatSourceId(id: number): string {
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  return `${hex(id >> 8)}:${hex((id >> 3) & 31)}.${id & 7}`;
}
