/**
 * The receive path of a network driver in strict mode, after Fast & Safe IO Memory Protection (SOSP 2024): every packet
 * of one page has a mapping of its own, which is unmapped and invalidated after use; ACKs are read from pages mapped and
 * unmapped alike. The driver works in bursts, so invalidations come in bursts.
 *
 * The CPU costs nothing here: what is measured is the IOMMU. Unmap and map take effect between two bursts.
 */

import { type DmaColumns, DmaFlag, type ResultColumns } from '../../hw/unit.ts';
import type { VtdConfig } from '../../hw/vtd/config.ts';
import { Descriptor, DescriptorType, GRANULARITY_SHIFT, IotlbGranularity } from '../../hw/vtd/layout.ts';
import { Random } from '../../random.ts';
import { NEVER, TICKS_PER_NS } from '../../units.ts';
import { BareTable, FIRST_DOMAIN_ID, openBareUnit } from './bare-unit.ts';

/** One workload. */
export interface ReceivePath {
  /** [pages] Received between two bursts of unmapping; a mean, fractions alternate. */
  readonly burstPages: number;
  /** ACK pages read per received page. */
  readonly acksPerPage: number;
  /** Where addresses come from: any page of so many 2 MiB regions, or ascending runs of 64 pages. */
  readonly addresses: { readonly kind: 'scattered'; readonly regions: number } | { readonly kind: 'runs' };
  /** Invalidations carry the hint that only leaf entries changed (IH). */
  readonly leafHint: boolean;
}

/** What is measured, per received page. */
export interface ReceiveMeasurement {
  readonly iotlbMisses: number;
  /** Walks that missed the cache of 512 GiB, 1 GiB and 2 MiB regions. */
  readonly misses512g: number;
  readonly misses1g: number;
  readonly misses2m: number;
  readonly reads: number;
  /** [Gb/s] Received at most. */
  readonly gbps: number;
}

const PAGE_BYTES = 4096;
const ACK_BYTES = 66;
const RUN_PAGES = 64;
const REGION_PAGES = 512;
/** [4 KiB pages] Lowest page used; a 1 GiB boundary. */
const BASE_PFN = 0x4_0000;
const MEMORY_PAGES = 64 * REGION_PAGES;

/** Receives `pages` pages; the first fifth warms up. Deterministic in its arguments. */
export function measureReceivePath(
  config: VtdConfig,
  path: ReceivePath,
  { seed, pages }: { readonly seed: number; readonly pages: number },
): ReceiveMeasurement {
  const table = new BareTable();
  for (let page = 0; page < MEMORY_PAGES; page++) table.map(BASE_PFN + page, 0);
  const unit = openBareUnit(config, [table], true);
  const random = new Random(seed);
  const next = path.addresses.kind === 'runs' ? runs() : scattered(random, path.addresses.regions);
  const { input, results: out } = unit.columns(256);
  let received = 0;
  let owedPages = 0;
  let owedAcks = 0;
  const warmPages = Math.floor(pages / 5);
  let start:
    | { readonly tick: number; readonly counters: Readonly<Record<string, number>>; readonly pages: number }
    | undefined;
  let lastTick = 0;
  while (received < pages) {
    if (start === undefined && received >= warmPages)
      start = { tick: lastTick, counters: unit.counters(), pages: received };
    owedPages += path.burstPages;
    const burst = Math.floor(owedPages);
    owedPages -= burst;
    owedAcks += burst * path.acksPerPage;
    const acks = Math.floor(owedAcks);
    owedAcks -= acks;
    const used = fillBurst(input, burst, acks, next);
    unit.translate(input, 0, used.length, NEVER, out);
    lastTick = lastIssue(out, used.length, lastTick);
    for (const page of used) {
      const hint = path.leafHint ? Descriptor.invalidationHint : 0;
      const address = page * PAGE_BYTES;
      unit.executeDescriptor(INVALIDATE_PAGE, 0, (address % 4294967296) | hint, Math.floor(address / 4294967296));
    }
    received += burst;
  }
  const after = unit.counters();
  const measuredPages = received - start!.pages;
  const per = (name: string): number => (after[name]! - start!.counters[name]!) / measuredPages;
  const four = per('model.walks_4_reads');
  const three = per('model.walks_3_reads');
  const two = per('model.walks_2_reads');
  const seconds = (lastTick - start!.tick) / TICKS_PER_NS / 1e9;
  return {
    iotlbMisses: per('iotlb_lookup') - per('iotlb_hit'),
    misses512g: four,
    misses1g: four + three,
    misses2m: four + three + two,
    reads: per('iommu_mrds'),
    gbps: (measuredPages * PAGE_BYTES * 8) / seconds / 1e9,
  };
}

/** First word of a page-selective invalidation of the benchmark's domain; address mask 0. */
const INVALIDATE_PAGE =
  (DescriptorType.iotlb | (IotlbGranularity.page << GRANULARITY_SHIFT) | (FIRST_DOMAIN_ID << Descriptor.didShift)) >>>
  0;

/** Writes and ACK reads of one burst, evenly mixed; returns the pages used. */
function fillBurst(input: DmaColumns, burst: number, acks: number, next: () => number): number[] {
  const used: number[] = [];
  let sentAcks = 0;
  for (let page = 0; page < burst; page++) {
    used.push(fill(input, used.length, next(), PAGE_BYTES, DmaFlag.write));
    while (sentAcks < Math.floor(((page + 1) * acks) / burst)) {
      used.push(fill(input, used.length, next(), ACK_BYTES, 0));
      sentAcks++;
    }
  }
  return used;
}

function fill(input: DmaColumns, row: number, page: number, bytes: number, flags: number): number {
  input.iova[2 * row] = page * PAGE_BYTES;
  input.iova[2 * row + 1] = Math.floor((page * PAGE_BYTES) / 4294967296);
  input.bytes[row] = bytes;
  input.flags[row] = flags;
  return page;
}

function lastIssue(out: ResultColumns, rows: number, before: number): number {
  let last = before;
  for (let row = 0; row < rows; row++) last = Math.max(last, out.issueTick[row]!);
  return last;
}

function scattered(random: Random, regions: number): () => number {
  return () => BASE_PFN + random.below(regions * REGION_PAGES);
}

function runs(): () => number {
  let page = 0;
  return () => BASE_PFN + (page++ % (MEMORY_PAGES - RUN_PAGES));
}
