/** Published receive paths and HyperSIO's base configuration, with the tolerances of the command. */
import { expect, test } from 'vitest';
import { type ModelTable, tally } from '../../src/replay/validate-model/result.ts';
import { VALIDATION_TABLES } from '../../src/replay/validate-model/tables/registry.ts';

const EFFORT = { seed: 3, samples: 20_000 };

function run(id: string): ModelTable {
  const table = VALIDATION_TABLES.find((one) => one.id === id);
  if (table === undefined) throw new Error(`no table ${id}`);
  return table.run(EFFORT);
}

const failing = (table: ModelTable): string[] =>
  table.points.filter(({ pass }) => pass === false).map(({ series, label }) => `${series}: ${label}`);

test.each(['V5', 'V6', 'V7', 'V9'])('every point of %s holds', (id) => {
  const table = run(id);
  expect(tally(table).decided).toBeGreaterThan(5);
  expect(failing(table)).toEqual([]);
});

test('paging-structure misses of the upper levels come from invalidations without the leaf hint only', () => {
  const laws = run('V5').points.filter(({ series }) => series === 'laws');
  const hinted = laws.filter(({ label }) => label.includes('with the leaf hint'));
  expect(hinted.map(({ modelled }) => modelled)).toEqual([0, 0, 0, 0]);
  expect(laws.find(({ label }) => label.includes('without the hint'))?.modelled).toBeGreaterThan(0.01);
});

test('a nested walk with warm caches reads two words: one of each stage', () => {
  const reads = run('V6').points.filter(({ label }) => label === 'reads per miss');
  for (const { modelled } of reads) expect(modelled).toBeCloseTo(2, 1);
});

test('tables without measurements decide nothing and say so', () => {
  const table = run('V10');
  expect(table.role).toBe('unvalidated');
  expect(table.basis).toMatch(/^UNVALIDATED/);
  expect(tally(table)).toEqual({ decided: 0, passed: 0 });
});
