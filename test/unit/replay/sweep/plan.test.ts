import { beforeAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../../src/input-error.ts';
import { parseParams } from '../../../../src/replay/sweep/param.ts';
import { sweepPoints } from '../../../../src/replay/sweep/plan.ts';
import type { SweepMode } from '../../../../src/replay/sweep/protocol.ts';
import { planSweepRun } from '../../../../src/replay/sweep/sweep-run.ts';
import { writeTestBundle } from '../../../support/replay-bundle.ts';

let bundle: string;

beforeAll(async () => {
  bundle = await writeTestBundle({
    units: 2,
    devices: [{}, { unit: 1 }],
    rows: [
      { kind: 'dma', device: 0, iova: 0x1000 },
      { kind: 'dma', device: 1, iova: 0x1000 },
    ],
    initial: [
      [0, 1, 0x8001, 1],
      [1, 1, 0x8002, 1],
    ],
  });
});

const plan = (params: readonly string[], mode: SweepMode = 'one-at-a-time', hardware = ['vtd-emr']) =>
  planSweepRun({ bundles: [bundle], hardware, params, mode, workers: 0, toolVersion: 'test' });

describe('points', () => {
  const params = parseParams(['iotlb.entries=32,64', 'iotlb.policy=lru,fifo']);

  test('one at a time: each parameter alone', () => {
    expect(sweepPoints(params, 'one-at-a-time')).toEqual([
      ['32', null],
      ['64', null],
      [null, 'lru'],
      [null, 'fifo'],
    ]);
  });

  test('grid: all combinations, the last parameter fastest', () => {
    expect(sweepPoints(params, 'grid')).toEqual([
      ['32', 'lru'],
      ['32', 'fifo'],
      ['64', 'lru'],
      ['64', 'fifo'],
    ]);
  });

  test('a grid of more than 4096 points is refused with its sizes', () => {
    const many = parseParams(['iotlb.entries=1..100:+1', 'translation.walkers=1..50:+1']);
    expect(() => sweepPoints(many, 'grid')).toThrow(
      /5000 points \(100 of iotlb.entries x 50 of translation.walkers\) are more than 4096/,
    );
    expect(sweepPoints(many, 'one-at-a-time')).toHaveLength(150);
  });
});

describe('replays', () => {
  test('every shard of every point, once; points that come to the same share theirs', () => {
    // The profile has 256 entries, fully associative, LRU: 256 is the base, 256 ways of 256 entries are another profile.
    const { cases, jobs } = plan(['iotlb.entries=256,128', 'iotlb.policy=lru,fifo,fifo', 'iotlb.ways=0,256']);
    expect(cases).toHaveLength(1);
    expect(cases[0]!.points.map(({ sameAs }) => sameAs)).toEqual([-1, null, -1, null, -1, null]);
    expect(cases[0]!.base.jobs).toHaveLength(2);
    expect(jobs).toHaveLength(2 * 4);
    expect(new Set(jobs.map(({ key }) => key)).size).toBe(jobs.length);
    expect(jobs.every(({ lean }) => lean === true)).toBe(true);
  });

  test('the same combination reached twice is one replay', () => {
    const { cases } = plan(['pagingCaches.region2m.entries=0,8', 'pagingCaches.region2m.policy=lru,fifo'], 'grid');
    // Without such a cache its policy says nothing.
    expect(cases[0]!.points.map(({ sameAs }) => sameAs)).toEqual([null, 0, null, null]);
  });

  test('each hardware profile has its own value', () => {
    const { cases } = plan(['iotlb.entries=64'], 'one-at-a-time', ['vtd-bdw', 'vtd-emr']);
    const own = cases.map(({ key, own: values }) => [key.split('/')[1], values[0]!.value]);
    expect(own).toEqual([
      ['vtd-bdw', expect.any(String)],
      ['vtd-emr', '256'],
    ]);
    expect(own[0]![1]).not.toBe('256');
  });

  test('kernel costs, behaviours, lists and their members, pacing and mode are changed where they belong', () => {
    const { cases } = plan([
      'costsNs.qiSubmit=1',
      'behaviours.unmapBatchRuns=7',
      'device.readWindow=[8,8,8,8]',
      'device.readWindow.value.2=3',
      'pace=scale=2',
      'mode=passthrough',
    ]);
    const { base, own, points } = cases[0]!;
    const [job] = base.jobs;
    const changed = points.map(({ jobs }) => jobs[0]!);
    const kernel = (index: number) => changed[index]!.kernel as { costs: { qiSubmit: number }; behaviours: object };
    const window = (index: number) =>
      (changed[index]!.hardware as { config: { link: { readWindow: number[] } } }).config.link.readWindow;
    expect(kernel(0).costs.qiSubmit).toBe(1000);
    expect(kernel(1).behaviours).toMatchObject({ unmapBatchRuns: 7 });
    expect(window(2)).toEqual([8, 8, 8, 8]);
    expect(window(3)).toEqual([256, 128, 3, 32]);
    expect(changed[4]).toMatchObject({ pacing: { mode: 'scale', factor: 2 }, scenario: 'scale=2' });
    expect(changed[5]).toMatchObject({ defaultDomain: 'identity', pacing: job!.pacing });
    expect(own.map(({ value }) => value)).toEqual(['100', expect.any(String), '[256,128,64,32]', '64', 'closed', null]);
    expect(own[2]).toMatchObject({ basis: 'A', unit: 'TLPs' });
  });
});

test.each([
  [['iotlb.entires=1,2'], /--param iotlb.entires: .* did you mean 'iotlb.entries'/],
  [['costsNs.qiSubmitt=1,2'], /did you mean 'costsNs.qiSubmit'/],
  [['pase=closed'], /did you mean 'pace'/],
  [['nothing.like.it.at.all=1'], /no such number; `profiles` lists them/],
  [['iotlb.source=a,b'], /no such number/],
  [['iotlb.ways=8,7'], /--param iotlb.ways=7: .*256 entries are no multiple of 7 ways/],
  [['iotlb.entries=0..8:+4'], /--param iotlb.entries=0: .*at least one entry/],
  [['iotlb.policy=lru,mru'], /--param iotlb.policy=mru: /],
  [['iotlb.entries=big'], /--param iotlb.entries=big: /],
  [['device.readWindow=[1,2]'], /--param device.readWindow=\[1,2\]: .*as many values as requestBytes/],
  [['costsNs.qiSubmit=-1'], /--param costsNs.qiSubmit=-1: /],
])('%j is refused before anything is replayed', (params, reason) => {
  expect(() => plan(params)).toThrow(ConfigError);
  expect(() => plan(params)).toThrow(reason);
});

test('a grid names the combination that a profile refuses', () => {
  expect(() => plan(['iotlb.entries=64,96', 'iotlb.ways=32,64'], 'grid')).toThrow(
    /--param iotlb.entries=96,iotlb.ways=64: .*96 entries are no multiple of 64 ways/,
  );
});
