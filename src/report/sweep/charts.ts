/** Charts of a case: tornados of all parameters, a line or bars for each, a heat map for a grid of two numbers. */
import type { Chart, ChartRow } from '../charts/chart.ts';
import { DRAWN_LINE_POINTS, MAX_CHART_ROWS, thin } from '../charts/chart.ts';
import { logAxis } from '../charts/log-axis.ts';
import { formatChange, metricName, metricValue } from '../document/metric-words.ts';
import type { ComparisonMetric } from '../sections/comparison-metrics.ts';
import { axisUnit } from './axis-unit.ts';
import type { SweepCaseModel, SweepParamModel } from './schema.ts';
import { faultsMore, type SeriesPoint, seriesOf } from './series.ts';

/** Bars a picture holds. */
const MOST_BARS = 12;
/** A metric that moves less than this is not worth a picture. */
const LEAST_EFFECT = 1.001;
/** Letters of a path, and of a value, before they are cut. */
const LONGEST_PATH = 22;
const LONGEST_LABEL = 13;
/** Room that a letter beside a bar takes, as a share of what the bars span. */
const LETTER_AIR = 0.03;
/** Axes of ratios that span less look linear, and have steps of one of these sizes. */
const NEARLY_LINEAR = 1.6;
const RATIO_STEPS: readonly number[] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
/** Lists that span more than this get a logarithmic axis. */
const WIDE_LIST = 10;

const TORNADOS: readonly (readonly [name: string, metric: ComparisonMetric])[] = [
  ['tornado-latency', 'dma_latency_mean_ns'],
  ['tornado-throughput', 'throughput_bytes_per_s'],
];

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

/** All charts of a case; `prefix` is unique in the sweep. */
export function sweepCharts(one: SweepCaseModel, grid: boolean, prefix: string): Chart[] {
  const charts = grid ? heatMaps(one) : [...tornados(one), ...one.params.flatMap((param) => paramCharts(one, param))];
  return charts.map((chart) => ({ ...chart, name: `${prefix}${chart.name}` }));
}

/** Names of a parameter's charts, without the prefix of the case. */
export function paramChartNames({ path }: SweepParamModel): string[] {
  return PICTURES.map(({ name }) => `${slug(path)}-${name}`);
}

/** Names of the charts that compare parameters. */
export const OVERVIEW_CHARTS: readonly string[] = [
  ...TORNADOS.map(([name]) => name),
  'heat-latency',
  'heat-throughput',
];

function slug(path: string): string {
  return path.replace(/[^A-Za-z0-9]+/g, '-');
}

function tornados(one: SweepCaseModel): Chart[] {
  return TORNADOS.flatMap(([name, metric]) => tornado(one, name, metric));
}

interface RatioAt {
  readonly value: string;
  readonly ratio: number;
}

/** A bar a parameter, from its worst to its best value; as wide to the left when halved as to the right when doubled. */
function tornado(one: SweepCaseModel, name: string, metric: ComparisonMetric): Chart[] {
  const lessIsBetter = metric !== 'throughput_bytes_per_s';
  const bars = one.params
    .filter(({ path }) => path !== 'pace')
    .map((param) => {
      const ends = seriesOf(one, param)
        .flatMap(({ value, metrics, ratios }): RatioAt[] => {
          const ratio = ratios?.[metric] ?? null;
          return ratio === null || ratio <= 0 || faultsMore(metrics, one.base.metrics) ? [] : [{ value, ratio }];
        })
        .sort((a, b) => a.ratio - b.ratio);
      return {
        path: param.path,
        low: ends[0],
        high: ends.at(-1),
        reach: (ends.at(-1)?.ratio ?? 1) / (ends[0]?.ratio ?? 1),
      };
    })
    .filter(({ reach }) => reach > LEAST_EFFECT)
    .sort((a, b) => b.reach - a.reach)
    .slice(0, MOST_BARS);
  if (bars.length === 0) return [];
  const names = shortNames(bars.map(({ path }) => path));
  const rows = bars.flatMap(({ low, high }, index) =>
    [low, high].flatMap((end): ChartRow[] =>
      end === undefined || end.ratio === 1
        ? []
        : [
            {
              parameter: names[index]!,
              value: end.value.length > LONGEST_LABEL ? `${end.value.slice(0, LONGEST_LABEL - 1)}…` : end.value,
              ratio: end.ratio,
              side: end.ratio < 1 === lessIsBetter ? 'better' : 'worse',
            },
          ],
    ),
  );
  const ratios = rows.map(({ ratio }) => ratio as number);
  const [low, high] = [Math.min(1, ...ratios), Math.max(1, ...ratios)];
  const air = (side: (ratio: number) => boolean): number => {
    const labels = rows.filter(({ ratio }) => side(ratio as number)).map(({ value }) => String(value).length);
    return (high / low) ** (LETTER_AIR * Math.max(0, ...labels) + 0.03);
  };
  const named = capital(metricName(metric));
  return [
    {
      name,
      template: 'sweep-tornado',
      title: `${named} against the profile as it is`,
      description: `${named} against the profile as it is, a bar a parameter from its worst to its best value. ${bars.map(({ path, low: from, high: to }) => `${path} ${[from, to].map((end) => `${formatChange((end?.ratio ?? 1) - 1)} at ${end?.value}`).join(', ')}`).join('; ')}.`,
      columns: ['parameter', 'value', 'ratio', 'side'],
      rows,
      span: 'half',
      heightPx: 34 * bars.length + 80,
      params: {
        low: low / air((ratio) => ratio < 1),
        high: high * air((ratio) => ratio > 1),
        ticks: ratioTicks(low, high),
      },
    },
  ];
}

/** Ticks of an axis of ratios, 1 always among them: 1-2-5, or even steps where a factor of 1.6 is not spanned. */
function ratioTicks(low: number, high: number): number[] {
  const step = high / low < NEARLY_LINEAR ? RATIO_STEPS.find((size) => (high - low) / size <= 5) : undefined;
  const ticks =
    step === undefined
      ? logAxis(low, high).ticks
      : Array.from({ length: 11 }, (_, index) => Number((1 + (index - 5) * step).toFixed(4)));
  return [...new Set([...ticks, 1])].filter((tick) => tick >= low && tick <= high).sort((a, b) => a - b);
}

/** Long paths by their last two members, where that tells them apart. */
function shortNames(paths: readonly string[]): string[] {
  const short = paths.map((path) => (path.length <= LONGEST_PATH ? path : `…${path.split('.').slice(-2).join('.')}`));
  return short.map((name, index) => (short.indexOf(name) === short.lastIndexOf(name) ? name : paths[index]!));
}

/** Pictures of one parameter; the first whether it moves or not. */
function paramCharts(one: SweepCaseModel, param: SweepParamModel): Chart[] {
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

/** Mean latency and throughput of every combination, when exactly two numbers span the grid. */
function heatMaps(one: SweepCaseModel): Chart[] {
  const [first, second, ...others] = one.params;
  if (first === undefined || second === undefined || others.length > 0 || one.points.length > MAX_CHART_ROWS) return [];
  const swept = [first, second].every(({ values }) => values.every((value) => Number.isFinite(Number(value))));
  if (!swept) return [];
  const charts = [
    ['heat-latency', 'dma_latency_mean_ns'],
    ['heat-throughput', 'throughput_bytes_per_s'],
  ] as const;
  return charts.flatMap(([name, metric]): Chart[] => {
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

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
