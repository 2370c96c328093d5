/** Charts of one parameter: a line where its values lie on an axis, bars where they are names. */
import { type Chart, type ChartRow, DRAWN_LINE_POINTS, MAX_CHART_ROWS, thin } from '../charts/chart.ts';
import { logAxis } from '../charts/log-axis.ts';
import { metricName, metricValue } from '../document/metric-words.ts';
import { capital } from '../format.ts';
import type { ComparisonMetric } from '../sections/comparison-metrics.ts';
import { axisUnit } from './axis-unit.ts';
import { LEAST_EFFECT } from './effects.ts';
import type { SweepCaseModel, SweepParamModel } from './schema.ts';
import { type SeriesPoint, seriesOf } from './series.ts';

/** Lists that span more than this get a logarithmic axis. */
const WIDE_LIST = 10;

/** One picture of a parameter: metrics of one unit on one axis. */
interface Picture {
  readonly name: string;
  readonly title: string;
  readonly series: readonly (readonly [label: string, metric: ComparisonMetric])[];
}

/** Drawn where they move; the first always. */
const PICTURES: readonly Picture[] = [
  {
    name: 'latency',
    title: 'DMA latency',
    series: [
      ['mean', 'dma_latency_mean_ns'],
      ['p99', 'dma_latency_p99_ns'],
    ],
  },
  { name: 'throughput', title: 'throughput', series: [['throughput', 'throughput_bytes_per_s']] },
  { name: 'hits', title: 'IOTLB hits', series: [['hits', 'iotlb_hit_share']] },
  {
    name: 'control',
    title: 'control plane',
    series: [
      ['mean call', 'control_call_mean_ns'],
      ['mean invalidation wait', 'invalidation_wait_mean_ns'],
    ],
  },
];

/** Names of a parameter's charts, without the prefix of the case. */
export function paramChartNames({ path }: SweepParamModel): string[] {
  return PICTURES.map(({ name }) => `${slug(path)}-${name}`);
}

function slug(path: string): string {
  return path.replace(/[^A-Za-z0-9]+/g, '-');
}

/** Pictures of one parameter; the first whether it moves or not. */
export function paramCharts(one: SweepCaseModel, param: SweepParamModel): Chart[] {
  const points = seriesOf(one, param).filter(({ metrics }) => metrics !== null);
  if (points.length < 2) return [];
  return PICTURES.flatMap((picture, index) => {
    const moves = picture.series.some(([, metric]) => {
      const effect = param.effects.find((found) => found.metric === metric)!;
      return effect.ratio === null ? (effect.max ?? 0) > 0 : effect.ratio > LEAST_EFFECT;
    });
    if (index > 0 && !moves) return [];
    return param.numeric ? lineChart(param, points, picture) : barChart(param, points, picture);
  });
}

function lineChart(param: SweepParamModel, points: readonly SeriesPoint[], picture: Picture): Chart[] {
  const rows = picture.series.flatMap(([series, metric]) =>
    thin(points, DRAWN_LINE_POINTS).flatMap(({ value, own, metrics }): ChartRow[] => {
      const found = metrics?.[metric] ?? null;
      return found === null ? [] : [{ series, value: Number(value), metric: found, own: own ? 1 : 0 }];
    }),
  );
  if (rows.length < 2) return [];
  const values = points.map(({ value }) => Number(value));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const logarithmic =
    low > 0 && (param.spacing === 'geometric' || (param.spacing === 'list' && high / low > WIDE_LIST));
  const amounts = rows.map(({ metric }) => metric as number);
  const [bottom, top] = verticalDomain(Math.min(...amounts), Math.max(...amounts));
  const { divisor, unit } = axisUnit(picture.series[0]![1], top);
  const axis = logarithmic ? logAxis(low, high) : undefined;
  const pad = high === low ? 1 : (high - low) / 40;
  return [
    {
      ...chartWords(param, picture, points),
      template: logarithmic ? 'sweep-line-log' : 'sweep-line',
      columns: ['series', 'value', 'metric', 'own'],
      rows,
      span: 'half',
      heightPx: 250,
      params: {
        yMin: bottom,
        yMax: top,
        yDivisor: divisor,
        yUnit: unit,
        xMin: axis?.min ?? low - pad,
        xMax: axis?.max ?? high + pad,
        // Powers of two are what sizes are swept by: a tick at each value says more than one at each decade.
        ...(axis === undefined ? {} : { xTicks: values.length <= 12 ? values : axis.ticks }),
      },
    },
  ];
}

/** Not from zero, so that a bend shows; yet a change of a percent does not fill the picture. */
function verticalDomain(low: number, high: number): [number, number] {
  const air = Math.max(high - low, high * 0.1) * 0.12;
  const bottom = Math.min(low - air, high - high * 0.1);
  return [bottom < high * 0.35 ? 0 : bottom, high === 0 ? 1 : high + air];
}

function barChart(param: SweepParamModel, points: readonly SeriesPoint[], picture: Picture): Chart[] {
  const [series, metric] = picture.series[0]!;
  const rows = points.slice(0, MAX_CHART_ROWS).flatMap(({ value, own, metrics }): ChartRow[] => {
    const found = metrics?.[metric] ?? null;
    if (found === null) return [];
    return [{ value, metric: found, side: own ? 'profile' : 'swept', label: metricValue(metric, found) }];
  });
  if (rows.length < 2) return [];
  const top = Math.max(...rows.map((row) => row['metric'] as number));
  const { divisor, unit } = axisUnit(metric, top);
  const words = chartWords(param, picture, points);
  return [
    {
      ...words,
      title: picture.series.length === 1 ? words.title : `${words.title}, ${series}`,
      template: 'sweep-bars',
      columns: ['value', 'metric', 'side'],
      rows,
      span: 'half',
      heightPx: 30 * rows.length + 70,
      params: { top: top === 0 ? 1 : top, xDivisor: divisor, xUnit: unit },
    },
  ];
}

function chartWords(param: SweepParamModel, { name, title, series }: Picture, points: readonly SeriesPoint[]) {
  const metric = series[0]![1];
  const unit = param.unit === '' ? '' : ` [${param.unit}]`;
  const ends = [points[0]!, points.at(-1)!].map(
    ({ value, metrics }) => `${metricValue(metric, metrics?.[metric] ?? null)} at ${value}`,
  );
  return {
    name: `${slug(param.path)}-${name}`,
    title: `${capital(title)} by ${param.path}${unit}`,
    description: `${capital(metricName(metric))} by ${param.path}${unit}: ${ends.join(', ')}; the profile has ${param.own_value ?? 'none'}.`,
  };
}
