/** From integers of the fold to the floats of the report: the only place where a report divides. */
import { type HistogramState, histogramMean, percentile } from '../stats/histogram.ts';
import { TICKS_PER_NS } from '../units.ts';
import type { Distribution } from './schema/measures.ts';

const NS_PER_SECOND = 1e9;

/** `part / whole`, or `null` when the whole is nothing. */
export function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

/** [ns] of picoseconds. */
export function nsFromPs(picoseconds: number): number {
  return picoseconds / TICKS_PER_NS;
}

/** [1/s] `amount` in `durationNs`, or `null` without a duration. */
export function perSecond(amount: number, durationNs: number): number | null {
  return durationNs === 0 ? null : (amount * NS_PER_SECOND) / durationNs;
}

/** [ns] Exact sum of a histogram of picoseconds, rounded once. */
export function totalNs(state: HistogramState): number {
  return nsFromPs(Number(state.sum));
}

/** Percentiles in nanoseconds of a histogram of picoseconds. */
export function distributionNs(state: HistogramState): Distribution {
  if (state.count === 0) {
    return { count: 0, min: null, mean: null, p50: null, p90: null, p99: null, p99_9: null, max: null };
  }
  const at = (quantile: number) => nsFromPs(percentile(state, quantile));
  return {
    count: state.count,
    min: nsFromPs(state.min),
    mean: nsFromPs(histogramMean(state)),
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    p99_9: at(0.999),
    max: nsFromPs(state.max),
  };
}

/** Adds integer counts key by key; keys of the result are sorted. */
export function sumRecords(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const totals = new Map<string, number>();
  for (const record of records) {
    for (const [key, value] of Object.entries(record)) totals.set(key, (totals.get(key) ?? 0) + value);
  }
  return Object.fromEntries([...totals].sort(([a], [b]) => compareText(a, b)));
}

/** Order of code units, the same in every locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
