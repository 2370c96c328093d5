/**
 * The receive path of a guest with nested translation, after the measurements of the Fast & Safe fork of October 2025:
 * rings of 4 KiB pages, mapped and unmapped many pages at a time, one ranged first-stage invalidation for each.
 * Completions go to a page that stays mapped.
 */
import { DmaFlag } from '../../hw/unit.ts';
import type { VtdConfig } from '../../hw/vtd/config.ts';
import { Descriptor, DescriptorType, GRANULARITY_SHIFT, PasidIotlbGranularity } from '../../hw/vtd/layout.ts';
import { NEVER, TICKS_PER_NS } from '../../units.ts';
import { NESTED_DOMAIN_ID, NESTED_PASID, openNestedUnit } from './nested-unit.ts';

/** One workload. */
export interface NestedReceive {
  /** Rings that receive in turn. */
  readonly flows: number;
  /** [pages] Mapped and unmapped together. */
  readonly pagesPerFlush: number;
  /** [Gb/s] Rate at which pages arrive. */
  readonly gbps: number;
}

/** What is measured. */
export interface NestedMeasurement {
  readonly missesPerPage: number;
  readonly readsPerMiss: number;
  /** [IOMMU clocks] Walk occupancy a miss. */
  readonly clocksPerMiss: number;
}

const PAGE_BYTES = 4096;
const COMPLETION_BYTES = 64;
const RING_PAGES = 512;
/** [4 KiB pages] Rings one after the other, then the page of completions of each. */
const FIRST_PFN = 0x4_0000;

/** Receives `pages` pages. Deterministic in its arguments. */
export function measureNestedReceive(config: VtdConfig, load: NestedReceive, pages: number): NestedMeasurement {
  const ringPages = load.flows * RING_PAGES;
  const unit = openNestedUnit(config, FIRST_PFN, Math.ceil((ringPages + load.flows) / RING_PAGES) * RING_PAGES);
  const { input, results: out } = unit.columns(2);
  input.bytes.set([PAGE_BYTES, COMPLETION_BYTES]);
  input.flags.fill(DmaFlag.write);
  const ticksPerPage = ((PAGE_BYTES * 8) / load.gbps) * TICKS_PER_NS;
  const addressMask = Math.ceil(Math.log2(load.pagesPerFlush));
  const place = (row: number, pfn: number): void => {
    input.iova[2 * row] = pfn * PAGE_BYTES;
  };
  let before: Readonly<Record<string, number>> | undefined;
  const warm = Math.min(ringPages, Math.floor(pages / 2));
  for (let page = 0; page < pages; page++) {
    if (page === warm) before = unit.counters();
    const flow = page % load.flows;
    const index = Math.floor(page / load.flows) % RING_PAGES;
    input.notBefore.fill(Math.round(page * ticksPerPage));
    const pfn = FIRST_PFN + flow * RING_PAGES + index;
    place(0, pfn);
    place(1, FIRST_PFN + ringPages + flow);
    unit.translate(input, 0, 2, NEVER, out);
    // Map of the next pages and unmap of these: Linux rounds ranges up to a power of two.
    if ((index + 1) % load.pagesPerFlush !== 0) continue;
    const used = pfn - load.pagesPerFlush + 1;
    for (const start of [used, FIRST_PFN + flow * RING_PAGES + ((index + 1) % RING_PAGES)]) {
      const low = ((start * PAGE_BYTES) % 4294967296) | addressMask | Descriptor.invalidationHint;
      unit.executeDescriptor(INVALIDATE_RANGE, NESTED_PASID, low, 0);
    }
  }
  const after = unit.counters();
  const per = (name: string): number => after[name]! - before![name]!;
  const misses = per('iotlb_lookup') - per('iotlb_hit');
  return {
    missesPerPage: misses / (pages - warm),
    readsPerMiss: per('iommu_mrds') / misses,
    clocksPerMiss: per('pw_occupancy') / misses,
  };
}

/** First word of a page-selective P_IOTLB invalidation. */
const INVALIDATE_RANGE =
  (DescriptorType.pasidIotlb |
    (PasidIotlbGranularity.page << GRANULARITY_SHIFT) |
    (NESTED_DOMAIN_ID << Descriptor.didShift)) >>>
  0;
