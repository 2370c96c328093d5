/**
 * Invalidation descriptors as Linux builds them (qi_desc_iotlb, qi_desc_dev_iotlb, qi_desc_piotlb,
 * qi_desc_dev_iotlb_pasid of drivers/iommu/intel/iommu.h; QI_CC and QI_PC of pasid.c; VT-d spec 6.5.2), and the batch
 * they are collected in before one submission.
 */
import {
  ContextGranularity,
  Descriptor,
  DescriptorType,
  GRANULARITY_SHIFT,
  IotlbGranularity,
  PageResponse,
  PageResponseValue,
  PasidCacheGranularity,
  PasidIotlbGranularity,
} from '../../../hw/vtd/layout.ts';
import type { PageResponseCode } from '../../iommu/ops.ts';

/** LPIG, word 2 bit 2 of a page-group response. */
const LAST_IN_GROUP = 0x4;

/** [words] Every descriptor is kept as eight u32 words; a 128-bit queue takes the first four. */
export const BATCH_STRIDE = 8;

/** [pages] log2 of a block that is the whole address space (MAX_AGAW_PFN_WIDTH). */
export const WHOLE_SPACE_ORDER = 52;

/** Descriptors waiting for one submission. */
export class DescriptorBatch {
  readonly words: Uint32Array;
  readonly capacity: number;
  count = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.words = new Uint32Array(capacity * BATCH_STRIDE);
  }

  get full(): boolean {
    return this.count === this.capacity;
  }

  clear(): void {
    this.count = 0;
  }

  push(word0: number, word1: number, word2: number, word3: number): void {
    const at = this.count * BATCH_STRIDE;
    const words = this.words;
    words[at] = word0;
    words[at + 1] = word1;
    words[at + 2] = word2;
    words[at + 3] = word3;
    words.fill(0, at + 4, at + BATCH_STRIDE);
    this.count++;
  }
}

/** Context cache, one device (function mask 0). */
export function pushContextDevice(batch: DescriptorBatch, did: number, sourceId: number): void {
  const gran = ContextGranularity.device << GRANULARITY_SHIFT;
  batch.push((did << Descriptor.didShift) | gran | DescriptorType.contextCache, sourceId, 0, 0);
}

/** Context cache, everything. */
export function pushContextGlobal(batch: DescriptorBatch): void {
  batch.push((ContextGranularity.global << GRANULARITY_SHIFT) | DescriptorType.contextCache, 0, 0, 0);
}

/** Drain bits of IOTLB descriptors: set when the unit can drain (DWD and DRD of CAP). */
export function drainBits(drainRead: boolean, drainWrite: boolean): number {
  return (drainRead ? Descriptor.iotlbDrainRead : 0) | (drainWrite ? Descriptor.iotlbDrainWrite : 0);
}

/** IOTLB, everything. */
export function pushIotlbGlobal(batch: DescriptorBatch, drain: number): void {
  batch.push((IotlbGranularity.global << GRANULARITY_SHIFT) | drain | DescriptorType.iotlb, 0, 0, 0);
}

/** IOTLB, one domain. */
export function pushIotlbDomain(batch: DescriptorBatch, drain: number, did: number): void {
  const gran = IotlbGranularity.domain << GRANULARITY_SHIFT;
  batch.push((did << Descriptor.didShift) | gran | drain | DescriptorType.iotlb, 0, 0, 0);
}

/** IOTLB, 2^`order` pages of one domain from the page at `addressLow`, `addressHigh`. */
export function pushIotlbPages(
  batch: DescriptorBatch,
  drain: number,
  did: number,
  addressLow: number,
  addressHigh: number,
  order: number,
  leafOnly: boolean,
): void {
  const gran = IotlbGranularity.page << GRANULARITY_SHIFT;
  batch.push(
    (did << Descriptor.didShift) | gran | drain | DescriptorType.iotlb,
    0,
    addressLow | (leafOnly ? Descriptor.invalidationHint : 0) | order,
    addressHigh,
  );
}

/** PASID-based IOTLB, all of a PASID. */
export function pushPasidIotlbAll(batch: DescriptorBatch, did: number, pasid: number): void {
  const gran = PasidIotlbGranularity.pasid << GRANULARITY_SHIFT;
  batch.push((did << Descriptor.didShift) | gran | DescriptorType.pasidIotlb, pasid, 0, 0);
}

/** PASID-based IOTLB, 2^`order` pages. */
export function pushPasidIotlbPages(
  batch: DescriptorBatch,
  did: number,
  pasid: number,
  addressLow: number,
  addressHigh: number,
  order: number,
  leafOnly: boolean,
): void {
  const gran = PasidIotlbGranularity.page << GRANULARITY_SHIFT;
  batch.push(
    (did << Descriptor.didShift) | gran | DescriptorType.pasidIotlb,
    pasid,
    addressLow | (leafOnly ? Descriptor.invalidationHint : 0) | order,
    addressHigh,
  );
}

/** PASID cache, one PASID of a domain. */
export function pushPasidCache(batch: DescriptorBatch, did: number, pasid: number): void {
  const gran = PasidCacheGranularity.pasid << GRANULARITY_SHIFT;
  batch.push((did << Descriptor.didShift) | gran | DescriptorType.pasidCache, pasid, 0, 0);
}

/** PASID cache, everything. */
export function pushPasidCacheGlobal(batch: DescriptorBatch): void {
  batch.push((PasidCacheGranularity.global << GRANULARITY_SHIFT) | DescriptorType.pasidCache, 0, 0, 0);
}

/** The endpoint a device-TLB descriptor goes to. */
export interface DeviceTlbTarget {
  readonly sourceId: number;
  /** Source id of the physical function; 0 for one. */
  readonly pfSourceId: number;
  /** Invalidate queue depth, 1 .. 32. */
  readonly queueDepth: number;
}

/** Device TLB, requests without PASID: the block of 2^`order` pages; {@link WHOLE_SPACE_ORDER} is everything. */
export function pushDeviceTlb(
  batch: DescriptorBatch,
  target: DeviceTlbTarget,
  addressLow: number,
  addressHigh: number,
  order: number,
): void {
  // S bit: the lowest clear address bit tells the size (PCIe ATS "Invalidate Request Message").
  const ones = onesBelow(order - 1);
  const size = order > 0 ? Descriptor.deviceTlbSize : 0;
  const depth = queueDepthField(target.queueDepth);
  batch.push(
    (depth << Descriptor.deviceTlbQueueDepthShift) | ((target.pfSourceId & 0xf) << 12) | DescriptorType.deviceTlb,
    (((target.pfSourceId >>> 4) << 20) | target.sourceId) >>> 0,
    addressLow | (order > 0 ? ones.low : 0) | size,
    addressHigh | (order > 0 ? ones.high : 0),
  );
}

/** Device TLB of one PASID. */
export function pushPasidDeviceTlb(
  batch: DescriptorBatch,
  target: DeviceTlbTarget,
  pasid: number,
  addressLow: number,
  addressHigh: number,
  order: number,
): void {
  const ones = onesBelow(order - 1);
  const size = order > 0 ? Descriptor.pasidDeviceTlbSize : 0;
  const depth = queueDepthField(target.queueDepth);
  batch.push(
    (target.sourceId << 16) | ((target.pfSourceId & 0xf) << 12) | (depth << 4) | DescriptorType.pasidDeviceTlb,
    (((target.pfSourceId >>> 4) << 20) | pasid) >>> 0,
    addressLow | (order > 0 ? ones.low : 0) | size,
    addressHigh | (order > 0 ? ones.high : 0),
  );
}

/** Page-group response: answers all requests of a group of a device. */
export function pushPageResponse(
  batch: DescriptorBatch,
  sourceId: number,
  pasid: number | undefined,
  groupId: number,
  code: PageResponseCode,
): void {
  const present = pasid === undefined ? 0 : PageResponse.pasidPresent;
  const value = PageResponseValue[code] << PageResponse.codeShift;
  batch.push(
    ((sourceId << 16) | value | present | DescriptorType.pageGroupResponse) >>> 0,
    pasid ?? 0,
    (groupId << PageResponse.groupShift) | LAST_IN_GROUP,
    0,
  );
}

/** Queue depth as the 5-bit field has it: 32 is written as 0. */
function queueDepthField(queueDepth: number): number {
  return queueDepth >= 32 ? 0 : queueDepth;
}

/** Address bits 12 .. 12 + `bits` - 1 set, as two words. */
function onesBelow(bits: number): { readonly low: number; readonly high: number } {
  if (bits <= 0) return { low: 0, high: 0 };
  if (bits <= 20) return { low: (((2 ** bits - 1) * 4096) % 4294967296) >>> 0, high: 0 };
  return { low: 0xffff_f000, high: (2 ** Math.min(bits - 20, 32) - 1) >>> 0 };
}
