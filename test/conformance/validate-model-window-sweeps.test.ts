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

test('so do their larger requests, but for reads of 256 bytes on Ivy Bridge', () => {
  const failed = named(failing(V2_SIZES.run(EFFORT)));
  expect(failed.filter((point) => !/^Ivy Bridge.*reads of 256 B: 1024 pages/.test(point))).toEqual([]);
});

test('superpages cost nothing up to 64 MB', () => {
  expect(named(failing(V3_SUPERPAGES.run(EFFORT)))).toEqual([]);
});

test('Sandy Bridge is slowest at 2 MB and recovers above', () => {
  expect(named(failing(V4_REGION_WALKS.run(EFFORT)))).toEqual([]);
});
