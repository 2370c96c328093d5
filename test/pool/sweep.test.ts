/** `sweep` of the built package: the same bytes for any number of workers, and what it says where it does not run. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandLine } from '../support/command-line.ts';

const scratch = mkdtempSync(join(tmpdir(), 'sweep-'));
const bundle = join(scratch, 'ring');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

beforeAll(async () => {
  const recipe = fileURLToPath(new URL('../../workloads/recipes/ring.json', import.meta.url));
  const made = await commandLine('synth', recipe, '-o', bundle, '--rows', '4000');
  expect(made.exitCode, made.stderr).toBe(0);
});

const PARAMS = ['--param', 'iotlb.entries=8,16,256', '--param', 'mode=passthrough'];

function contentOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(folder.length), readFileSync(path, 'utf8')]),
  );
}

async function sweep(name: string, ...options: string[]): Promise<Record<string, string>> {
  const folder = join(scratch, name);
  const outcome = await commandLine('sweep', bundle, ...PARAMS, '-o', folder, ...options);
  expect(outcome.exitCode, outcome.stderr).toBe(0);
  expect(outcome.stdout).toBe('');
  expect(outcome.stderr).toContain('4 points a case, 4 replays in all');
  return contentOf(folder);
}

test('every file has the same bytes for 0 and 2 workers, and for calls of 100 rows', async () => {
  const inline = await sweep('inline', '--workers', '0');
  expect(Object.keys(inline)).toEqual(
    expect.arrayContaining(['/index.html', '/sweep.json', '/sweep.md', '/sweep.txt', '/charts/tornado-latency.svg']),
  );
  expect(JSON.parse(inline['/sweep.json']!)).toMatchObject({ schemaVersion: 1, kind: 'sweep', complete: true });
  expect(await sweep('pool', '--workers', '2')).toEqual(inline);
  const json = await sweep('rows', '--workers', '2', '--batch-rows', '100', '--format', 'json');
  expect(json).toEqual({ '/sweep.json': inline['/sweep.json'] });
});

test('--force replaces a sweep whole: charts of other parameters are gone', async () => {
  const folder = join(scratch, 'pool');
  expect(existsSync(join(folder, 'charts', 'iotlb-entries-latency.svg'))).toBe(true);
  const refused = await commandLine('sweep', bundle, '--param', 'translation.walkers=1,2', '-o', folder);
  expect([refused.exitCode, refused.stderr]).toEqual([2, expect.stringContaining('not empty')]);
  const options = [
    '--param',
    'translation.walkers=1,2',
    '-o',
    folder,
    '--force',
    '--format',
    'html,json',
    '--workers',
    '0',
  ];
  expect((await commandLine('sweep', bundle, ...options)).exitCode).toBe(0);
  expect(existsSync(join(folder, 'charts', 'translation-walkers-latency.svg'))).toBe(true);
  expect(existsSync(join(folder, 'charts', 'iotlb-entries-latency.svg'))).toBe(false);
  expect(existsSync(join(folder, 'sweep.txt'))).toBe(false);
});

test('a folder that holds something else is not touched', async () => {
  const folder = mkdtempSync(join(scratch, 'other-'));
  writeFileSync(join(folder, 'thesis.tex'), 'x');
  const outcome = await commandLine('sweep', bundle, ...PARAMS, '-o', folder, '--force');
  expect(outcome.exitCode).toBe(2);
  expect(readdirSync(folder)).toEqual(['thesis.tex']);
});

test('--dry-run prints the points and writes nothing', async () => {
  const outcome = await commandLine('sweep', bundle, ...PARAMS, '--dry-run');
  expect([outcome.exitCode, outcome.stderr]).toEqual([0, '']);
  expect(outcome.stdout).toBe(`ring/vtd-emr/v6.12/closed
  point  values             replay
-------  -----------------  ----------
profile  iotlb.entries=256  1 replay
      1  iotlb.entries=8    1 replay
      2  iotlb.entries=16   1 replay
      3  iotlb.entries=256  as profile
      4  mode=passthrough   1 replay

4 points a case, 4 replays in all
`);
});

test('--help says that --format selects files', async () => {
  const outcome = await commandLine('sweep', '--help');
  expect(outcome.stdout.replace(/\s+/g, ' ')).toContain('files to write, comma-separated, of html, json, text, md');
});

test('one point is one point', async () => {
  const options = ['--param', 'iotlb.entries=256', '--workers', '0', '-o', join(scratch, 'one'), '--format', 'text'];
  const outcome = await commandLine('sweep', bundle, ...options);
  expect(outcome.exitCode, outcome.stderr).toBe(0);
  expect(outcome.stderr).toContain('sweep: 1 point a case, 1 replay in all');
});

test.each([
  [[], /--param: nothing to sweep/],
  [['--param', 'iotlb.entries=32'], /-o, --output <sweep> is missing/],
  [['--param', 'iotlb.entries=32', '-o', '-'], /--output: '-' .* a folder/],
  [['--param', 'iotlb.entries=32', '--grid', '--one-at-a-time'], /exclude each other/],
  [['--param', 'iotlb.ways=8,7', '-o', 'never'], /--param iotlb.ways=7: .*no multiple/],
  [['--param', 'iotlb.entires=7', '-o', 'never'], /did you mean 'iotlb.entries'/],
  [['--param', 'iotlb.entries=7', '-o', 'never', '--format', 'pdf'], /"pdf" is none of/],
])('sweep %j is bad usage: exit 2 and the reason', async (options, reason) => {
  const outcome = await commandLine('sweep', bundle, ...options);
  expect(outcome.exitCode).toBe(2);
  expect(outcome.stderr).toMatch(reason);
  expect(existsSync('never')).toBe(false);
  expect(existsSync('-')).toBe(false);
});

test('a bundle that is none: exit 3', async () => {
  const outcome = await commandLine('sweep', scratch, ...PARAMS, '-o', join(scratch, 'never'));
  expect(outcome.exitCode).toBe(3);
});
