/** Reviewed output of the nightly dashboard: twelve imitated nights, a smaller IOTLB in the middle, a slower last one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { trendCharts } from '../../src/history/dashboard/charts.ts';
import { buildDashboard } from '../../src/history/dashboard/model.ts';
import { openMetrics } from '../../src/history/dashboard/open-metrics.ts';
import type { Dashboard } from '../../src/history/dashboard/schema.ts';
import { dashboardJson, dashboardMarkdown, dashboardText } from '../../src/history/dashboard/writer.ts';
import { bindChart, compileChart } from '../../src/report/vega.ts';
import { appendNight, nightlyPlan } from '../support/nightly-history.ts';

const history = mkdtempSync(join(tmpdir(), 'nightly-golden-'));
let dashboard: Dashboard;
beforeAll(async () => {
  const plan = nightlyPlan({ track: ['headline.throughput_bytes_per_s', 'dma_latency_ns.p99'] });
  for (let night = 1; night <= 12; night++) {
    await appendNight(history, plan, {
      iotlbEntries: night < 5 ? 64 : 128,
      slower: night < 12 ? 1 : 1.05,
      commit: `c0ffee${night}`,
    });
  }
  dashboard = buildDashboard(history, plan, '0.1.0');
});
afterAll(() => rmSync(history, { recursive: true, force: true }));

test.each([
  ['nightly-dashboard.txt', () => dashboardText(dashboard)],
  ['nightly-dashboard.md', () => dashboardMarkdown(dashboard, true)],
  ['nightly-dashboard.json', () => dashboardJson(dashboard)],
  ['nightly-metrics.prom', () => openMetrics(dashboard)],
  [
    'nightly-trend.vg.json',
    () => {
      const { chart } = trendCharts(dashboard).find(({ series }) => series.metric === 'latency.dma_latency_ns.p99')!;
      return `${JSON.stringify(compileChart(bindChart(chart, { widthPx: 544, standalone: false })), null, 1)}\n`;
    },
  ],
])('%s', async (name, content) => {
  await expect(content()).toMatchFileSnapshot(`__snapshots__/${name}`);
});
