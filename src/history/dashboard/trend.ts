/**
 * A test for drift: Mann–Kendall (is a later value larger than an earlier one more often than chance has it?), with the
 * Theil–Sen slope, the median of the slopes of all pairs. It asks for no distribution, and one outlier moves neither.
 */
import { cumulativeStdNormalProbability, median } from 'simple-statistics';

/** Entries that the test looks at: the newest. */
export const TREND_ENTRIES = 30;

/** Fewer say nothing. */
export const TREND_LEAST_ENTRIES = 8;

/** A step is no drift, and gates are there for steps. */
export const TREND_LEAST_CHANGES = 3;

/** Chance that values in random order look as ordered, at most. */
export const TREND_LEVEL = 0.01;

/** The table of the normal distribution ends at 0.999, so this stands for anything less, too. */
export const TREND_LEAST_P = 0.002;

/** What the test says. */
export interface Trend {
  readonly entries: number;
  /** Pairs that rise less pairs that fall. */
  readonly s: number;
  /** Two-sided, by the normal approximation with ties corrected; from a table that ends at {@link TREND_LEAST_P}. */
  readonly p_value: number;
  /** In the unit of the metric, per entry. */
  readonly slope_per_entry: number;
  /** How often the value is another than the one before. */
  readonly changes: number;
  readonly flagged: boolean;
}

/** Tests values in the order of their entries; null when there are too few. */
export function trendOf(all: readonly number[]): Trend | null {
  const values = all.slice(-TREND_ENTRIES);
  const count = values.length;
  if (count < TREND_LEAST_ENTRIES) return null;
  const slopes: number[] = [];
  let s = 0;
  for (const [later, value] of values.entries()) {
    for (const [earlier, before] of values.slice(0, later).entries()) {
      s += Math.sign(value - before);
      slopes.push((value - before) / (later - earlier));
    }
  }
  const changes = values.filter((value, at) => at > 0 && value !== values[at - 1]).length;
  const variance = (pairTerm(count) - sum(tieSizes(values).map(pairTerm))) / 18;
  // One pair less, because S comes in steps (the continuity correction).
  const z = variance === 0 ? 0 : Math.max(0, Math.abs(s) - 1) / Math.sqrt(variance);
  // Four digits, as the table behind it has.
  const pValue = Math.min(1, Math.round(2e4 * (1 - cumulativeStdNormalProbability(z))) / 1e4);
  return {
    entries: count,
    s,
    p_value: pValue,
    slope_per_entry: median(slopes),
    changes,
    flagged: pValue < TREND_LEVEL && changes >= TREND_LEAST_CHANGES,
  };
}

function pairTerm(count: number): number {
  return count * (count - 1) * (2 * count + 5);
}

/** How often each value comes. */
function tieSizes(values: readonly number[]): number[] {
  const sizes = new Map<number, number>();
  for (const value of values) sizes.set(value, (sizes.get(value) ?? 0) + 1);
  return [...sizes.values()];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
