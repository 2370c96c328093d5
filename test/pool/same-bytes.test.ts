/** Promise 1 on the whole way: a recording from import to `report.json`, for any worker count and batch size. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { commandLine } from '../support/command-line.ts';

const RECORDINGS = fileURLToPath(new URL('../../workloads/recorded', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'same-bytes-'));
const bundles = ['nvme-randread4k-strict', 'vfio-edu-live', 'virtio-blk-platform-lazy'].map((name) =>
  join(scratch, name),
);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function reportOf(name: string, ...options: string[]): Promise<string> {
  const folder = join(scratch, name);
  const outcome = await commandLine(
    'run',
    ...bundles,
    '--hw',
    'vtd-bdw,vtd-emr',
    '-o',
    folder,
    '--format',
    'json',
    ...options,
  );
  expect(outcome.exitCode, outcome.stderr).toBe(0);
  return readFileSync(join(folder, 'report.json'), 'utf8');
}

let inline: string;
beforeAll(async () => {
  for (const bundle of bundles) {
    const recording = join(RECORDINGS, bundle.slice(scratch.length + 1));
    expect((await commandLine('import', '--from', 'recorded', recording, '-o', bundle)).exitCode).toBe(0);
  }
  inline = await reportOf('inline', '--workers', '0');
});

it.each([1, 2, 3, 8])('report.json has the same bytes with %i workers as in one thread', async (workers) => {
  expect((await reportOf(`workers-${workers}`, '--workers', String(workers))) === inline).toBe(true);
});

it.each([1000, 256_000])('report.json has the same bytes with batches of %i rows', async (rows) => {
  expect((await reportOf(`batch-${rows}`, '--workers', '2', '--batch-rows', String(rows))) === inline).toBe(true);
});

it('what the result rests on has the same bytes with any number of workers', async () => {
  const [bundle] = bundles.slice(1);
  const texts: string[] = [];
  for (const workers of ['0', '1', '3']) {
    const folder = join(scratch, `assumptions-${workers}`);
    const options = ['--hw', 'vtd-bdw', '-o', folder, '--format', 'json', '--assumptions', '--workers', workers];
    const outcome = await commandLine('run', bundle as string, ...options);
    expect(outcome.exitCode, outcome.stderr).toBe(0);
    const report = readFileSync(join(folder, 'report.json'), 'utf8');
    expect(JSON.parse(report).model_card.assumptions).toMatchObject({ missing: 0, factor: 2 });
    texts.push(report + readFileSync(join(folder, 'run.json'), 'utf8'));
  }
  expect(texts.every((text) => text === texts[0])).toBe(true);
});

it('an import writes the same bytes twice', async () => {
  const again = join(scratch, 'again');
  await commandLine(
    'import',
    '--from',
    'recorded',
    join(RECORDINGS, 'vfio-edu-live'),
    '-o',
    join(again, 'vfio-edu-live'),
  );
  for (const file of ['manifest.json', 'control.arrow', 'dma-0.arrow', 'observed-hardware.arrow']) {
    const first = readFileSync(join(scratch, 'vfio-edu-live', file));
    expect(readFileSync(join(again, 'vfio-edu-live', file)).equals(first)).toBe(true);
  }
});
