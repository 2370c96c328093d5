import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigError } from '../../../src/input-error.ts';
import { reportSchema } from '../../../src/report/schema/report.ts';
import { checkRunFolder, reportFiles, writeReport, writeRunFolder } from '../../../src/report/writer.ts';
import { jobResult, runResult } from '../../support/run-result-builder.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('a report is a page, data, text, Markdown, and three files a chart', async () => {
  const run = runResult([jobResult({ requests: 500 })]);
  const written = await writeReport(run, folder);
  expect((await readdir(folder)).sort()).toEqual(['charts', 'index.html', 'report.json', 'report.md', 'report.txt']);
  const model = reportSchema.parse(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8')));
  for (const { name, rows } of model.cases[0]!.charts) {
    for (const extension of ['svg', 'vl.json', 'csv']) expect(written).toContain(`charts/${name}.${extension}`);
    const csv = await readFile(join(folder, `charts/${name}.csv`), 'utf8');
    expect(csv.trimEnd().split('\n')).toHaveLength(rows + 1);
  }
});

test('every link of the page leads to a file that was written with it', async () => {
  for (const formats of [undefined, ['html'], ['html', 'json']] as const) {
    const files = await reportFiles(
      runResult([jobResult({ requests: 500 })]),
      formats === undefined ? {} : { formats },
    );
    const links = [...files.get('index.html')!.matchAll(/href="([^"#]+)"/g)].map((match) => match[1]!);
    expect(links.length).toBeGreaterThan(20);
    for (const link of links) expect(files.has(link), link).toBe(true);
    expect(files.get('index.html')).not.toMatch(/https?:\/\//);
  }
});

test('every anchor of the page exists', async () => {
  const jobs = [jobResult({ workload: 'a', requests: 300 }), jobResult({ workload: 'b', requests: 300 })];
  const page = (await reportFiles(runResult(jobs), { formats: ['html'] })).get('index.html')!;
  const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]));
  for (const [, anchor] of page.matchAll(/href="#([^"]+)"/g)) expect(ids.has(anchor), anchor).toBe(true);
});

test('names from a recording cannot become markup of the page', async () => {
  const job = jobResult({ requests: 300, workload: '<script>alert(1)</script>', devices: ['"><b>dev'] });
  const page = (await reportFiles(runResult([job]), { formats: ['html'] })).get('index.html')!;
  expect(page).not.toContain('<script');
  expect(page).not.toContain('<b>dev');
});

test('the same run gives the same bytes in every file', async () => {
  const files = await reportFiles(runResult([jobResult({ requests: 500 })]));
  expect([...(await reportFiles(runResult([jobResult({ requests: 500 })])))]).toEqual([...files]);
});

test('only the formats asked for are written', async () => {
  expect(await writeReport(runResult([jobResult({ requests: 300 })]), folder, { formats: ['json', 'text'] })).toEqual([
    'report.txt',
    'report.json',
  ]);
});

test('a run that cannot be presented leaves the folder as it was', async () => {
  const job = jobResult({ requests: 300 });
  const broken = runResult([{ ...job, throughput: { ...job.throughput, binWidthPs: -1 }, spanPs: Number.NaN }]);
  await expect(writeReport(broken, join(folder, 'run'))).rejects.toThrow();
  expect(existsSync(join(folder, 'run'))).toBe(false);
});

test('a write that fails leaves no staging folder behind', async () => {
  await mkdir(join(folder, 'charts'));
  await writeFile(join(folder, 'report.txt'), 'old');
  await rm(join(folder, 'charts'), { recursive: true });
  await writeFile(join(folder, 'charts'), 'a file where the folder has to be');
  await chmod(join(folder, 'charts'), 0o644);
  await expect(writeReport(runResult([jobResult({ requests: 300 })]), folder)).rejects.toThrow();
  expect((await readdir(folder)).sort()).toEqual(['charts', 'report.txt']);
  expect(await readFile(join(folder, 'report.txt'), 'utf8')).toBe('old');
});

test('a run folder that exists is refused unless it may be replaced', async () => {
  const run = runResult([jobResult({ requests: 300 })]);
  await writeRunFolder(run, folder, { formats: ['json'] });
  await expect(writeRunFolder(run, folder, { formats: ['json'] })).rejects.toThrow(ConfigError);
  await writeRunFolder(run, folder, { formats: ['json'], overwrite: true });
  expect((await readdir(folder)).sort()).toEqual(['report.json', 'run.json']);
});

test('replacing leaves nothing of the old report, and what is not a report alone', async () => {
  const run = runResult([jobResult({ requests: 300 })]);
  await writeRunFolder(run, folder);
  await writeFile(join(folder, 'notes'), 'mine');
  await writeRunFolder(run, folder, { formats: ['text'], overwrite: true });
  expect((await readdir(folder)).sort()).toEqual(['notes', 'report.txt', 'run.json']);
});

test('a folder that holds something else is never replaced', async () => {
  await writeFile(join(folder, 'notes'), 'mine');
  const write = writeRunFolder(runResult(), folder, { overwrite: true });
  await expect(write).rejects.toThrow('the folder holds no report; it will not be replaced');
});

test('a folder that cannot be written is a usage error before any work starts', async () => {
  await writeFile(join(folder, 'file'), '');
  await expect(checkRunFolder(join(folder, 'file', 'run'))).rejects.toThrow(ConfigError);
  await expect(checkRunFolder(join(folder, 'not', 'yet', 'run'))).resolves.toBeUndefined();
});

test('a format that does not exist is a usage error that names those that do', async () => {
  const write = writeRunFolder(runResult(), join(folder, 'run'), { formats: ['pdf'] });
  await expect(write).rejects.toThrow('--format: "pdf" is none of html, json, text, md');
});
