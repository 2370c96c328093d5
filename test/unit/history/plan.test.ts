import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dashboardJsonSchema } from '../../../src/history/dashboard/schema.ts';
import { entryJsonSchema } from '../../../src/history/entry.ts';
import { DEFAULT_TRACK, planJsonSchema, readPlan } from '../../../src/history/plan.ts';
import { bundleSources } from '../../../src/history/plan-bundles.ts';

const shipped = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightly-plan-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = { name: 'ring', bundles: ['ring.json'], hardware: ['vtd-emr'] };

function planFile(content: object, name = 'plan.json'): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify({ schemaVersion: 1, name: 'nights', runs: [run], ...content }));
  return file;
}

describe('a plan', () => {
  test('has headline metrics to follow and no thresholds unless it says so', () => {
    const plan = readPlan(planFile({}));
    expect(plan.track).toEqual(DEFAULT_TRACK);
    expect(plan.thresholds).toEqual([]);
    expect(plan.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test('takes thresholds from a file beside it, or from itself', () => {
    const thresholds = [{ require: 'headline.faulted_dma == 0' }];
    writeFileSync(join(folder, 'thresholds.json'), JSON.stringify({ schemaVersion: 1, thresholds }));
    const [beside] = readPlan(planFile({ thresholds: 'thresholds.json' })).thresholds;
    const [inline] = readPlan(planFile({ thresholds })).thresholds;
    expect(beside).toMatchObject({ required: true, source: `${join(folder, 'thresholds.json')}: thresholds.0` });
    expect(inline).toMatchObject({
      condition: beside!.condition,
      source: `${join(folder, 'plan.json')}: thresholds.0`,
    });
  });

  test.each([
    [{ runz: [] }, /runz: unknown key, did you mean 'runs'/],
    [{ runs: [{ ...run, harware: ['vtd-emr'] }] }, /runs\.0\.harware: unknown key, did you mean 'hardware'/],
    [
      { runs: [{ ...run, bundles: [{ path: 'ring.json', row: 3 }] }] },
      /bundles\.0\.row: unknown key, did you mean 'rows'/,
    ],
    [{ runs: [{ ...run, bundles: [{ path: 'ring.json', rows: 0 }] }] }, /runs\.0\.bundles\.0\.rows: too small/],
    [{ runs: [run, run] }, /runs\.1\.name: 'ring' comes twice/],
    [{ runs: [{ ...run, name: 'a/b' }] }, /runs\.0\.name: not a name of letters/],
    [{ runs: [{ ...run, hardware: ['vtd-emx'] }] }, /runs\.0: no hardware profile 'vtd-emx', did you mean 'vtd-emr'/],
    [{ runs: [{ ...run, kernels: ['v6.13'] }] }, /runs\.0: no kernel profile 'v6.13', did you mean 'v6.12'/],
    [{ runs: [{ ...run, set: ['iotlb.entry=3'] }] }, /runs\.0: .*did you mean 'entries'/],
    [{ runs: [{ ...run, pace: 'fast' }] }, /runs\.0\.pace: 'fast' is none of recorded, closed, scale=N/],
    [{ runs: [] }, /runs: too small/],
    [{ schemaVersion: 2 }, /schemaVersion/],
    [{ thresholds: [{ require: 'a > 1', failOn: 'b > 1' }] }, /needs one of require and failOn/],
    [{ thresholds: [{ require: 'a >' }] }, /thresholds\.0: 'a >' is not METRIC/],
    [{ thresholds: 'none.json' }, /none\.json: cannot be read \(ENOENT\)/],
  ])('that says something wrong is refused with the place: %j', (content, message) => {
    expect(() => readPlan(planFile(content))).toThrow(message);
  });

  test('finds what its bundles are', () => {
    const plan = readPlan(shipped('workloads/nightly.json'));
    expect(plan.runs.map((one) => bundleSources(plan, one).map(({ kind, rows }) => [kind, rows]))).toEqual([
      [['recording', undefined]],
      [['recipe', 100_000]],
      [['recipe', 40_000]],
    ]);
  });

  test.each([
    ['missing', /missing: does not exist/],
    ['empty', /empty: is no bundle folder, no recipe \(\.json\) and no recorded directory/],
  ])('whose bundle is %s is refused', (path, message) => {
    mkdirSync(join(folder, 'empty'), { recursive: true });
    const plan = readPlan(planFile({ runs: [{ ...run, bundles: [path] }] }));
    expect(() => bundleSources(plan, plan.runs[0]!)).toThrow(message);
  });

  test('gives rows to recipes only', () => {
    const recording = shipped('workloads/recorded/vfio-edu-live');
    const plan = readPlan(planFile({ runs: [{ ...run, bundles: [{ path: recording, rows: 3 }] }] }));
    expect(() => bundleSources(plan, plan.runs[0]!)).toThrow(/is a recording; rows are for recipes/);
  });
});

test.each([
  ['plan', planJsonSchema],
  ['entry', entryJsonSchema],
  ['dashboard', dashboardJsonSchema],
])('the JSON Schema of the %s is the published one', (name, schema) => {
  const published = JSON.parse(readFileSync(shipped(`docs/nightly-${name}.schema.json`), 'utf8'));
  expect(published).toEqual(JSON.parse(JSON.stringify(schema())));
});
