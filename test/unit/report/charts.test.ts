import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DRAWN_LINE_POINTS, MAX_LINE_POINTS, thin } from '../../../src/report/charts/chart.ts';
import { logAxis } from '../../../src/report/charts/log-axis.ts';
import { chartCsv } from '../../../src/report/csv.ts';
import { buildReport } from '../../../src/report/model.ts';
import { bindChart } from '../../../src/report/vega.ts';
import { jobResult, runResult } from '../../support/run-result-builder.ts';

const charts = buildReport(runResult([jobResult({ requests: 60_000 })])).charts[0]!;

test('no line has more points than a picture can show', () => {
  expect(DRAWN_LINE_POINTS).toBeLessThanOrEqual(MAX_LINE_POINTS);
  for (const chart of charts) {
    const perSeries = new Map<unknown, number>();
    for (const row of chart.rows) {
      const series = row['series'] ?? row['kind'] ?? row['class'] ?? '';
      perSeries.set(series, (perSeries.get(series) ?? 0) + 1);
    }
    expect(Math.max(...perSeries.values())).toBeLessThanOrEqual(DRAWN_LINE_POINTS + 2);
  }
});

test('thinning keeps the first and the last item and the order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer(), { minLength: 1, maxLength: 500 }),
      fc.integer({ min: 2, max: 60 }),
      (items, limit) => {
        const kept = thin(items, limit);
        expect(kept.length).toBeLessThanOrEqual(limit + 1);
        expect(kept[0]).toBe(items[0]);
        expect(kept.at(-1)).toBe(items.at(-1));
      },
    ),
  );
});

test('a cumulative curve rises to 1 and a tail falls from below 1', () => {
  const rows = (name: string, series: string) =>
    charts.find((chart) => chart.name === name)!.rows.filter((row) => row['series'] === series);
  const share = rows('latency-cdf', 'DMA').map((row) => row['share'] as number);
  expect(share.at(-1)).toBe(1);
  expect(share).toEqual([...share].sort((a, b) => a - b));
  const slower = rows('latency-tail', 'DMA').map((row) => row['slower_share'] as number);
  expect(slower).toEqual([...slower].sort((a, b) => b - a));
  expect(slower.at(-1)).toBeGreaterThan(0);
});

test('bytes under the throughput curve are the bytes of the run', () => {
  const job = jobResult();
  const chart = buildReport(runResult([job])).charts[0]!.find(({ name }) => name === 'throughput')!;
  const rows = chart.rows.filter((row) => row['kind'] === 'throughput');
  const binNs = (rows[1]!['time_ns'] as number) - (rows[0]!['time_ns'] as number);
  const bytes = rows.reduce((sum, row) => sum + ((row['bytes_per_s'] as number) * binNs) / 1e9, 0);
  expect(bytes).toBeCloseTo(
    job.devices.reduce((sum, device) => sum + device.bytes, 0),
    0,
  );
});

test('ticks of a logarithmic axis lie inside its domain, and there are at least two', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.1, max: 1e9, noNaN: true }),
      fc.double({ min: 1, max: 1e6, noNaN: true }),
      (low, factor) => {
        const axis = logAxis(low, low * factor);
        expect(axis.min).toBeLessThan(low);
        for (const tick of axis.ticks) {
          expect(tick).toBeGreaterThanOrEqual(axis.min);
          expect(tick).toBeLessThanOrEqual(axis.max);
        }
        if (factor > 1.6) expect(axis.ticks.length).toBeGreaterThanOrEqual(2);
      },
    ),
  );
});

test('a CSV cell with a comma or a quote is quoted', () => {
  const chart = { ...charts[0]!, columns: ['series', 'share'], rows: [{ series: 'a,"b"', share: null }] };
  expect(chartCsv(chart)).toBe('series,share\n"a,""b""",\n');
});

test('a bound chart holds its rows and parameters, and a parameter that the template lacks is refused', () => {
  const chart = charts[0]!;
  const spec = bindChart(chart, { widthPx: 544, standalone: true }) as { title?: string; data: { values: unknown[] } };
  expect(spec.title).toBe(chart.title);
  expect(spec.data.values).toHaveLength(chart.rows.length);
  expect(() => bindChart({ ...chart, params: { typo: 1 } }, { widthPx: 544, standalone: true })).toThrow(
    'no parameter typo',
  );
});
