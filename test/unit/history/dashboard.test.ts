import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { trendCharts } from '../../../src/history/dashboard/charts.ts';
import { buildDashboard } from '../../../src/history/dashboard/model.ts';
import { openMetrics } from '../../../src/history/dashboard/open-metrics.ts';
import { DASHBOARD_SCHEMA, type Dashboard } from '../../../src/history/dashboard/schema.ts';
import { SHOWN_ENTRIES } from '../../../src/history/dashboard/series-fold.ts';
import { dashboardFiles, writeDashboard } from '../../../src/history/dashboard/writer.ts';
import { entryIdOf } from '../../../src/history/entry.ts';
import { entryPath } from '../../../src/history/store.ts';
import { metricChange } from '../../../src/report/document/metric-words.ts';
import { unitOf } from '../../../src/report/metrics/unit.ts';
import { appendNight, type Night, nightlyPlan } from '../../support/nightly-history.ts';

const plan = nightlyPlan();

/** A first machine, then a smaller IOTLB, then another tool and a model that gets slower; one job fails on the way. */
function night(number: number): Night {
  return {
    commit: `c0ffee${number}`,
    slower: number <= 12 ? 1 : 1 + 0.002 * (number - 12),
    iotlbEntries: number < 12 ? 128 : 64,
    toolVersion: number < 20 ? '0.1.0' : '0.2.0',
    ...(number === 16 ? { failed: 'ring/ring/vtd-emr/v6.12/closed' } : {}),
    ...(number === 7 ? { label: 'a "quoted" \\ <b>label</b>' } : {}),
  };
}

describe('the dashboard of thirty nights', () => {
  let history = '';
  let dashboard: Dashboard;
  let files: Map<string, string>;
  beforeAll(async () => {
    history = mkdtempSync(join(tmpdir(), 'nightly-dashboard-'));
    for (let number = 1; number <= 30; number++) await appendNight(history, plan, night(number));
    dashboard = buildDashboard(history, plan, '0.2.0');
    files = await dashboardFiles(dashboard);
  });
  afterAll(() => rmSync(history, { recursive: true, force: true }));
  const series = (metric: string, key = 'ring/ring/vtd-emr/v6.12/closed') =>
    dashboard.series.find((one) => one.metric === metric && one.case === key)!;

  test('says first which gates fail and since when', () => {
    expect(dashboard.status).toMatchObject({
      verdict: 'fail',
      since: { entry: '000017' },
      last_pass: { entry: '000011' },
      gates: { pass: 4, breach: 4, unknown: 0, first: 0 },
    });
    expect(dashboard.status.failed_gates.map(({ since }) => since.entry)).toEqual(Array(4).fill('000012'));
    expect(dashboard.status.sentence).toBe(
      'FAIL: entry 30 (2026-02-02) fails 4 of 8 gates: dma_latency_ns.p99 > +2% in 4 cases (since entry 12). ' +
        'The last entry that passed is 11 (2026-01-11). ' +
        'UNEXPLAINED: 12 metrics of 4 cases changed although profiles, workload and tool version are the same.',
    );
  });

  test('has a series for each tracked metric of each case', () => {
    expect(dashboard.series).toHaveLength(16);
    expect(series('headline.iotlb_hit_share')).toMatchObject({
      label: 'vtd-emr',
      newest: 0.94,
      change_share: 0,
      unchanged_since: { entry: '000001' },
      trend: { flagged: false },
    });
  });

  test('holds the newest value against the one before and the best of the same configuration', () => {
    const {
      newest,
      previous,
      best,
      best_entry: bestEntry,
      versus_best_share: share,
    } = series('latency.dma_latency_ns.p99');
    const p99 = (slower: number): number => 1150 * slower * 2 ** 0.25 * 2;
    expect(newest).toBeCloseTo(p99(1.036), 9);
    expect(previous).toBeCloseTo(p99(1.034), 9);
    // Entries before the smaller IOTLB were better, on another machine.
    expect(best).toBeCloseTo(p99(1), 9);
    expect(bestEntry!.entry).toBe('000012');
    expect(share).toBeCloseTo(0.036, 9);
  });

  test('marks breached entries, gaps, and changes of configuration and tool', () => {
    const { points, marks, trend } = series('latency.dma_latency_ns.p99');
    const gap = { entry: '000016', date: '2026-01-16', value: null, verdict: 'unknown' };
    expect(points.filter(({ value }) => value === null)).toEqual([gap]);
    expect(points.findIndex(({ verdict }) => verdict === 'breach')).toBe(11);
    expect(marks).toEqual([
      { entry: '000012', date: '2026-01-12', changes: ['configuration changed: iotlb.entries 128 → 64'] },
      { entry: '000020', date: '2026-01-20', changes: ['tool changed: 0.1.0 → 0.2.0'] },
    ]);
    // Of the entries since the change of the configuration that have a value.
    expect(trend).toMatchObject({ entries: 18, flagged: true });
  });

  test('is page, text, Markdown, JSON, feeds, and each chart as specification, data and picture', () => {
    const charts = trendCharts(dashboard).map(({ chart }) => chart.name);
    expect(new Set(charts).size).toBe(16);
    expect(charts[0]).toBe('trend-nvme-vtd-bdw-throughput_bytes_per_s');
    const expected = charts.flatMap((name) => ['vl.json', 'csv', 'svg'].map((ending) => `charts/${name}.${ending}`));
    const documents = [
      'index.html',
      'dashboard.txt',
      'dashboard.md',
      'dashboard.json',
      'metrics.prom',
      'benchmark.json',
    ];
    expect([...files.keys()].sort()).toEqual([...documents, ...expected].sort());
    expect(DASHBOARD_SCHEMA.parse(JSON.parse(files.get('dashboard.json')!))).toEqual(dashboard);
  });

  test('fits 72 columns as text', () => {
    for (const line of files.get('dashboard.txt')!.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(72);
  });

  test('has a page without script that says what changed, and escapes what users wrote', () => {
    const page = files.get('index.html')!;
    expect(page).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
    expect(page).toContain('configuration changed: iotlb.entries 128 → 64');
    expect(page).not.toContain('<b>label</b>');
    expect(page).toContain('&lt;b&gt;label');
  });

  test('is the same bytes when built again', async () => {
    const again = await dashboardFiles(buildDashboard(history, plan, '0.2.0'));
    expect([...again]).toEqual([...files]);
  });
});

test.each([
  ['latency.dma_latency_ns.p99', 102, 100, '+2.0 %'],
  ['latency.dma_latency_ns.p99', 0.9, 1, '−10.0 %'],
  ['latency.dma_latency_ns.p99', 3000, 1, '+299900.0 %'],
  ['latency.dma_latency_ns.p99', 100, 100, '0'],
  ['latency.dma_latency_ns.p99', 100.0001, 100, '≈ 0'],
  ['latency.dma_latency_ns.p99', 3, 0, '+3.00 ns'],
  ['latency.dma_latency_ns.p99', -50, -100, '+50.0 %'],
  ['latency.dma_latency_ns.p99', null, 1, '–'],
  ['latency.dma_latency_ns.p99', 1, null, '–'],
  ['headline.iotlb_hit_share', 0.5, 0.75, '−25.0 pp'],
  ['headline.iotlb_hit_share', 0.5, 0, '+50.0 pp'],
])('%s: %s after %s is a change of %s', (metric, value, base, text) => {
  expect(metricChange(metric, value, base)).toBe(text);
});

test.each([
  ['latency.dma_latency_ns.p99', 'ns'],
  ['latency.dma_latency_ns.count', 'count'],
  ['headline.throughput_bytes_per_s', 'bytes/s'],
  ['headline.dma_per_s', '1/s'],
  ['headline.iotlb_hit_share', 'share'],
  ['headline.dma_bytes', 'bytes'],
  ['units[dmar0].counters.iotlb_lookup', 'count'],
])('%s is in %s', (metric, unit) => {
  expect(unitOf(metric)).toBe(unit);
});

describe('feeds', () => {
  let history = '';
  beforeEach(() => {
    history = mkdtempSync(join(tmpdir(), 'nightly-feeds-'));
    return () => rmSync(history, { recursive: true, force: true });
  });

  test('metrics.prom is OpenMetrics: each family declared once before its samples, labels escaped, EOF at the end', async () => {
    const label = 'a "quoted" \\ label';
    await appendNight(history, plan, { label, failed: 'ring/ring/vtd-emr/v6.12/closed' });
    const named = { ...plan, name: 'nights\nof "x" \\' };
    const text = openMetrics(buildDashboard(history, named, '0.2.0'));
    const lines = text.split('\n');
    expect(text.endsWith('# EOF\n')).toBe(true);
    const declared = new Set<string>();
    const samples = new Set<string>();
    let family = '';
    for (const line of lines.slice(0, -2)) {
      const type = /^# TYPE ([a-zA-Z_:][\w:]*) gauge$/.exec(line);
      if (type !== null) {
        expect(declared.has(type[1]!)).toBe(false);
        family = type[1]!;
        declared.add(family);
        continue;
      }
      if (line.startsWith('# HELP ')) {
        expect(line.startsWith(`# HELP ${family} `)).toBe(true);
        continue;
      }
      const sample =
        /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\}) (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(
          line,
        );
      expect(sample, line).not.toBeNull();
      expect(sample![1]).toBe(family);
      expect(samples.has(sample![1]! + sample![2]!)).toBe(false);
      samples.add(sample![1]! + sample![2]!);
    }
    expect(text).toContain('label="a \\"quoted\\" \\\\ label"');
    expect(text).toContain('plan="nights\\nof \\"x\\" \\\\"');
    expect(text).toContain('iommu_replay_nightly_complete{plan="nights\\nof \\"x\\" \\\\"} 0');
    // A case without a result has no value.
    expect([...samples].filter((one) => one.startsWith('iommu_replay_headline_iotlb_hit_share'))).toHaveLength(3);
  });

  test('benchmark.json is what github-action-benchmark reads', async () => {
    await appendNight(history, plan);
    const files = await dashboardFiles(buildDashboard(history, plan, '0.2.0'));
    const values = JSON.parse(files.get('benchmark.json')!);
    expect(values).toHaveLength(16);
    expect(values[2]).toEqual({
      name: 'nvme/nvme/vtd-bdw/v6.12/closed latency.dma_latency_ns.p99',
      unit: 'ns',
      value: 1150,
      extra: 'lower is better\nentry 000001, 2026-01-01\ntool 0.1.0',
    });
  });
});

describe('a history', () => {
  let history = '';
  beforeEach(() => {
    history = mkdtempSync(join(tmpdir(), 'nightly-long-'));
    return () => rmSync(history, { recursive: true, force: true });
  });

  test('without entries has no dashboard', () => {
    expect(() => buildDashboard(history, plan, '0.2.0')).toThrow(/the history has no entries yet/);
  });

  test('as long as years is shown by its newest entries', async () => {
    const first = await appendNight(history, plan);
    for (let number = 2; number <= SHOWN_ENTRIES + 20; number++) {
      const id = entryIdOf(number);
      const cases = first.cases.map((one) => ({ ...one, change: { ...one.change, kind: 'none' as const } }));
      writeFileSync(entryPath(history, id), JSON.stringify({ ...first, id, cases }));
    }
    const dashboard = buildDashboard(history, plan, '0.2.0');
    expect(dashboard.entries).toBe(SHOWN_ENTRIES + 20);
    for (const { points } of dashboard.series) {
      expect(points).toHaveLength(SHOWN_ENTRIES);
      expect(points[0]!.entry).toBe('000021');
    }
    expect(dashboard.recent).toHaveLength(30);
    // A line for each chart, and no mark for each of its points.
    const files = await dashboardFiles({ ...dashboard, series: dashboard.series.slice(0, 2) });
    expect(files.get('index.html')!.length).toBeLessThan(200_000);
    // What is the same since before the first that is shown is still known.
    expect(dashboard.series[0]!.unchanged_since!.entry).toBe('000001');
  });

  test('shows a case whose newest night failed by its last value, and drops charts that nothing follows any more', async () => {
    await appendNight(history, plan);
    await appendNight(history, plan, { failed: 'ring/ring/vtd-emr/v6.12/closed' });
    const dashboard = await writeDashboard(history, plan, '0.2.0');
    const gone = dashboard.series.filter(({ case: key }) => key === 'ring/ring/vtd-emr/v6.12/closed');
    expect(gone.map(({ newest, previous }) => [newest, previous])[1]).toEqual([null, 2300]);
    expect(dashboard.status.sentence).toMatch(/^INCOMPLETE: 1 job of entry 2 \(2026-01-02\) failed, and 2 of 8 gates:/);
    expect(readdirSync(join(history, 'charts'))).toHaveLength(16 * 3);
    await writeDashboard(history, { ...plan, track: ['dma_latency_ns.p99'] }, '0.2.0');
    expect(readdirSync(join(history, 'charts'))).toHaveLength(4 * 3);
    expect(readFileSync(join(history, 'dashboard.txt'), 'utf8')).toContain('Jobs that failed');
  });

  test('refuses a tracked name that means no metric', async () => {
    await appendNight(history, plan);
    expect(() => buildDashboard(history, { ...plan, track: ['dma_latency_ns.p98'] }, '0.2.0')).toThrow(
      /nightly\.json: no metric 'dma_latency_ns\.p98', did you mean/,
    );
  });
});
