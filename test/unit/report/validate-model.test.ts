import { expect, test } from 'vitest';
import { makePoint, modelPoint } from '../../../src/replay/validate-model/point.ts';
import type { ModelTable, ModelValidation } from '../../../src/replay/validate-model/result.ts';
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
  schemaVersion: 1,
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
