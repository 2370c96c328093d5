/** Which way a metric gets better, and how it reads. */
import {
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatQuotient,
  formatRate,
  formatShare,
  NOT_AVAILABLE,
  withSign,
} from '../format.ts';

/** `neutral`: more is neither better nor worse, or it depends. */
export type Direction = 'lower' | 'higher' | 'neutral';

/** By the last key, of those whose unit does not tell. */
const HIGHER: readonly string[] = ['iotlb_hit_share', 'hit_share', 'dma_per_s', 'throughput_ratio'];
const LOWER: readonly string[] = [
  'translation_share',
  'invalidation_wait_share',
  'walks_per_dma',
  'memory_reads_per_dma',
  'walk_memory_reads',
  'mean_latency_ratio',
  'p99_latency_ratio',
  'faulted_dma',
  'faults',
  'divergences',
  'misses',
  'invalidation_timeouts',
  'page_request_failures',
  'peak_occupancy',
];
/** Times that are lengths of the run or of its bins, not costs. */
const NEUTRAL: readonly string[] = ['span_ns', 'bin_ns'];

/** Direction of a metric by its name. */
export function directionOf(path: string): Direction {
  const key = lastKey(path);
  if (NEUTRAL.includes(key) || key === 'count' || path.startsWith('concurrency.')) return 'neutral';
  if (HIGHER.includes(key) || (key.endsWith('bytes_per_s') && !path.startsWith('bottleneck'))) return 'higher';
  if (LOWER.includes(key) || /_ns(\.|$)/.test(path)) return 'lower';
  return 'neutral';
}

/** The value as reports write it. */
export function formatMetric(path: string, value: number | null): string {
  const key = lastKey(path);
  if (/_ns(\.|$)/.test(path) && key !== 'count') return formatDuration(value);
  if (key.endsWith('bytes_per_s')) return formatByteRate(value);
  if (key.endsWith('_per_s')) return formatRate(value);
  if (isShare(path)) return formatShare(value);
  if (key.endsWith('_bytes')) return formatBytes(value);
  return value !== null && Number.isInteger(value) ? formatCount(value) : formatQuotient(value);
}

/** A difference of two values with its sign; that of shares is in percentage points. */
export function formatMetricChange(path: string, change: number | null): string {
  if (change === null) return NOT_AVAILABLE;
  const amount = formatMetric(path, Math.abs(change));
  return withSign(change, isShare(path) ? amount.replace('%', 'pp') : amount);
}

function isShare(path: string): boolean {
  const key = lastKey(path);
  return key.endsWith('_share') || key === 'share';
}

function lastKey(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}
