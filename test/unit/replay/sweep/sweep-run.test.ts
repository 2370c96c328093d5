import { rmSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { runReplay } from '../../../../src/replay/run.ts';
import { runSweep, type SweepOptions } from '../../../../src/replay/sweep/sweep-run.ts';
import { collectCases } from '../../../../src/report/case-data.ts';
import { comparisonMetrics } from '../../../../src/report/sections/comparison-metrics.ts';
import { sweepDocument } from '../../../../src/report/sweep/document.ts';
import { buildSweep } from '../../../../src/report/sweep/model.ts';
import { type SweepModel, sweepSchema } from '../../../../src/report/sweep/schema.ts';
import { reportText } from '../../../../src/report/text.ts';
import { type DmaRow, type InitialMapping, writeTestBundle } from '../../../support/replay-bundle.ts';
import { xorshift32 } from '../../../support/run-result-builder.ts';

const PAGES = 96;
const FIRST_PAGE = 0x100;

/** Pages of 1500 requests, some far more popular than others. */
function pageSequence(): number[] {
  const random = xorshift32(3);
  return Array.from({ length: 1500 }, () => Math.floor(PAGES * random() ** 2));
}

/** One request at a time, so that the IOTLB is asked in the order of the trace and filled before the next. */
function scatterBundle(gapNs = 3000): Promise<string> {
  const rows = pageSequence().map((page, index): DmaRow => {
    return { kind: 'dma', device: 0, iova: (FIRST_PAGE + page) * 4096, bytes: 64, timeNs: gapNs * index };
  });
  const initial = Array.from({ length: PAGES }, (_, page): InitialMapping => {
    return [0, FIRST_PAGE + page, 0x8000 + 7 * page, 1];
  });
  return writeTestBundle({ devices: [{}], rows, initial, pacing: 'recorded' });
}

/** Hits of a fully associative LRU cache: reuse distances below its size. */
function lruHits(pages: readonly number[], entries: number): number {
  const recent: number[] = [];
  let hits = 0;
  for (const page of pages) {
    const at = recent.indexOf(page);
    if (at >= 0) recent.splice(at, 1);
    if (at >= 0 && at < entries) hits++;
    recent.unshift(page);
  }
  return hits;
}

let bundle: string;
beforeAll(async () => {
  bundle = await scatterBundle();
});

const options = (params: readonly string[], fields: Partial<SweepOptions> = {}): SweepOptions => ({
  bundles: [bundle],
  hardware: ['vtd-emr'],
  params,
  mode: 'one-at-a-time',
  workers: 0,
  toolVersion: 'test',
  ...fields,
});

async function modelOf(params: readonly string[], fields: Partial<SweepOptions> = {}): Promise<SweepModel> {
  const { sweep, exitCode } = await runSweep(options(params, fields));
  expect(exitCode).toBe(0);
  const { model } = buildSweep(sweep);
  expect(sweepSchema.safeParse(model).error).toBeUndefined();
  return model;
}

test('the hit share of a fully associative LRU IOTLB rises with its entries, as reuse distances say', async () => {
  const model = await modelOf(['iotlb.entries=4..128:x2'], { overrides: ['iotlb.ways=0', 'iotlb.policy=lru'] });
  const shares = model.cases[0]!.points.map(({ metrics }) => metrics!.iotlb_hit_share!);
  const pages = pageSequence();
  expect(shares).toEqual([4, 8, 16, 32, 64, 128].map((entries) => lruHits(pages, entries) / pages.length));
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(new Set(shares).size).toBeGreaterThan(4);
});

test('the base and a point equal plain runs of the same bundle', async () => {
  const overrides = ['translation.walkers=2'];
  const model = await modelOf(['iotlb.entries=16'], { overrides, pacing: { mode: 'closed' } });
  const metricsOfRun = async (...set: string[]) => {
    const { params: _, mode: __, ...run } = options([], { overrides: set, pacing: { mode: 'closed' } });
    return comparisonMetrics(collectCases((await runReplay(run)).run)[0]!);
  };
  const [only] = model.cases;
  expect(only!.base.metrics).toEqual(await metricsOfRun(...overrides));
  expect(only!.points[0]!.metrics).toEqual(await metricsOfRun(...overrides, 'iotlb.entries=16'));
  expect(only!.points[0]!.ratio_to_base!.walks_per_dma).toBe(
    only!.points[0]!.metrics!.walks_per_dma! / only!.base.metrics!.walks_per_dma!,
  );
});

test('several bundles and profiles are cases of their own; a point that is the base says so', async () => {
  const model = await modelOf(['iotlb.entries=32,256'], {
    bundles: [bundle, await scatterBundle(500)],
    hardware: ['vtd-emr', 'vtd-bdw'],
  });
  expect(model.cases.map(({ key }) => key)).toEqual(
    ['bundle', 'bundle~2'].flatMap((name) => ['vtd-bdw', 'vtd-emr'].map((hw) => `${name}/${hw}/v6.12/recorded`)),
  );
  const ofEmr = model.cases.filter(({ hardware_profile: hardware }) => hardware === 'vtd-emr');
  for (const { points, base } of ofEmr) {
    expect(points.map(({ same_as: same }) => same)).toEqual([null, 'profile']);
    expect(points[1]!.metrics).toEqual(base.metrics);
  }
});

test('pace and mode are scenarios: their points differ, and pace is not ranked', async () => {
  const model = await modelOf(['pace=recorded,closed', 'mode=strict,passthrough']);
  const [{ points, ranking, ranked_by: by, params }] = model.cases as [SweepModel['cases'][number]];
  expect(by).toBe('dma_latency_mean_ns');
  expect(points.map(({ same_as: same }) => same)).toEqual(['profile', null, null, null]);
  const throughput = points.map(({ metrics }) => metrics!.throughput_bytes_per_s!);
  expect(throughput[1]!).toBeGreaterThan(10 * throughput[0]!);
  expect(ranking.map(({ changes }) => changes[0]!.path)).toEqual(['mode']);
  expect(ranking[0]).toMatchObject({ helps: true, changes: [{ path: 'mode', value: 'passthrough' }] });
  expect(params.map(({ basis, is_assumption: assumption }) => [basis, assumption])).toEqual([
    [null, false],
    [null, false],
  ]);
});

describe('replays without a result', () => {
  test('failed points are listed, the others stay; exit code 1', async () => {
    const doomed = await scatterBundle();
    const { sweep, exitCode } = await runSweep(
      options(['iotlb.entries=8,16,32'], {
        bundles: [doomed],
        onProgress: (done) => {
          if (done === 2) rmSync(doomed, { recursive: true });
        },
      }),
    );
    expect(exitCode).toBe(1);
    const { model } = buildSweep(sweep);
    expect(sweepSchema.safeParse(model).error).toBeUndefined();
    expect(model.complete).toBe(false);
    expect(model.cases[0]!.points.map(({ status }) => status)).toEqual(['ok', 'failed', 'failed']);
    const text = reportText(model, sweepDocument(model));
    expect(text).toContain('This sweep is incomplete');
    expect(text).toMatch(/@iotlb.entries=32/);
    expect(text).toContain('cannot be read');
  });

  test('without the base nothing is compared, and that is said', async () => {
    const doomed = await scatterBundle();
    const { sweep, exitCode } = await runSweep(
      options(['iotlb.entries=8'], { bundles: [doomed], onPlan: () => rmSync(doomed, { recursive: true }) }),
    );
    expect(exitCode).toBe(3);
    const { model } = buildSweep(sweep);
    expect(model.cases[0]).toMatchObject({ base: { status: 'failed', metrics: null }, ranking: [], charts: [] });
    expect(reportText(model, sweepDocument(model))).toContain('nothing can be compared');
  });

  test('an interrupt keeps the points that finished', async () => {
    const controller = new AbortController();
    const { sweep, exitCode, interrupted } = await runSweep(
      options(['iotlb.entries=8,16,32'], {
        signal: controller.signal,
        onProgress: (done) => {
          if (done === 2) controller.abort();
        },
      }),
    );
    expect([exitCode, interrupted]).toEqual([130, true]);
    const { model } = buildSweep(sweep);
    const [{ base, points }] = model.cases as [SweepModel['cases'][number]];
    expect([base, ...points].map(({ status }) => status)).toEqual(['ok', 'ok', 'unfinished', 'unfinished']);
    expect(points[1]).toMatchObject({ metrics: null, missing: [{ error: null }] });
    expect(model.complete).toBe(false);
  });
});
