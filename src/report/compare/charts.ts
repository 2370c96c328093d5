/** Charts of a pair: latency curves of both runs over each other, and how far the headline numbers moved. */
import type { CaseData } from '../case-data.ts';
import type { Chart } from '../charts/chart.ts';
import { cumulativeChart } from '../charts/latency-curves.ts';
import { formatShare, withSign } from '../format.ts';
import { metricLabel } from '../metrics/metric-label.ts';
import type { MetricChange } from './schema.ts';

/** Latencies that stand beside the headline numbers. */
const LATENCIES: readonly string[] = ['mean', 'p50', 'p99'].map((key) => `latency.dma_latency_ns.${key}`);

/** The charts; one that would be empty is left out. `prefix` keeps names unique among several pairs. */
export function pairCharts(metrics: readonly MetricChange[], base: CaseData, run: CaseData, prefix: string): Chart[] {
  const curves = (key: 'dmaLatency' | 'translationLatency') =>
    [
      { series: 'base', state: base[key] },
      { series: 'new', state: run[key] },
    ].filter(({ state }) => state.count > 0);
  const [dma, translation] = [curves('dmaLatency'), curves('translationLatency')];
  return [
    ...(dma.length === 0 ? [] : [cumulativeChart('latency-cdf', 'DMA latency, base and new', dma)]),
    ...(translation.length === 0
      ? []
      : [cumulativeChart('translation-cdf', 'Translation latency, base and new', translation)]),
    ...headlineBars(metrics),
  ].map((chart) => ({ ...chart, name: `${prefix}${chart.name}` }));
}

/** Relative changes of latencies and headline numbers that differ. */
function headlineBars(metrics: readonly MetricChange[]): Chart[] {
  const isLatency = ({ metric }: MetricChange): boolean => LATENCIES.includes(metric);
  const shown = [...metrics.filter(isLatency), ...metrics.filter(({ metric }) => metric.startsWith('headline.'))];
  const bars = shown.flatMap(({ metric, change_share: change, verdict }) =>
    change === null || change === 0 ? [] : [{ metric: metricLabel(metric), change, verdict }],
  );
  if (bars.length === 0) return [];
  const said = bars.map(({ metric, change }) => `${metric} ${withSign(change, formatShare(Math.abs(change)))}`);
  return [
    {
      name: 'headline-changes',
      template: 'metric-changes',
      title: 'Headline numbers: change from base to new',
      description: `Relative change of headline numbers that differ. ${said.join('; ')}.`,
      columns: ['metric', 'change', 'verdict'],
      rows: bars,
      span: 'full',
      heightPx: 24 * bars.length + 80,
      params: { reach: Math.max(...bars.map(({ change }) => Math.abs(change))) },
    },
  ];
}
