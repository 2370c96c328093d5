/**
 * A window sweep as pcie-bench makes it (Neugebauer et al., SIGCOMM 2018): a device reads or writes uniformly random
 * slots of a window of mapped memory, as fast as its outstanding requests allow or one at a time, and the mean latency
 * and the mean time between requests are measured. The window grows over buffers of 4 MiB, each contiguous in IOVA.
 */
import { PAGE_SHIFT } from '../../address.ts';
import { assert } from '../../assert.ts';
import type { LinkTiming } from '../../hw/device-link.ts';
import { flightAndWireTicks } from '../../hw/link-round-trip.ts';
import { DmaFlag } from '../../hw/unit.ts';
import type { VtdConfig } from '../../hw/vtd/config.ts';
import { Cap } from '../../hw/vtd/registers.ts';
import { ConfigError } from '../../input-error.ts';
import { Random } from '../../random.ts';
import { NEVER, nsFromTicks, ticksFromNs } from '../../units.ts';
import { BareTable, openBareUnit } from './bare-unit.ts';

/** One point of a sweep: what the device does. */
export interface WindowPoint {
  readonly direction: 'read' | 'write';
  /** [bytes] Of one request; at most a page. */
  readonly bytes: number;
  /** [4 KiB pages] */
  readonly windowPages: number;
  /**
   * Requests outstanding at most, each of as many TLPs as it needs; left out: what the profile's device keeps at this
   * size. APPROX: each TLP's tag or credit comes back by itself, so a request of several may begin while the last of the
   * one before are still under way.
   */
  readonly outstanding?: number;
  /** Buffers are mapped by 2 MiB pages. */
  readonly superpages: boolean;
  /** Page after page instead of random ones. */
  readonly inTurn?: boolean;
  /** False: the IOMMU is off. */
  readonly translating: boolean;
  /** [ns] Round trip of a 64-byte read to this window with the IOMMU off, where it is not the profile's. */
  readonly readRoundTripNs?: number;
}

/** What is measured. */
export interface WindowMeasurement {
  /** [ns] Mean time from issue to completion at the device (read) or global visibility (write). */
  readonly latencyNs: number;
  /** [ns] Mean time between requests. */
  readonly intervalNs: number;
  /** IOTLB misses per request. */
  readonly missShare: number;
}

/** How much is simulated. */
export interface SweepEffort {
  readonly seed: number;
  /** Requests measured at each point, after a warm-up of the same order. */
  readonly samples: number;
}

/** Requests per call of the unit. */
const BATCH_ROWS = 8192;
const BUFFER_PAGES = 1024;
/** [4 KiB pages] Buffers lie downwards from here: below 4 GiB and below the interrupt range, as the kernel places them. */
const TOP_PFN = 0xf_e000;
const WARM_UP_SHARE = 0.2;

/**
 * Measures one point on a fresh unit. Deterministic in (config, point, effort). Throws ConfigError for a sweep that runs
 * beyond the last tick, and for superpages that the unit does not have.
 */
export function measureWindow(config: VtdConfig, point: WindowPoint, effort: SweepEffort): WindowMeasurement {
  if (point.superpages && (Cap.ssLargePages(config.cap[1]) & 1) === 0) {
    throw new ConfigError({
      source: `hardware profile ${config.name}`,
      reason: 'the unit has no superpages (CAP.SLLPS)',
    });
  }
  const table = new BareTable();
  const pages = windowPages(point.windowPages);
  for (const page of pages) {
    if (!point.superpages) table.map(page, 0);
    else if (page % 512 === 0) table.map(page, 1);
  }
  const unit = openBareUnit(configOf(config, point), [table], point.translating);
  const random = new Random(effort.seed);
  const { input, results: out } = unit.columns(BATCH_ROWS);
  input.bytes.fill(point.bytes);
  input.flags.fill(point.direction === 'write' ? DmaFlag.write : 0);
  const slots = Math.max(1, Math.floor(4096 / point.bytes));
  const replay = (rows: number): void => {
    if (unit.translate(input, 0, rows, NEVER, out) === rows) return;
    const reason = `${effort.samples} requests a point at a window of ${point.windowPages} pages take more than 2.5 hours`;
    throw new ConfigError({
      source: 'window sweep',
      reason: `${reason} of model time: shorter times, or less --samples`,
    });
  };
  let turn = 0;
  const place = (rows: number): void => {
    for (let row = 0; row < rows; row++) {
      const page = pages[point.inTurn === true ? turn++ % point.windowPages : random.below(point.windowPages)]!;
      const offset = random.below(slots) * point.bytes;
      input.iova[2 * row] = page * 4096 + offset;
      input.iova[2 * row + 1] = page >>> (32 - PAGE_SHIFT);
    }
  };

  // Warm: enough requests to touch every page about twice, and those to be left out of the mean.
  const warmRows = Math.ceil(Math.max(point.windowPages * 2, effort.samples * WARM_UP_SHARE) / BATCH_ROWS) * BATCH_ROWS;
  let startTick = 0;
  for (let done = 0; done < warmRows; done += BATCH_ROWS) {
    place(BATCH_ROWS);
    replay(BATCH_ROWS);
    startTick = out.issueTick[BATCH_ROWS - 1]!;
  }
  const before = unit.counters();
  let endTick = startTick;
  let latencyTicks = 0;
  for (let done = 0; done < effort.samples; ) {
    const rows = Math.min(BATCH_ROWS, effort.samples - done);
    place(rows);
    replay(rows);
    for (let row = 0; row < rows; row++) latencyTicks += out.doneTick[row]! - out.issueTick[row]!;
    endTick = out.issueTick[rows - 1]!;
    done += rows;
  }
  const after = unit.counters();
  const misses = after['iotlb_lookup']! - after['iotlb_hit']! - (before['iotlb_lookup']! - before['iotlb_hit']!);
  return {
    latencyNs: nsFromTicks(latencyTicks / effort.samples),
    intervalNs: nsFromTicks((endTick - startTick) / effort.samples),
    missShare: misses / effort.samples,
  };
}

/** IOVA pages of a window, buffer by buffer. */
function windowPages(count: number): Int32Array {
  const pages = new Int32Array(Math.ceil(count / 512) * 512);
  for (let page = 0; page < pages.length; page++) {
    const buffer = Math.floor(page / BUFFER_PAGES);
    pages[page] = TOP_PFN - (buffer + 1) * BUFFER_PAGES + (page % BUFFER_PAGES);
  }
  return pages;
}

/** The profile as the point wants it; an IOMMU that is off adds nothing, not even the time of a hit. */
function configOf(config: VtdConfig, point: WindowPoint): VtdConfig {
  const { translation } = config;
  const link = linkOf(config.link, point);
  return { ...config, link, translation: point.translating ? translation : { ...translation, hitTicks: 0 } };
}

/** The profile's device and link as the point wants them. */
function linkOf(link: LinkTiming, point: WindowPoint): LinkTiming {
  let changed = link;
  if (point.outstanding !== undefined) {
    const limit = link.requestBytes.map(() => point.outstanding! * tlpsOf(link, point));
    changed = { ...changed, readWindow: limit, writeWindow: limit };
  }
  if (point.readRoundTripNs !== undefined) {
    const memoryReadTicks = ticksFromNs(point.readRoundTripNs) - flightAndWireTicks(link);
    assert(memoryReadTicks >= 0, `a round trip of ${point.readRoundTripNs} ns is shorter than flight and wire`);
    changed = { ...changed, memoryReadTicks };
  }
  return changed;
}

/** TLPs of one request of the point. */
function tlpsOf(link: LinkTiming, { direction, bytes }: WindowPoint): number {
  return Math.ceil(bytes / (direction === 'read' ? link.maxReadRequestBytes : link.maxPayloadBytes));
}
