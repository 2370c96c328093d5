/** Chart tables as CSV (RFC 4180, LF line ends): a header of column names, empty cells for missing values. */
import type { Chart } from './charts/chart.ts';

/** The table of a chart. */
export function chartCsv(chart: Chart): string {
  const lines = chart.rows.map((row) => chart.columns.map((column) => cell(row[column] ?? null)).join(','));
  return `${[chart.columns.join(','), ...lines].join('\n')}\n`;
}

function cell(value: number | string | null): string {
  if (value === null) return '';
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
