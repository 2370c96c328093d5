/** Published window sweeps (pcie-bench/data), with fewer requests than the command and the same tolerances. */
import { expect, test } from 'vitest';
import type { ModelPoint, ModelTable } from '../../src/replay/validate-model/result.ts';
import { V1_LATENCY } from '../../src/replay/validate-model/tables/v1-latency.ts';
import { V2_BANDWIDTH } from '../../src/replay/validate-model/tables/v2-bandwidth.ts';
import { V2_HELD_OUT, V2_SIZES } from '../../src/replay/validate-model/tables/v2-held-out.ts';
import { V3_SUPERPAGES } from '../../src/replay/validate-model/tables/v3-superpages.ts';
import { V4_REGION_WALKS } from '../../src/replay/validate-model/tables/v4-region-walks.ts';

const EFFORT = { seed: 7, samples: 20_000 };

const failing = (table: ModelTable): ModelPoint[] => table.points.filter(({ pass }) => pass === false);
const named = (points: readonly ModelPoint[]): string[] => points.map(({ series, label }) => `${series}: ${label}`);

test('translation adds the published latency at every window, on Broadwell and on Ivy Bridge', () => {
  expect(named(failing(V1_LATENCY.run(EFFORT)))).toEqual([]);
});

test('every bandwidth point holds, those of Ivy Bridge by the walk rate of Sandy Bridge', () => {
  expect(named(failing(V2_BANDWIDTH.run(EFFORT)))).toEqual([]);
});

test('machines never fitted follow from Broadwell and their single-miss penalty alone', () => {
  expect(named(failing(V2_HELD_OUT.run(EFFORT)))).toEqual([]);
});

/** Too slow by 5 to 7 % at 512 to 2048 pages; why is not known (docs/model-validation.md). */
const KNOWN_TO_FAIL = [
  'Ivy Bridge E5-2620 v2, reads of 256 B: 1024 pages',
  'Ivy Bridge E5-2620 v2, other socket, reads of 256 B: 1024 pages',
];

test('so do their larger requests, but for two points of reads of 256 bytes on Ivy Bridge, off by 8 % at most', () => {
  const failed = failing(V2_SIZES.run(EFFORT));
  expect(named(failed).filter((point) => !KNOWN_TO_FAIL.includes(point))).toEqual([]);
  for (const { error } of failed) expect(Math.abs(error!)).toBeLessThanOrEqual(0.08);
});

test('superpages cost nothing up to 64 MB', () => {
  expect(named(failing(V3_SUPERPAGES.run(EFFORT)))).toEqual([]);
});

test('Sandy Bridge is slowest at 2 MB and recovers above', () => {
  expect(named(failing(V4_REGION_WALKS.run(EFFORT)))).toEqual([]);
});
