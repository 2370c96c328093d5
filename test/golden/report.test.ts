/** Report of a small run against reviewed files: data, words and compiled charts, never pictures. */
import { beforeAll, expect, test } from 'vitest';
import { reportDocument } from '../../src/report/document/document.ts';
import { reportJson } from '../../src/report/json.ts';
import { reportMarkdown } from '../../src/report/markdown.ts';
import { buildReport, type Report } from '../../src/report/model.ts';
import { reportJsonSchema } from '../../src/report/schema.ts';
import { reportText } from '../../src/report/text.ts';
import { bindChart, compileChart } from '../../src/report/vega.ts';
import { jobResult, runResult } from '../support/run-result-builder.ts';

let report: Report;

beforeAll(() => {
  report = buildReport(runResult([jobResult({ requests: 400, faults: 3, divergences: 2 })]));
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
