/** Counters of the units and of their invalidation queues: read at boot and at the end, the difference is the replay. */
import { type Histogram, type HistogramState, histogramBuckets, mergeHistograms } from '../../stats/histogram.ts';
import type { InvalidationStats } from '../protocol.ts';
import { addCounters } from './latency.ts';

/** What a unit counts. */
export interface CountingUnit {
  readonly name: string;
  counters(): Readonly<Record<string, number>>;
  queueStatistics(): {
    readonly descriptors: Readonly<Record<string, number>>;
    readonly submissions: number;
    readonly waitLatency: Histogram;
    readonly peakOccupancy: number;
  };
}

/** All tallies of one unit at one time. */
export interface UnitTally {
  readonly name: string;
  readonly counters: Readonly<Record<string, number>>;
  readonly descriptors: Readonly<Record<string, number>>;
  readonly submissions: number;
  readonly waitLatency: HistogramState;
  readonly peakOccupancy: number;
}

/** [ps] Bounds of the kernel's latency classes in debugfs (Linux drivers/iommu/intel/perf.h): 0.1 us ... 10 ms. */
const DMAR_BOUNDS_PS = [1e5, 1e6, 1e7, 1e8, 1e9, 1e10] as const;

/** Reads a unit. */
export function tallyUnit(unit: CountingUnit): UnitTally {
  const { descriptors, submissions, waitLatency, peakOccupancy } = unit.queueStatistics();
  return {
    name: unit.name,
    counters: unit.counters(),
    descriptors,
    submissions,
    waitLatency: waitLatency.toState(),
    peakOccupancy,
  };
}

/** What happened between two tallies of a unit; the peak is that of the whole time. */
export function tallyDifference(later: UnitTally, earlier: UnitTally): UnitTally {
  return {
    name: later.name,
    counters: subtractCounters(later.counters, earlier.counters),
    descriptors: subtractCounters(later.descriptors, earlier.descriptors),
    submissions: later.submissions - earlier.submissions,
    waitLatency: subtractHistogram(later.waitLatency, earlier.waitLatency),
    peakOccupancy: later.peakOccupancy,
  };
}

/** Counters by unit name. */
export function countersByUnit(tallies: readonly UnitTally[]): Record<string, Readonly<Record<string, number>>> {
  const sorted = [...tallies].sort((a, b) => (a.name < b.name ? -1 : 1));
  return Object.fromEntries(sorted.map(({ name, counters }) => [name, counters]));
}

/** The queues of all units together. */
export function invalidationStats(tallies: readonly UnitTally[]): InvalidationStats {
  const waitLatency = mergeHistograms(tallies.map((tally) => tally.waitLatency));
  return {
    descriptors: tallies.reduce<Record<string, number>>((sum, tally) => addCounters(sum, tally.descriptors), {}),
    submissions: tallies.reduce((sum, tally) => sum + tally.submissions, 0),
    waitLatency,
    dmarLatencyBuckets: dmarBuckets(waitLatency),
    peakOccupancy: tallies.reduce((peak, tally) => Math.max(peak, tally.peakOccupancy), 0),
  };
}

/** APPROX: a histogram bucket (0.8 % wide) belongs to the class of its lower bound. */
function dmarBuckets(latency: HistogramState): number[] {
  const classes = new Array<number>(DMAR_BOUNDS_PS.length + 1).fill(0);
  for (const { low, count } of histogramBuckets(latency)) {
    const index = DMAR_BOUNDS_PS.findIndex((bound) => low < bound);
    classes[index < 0 ? DMAR_BOUNDS_PS.length : index]! += count;
  }
  return classes;
}

function subtractCounters(
  later: Readonly<Record<string, number>>,
  earlier: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(Object.keys(later).map((name) => [name, (later[name] ?? 0) - (earlier[name] ?? 0)]));
}

/** Buckets of `later` without those of `earlier`, which it contains; extremes are those of the buckets left. */
export function subtractHistogram(later: HistogramState, earlier: HistogramState): HistogramState {
  if (earlier.count === 0) return later;
  const before = new Map(earlier.indices.map((index, i) => [index, earlier.counts[i] ?? 0]));
  const left = later.indices
    .map((index, i) => ({ index, count: (later.counts[i] ?? 0) - (before.get(index) ?? 0) }))
    .filter(({ count }) => count > 0);
  const state = {
    ...later,
    count: later.count - earlier.count,
    sum: String(BigInt(later.sum) - BigInt(earlier.sum)),
    indices: left.map(({ index }) => index),
    counts: left.map(({ count }) => count),
  };
  const buckets = histogramBuckets(state);
  const min = Math.max(later.min, buckets[0]?.low ?? 0);
  const max = Math.min(later.max, buckets.at(-1)?.high ?? 0);
  return { ...state, min: buckets.length === 0 ? 0 : min, max };
}
