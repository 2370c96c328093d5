/** A chart as data: rows of a table, the template that draws them, and its words. */

/** Most points of one line; curves are thinned and series coarsened before they are drawn. */
export const MAX_LINE_POINTS = 2000;

/** Points that a page-wide plot can show; more only makes the page larger. */
export const DRAWN_LINE_POINTS = 400;

/** Most rows of a chart's table, all of its lines or cells together. */
export const MAX_CHART_ROWS = 10_000;

/** One row of a chart's table. */
export type ChartRow = Readonly<Record<string, number | string | null>>;

/** One chart of a case. */
export interface Chart {
  /** File name of its `.svg`, `.csv` and `.vl.json`, unique in the report. */
  readonly name: string;
  /** Template in `reports/templates`, without extension. */
  readonly template: string;
  readonly title: string;
  /** What the picture shows in words: its accessible name. */
  readonly description: string;
  /** Columns of the CSV, in order; keys of the rows. */
  readonly columns: readonly string[];
  readonly rows: readonly ChartRow[];
  /** Half or the whole of the page's width on a desktop. */
  readonly span: 'half' | 'full';
  /** [px] */
  readonly heightPx: number;
  /** Values of the template's parameters of the same name. */
  readonly params: Readonly<Record<string, number | string | readonly number[] | readonly string[]>>;
}

/** At most `limit` items: every n-th, and always the last. */
export function thin<T>(items: readonly T[], limit: number): T[] {
  if (items.length <= limit) return [...items];
  const stride = Math.ceil(items.length / limit);
  return items.filter((_, i) => i % stride === 0 || i === items.length - 1);
}

/** Bins to merge into one so that at most `limit` remain. */
export function binStride(bins: number, limit: number): number {
  return Math.max(1, Math.ceil(bins / limit));
}
