/** Latency percentiles over time. */
import { type HistogramState, mergeHistograms } from '../../stats/histogram.ts';
import type { CaseData } from '../case-data.ts';
import { formatDuration } from '../format.ts';
import { distributionNs, nsFromPs } from '../quantities.ts';
import { binStride, type Chart, DRAWN_LINE_POINTS } from './chart.ts';
import { logAxis } from './log-axis.ts';

/** Requests per bin that a p99 needs to be one; below a thousand the p99.9 is the slowest request of its bin. */
const MIN_REQUESTS = 100;

/** Bins that are drawn however few requests there are. */
const MIN_BINS = 12;

/** The chart; none without DMA. Bins without a completion are gaps. */
export function latencyBands(data: CaseData): Chart[] {
  const { binPs, bins } = data.latencyOverTime;
  if (data.dmaLatency.count === 0 || bins.length === 0) return [];
  const drawnBins = Math.min(
    DRAWN_LINE_POINTS / 2,
    Math.max(MIN_BINS, Math.floor(data.dmaLatency.count / MIN_REQUESTS)),
  );
  const stride = binStride(bins.length, drawnBins);
  const merged: HistogramState[] = [];
  for (let start = 0; start < bins.length; start += stride) {
    merged.push(mergeHistograms(bins.slice(start, start + stride)));
  }
  const binNs = nsFromPs(binPs * stride);
  const rows = merged.map((state, index) => {
    const { p50, p99, p99_9 } = distributionNs(state);
    return { time_ns: (index + 0.5) * binNs, p50_ns: p50, p99_ns: p99, p99_9_ns: p99_9 };
  });
  const lows = rows.flatMap((row) => (row.p50_ns === null || row.p50_ns <= 0 ? [] : [row.p50_ns]));
  const highs = rows.flatMap((row) => (row.p99_9_ns === null || row.p99_9_ns <= 0 ? [] : [row.p99_9_ns]));
  if (lows.length === 0) return [];
  const axis = logAxis(Math.min(...lows), Math.max(...highs));
  return [
    {
      name: 'latency-bands',
      template: 'latency-bands',
      title: 'DMA latency over time',
      description:
        `Percentiles p50, p99 and p99.9 of DMA latency in bins of ${formatDuration(binNs)}. The p50 stays between ` +
        `${formatDuration(Math.min(...lows))} and ${formatDuration(Math.max(...lows))}; the p99.9 peaks at ${formatDuration(Math.max(...highs))}.`,
      columns: ['time_ns', 'p50_ns', 'p99_ns', 'p99_9_ns'],
      rows,
      span: 'full',
      heightPx: 240,
      params: { latencyMin: axis.min, latencyMax: axis.max, latencyTicks: axis.ticks, endNs: merged.length * binNs },
    },
  ];
}
