/** Entries, changes and names of metrics as the dashboard writes them. */
import { NOT_AVAILABLE } from '../../report/format.ts';
import { formatMetric } from '../../report/metrics/direction.ts';
import type { Moment } from './schema.ts';

/** `30 (2026-11-30)`. */
export function momentText({ entry, date }: Moment): string {
  return `${Number(entry)} (${date})`;
}

/** Change of a metric from `base` to `value` as a share with its sign; `=` when there is none. */
export function formatChange(metric: string, value: number | null, base: number | null): string {
  if (value === null || base === null) return NOT_AVAILABLE;
  if (value === base) return '=';
  // From nothing to something is more than any share.
  if (base === 0) return `${value > 0 ? '+' : ''}${formatMetric(metric, value)}`;
  const percent = ((value - base) / Math.abs(base)) * 100;
  const magnitude = Math.abs(percent);
  if (magnitude < 0.01) return percent > 0 ? '+< 0.01 %' : '-< 0.01 %';
  return `${percent > 0 ? '+' : '-'}${magnitude.toFixed(magnitude < 9.995 ? 2 : magnitude < 99.95 ? 1 : 0)} %`;
}

/** A tracked name without the section that goes without saying. */
export function shortMetric(name: string): string {
  return name.replace(/^(headline|latency)\./, '');
}
