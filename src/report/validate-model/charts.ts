/** Overlays of published and modelled curves: points with what is allowed around them, and a line. */
import type { ModelPoint, ModelTable } from '../../replay/validate-model/result.ts';
import type { Chart, ChartRow } from '../charts/chart.ts';

/** Windows that get a tick. */
const TICKS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144];

/** Charts of a table, one a curve; none for points that are no curve in nanoseconds. */
export function tableCharts(table: ModelTable): Chart[] {
  if (table.axis === null) return [];
  return curves(table).map(([series, points], at) => curveChart(`${table.id.toLowerCase()}-${at + 1}`, series, points));
}

/** Points by series, in order, of series with at least two windows. */
function curves(table: ModelTable): [string, ModelPoint[]][] {
  const bySeries = new Map<string, ModelPoint[]>();
  for (const point of table.points) {
    if (point.x === null || point.unit !== 'ns') continue;
    bySeries.set(point.series, [...(bySeries.get(point.series) ?? []), point]);
  }
  return [...bySeries].filter(([, points]) => points.length > 1);
}

function curveChart(name: string, series: string, points: readonly ModelPoint[]): Chart {
  const rows: ChartRow[] = points.flatMap((point) => [
    row('published', point, point.published, allowed(point)),
    row('modelled', point, point.modelled, 0),
  ]);
  const pages = points.map(({ x }) => x!);
  const min = Math.min(...pages) / 1.3;
  const max = Math.max(...pages) * 1.3;
  const passed = points.filter(({ pass }) => pass === true).length;
  return {
    name,
    template: 'model-curve',
    title: series,
    description: `${series}: published and modelled values by window; ${passed} of ${points.length} points hold.`,
    columns: ['series', 'pages', 'value_ns', 'lowest_ns', 'highest_ns'],
    rows,
    span: 'half',
    heightPx: 240,
    params: { pagesMin: min, pagesMax: max, pagesTicks: TICKS.filter((tick) => tick >= min && tick <= max) },
  };
}

function row(series: string, point: ModelPoint, value: number | null, around: number): ChartRow {
  const known = value ?? 0;
  return {
    series,
    pages: point.x,
    value_ns: known,
    lowest_ns: known < 0 ? known - around : Math.max(0, known - around),
    highest_ns: known + around,
  };
}

/** What a point is allowed to be off by, in its unit. */
function allowed({ tolerance, published }: ModelPoint): number {
  if (tolerance?.kind === 'relative') return tolerance.share * (published ?? 0);
  return tolerance?.kind === 'absolute' ? tolerance.amount : 0;
}
