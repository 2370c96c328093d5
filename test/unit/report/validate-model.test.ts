import { expect, test } from 'vitest';
import { makePoint, modelPoint } from '../../../src/replay/validate-model/point.ts';
import type { ModelFit, ModelTable, ModelValidation } from '../../../src/replay/validate-model/result.ts';
import { tableCharts } from '../../../src/report/validate-model/charts.ts';
import { validationFiles, validationMarkdown, validationText } from '../../../src/report/validate-model/writer.ts';

const POINT = { series: 'machine', unit: 'ns', use: 'predicted', tolerance: { kind: 'relative', share: 0.1 } } as const;

const TABLE: ModelTable = {
  id: 'V1',
  title: 'A curve',
  role: 'gate',
  source: 'somebody',
  basis: 'nothing was fitted',
  axis: 'window [4 KiB pages]',
  points: [
    makePoint({ ...POINT, x: 64, label: '64 pages', published: 100, modelled: 104 }),
    makePoint({ ...POINT, x: 256, label: '256 pages', published: 200, modelled: 300 }),
  ],
  notes: ['A note.'],
};

const UNVALIDATED: ModelTable = {
  ...TABLE,
  id: 'V10',
  title: 'No data',
  role: 'unvalidated',
  axis: null,
  points: [modelPoint('profile', 'a time', 'ns', 900)],
};

const VALIDATION: ModelValidation = {
  schemaVersion: 2,
  pass: false,
  seed: 1,
  samples: 1000,
  tables: [TABLE, UNVALIDATED],
};

test('text names every point, its error and whether it holds, in 72 columns', () => {
  const text = validationText(VALIDATION, '1.0.0');
  expect(text).toMatch(/64 pages\s+100 ns\s+104 ns\s+\+4\.0 %\s+holds/);
  expect(text).toMatch(/256 pages\s+200 ns\s+300 ns\s+\+50\.0 %\s+FAILS/);
  expect(text).toContain('1 of 2 points hold. Points fail in V1');
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(72);
});

test('Markdown has one row a point and marks what is unvalidated', () => {
  const markdown = validationMarkdown(VALIDATION, '1.0.0', false);
  expect(markdown).toContain('| machine | 256 pages | 200 ns | 300 ns | +50.0 % | ± 10.0 % | predicted | FAILS |');
  expect(markdown).toContain('UNVALIDATED');
});

test('a chart overlays published points, what is allowed around them, and the modelled line', () => {
  const [chart] = tableCharts(TABLE);
  expect(chart?.rows).toEqual([
    { series: 'published', pages: 64, value_ns: 100, lowest_ns: 90, highest_ns: 110 },
    { series: 'modelled', pages: 64, value_ns: 104, lowest_ns: 104, highest_ns: 104 },
    { series: 'published', pages: 256, value_ns: 200, lowest_ns: 180, highest_ns: 220 },
    { series: 'modelled', pages: 256, value_ns: 300, lowest_ns: 300, highest_ns: 300 },
  ]);
  expect(tableCharts(UNVALIDATED)).toEqual([]);
  const around = { kind: 'absolute', amount: 3 } as const;
  const below = { ...POINT, tolerance: around, published: -1, modelled: 2, label: '' };
  const points = [makePoint({ ...below, x: 64 }), makePoint({ ...below, x: 128, published: 1 })];
  const rows = tableCharts({ ...TABLE, points })[0]!.rows.filter(({ series }) => series === 'published');
  expect(rows).toMatchObject([
    { lowest_ns: -4, highest_ns: 2 },
    { lowest_ns: 0, highest_ns: 4 },
  ]);
});

test('the folder has page, text, Markdown, JSON and three files a chart; the JSON is the result', async () => {
  const files = await validationFiles(VALIDATION, '1.0.0');
  expect([...files.keys()].sort()).toEqual([
    'charts/v1-1.csv',
    'charts/v1-1.svg',
    'charts/v1-1.vl.json',
    'index.html',
    'model-validation.json',
    'model-validation.md',
    'model-validation.txt',
  ]);
  expect(JSON.parse(files.get('model-validation.json') ?? '')).toEqual(VALIDATION);
  expect(files.get('index.html')).toContain('<svg class="wide"');
});

const FIT: ModelFit = {
  parameters: [
    { path: 'singleMissPenaltyNs', unit: 'ns', before: 290, proposed: 220, state: 'proposed' },
    { path: 'iotlb.entries', unit: 'entries', before: 113, proposed: 113, state: 'kept' },
    { path: 'queue.fetchNs', unit: 'ns', before: 200, proposed: 200, state: 'flat' },
  ],
  improved: true,
  leastGainShare: 0.01,
  misfitBefore: 3.5,
  misfitAfter: 0.25,
  errorShareBefore: 0.35,
  errorShareAfter: 0.025,
  overrides: ['translation.walkReadNs=180', 'translation.walkFixedNs=40'],
  after: {
    ...TABLE,
    id: 'fitted',
    role: 'report',
    basis: 'fitted to these very curves',
    points: [
      makePoint({ ...POINT, use: 'fitted', x: 64, label: '64 pages', published: 100, modelled: 101 }),
      makePoint({ ...POINT, use: 'fitted', x: 256, label: '256 pages', published: 200, modelled: 205 }),
    ],
  },
};

test('a fit is on the page, in the text, in Markdown and JSON: values, gain, how to apply it, the curve after it', async () => {
  const validation = { ...VALIDATION, fit: FIT };
  const files = await validationFiles(validation, '1.0.0');
  expect([...files.keys()].filter((name) => name.startsWith('charts/fitted'))).toHaveLength(3);
  expect(JSON.parse(files.get('model-validation.json') ?? '')).toEqual(validation);
  const text = files.get('model-validation.txt') ?? '';
  expect(text).toMatch(/Misfit\s+3\.50 before, 0\.250 after/);
  expect(text).toMatch(/Relative error\s+35\.0 % before, 2\.5 % after/);
  expect(text).toMatch(/Points that hold\s+2 of 2 after/);
  expect(text).toMatch(/singleMissPenaltyNs\s+290 ns\s+220 ns\s+proposed/);
  expect(text).toMatch(/iotlb\.entries\s+113 entries\s+–\s+no better value/);
  expect(text).toMatch(/queue\.fetchNs\s+200 ns\s+–\s+flat/);
  expect(text).toContain('--set translation.walkFixedNs=40');
  expect(text).toMatch(/256 pages\s+200 ns\s+205 ns/);
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(72);
  // The verdict is that of the values before.
  expect(text).toContain('1 of 2 points hold. Points fail in V1');
  for (const name of ['model-validation.md', 'index.html']) {
    expect(files.get(name)).toContain('--set translation.walkFixedNs=40');
    expect(files.get(name)).toContain('fitted to these very curves');
  }
});

test('a fit that found nothing says so and shows the curve once', async () => {
  const parameters = [{ ...FIT.parameters[0]!, proposed: 290, state: 'kept' as const }];
  const fit: ModelFit = { ...FIT, improved: false, parameters, overrides: [], after: TABLE };
  const text = validationText({ ...VALIDATION, fit }, '1.0.0');
  expect(text).toContain('No better value found');
  expect(text).not.toContain('--set');
  expect(text.match(/64 pages\s+100 ns/g)).toHaveLength(1);
});

test('rates are shown beside the times they mean', () => {
  const rates = { publishedGbps: 42.4, modelledGbps: 40.8 };
  const points = [makePoint({ ...POINT, label: '64 pages, 42.4 Gb/s', published: 24.2, modelled: 25.1, rates })];
  const validation = { ...VALIDATION, tables: [{ ...TABLE, points }] };
  expect(validationMarkdown(validation, '1.0.0', false)).toContain(
    '| machine | 64 pages, 42.4 Gb/s | 24.2 ns | 25.1 ns | +3.7 % | ± 10.0 % | 42.4 | 40.8 | predicted | holds |',
  );
});
