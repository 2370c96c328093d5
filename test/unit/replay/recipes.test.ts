/** Every recipe as a user runs it, with nothing chosen: its requests are answered. */
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runReplay } from '../../../src/replay/run.ts';
import { synthesize } from '../../../src/trace/synth/synthesize.ts';

const folder = new URL('../../../workloads/recipes/', import.meta.url).pathname;
const recipes = readdirSync(folder).map((file) => file.replace('.json', ''));
/** Regions small enough for a test. */
const small: Readonly<Record<string, readonly string[]>> = {
  'legacy-container': ['regionBytes=33554432'],
  'mdev-access': ['regionBytes=1048576'],
  migration: ['regionBytes=1048576'],
  nested: ['regionBytes=1048576'],
  'nested-switches': ['switches=8', 'startNs=5000'],
  pasid: ['regionBytes=262144', 'switches=8', 'startNs=2000000'],
  pri: ['regionBytes=262144', 'rounds=4'],
  scatter: ['regionBytes=1048576'],
  strided: ['regionBytes=33554432'],
  switches: ['switches=8', 'startNs=5000'],
};
/** Recipes whose point is that a page table is replaced under load: some requests meet none. */
const disturbed = ['nested-switches', 'pasid', 'switches'];

test.each(recipes)('%s: no call fails, and requests are answered', async (name) => {
  const bundle = join(mkdtempSync(join(tmpdir(), 'recipe-')), name);
  const rows = 6000;
  await synthesize(join(folder, `${name}.json`), bundle, { rows, set: small[name] ?? [] });
  const options = { hardware: ['vtd-emr'], overrides: [], workers: 0, toolVersion: '1.2.3' };
  const { run, exitCode } = await runReplay({ bundles: [bundle], ...options });
  expect(exitCode).toBe(0);
  for (const job of run.jobs) {
    if (!('diagnostics' in job)) throw new Error('a job failed');
    expect(job.diagnostics).toEqual({});
    const faults = job.faults.reduce((sum, { count }) => sum + count, 0);
    expect(faults).toBeLessThanOrEqual(disturbed.includes(name) ? rows / 10 : 0);
  }
});
