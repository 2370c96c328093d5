/** `benchmark.json`: newest values in the custom format of github-action-benchmark, `[{name, unit, value, extra}]`. */
import type { Dashboard } from './schema.ts';

/** One value as the action reads it. */
export interface BenchmarkValue {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** Words that the action shows with the value. */
  readonly extra: string;
}

/** Tracked values of the newest entry that it has. */
export function benchmarkValues({ series, status }: Pick<Dashboard, 'series' | 'status'>): BenchmarkValue[] {
  return series.flatMap(({ case: key, metric, unit, newest, direction }) => {
    if (newest === null) return [];
    const better = direction === 'neutral' ? 'neither way is better' : `${direction} is better`;
    const extra = `${better}\nentry ${status.entry}, ${status.date}\ntool ${status.tool_version}`;
    return [{ name: `${key} ${metric}`, unit, value: newest, extra }];
  });
}
