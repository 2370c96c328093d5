/** Heat maps of a grid of two numbers. */
import { type Chart, type ChartRow, MAX_CHART_ROWS } from '../charts/chart.ts';
import { logAxis } from '../charts/log-axis.ts';
import { metricName, metricValue } from '../document/metric-words.ts';
import { capital } from '../format.ts';
import type { ComparisonMetric } from '../sections/comparison-metrics.ts';
import { axisUnit } from './axis-unit.ts';
import type { SweepCaseModel } from './schema.ts';

const HEAT_MAPS: readonly (readonly [name: string, metric: ComparisonMetric])[] = [
  ['heat-latency', 'dma_latency_mean_ns'],
  ['heat-throughput', 'throughput_bytes_per_s'],
];

/** Names of the heat maps. */
export const HEAT_CHARTS: readonly string[] = HEAT_MAPS.map(([name]) => name);

/** Mean latency and throughput of every combination, when exactly two numbers span the grid. */
export function heatMaps(one: SweepCaseModel): Chart[] {
  const [first, second, ...others] = one.params;
  if (first === undefined || second === undefined || others.length > 0 || one.points.length > MAX_CHART_ROWS) return [];
  const swept = [first, second].every(({ values }) => values.every((value) => Number.isFinite(Number(value))));
  if (!swept) return [];
  return HEAT_MAPS.flatMap(([name, metric]): Chart[] => {
    const rows = one.points.flatMap(({ changes, metrics }): ChartRow[] => {
      const found = metrics?.[metric] ?? null;
      return found === null || found <= 0
        ? []
        : [{ x: Number(changes[0]!.value), y: Number(changes[1]!.value), metric: found }];
    });
    if (rows.length < 2) return [];
    const amounts = rows.map((row) => row['metric'] as number);
    const [low, high] = [Math.min(...amounts), Math.max(...amounts)];
    const { divisor, unit } = axisUnit(metric, high);
    const title = `${capital(metricName(metric))} by ${first.path} (→) and ${second.path} (↑)`;
    return [
      {
        name,
        template: 'sweep-heat',
        title,
        description: `${title}, from ${metricValue(metric, low)} to ${metricValue(metric, high)}.`,
        columns: ['x', 'y', 'metric'],
        rows,
        span: 'half',
        heightPx: Math.min(520, 26 * second.values.length + 110),
        params: { divisor, unit, ticks: logAxis(low, high).ticks },
      },
    ];
  });
}
