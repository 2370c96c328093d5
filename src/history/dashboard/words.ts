/** Entries and names of metrics as the dashboard writes them. */
import type { Moment } from './schema.ts';

/** `30 (2026-11-30)`. */
export function momentText({ entry, date }: Moment): string {
  return `${Number(entry)} (${date})`;
}

/** A tracked name without the section that goes without saying. */
export function shortMetric(name: string): string {
  return name.replace(/^(headline|latency)\./, '');
}
