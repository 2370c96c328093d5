import { describe, expect, test } from 'vitest';
import { caseOfJob, jobKey, planJobs, uniqueNames } from '../../../src/replay/plan.ts';
import { planShards, shardFacts } from '../../../src/replay/shards.ts';
import { NONE_U32 } from '../../../src/trace/schema/column-type.ts';
import { openTestBundle } from '../../support/replay-bundle.ts';

describe('closed worlds', () => {
  test('devices behind one unit are one world, other units are other worlds', () => {
    const worlds = planShards({
      unitCount: 2,
      devices: [
        { unit: 0, group: 0 },
        { unit: 0, group: 1 },
        { unit: 1, group: 2 },
      ],
      firstDma: [4, 9],
      references: [],
    });
    expect(worlds).toEqual([
      { units: [0], devices: [0, 1], contexts: [] },
      { units: [1], devices: [2], contexts: [] },
    ]);
  });

  test('a context that uses devices of two units joins them', () => {
    const worlds = planShards({
      unitCount: 2,
      devices: [
        { unit: 0, group: 0 },
        { unit: 1, group: 1 },
      ],
      firstDma: [4, 9],
      references: [
        { context: 7, device: 0, sequence: 1 },
        { context: 7, device: 1, sequence: 2 },
      ],
    });
    expect(worlds).toEqual([{ units: [0, 1], devices: [0, 1], contexts: [7] }]);
  });

  test('worlds are numbered by their first row, and units without rows are in none', () => {
    const worlds = planShards({
      unitCount: 3,
      devices: [
        { unit: 0, group: 0 },
        { unit: 1, group: 1 },
        { unit: 2, group: 2 },
      ],
      firstDma: [50, undefined, 3],
      references: [],
    });
    expect(worlds.map((world) => world.units)).toEqual([[2], [0]]);
  });

  test('a context of mediated devices alone is a world without a unit', () => {
    const worlds = planShards({
      unitCount: 0,
      devices: [{ unit: -1, group: 0 }],
      firstDma: [],
      references: [
        { context: 3, device: NONE_U32, sequence: 0 },
        { context: 3, device: 0, sequence: 5 },
      ],
    });
    expect(worlds).toEqual([{ units: [], devices: [0], contexts: [3] }]);
  });

  test('the facts come from the streams of the bundle', async () => {
    const bundle = await openTestBundle({
      units: 2,
      devices: [{ unit: 0 }, { unit: 1 }],
      rows: [
        { kind: 'control', op: 'marker' },
        { kind: 'control', op: 'open_iommufd', context: 2 },
        { kind: 'dma', device: 1, iova: 0 },
        { kind: 'dma', device: 1, iova: 0 },
        { kind: 'control', op: 'dma_map', device: 0 },
      ],
    });
    expect(shardFacts(bundle)).toEqual({
      unitCount: 2,
      devices: [
        { unit: 0, group: 0 },
        { unit: 1, group: 1 },
      ],
      firstDma: [undefined, 2],
      references: [
        { context: 2, device: NONE_U32, sequence: 1 },
        { context: NONE_U32, device: 0, sequence: 4 },
      ],
    });
    bundle.close();
  });
});

describe('jobs', () => {
  test('span the product of the axes in key order', () => {
    const world = { units: [0], devices: [0], contexts: [] };
    const jobs = planJobs({
      workloads: [
        {
          name: 'b',
          bundlePath: '/b',
          worlds: [world],
          unitRows: [12],
          kernels: [{ name: 'k', profile: 0 }],
          scenarios: [{ name: 'closed', pacing: { mode: 'closed' } }],
        },
        {
          name: 'a',
          bundlePath: '/a',
          worlds: [world, world],
          unitRows: [12],
          kernels: [{ name: 'k', profile: 0 }],
          scenarios: [{ name: 'closed', pacing: { mode: 'closed' } }],
        },
      ],
      hardware: [
        { name: 'h2', profile: 2 },
        { name: 'h1', profile: 1 },
      ],
      batchRows: 1,
    });
    expect(jobs.map((job) => job.key)).toEqual([
      'a/00000/h1/k/closed',
      'a/00000/h2/k/closed',
      'a/00001/h1/k/closed',
      'a/00001/h2/k/closed',
      'b/00000/h1/k/closed',
      'b/00000/h2/k/closed',
    ]);
    expect([jobs[1]!.hardware, jobs[1]!.dmaRows]).toEqual([2, 12]);
  });

  test('keys of shards sort as numbers', () => {
    expect(jobKey('w', 9, 'h', 'k', 's') < jobKey('w', 10, 'h', 'k', 's')).toBe(true);
  });

  test('repeated names get numbers', () => {
    expect(uniqueNames(['x', 'y', 'x', 'x'])).toEqual(['x', 'y', 'x~2', 'x~3']);
    expect(uniqueNames(['x', 'x', 'x~2'])).toEqual(['x', 'x~3', 'x~2']);
  });
});

test.each(['nvme', 'a/b', '00012/x', 'w/00001'])('the case of a job of %s is its key without the shard', (workload) => {
  expect(caseOfJob(jobKey(workload, 7, 'vtd-emr', 'v6.12', 'scale=2'))).toBe(`${workload}/vtd-emr/v6.12/scale=2`);
  expect(caseOfJob(jobKey(workload, 123_456, 'h', 'k', 's'))).toBe(`${workload}/h/k/s`);
});
