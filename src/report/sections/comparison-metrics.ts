/** The numbers by which two replays of a case are compared. */
import type { CaseData } from '../case-data.ts';
import { distributionNs, nsFromPs, ratio } from '../quantities.ts';
import { headlineSection } from './headline.ts';

/** Metrics in the order of the reports. */
export const COMPARISON_METRICS = [
  'dma_latency_mean_ns',
  'dma_latency_p50_ns',
  'dma_latency_p99_ns',
  'dma_latency_p99_9_ns',
  'translation_latency_mean_ns',
  'throughput_bytes_per_s',
  'iotlb_hit_share',
  'walks_per_dma',
  'control_call_mean_ns',
  'invalidation_wait_mean_ns',
  'faulted_dma',
] as const;

/** A name in {@link COMPARISON_METRICS}. */
export type ComparisonMetric = (typeof COMPARISON_METRICS)[number];

/** All of them; null = the replay does not say. */
export function comparisonMetrics(data: CaseData): Record<ComparisonMetric, number | null> {
  const headline = headlineSection(data);
  const dma = distributionNs(data.dmaLatency);
  const { control } = data.time;
  const controlPs =
    control.iovaPs + control.tablePs + control.submitPs + control.waitPs + control.lockPs + control.otherPs;
  return {
    dma_latency_mean_ns: dma.mean,
    dma_latency_p50_ns: dma.p50,
    dma_latency_p99_ns: dma.p99,
    dma_latency_p99_9_ns: dma.p99_9,
    translation_latency_mean_ns: distributionNs(data.translationLatency).mean,
    throughput_bytes_per_s: headline.throughput_bytes_per_s,
    iotlb_hit_share: headline.iotlb_hit_share,
    walks_per_dma: headline.walks_per_dma,
    control_call_mean_ns: ratio(nsFromPs(controlPs), data.controlRows),
    invalidation_wait_mean_ns: distributionNs(data.invalidation.waitLatency).mean,
    faulted_dma: headline.faulted_dma,
  };
}
