import { expect, test } from 'vitest';
import { buildReport } from '../../../src/report/model.ts';
import { inlineSvg, renderSvg } from '../../../src/report/svg.ts';
import { bindChart, compileChart } from '../../../src/report/vega.ts';
import { jobResult, runResult } from '../../support/run-result-builder.ts';

const charts = buildReport(runResult([jobResult({ devices: ['0000:01:00.0', '0000:02:00.0'] })])).charts[0]!;
const draw = (chart: (typeof charts)[number], widthPx: number) =>
  renderSvg(compileChart(bindChart(chart, { widthPx, standalone: false })));

test('every chart renders to the same bytes twice, whatever was drawn before it', async () => {
  const first: string[] = [];
  for (const chart of charts) first.push(await draw(chart, 544));
  for (const [i, chart] of [...charts.entries()].reverse()) expect(await draw(chart, 544)).toBe(first[i]);
});

test('a chart is exactly as wide as its place on the page', async () => {
  for (const chart of charts) {
    for (const widthPx of [358, 544, 1120]) expect(await draw(chart, widthPx)).toContain(`viewBox="0 0 ${widthPx} `);
  }
});

test('an inline chart has no colour of its own, so that it follows the scheme of the page', async () => {
  for (const chart of charts) {
    const svg = inlineSvg(await draw(chart, 544), { id: 'x', label: 'label', cssClass: 'wide' });
    expect(svg.match(/(?:fill|stroke)="(?!none|transparent|var\()[^"]*"/g) ?? []).toEqual([]);
  }
});

test('an inline chart is an image with a name that cannot break out of its attribute', async () => {
  const svg = inlineSvg(await draw(charts[0]!, 544), { id: 'x', label: '"><script>', cssClass: 'wide' });
  expect(svg).toMatch(/^<svg class="wide" role="img" aria-label="&quot;&gt;&lt;script&gt;"/);
  expect(svg).not.toContain('<script>');
});

test('ids of an inline chart carry its prefix, and references follow', async () => {
  const svg = inlineSvg(await draw(charts[0]!, 544), { id: 'case1-cdf', label: 'l', cssClass: 'wide' });
  const ids = [...svg.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]!);
  expect(ids.length).toBeGreaterThan(0);
  for (const id of ids) expect(id).toMatch(/^case1-cdf-/);
  for (const [, id] of svg.matchAll(/url\(#([^)]+)\)/g)) expect(ids).toContain(id);
});
