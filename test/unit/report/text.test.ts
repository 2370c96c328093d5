import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reportDocument } from '../../../src/report/document/document.ts';
import { reportMarkdown } from '../../../src/report/markdown.ts';
import { buildReport } from '../../../src/report/model.ts';
import { reportText, TEXT_COLUMNS } from '../../../src/report/text.ts';
import { wrapText } from '../../../src/report/text-layout.ts';
import { emptyJobResult, jobResult, manifest, runResult } from '../../support/run-result-builder.ts';

const text = (run: Parameters<typeof reportDocument>[0]) => reportText(run, reportDocument(run));

test('no line is wider than 72 columns, even with long names', () => {
  const name = 'a-workload-whose-name-is-far-too-long-for-any-table-on-a-mailing-list-of-seventy-two-columns';
  const device = '0000:01:00.0/a-mediated-device-with-a-uuid-0123456789abcdef0123456789abcdef';
  const job = jobResult({ workload: name, devices: [device], faults: 123_456, divergences: 4 });
  const runs = [
    runResult([job], { complete: false, missing: [name.repeat(2)], failures: [{ key: name, error: 'x'.repeat(300) }] }),
    runResult([job, jobResult(), emptyJobResult()]),
  ];
  for (const run of runs) {
    for (const line of text(buildReport(run).model).split('\n'))
      expect([...line].length, line).toBeLessThanOrEqual(TEXT_COLUMNS);
  }
});

test('text has no colour and no trailing space', () => {
  const report = text(buildReport(runResult()).model);
  expect(report).not.toContain('\u001b');
  expect(report).not.toMatch(/[ \t]\n/);
});

test('every section is in the text and in the Markdown', () => {
  const { model } = buildReport(runResult());
  const document = reportDocument(model);
  const markdown = reportMarkdown(model, document, true);
  for (const section of document.chapters[0]!.sections) {
    expect(reportText(model, document)).toContain(section.title.toUpperCase());
    expect(markdown).toContain(`## ${section.title}`);
  }
});

test('Markdown links the charts only when they are written', () => {
  const { model } = buildReport(runResult());
  const document = reportDocument(model);
  expect(reportMarkdown(model, document, true)).toContain('](charts/latency-cdf.svg)');
  expect(reportMarkdown(model, document, false)).not.toContain('.svg');
});

test('recorded text cannot become markup in Markdown', () => {
  const run = runResult();
  const workloads = run.workloads.map((workload) => ({
    ...workload,
    manifest: manifest({ description: 'a | b <img src=x> [link](http://x) *bold*\n# heading' }),
  }));
  const { model } = buildReport({ ...run, workloads });
  const markdown = reportMarkdown(model, reportDocument(model), false);
  expect(markdown).not.toContain('<img');
  expect(markdown).not.toContain('\n# heading');
  expect(markdown).toContain('\\[link\\]');
});

test('wrapping loses no word and keeps every line short', () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{1,90}$/), { minLength: 1 }),
      fc.integer({ min: 5, max: 72 }),
      (words, columns) => {
        const lines = wrapText(words.join(' '), columns);
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
        expect(lines.join('').replaceAll(' ', '')).toBe(words.join(''));
      },
    ),
  );
});

test('a number stays on one line with its unit', () => {
  expect(wrapText('a wait of 1.46 µs (0.41 %) each', 13)).toEqual(['a wait of', '1.46 µs', '(0.41 %) each']);
});

test('a word too long for its line is broken behind punctuation, or where the line ends', () => {
  expect(wrapText('translation.walkIntervalNs', 17)).toEqual(['translation.', 'walkIntervalNs']);
  expect(wrapText('a/abcdefghijklmnop', 10)).toEqual(['a/abcdefgh', 'ijklmnop']);
  expect(wrapText('0123456789abcdef', 10)).toEqual(['0123456789', 'abcdef']);
});

test('Markdown leaves code spans as they are, and escapes what only looks like one', () => {
  const { model } = buildReport(runResult());
  const document = { ...reportDocument(model), chapters: [] };
  const said = (words: string): string =>
    reportMarkdown(model, { ...document, overview: [{ kind: 'paragraph', text: words }] }, false);
  expect(said('`dma_per_s < -5%` is *met*')).toContain('`dma_per_s < -5%` is \\*met\\*');
  expect(said('``<b>` x_y')).toContain('``&lt;b>` x\\_y');
});
