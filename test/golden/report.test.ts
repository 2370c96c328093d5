/** Report of a small run against reviewed files: data, words and compiled charts, never pictures. */
import { beforeAll, expect, test } from 'vitest';
import { leanResult } from '../../src/replay/assumptions/lean-result.ts';
import { reportDocument } from '../../src/report/document/document.ts';
import { reportJson } from '../../src/report/json.ts';
import { reportMarkdown } from '../../src/report/markdown.ts';
import { buildReport, type Report } from '../../src/report/model.ts';
import { reportJsonSchema, reportSchema } from '../../src/report/schema/report.ts';
import { reportText } from '../../src/report/text.ts';
import { bindChart, compileChart } from '../../src/report/vega.ts';
import { jobResult, runResult } from '../support/run-result-builder.ts';

let report: Report;

beforeAll(() => {
  report = buildReport(runResult([jobResult({ requests: 400, faults: 3, divergences: 2 })]));
});

test('what a small run rests on, in words and as a picture', async () => {
  const shape = { requests: 400, faults: 3, divergences: 2 };
  const number = { profile: 'vtd-bdw', kind: 'hardware', unit: 'ns', unmoved: null } as const;
  const resting = buildReport({
    ...runResult([jobResult(shape)]),
    assumptions: {
      factor: 2,
      numbers: [
        { ...number, path: 'translation.clockNs', value: '2', slow: '4', fast: '1' },
        { ...number, path: 'queue.executeNs', value: '100', slow: '200', fast: '50' },
        { ...number, path: 'registers.ecap', value: 'f020de', slow: null, fast: null, unmoved: 'says what it is' },
      ],
      variants: [
        { number: 1, side: 'slow', jobs: [leanResult(jobResult({ ...shape, seed: 8 }))] },
        { number: -1, side: 'slow', jobs: [leanResult(jobResult({ ...shape, seed: 9 }))] },
        { number: -1, side: 'fast', jobs: [leanResult(jobResult({ ...shape, seed: 10 }))] },
      ],
      missing: [{ key: 'one', number: 0, side: 'fast', error: 'RangeError: test' }],
    },
  });
  const document = reportDocument(resting.model);
  const section = document.chapters[0]!.sections.find(({ id }) => id === 'assumptions')!;
  const only = { ...document, overview: [], chapters: [{ ...document.chapters[0]!, sections: [section] }] };
  await expect(reportMarkdown(resting.model, only, true)).toMatchFileSnapshot('__snapshots__/assumptions.md');
  await expect(reportText(resting.model, only)).toMatchFileSnapshot('__snapshots__/assumptions.txt');
  const chart = resting.charts[0]!.find(({ name }) => name === 'assumptions-dma')!;
  const spec = compileChart(bindChart(chart, { widthPx: 544, standalone: false }));
  await expect(`${JSON.stringify(spec, null, 1)}\n`).toMatchFileSnapshot('__snapshots__/assumptions-dma.vg.json');
  expect(reportSchema.safeParse(resting.model).success).toBe(true);
});

test('report.json of a small run', async () => {
  await expect(reportJson(report.model)).toMatchFileSnapshot('__snapshots__/report.json');
});

test('report.txt of a small run', async () => {
  await expect(reportText(report.model, reportDocument(report.model))).toMatchFileSnapshot('__snapshots__/report.txt');
});

test('report.md of a small run', async () => {
  const text = reportMarkdown(report.model, reportDocument(report.model), true);
  await expect(text).toMatchFileSnapshot('__snapshots__/report.md');
});

test('the published JSON Schema', async () => {
  const schema = `${JSON.stringify(reportJsonSchema(), null, 2)}\n`;
  await expect(schema).toMatchFileSnapshot('__snapshots__/report.schema.json');
});

test('compiled Vega of every chart, without its data', async () => {
  for (const chart of report.charts[0]!) {
    const spec = compileChart(
      bindChart({ ...chart, rows: chart.rows.slice(0, 2) }, { widthPx: 544, standalone: false }),
    );
    await expect(`${JSON.stringify(spec, null, 1)}\n`).toMatchFileSnapshot(`__snapshots__/${chart.name}.vg.json`);
  }
});
