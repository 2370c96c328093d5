/** Tables of a sweep: the ranking, effect sizes, every point. */
import { type Column, figures, type Table, words } from '../document/block.ts';
import { formatChange, metricName, metricValue } from '../document/metric-words.ts';
import { NOT_AVAILABLE } from '../format.ts';
import type { ComparisonMetric } from '../sections/comparison-metrics.ts';
import type { PointMetrics, SweepCaseModel, SweepModel, SweepParamModel, SweepPointModel } from './schema.ts';
import { AS_RECORDED, changeText, seriesOf } from './series.ts';
import { basisWord, factor, valueLabel } from './words.ts';

/** Rows of a table; the others are in `sweep.json`. */
const LISTED_POINTS = 200;

/** Metrics of a point in tables; narrow pages leave some out. */
const COLUMNS: readonly (readonly [metric: ComparisonMetric, label: string, wideOnly: boolean])[] = [
  ['dma_latency_mean_ns', 'mean', false],
  ['dma_latency_p50_ns', 'p50', true],
  ['dma_latency_p99_ns', 'p99', false],
  ['dma_latency_p99_9_ns', 'p99.9', true],
  ['throughput_bytes_per_s', 'throughput', false],
  ['iotlb_hit_share', 'IOTLB hit', false],
  ['walks_per_dma', 'walks/DMA', true],
  ['invalidation_wait_mean_ns', 'inval. wait', true],
  ['control_call_mean_ns', 'call', true],
  ['faulted_dma', 'faults', true],
];

const STATUS: Readonly<Record<SweepPointModel['status'], string>> = {
  ok: NOT_AVAILABLE,
  failed: 'failed',
  unfinished: 'not finished',
};

/** Left out of narrow pages where a point has several values. */
const WIDE_IN_GRID: readonly ComparisonMetric[] = ['dma_latency_p99_ns', 'iotlb_hit_share'];
/** Parameters of a grid that get a column each. */
const MOST_COLUMNS = 3;

function pointColumns(grid: boolean): Column[] {
  return [
    ...COLUMNS.map(([metric, label, wideOnly]) =>
      figures(label, { wideOnly: wideOnly || (grid && WIDE_IN_GRID.includes(metric)) }),
    ),
    figures('change'),
  ];
}

interface Measured {
  readonly status: SweepPointModel['status'];
  readonly metrics: PointMetrics | null;
  readonly ratios: PointMetrics | null;
}

function pointCells({ status, metrics, ratios }: Measured, metric: ComparisonMetric): string[] {
  const cells = COLUMNS.map(([name], index) =>
    metrics === null ? (index === 0 ? STATUS[status] : NOT_AVAILABLE) : metricValue(name, metrics[name]),
  );
  const ratio = ratios?.[metric] ?? null;
  return [...cells, formatChange(ratio === null ? null : ratio - 1)];
}

/** Every value of one parameter, the profile's own among them. */
export function paramTable(one: SweepCaseModel, param: SweepParamModel): Table {
  const metric = one.ranked_by;
  const points = seriesOf(one, param);
  return {
    kind: 'table',
    caption: `By ${param.path}; change is that of ${metricName(metric)}`,
    columns: [words('value'), ...pointColumns(false)],
    rows: points
      .slice(0, LISTED_POINTS)
      .map((point) => [valueLabel(point.value, point.own), ...pointCells(point, metric)]),
    omitted: Math.max(0, points.length - LISTED_POINTS),
  };
}

/** Every combination of a grid. */
export function gridTable({ base, points, params, ranked_by: metric }: SweepCaseModel): Table {
  const own: Measured = {
    status: base.status,
    metrics: base.metrics,
    ratios: base.metrics === null ? null : ratiosOne,
  };
  const apart = params.length <= MOST_COLUMNS;
  const ownValues = params.map(({ own_value: value }) => valueLabel(value ?? AS_RECORDED, true));
  return {
    kind: 'table',
    caption: `Every combination; change is that of ${metricName(metric)}`,
    columns: [
      ...(apart ? params.map(({ path }) => words(path)) : [words('values', { code: true })]),
      ...pointColumns(true),
    ],
    rows: [
      [...(apart ? ownValues : ['profile']), ...pointCells(own, metric)],
      ...points
        .slice(0, LISTED_POINTS)
        .map(({ changes, status, metrics, ratio_to_base: ratios }) => [
          ...(apart ? changes.map(({ value }) => value) : [changeText(changes)]),
          ...pointCells({ status, metrics, ratios }, metric),
        ]),
    ],
    omitted: Math.max(0, points.length - LISTED_POINTS),
  };
}

/** The base against itself. */
const ratiosOne = Object.fromEntries(COLUMNS.map(([metric]) => [metric, 1])) as PointMetrics;

/** Which change helps most, best first. */
export function rankingTable({ ranking, ranked_by: metric }: SweepCaseModel, grid: boolean): Table {
  return {
    kind: 'table',
    caption: grid ? 'Best combinations' : 'Best other value of each parameter, best first',
    columns: [
      words('change', { code: true }),
      figures(metricName(metric)),
      figures('change'),
      figures(metric === 'throughput_bytes_per_s' ? 'mean latency' : 'throughput'),
      words('helps'),
    ],
    rows: ranking.map((ranked) => {
      const other = metric === 'throughput_bytes_per_s' ? ranked.dma_latency_mean_ratio : ranked.throughput_ratio;
      return [
        changeText(ranked.changes),
        metricValue(metric, ranked.value),
        formatChange(ranked.ratio_to_base - 1),
        formatChange(other === null ? null : other - 1),
        ranked.helps ? 'yes' : 'no',
      ];
    }),
  };
}

/** Largest over smallest, by parameter: how much there is to win or lose. */
export function effectTable({ params }: SweepCaseModel): Table {
  const metrics: readonly ComparisonMetric[] = [
    'dma_latency_mean_ns',
    'dma_latency_p99_ns',
    'throughput_bytes_per_s',
    'iotlb_hit_share',
    'walks_per_dma',
    'control_call_mean_ns',
  ];
  const narrow: readonly ComparisonMetric[] = ['dma_latency_mean_ns', 'throughput_bytes_per_s', 'iotlb_hit_share'];
  const shown = COLUMNS.filter(([metric]) => metrics.includes(metric));
  return {
    kind: 'table',
    caption: 'Effect size: largest over smallest value of each metric',
    columns: [
      words('parameter', { code: true }),
      ...shown.map(([metric, label]) =>
        figures(metric === 'dma_latency_mean_ns' ? 'mean latency' : label, { wideOnly: !narrow.includes(metric) }),
      ),
      words('number is'),
    ],
    rows: params.map((param) => [
      param.path,
      ...shown.map(([metric]) => factor(param.effects.find((one) => one.metric === metric)?.ratio ?? null)),
      basisWord(param),
    ]),
  };
}

/** Replays that have no result. */
export function missingTable({ cases }: SweepModel): Table | undefined {
  const missing = cases.flatMap(({ base, points }) =>
    [base, ...points.filter(({ same_as: same }) => same === null)].flatMap((point) => point.missing),
  );
  if (missing.length === 0) return undefined;
  return {
    kind: 'table',
    caption: 'Replays without a result',
    columns: [words('replay', { code: true }), words('why')],
    rows: missing.slice(0, LISTED_POINTS).map(({ replay, error }) => [replay, error ?? 'not finished']),
    omitted: Math.max(0, missing.length - LISTED_POINTS),
  };
}
