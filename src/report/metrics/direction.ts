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
import { lastKey, unitOf } from './unit.ts';

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
  if (HIGHER.includes(key) || (unitOf(path) === 'bytes/s' && !path.startsWith('bottleneck'))) return 'higher';
  if (LOWER.includes(key) || unitOf(path) === 'ns') return 'lower';
  return 'neutral';
}

/** The value as reports write it. */
export function formatMetric(path: string, value: number | null): string {
  switch (unitOf(path)) {
    case 'ns':
      return formatDuration(value);
    case 'bytes/s':
      return formatByteRate(value);
    case '1/s':
      return formatRate(value);
    case 'share':
      return formatShare(value);
    case 'bytes':
      return formatBytes(value);
    case 'count':
      return value !== null && Number.isInteger(value) ? formatCount(value) : formatQuotient(value);
  }
}

/** A difference of two values with its sign; that of shares is in percentage points. */
export function formatMetricChange(path: string, change: number | null): string {
  if (change === null) return NOT_AVAILABLE;
  const amount = formatMetric(path, Math.abs(change));
  return withSign(change, unitOf(path) === 'share' ? amount.replace('%', 'pp') : amount);
}
