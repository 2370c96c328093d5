/** Anonymizing moves addresses and keeps everything that a replay depends on: the results are the same to the bit. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runReplay } from '../../src/replay/run.ts';
import { anonymizeBundle } from '../../src/trace/anonymize.ts';
import { synthesize } from '../../src/trace/synth/synthesize.ts';

async function replayed(bundle: string) {
  const { run } = await runReplay({ bundles: [bundle], hardware: ['vtd-emr'], workers: 0, toolVersion: 'test' });
  expect(run.failures).toEqual([]);
  return run.jobs.map(({ counters, time, spanPs, invalidation, throughput, devices }) => ({
    counters,
    time,
    spanPs,
    invalidation,
    throughput,
    devices: devices.map(({ device: _name, ...figures }) => figures),
  }));
}

test.each([
  ['ring', []],
  ['churn', []],
  ['tenants', ['tenants=8']],
  ['nested', ['regionBytes=1048576']],
  ['scatter', ['regionBytes=6442450944', 'pageBytes=2097152', 'locality.kind=uniform']],
])('a %s bundle and its anonymized copy replay alike', async (kind, set) => {
  const folder = mkdtempSync(join(tmpdir(), 'anonymized-'));
  const original = join(folder, 'original');
  const copy = join(folder, 'copy');
  const recipe = new URL(`../../workloads/recipes/${kind}.json`, import.meta.url).pathname;
  await synthesize(recipe, original, { rows: 4000, set });
  await anonymizeBundle(original, copy, { seed: 11 });
  expect(await replayed(copy)).toEqual(await replayed(original));
});
