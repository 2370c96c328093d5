/** Metrics that replays are compared by, in words, and how their values and changes are written. */
import { formatByteRate, formatCount, formatDuration, formatQuotient, formatShare, NOT_AVAILABLE } from '../format.ts';
import { formatMetricChange } from '../metrics/direction.ts';
import { unitOf } from '../metrics/unit.ts';
import type { ComparisonMetric } from '../sections/comparison-metrics.ts';

const METRICS: Readonly<Record<ComparisonMetric, readonly [name: string, format: (value: number | null) => string]>> = {
  dma_latency_mean_ns: ['mean DMA latency', formatDuration],
  dma_latency_p50_ns: ['p50 DMA latency', formatDuration],
  dma_latency_p99_ns: ['p99 DMA latency', formatDuration],
  dma_latency_p99_9_ns: ['p99.9 DMA latency', formatDuration],
  translation_latency_mean_ns: ['mean translation latency', formatDuration],
  throughput_bytes_per_s: ['throughput', formatByteRate],
  iotlb_hit_share: ['IOTLB hits', formatShare],
  walks_per_dma: ['walks per DMA', formatQuotient],
  control_call_mean_ns: ['mean control-plane call', formatDuration],
  invalidation_wait_mean_ns: ['mean invalidation wait', formatDuration],
  faulted_dma: ['faulted DMA', formatCount],
};

function known(metric: string): metric is ComparisonMetric {
  return Object.hasOwn(METRICS, metric);
}

/** A metric in words. */
export function metricName(metric: string): string {
  return known(metric) ? METRICS[metric][0] : metric;
}

/** A value of a metric with its unit. */
export function metricValue(metric: string, value: number | null): string {
  return known(metric) ? METRICS[metric][1](value) : String(value);
}

/**
 * Change of a metric from `base` to `value` with its sign; of shares in percentage points, of others as a share. From
 * nothing to something is more than any share, and told as it is.
 */
export function metricChange(metric: string, value: number | null, base: number | null): string {
  if (value === null || base === null) return NOT_AVAILABLE;
  if (value === base) return formatChange(0);
  if (base === 0 || unitOf(metric) === 'share') return formatMetricChange(metric, value - base);
  return formatChange((value - base) / Math.abs(base));
}

/** A relative change with its sign: `+12.5 %`, `0`; `≈ 0` below a hundredth of a percent. */
export function formatChange(change: number | null): string {
  if (change === null) return NOT_AVAILABLE;
  if (change === 0) return '0';
  if (Math.abs(change) < 1e-4) return '≈ 0';
  return `${change > 0 ? '+' : '−'}${formatShare(Math.abs(change))}`;
}
