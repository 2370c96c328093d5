/** What a result rests on: moves of assumed numbers, and that only those show an effect that can have one. */
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { movesOf } from '../../../src/replay/assumptions/perturbation.ts';
import type { SourcedNumber } from '../../../src/replay/protocol.ts';
import { planRun, type RunOptions, runReplay } from '../../../src/replay/run.ts';
import { reportDocument } from '../../../src/report/document/document.ts';
import { buildReport } from '../../../src/report/model.ts';
import type { AssumptionSection } from '../../../src/report/schema/assumptions.ts';
import { reportSchema } from '../../../src/report/schema/report.ts';
import { reportText } from '../../../src/report/text.ts';
import { type ControlEvent, type DmaRow, writeTestBundle } from '../../support/replay-bundle.ts';

const number = (path: string, value: SourcedNumber['value'], unit = ''): SourcedNumber => ({
  path,
  value,
  unit,
  basis: 'A',
  source: 'ASSUMPTION: test',
});

describe('moves', () => {
  test.each([
    ['translation.hitNs', 2, undefined, { slow: '4', fast: '1', scaled: true }],
    ['costsNs.qiSubmit', 100, undefined, { slow: '200', fast: '50', scaled: true }],
    ['link.dllpBytes', 16, undefined, { slow: '32', fast: '8', scaled: true }],
    ['translation.busyExtraNs', -13, undefined, { slow: '-6.5', fast: '-26', scaled: true }],
    ['iotlb.entries', 128, undefined, { slow: '64', fast: '256', scaled: true }],
    ['translation.walkers', 1, undefined, { slow: null, fast: '2', scaled: true }],
    ['device.readWindow', '100/50/25/12', undefined, { slow: '[50,25,13,6]', fast: '[200,100,50,24]', scaled: true }],
    ['link.pcieGeneration', 6, undefined, { slow: '5', fast: null, scaled: true }],
    ['iotlb.ways', 0, 128, { slow: '16', fast: null, scaled: false }],
    ['iotlb.ways', 8, 128, { slow: '4', fast: '16', scaled: false }],
    ['iotlb.policy', 'lru', undefined, { slow: 'fifo', fast: null, scaled: false }],
    ['translation.releaseInOrder', false, undefined, { slow: 'true', fast: null, scaled: false }],
    ['translation.walkIntervalNs', 0, undefined, 'is zero, which no factor moves'],
    ['iotlb.ways', 0, 113, 'has no neighbouring value'],
    ['registers.cap', 'd2008c222f0606', undefined, 'says what the machine is, not how large or fast'],
  ] as const)('%s %s of a cache of %s', (path, value, entries, expected) => {
    expect(movesOf(number(path, value), entries)).toEqual(expected);
  });
});

const map = (page: number, pages: number): ControlEvent => ({
  kind: 'control',
  op: 'dma_map',
  device: 0,
  iova: page * 4096,
  length: pages * 4096,
  recordedResult: 0,
  frames: [[page, 0x8000 + page, pages]],
});

/** One page mapped and read over and over, one request after the other: nothing but hits after the first. */
async function hitBundle(): Promise<string> {
  const dma = (_: unknown, index: number): DmaRow => {
    return { kind: 'dma', device: 0, iova: 0x100 * 4096, bytes: 64, timeNs: 2000 * (index + 1), afterControl: 1 };
  };
  const rows = [
    map(0x100, 1),
    ...Array.from({ length: 400 }, dma),
    { ...map(0x100, 1), op: 'dma_unmap', frames: [], timeNs: 900_000, afterDma: 400 } as ControlEvent,
  ];
  return writeTestBundle({ devices: [{}], rows, pacing: 'recorded' });
}

async function sectionOf(fields: Partial<RunOptions> = {}): Promise<AssumptionSection> {
  const bundles = [await hitBundle()];
  const options = { bundles, hardware: ['vtd-emr'], workers: 0, toolVersion: 'test', assumptions: true, ...fields };
  const { run } = await runReplay(options);
  const { model } = buildReport(run);
  expect(model.model_card.assumptions?.missing).toBe(0);
  return model.cases[0]!.assumptions!;
}

function effect(section: AssumptionSection, path: string, metric: string): readonly [number, number] {
  const found = section.numbers.find((one) => one.path === path)?.effects.find((one) => one.metric === metric);
  return [found!.slow_change!, found!.fast_change!];
}

describe('a run of IOTLB hits', () => {
  test('numbers that cannot matter show zero, the one that decides shows it', async () => {
    const section = await sectionOf();
    for (const path of [
      'translation.clockNs',
      'pagingCaches.region256t.entries',
      'costsNs.atsConfigure',
      'iotlb.entries',
    ]) {
      for (const { metric } of section.metrics)
        expect(effect(section, path, metric), `${path} ${metric}`).toEqual([0, 0]);
    }
    const [slow, fast] = effect(section, 'link.readRoundTripNs', 'dma_latency_mean_ns');
    expect(slow).toBeGreaterThan(0.5);
    expect(fast).toBeLessThan(-0.25);
    // Its part of a latency that it makes up nearly alone.
    expect(section.numbers[0]?.path).toBe('link.readRoundTripNs');
    expect(effect(section, 'costsNs.qiSubmit', 'control_call_mean_ns')[0]).toBeGreaterThan(0.01);
    expect(effect(section, 'costsNs.qiSubmit', 'dma_latency_mean_ns')).toEqual([0, 0]);
  });

  test('shares: nearly all of the latency of a profile of assumed times, little where the round trip is measured', async () => {
    const share = (section: AssumptionSection, metric: string): number =>
      section.metrics.find((one) => one.metric === metric)!.share!;
    const assumed = await sectionOf();
    expect(share(assumed, 'dma_latency_mean_ns')).toBeGreaterThan(0.9);
    const measured = await sectionOf({ hardware: ['vtd-bdw'] });
    expect(share(measured, 'dma_latency_mean_ns')).toBeLessThan(0.1);
    expect(share(measured, 'iotlb_hit_share')).toBe(0);
    // The queue of that profile is an assumption through and through.
    expect(share(measured, 'invalidation_wait_mean_ns')).toBeGreaterThan(0.99);
  });

  test('a number set by the user is an assumption and is moved from what it was set to', async () => {
    const section = await sectionOf({ overrides: ['translation.walkReadNs=500'] });
    const moved = section.numbers.find(({ path }) => path === 'translation.walkReadNs');
    expect(moved).toMatchObject({ value: '500', slow_value: '1000', fast_value: '250' });
  });

  test('the cost is bounded and said: two replays a number and two of everything', async () => {
    const bundles = [await hitBundle()];
    const { jobs } = planRun({ bundles, hardware: ['vtd-emr'], workers: 0, toolVersion: 'test' });
    let said = { numbers: 0, replays: 0 };
    const { run } = await runReplay({
      bundles,
      hardware: ['vtd-emr'],
      workers: 0,
      toolVersion: 'test',
      assumptions: true,
      onAssumptions: (numbers, replays) => {
        said = { numbers, replays };
      },
    });
    const { assumptions } = run;
    expect(said.numbers).toBe(assumptions!.numbers.length);
    expect(said.replays).toBe(assumptions!.variants.length * jobs.length);
    expect(said.replays).toBeLessThanOrEqual((2 * said.numbers + 2) * jobs.length);
    expect(run.jobs.map(({ key }) => key)).toEqual(jobs.map(({ key }) => key));
  });
});

describe('replays that fail', () => {
  /** The bundle is gone while the last `left` jobs are still to come: they cannot open it. */
  async function failing(left: (jobs: number) => number) {
    const bundles = [await hitBundle()];
    const outcome = await runReplay({
      bundles,
      hardware: ['vtd-emr'],
      workers: 0,
      toolVersion: 'test',
      assumptions: true,
      onProgress: (done, total) => {
        if (done === total - left(total)) rmSync(bundles[0]!, { recursive: true });
      },
    });
    const { model } = buildReport(outcome.run);
    expect(reportSchema.safeParse(model).success).toBe(true);
    return { ...outcome, section: model.cases[0]!.assumptions!, text: reportText(model, reportDocument(model)) };
  }

  test('of all numbers on one side: no value there, no share, the error in the report and the exit code', async () => {
    const { run, exitCode, section, text } = await failing(() => 1);
    expect(exitCode).toBe(1);
    expect(run.assumptions?.missing).toMatchObject([{ number: -1, side: 'fast' }]);
    const [{ replay, error }] = section.missing as [AssumptionSection['missing'][number]];
    expect(replay).toMatch(/@all-fast$/);
    expect(error).toContain('cannot be read');
    for (const { metric, base, all_slow, all_fast, share } of section.metrics) {
      expect([all_fast, share], metric).toEqual([null, null]);
      if (base !== null) expect(all_slow, metric).not.toBeNull();
    }
    expect(text).toContain('@all-fast');
    expect(text).toContain('cannot be read');
  });

  test('of single numbers: their effect is unknown, not zero; sides that are not replayed stay zero', async () => {
    const { run, exitCode, section, text } = await failing((total) => total - 1);
    expect(exitCode).toBe(1);
    const { missing, numbers } = run.assumptions!;
    const lost = new Set(missing.map(({ number: index, side }) => `${numbers[index]?.path} ${side}`));
    expect(section.missing).toHaveLength(missing.length);
    const planned = new Set<boolean>();
    for (const { path, effects } of section.numbers) {
      for (const side of ['slow', 'fast'] as const) {
        const expected = lost.has(`${path} ${side}`) ? null : 0;
        for (const one of effects) expect(one[`${side}_change`], `${path} ${side}`).toBe(expected);
        planned.add(expected === null);
      }
    }
    expect(planned).toEqual(new Set([true, false]));
    const still = section.numbers.filter(({ effects }) =>
      effects.every((one) => one.slow_change === 0 && one.fast_change === 0),
    );
    expect(text).toContain(`${still.length} assumed numbers of ${section.numbers.length} moved changed none`);
  });
});
