/** Comparison and gates of small runs against reviewed files: words, schemas and the chart of changes. */
import { expect, test } from 'vitest';
import { buildComparison } from '../../src/report/compare/comparison.ts';
import { compareJsonSchema } from '../../src/report/compare/schema.ts';
import { compareMarkdown, compareText } from '../../src/report/compare/writer.ts';
import { gateReport, gateText } from '../../src/report/gate/gate-report.ts';
import { gateJsonSchema } from '../../src/report/gate/schema.ts';
import { failOnThresholds } from '../../src/report/metrics/thresholds.ts';
import { buildReport } from '../../src/report/model.ts';
import { bindChart, compileChart } from '../../src/report/vega.ts';
import { jobResult, profileCards, runResult } from '../support/run-result-builder.ts';

const [hardware, kernel] = profileCards();
const changed = {
  ...hardware!,
  sha256: '5e'.repeat(32),
  overrides: ['iotlb.entries=128'],
  numbers: hardware!.numbers.map((number) =>
    number.path === 'iotlb.entries'
      ? { ...number, value: 128, basis: 'A', source: 'ASSUMPTION: set by the user' }
      : number,
  ),
};
const DEVICES = ['0000:01:00.0', '0000:02:00.0'];
const named = (folder: string, run: ReturnType<typeof runResult>) => ({ folder, run, model: buildReport(run).model });
const base = named('base.run', runResult([jobResult({ requests: 400, devices: DEVICES })]));
const run = named(
  'new.run',
  runResult([jobResult({ requests: 400, seed: 8, faults: 2, devices: DEVICES })], { profiles: [changed, kernel!] }),
);
const thresholds = failOnThresholds(['dma_latency_ns.p99 > +2%', 'headline.faulted_dma > 0', 'dma_per_s < -50%']);
const { model, charts } = buildComparison(base, run, thresholds, '0.1.0');

test('compare.txt of two small runs', async () => {
  await expect(compareText(model)).toMatchFileSnapshot('__snapshots__/compare.txt');
});

test('compare.md of two small runs', async () => {
  await expect(compareMarkdown(model, true)).toMatchFileSnapshot('__snapshots__/compare.md');
});

test('the list of gates', async () => {
  const text = gateText(gateReport(run, base, thresholds, '0.1.0'));
  await expect(text).toMatchFileSnapshot('__snapshots__/gate.txt');
});

test('the published JSON Schemas', async () => {
  const text = (schema: object): string => `${JSON.stringify(schema, null, 2)}\n`;
  await expect(text(compareJsonSchema())).toMatchFileSnapshot('__snapshots__/compare.schema.json');
  await expect(text(gateJsonSchema())).toMatchFileSnapshot('__snapshots__/gate.schema.json');
});

test('compiled Vega of the chart of changes', async () => {
  const chart = charts[0]!.find(({ name }) => name === 'headline-changes')!;
  const spec = compileChart(bindChart(chart, { widthPx: 544, standalone: false }));
  await expect(`${JSON.stringify(spec, null, 1)}\n`).toMatchFileSnapshot('__snapshots__/headline-changes.vg.json');
});
