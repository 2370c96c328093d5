/** Columns and cells of a latency distribution. */
import { formatCount, formatDuration } from '../format.ts';
import type { Distribution } from '../schema/measures.ts';
import { type Column, figures } from './block.ts';

/** Count, mean and percentiles. */
export const LATENCY_COLUMNS: readonly Column[] = [
  figures('count'),
  figures('mean', { wideOnly: true }),
  figures('p50'),
  figures('p90', { wideOnly: true }),
  figures('p99'),
  figures('p99.9'),
  figures('max'),
];

/** One cell a column of {@link LATENCY_COLUMNS}. */
export function latencyCells(distribution: Distribution): string[] {
  const { count, mean, p50, p90, p99, p99_9, max } = distribution;
  return [formatCount(count), ...[mean, p50, p90, p99, p99_9, max].map(formatDuration)];
}
