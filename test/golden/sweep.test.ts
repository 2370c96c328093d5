/** Report of small sweeps against reviewed files: words, schema and compiled charts, never pictures. */
import { expect, test } from 'vitest';
import { reportMarkdown } from '../../src/report/markdown.ts';
import { sweepDocument } from '../../src/report/sweep/document.ts';
import { buildSweep } from '../../src/report/sweep/model.ts';
import { sweepJson, sweepJsonSchema } from '../../src/report/sweep/schema.ts';
import { reportText, TEXT_COLUMNS } from '../../src/report/text.ts';
import { bindChart, compileChart } from '../../src/report/vega.ts';
import { gridResult, sweepResult } from '../support/sweep-result-builder.ts';

const sweep = buildSweep(sweepResult());
const grid = buildSweep(gridResult());

test.each([
  ['sweep', sweep],
  ['sweep-grid', grid],
] as const)('%s.txt fits a mail', async (name, { model }) => {
  const text = reportText(model, sweepDocument(model));
  expect(text.split('\n').filter((line) => line.length > TEXT_COLUMNS)).toEqual([]);
  await expect(text).toMatchFileSnapshot(`__snapshots__/${name}.txt`);
});

test('sweep.md', async () => {
  const text = reportMarkdown(sweep.model, sweepDocument(sweep.model), true);
  await expect(text).toMatchFileSnapshot('__snapshots__/sweep.md');
});

test('sweep.json', async () => {
  await expect(sweepJson(sweep.model)).toMatchFileSnapshot('__snapshots__/sweep.json');
});

test('the published JSON Schema', async () => {
  const schema = `${JSON.stringify(sweepJsonSchema(), null, 2)}\n`;
  await expect(schema).toMatchFileSnapshot('__snapshots__/sweep.schema.json');
});

test('compiled Vega of one chart of each template, without most of its data', async () => {
  const charts = [...sweep.charts[0]!, ...grid.charts[0]!];
  const linear = charts
    .filter(({ template }) => template === 'sweep-line-log')
    .map((chart) => {
      const { xTicks: _, ...params } = chart.params;
      return { ...chart, template: 'sweep-line', params };
    });
  const templates = ['sweep-tornado', 'sweep-line-log', 'sweep-line', 'sweep-heat'];
  for (const template of templates) {
    const chart = [...charts, ...linear].find((one) => one.template === template)!;
    const spec = compileChart(
      bindChart({ ...chart, rows: chart.rows.slice(0, 2) }, { widthPx: 544, standalone: false }),
    );
    await expect(`${JSON.stringify(spec, null, 1)}\n`).toMatchFileSnapshot(`__snapshots__/${template}.vg.json`);
  }
});
