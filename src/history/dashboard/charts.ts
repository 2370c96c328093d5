/** Trend charts: one a series, its values by entry. */
import type { Chart, ChartRow } from '../../report/charts/chart.ts';
import { plural } from '../../report/format.ts';
import { formatMetric } from '../../report/metrics/direction.ts';
import type { Dashboard, DashboardSeries } from './schema.ts';
import { CONFIGURATION_CHANGED } from './series-fold.ts';
import { momentText, shortMetric } from './words.ts';

/** Most charts of a page; more series are in the table and in dashboard.json alone. */
export const MAX_CHARTS = 60;

/** Labels on the axis of entries. */
const TICKS = 5;

/** With more entries points touch, and the line alone is drawn. */
const MAX_POINTS = 60;

/** Charts of the dashboard, in the order of its series; none for a series without a value. */
export function trendCharts({ series }: Pick<Dashboard, 'series'>): { series: DashboardSeries; chart: Chart }[] {
  const names = new Set<string>();
  return series
    .filter(({ points }) => points.some(({ value }) => value !== null))
    .slice(0, MAX_CHARTS)
    .map((one) => ({ series: one, chart: trendChart(one, uniqueName(one, names)) }));
}

function trendChart(one: DashboardSeries, name: string): Chart {
  const { points, marks, metric, label } = one;
  const changes = new Map(marks.map((mark) => [mark.entry, mark.changes.join('; ')]));
  // One is told in the picture, the last that made another machine of it; all of them in words below.
  const noted = (marks.findLast((mark) => mark.changes.some(isConfiguration)) ?? marks.at(-1))?.entry;
  const rows = points.map(
    ({ entry, date, value, verdict }, position): ChartRow => ({
      position,
      entry: Number(entry),
      date,
      value,
      verdict,
      changes: changes.get(entry) ?? null,
      note: entry === noted ? changes.get(entry)! : null,
    }),
  );
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const ticks = tickPositions(points.length);
  const breached = points.filter(({ verdict }) => verdict !== 'pass').length;
  return {
    name,
    template: 'nightly-trend',
    title: `${shortMetric(one.name)} · ${label}`,
    description:
      `${shortMetric(one.name)} of ${one.run}, ${label}, over ${plural(points.length, 'entry', 'entries')}: ` +
      `newest ${formatMetric(metric, one.newest)}, between ${formatMetric(metric, least(values))} and ` +
      `${formatMetric(metric, most(values))}; breached in ${breached}, changed configuration or tool in ${marks.length}.`,
    columns: ['entry', 'date', 'value', 'verdict', 'changes'],
    rows,
    span: 'half',
    heightPx: 210,
    params: {
      kind: one.unit,
      xMin: -0.5,
      xMax: points.length - 0.5,
      xTicks: ticks,
      xLabels: ticks.map((position) => `${Number(points[position]!.entry)}|${points[position]!.date}`),
      ...valueRange(values),
      noteShare: (points.findIndex(({ entry }) => entry === noted) + 0.5) / points.length,
      pointSize: points.length > MAX_POINTS ? 0 : 18,
    },
  };
}

function isConfiguration(change: string): boolean {
  return change.startsWith(CONFIGURATION_CHANGED);
}

/** Configuration and tool changes of a series in words. */
export function markTexts({ marks }: Pick<DashboardSeries, 'marks'>): string[] {
  return marks.map((mark) => `entry ${momentText(mark)}: ${mark.changes.join('; ')}`);
}

/** First and last position and some between them, evenly. */
function tickPositions(count: number): number[] {
  const steps = Math.min(TICKS, count) - 1;
  if (steps < 1) return [0];
  return Array.from({ length: steps + 1 }, (_, step) => Math.round((step * (count - 1)) / steps));
}

/** Room above and below the values; a constant gets a twentieth of itself. */
function valueRange(values: readonly number[]): { yMin: number; yMax: number } {
  const [low, high] = [least(values), most(values)];
  const room = high > low ? (high - low) * 0.12 : Math.abs(high) * 0.05 || 1;
  // Nothing that is charted is below zero unless a value is.
  return { yMin: low >= 0 ? Math.max(0, low - room) : low - room, yMax: high + room };
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b));
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b));
}

/** File name from run, case and metric: the same every night, unless cases join the run. */
function uniqueName({ run, label, name }: DashboardSeries, taken: Set<string>): string {
  const stem = `trend-${run}-${label}-${shortMetric(name)}`.replace(/[^\w-]+/g, '-').replace(/-+$/, '');
  let unique = stem;
  for (let count = 2; taken.has(unique.toLowerCase()); count++) unique = `${stem}-${count}`;
  taken.add(unique.toLowerCase());
  return unique;
}
