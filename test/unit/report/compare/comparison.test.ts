import { describe, expect, test } from 'vitest';
import type { JobResult, RunResult } from '../../../../src/replay/protocol.ts';
import { buildComparison, type Comparison } from '../../../../src/report/compare/comparison.ts';
import { changeOf } from '../../../../src/report/compare/metric-changes.ts';
import { compareJson, compareSchema } from '../../../../src/report/compare/schema.ts';
import { timesText } from '../../../../src/report/compare/sentences.ts';
import { compareMarkdown, compareText } from '../../../../src/report/compare/writer.ts';
import { failOnThresholds } from '../../../../src/report/metrics/thresholds.ts';
import { buildReport } from '../../../../src/report/model.ts';
import { jobResult, manifest, profileCards, runResult } from '../../../support/run-result-builder.ts';

function compare(base: RunResult, run: RunResult, failOn: readonly string[] = []): Comparison {
  const named = (folder: string, result: RunResult) => ({ folder, run: result, model: buildReport(result).model });
  return buildComparison(named('runs/old', base), named('runs/new', run), failOnThresholds(failOn), '0.1.0');
}

const run = (seed: number, shape: Parameters<typeof jobResult>[0] = {}): RunResult =>
  runResult([jobResult({ requests: 300, seed, ...shape })]);

/** The run with a workload of this name and stream digest. */
function named(name: string, sha256: string, manifestSha256 = `${name} ${sha256}`): RunResult {
  const streams = { control: { file: 'control.arrow', rows: 487, sha256 } };
  return runResult([jobResult({ requests: 300, workload: name })], {
    workloads: [{ name, manifestSha256, manifest: manifest({ name, streams }) }],
  });
}

describe('a run against itself', () => {
  const all = ['dma_latency_ns.p99', 'throughput_bytes_per_s', 'faulted_dma', 'walks_per_dma', 'wait_ns.p99'];
  const { model, charts } = compare(
    run(7),
    run(7),
    all.flatMap((name) => [`${name} > +0%`, `${name} < -0%`]),
  );

  test('has no change anywhere and passes every condition', () => {
    expect(model.pass).toBe(true);
    expect(model.gates).toHaveLength(10);
    const [one] = model.cases;
    expect([one!.improved, one!.regressed, one!.changed, one!.no_change]).toEqual([0, 0, 0, one!.metrics.length]);
    expect(one!.metrics.length).toBeGreaterThan(100);
    expect(one!.devices).toEqual([]);
    expect(model.configuration.differences).toEqual([]);
    expect(model.sentence).toMatch(/^new and old give the same result: all \d+ numbers are equal\.$/);
  });

  test('says so, and draws no bars', () => {
    expect(compareText(model)).toContain('no change');
    expect(compareText(model)).not.toMatch(/improved$|regressed$/m);
    expect(charts[0]!.map(({ name }) => name)).toEqual(['latency-cdf', 'translation-cdf']);
  });
});

describe('a change', () => {
  test.each([
    ['latency.dma_latency_ns.p99', 100, 90, 'improved', -10, -0.1],
    ['latency.dma_latency_ns.p99', 100, 100.0001, 'regressed', expect.closeTo(0.0001), expect.closeTo(1e-6)],
    ['headline.throughput_bytes_per_s', 100, 90, 'regressed', -10, -0.1],
    ['headline.dma_requests', 100, 90, 'changed', -10, -0.1],
    ['headline.faulted_dma', 0, 3, 'regressed', 3, null],
    ['headline.faulted_dma', 0, 0, 'no change', 0, 0],
    ['headline.iotlb_hit_share', null, 0.5, 'changed', null, null],
    ['headline.iotlb_hit_share', null, null, 'no change', null, null],
  ] as const)('of %s from %s to %s is %s', (metric, base, now, verdict, delta, share) => {
    expect(changeOf(metric, base, now)).toEqual({ metric, base, new: now, delta, change_share: share, verdict });
  });

  test.each([
    [0.6234, '0.623'],
    [2, '2.00'],
    [1.0002, '1.0002'],
    [0.99999, '0.99999'],
    [1 + 1e-9, 'hardly more than 1'],
    [12345.6, '12346'],
  ])('%s times reads %s', (times, text) => {
    expect(timesText(times)).toBe(text);
  });
});

describe('two runs', () => {
  const { model } = compare(run(7), run(8), ['dma_latency_ns.mean != +0%', 'faulted_dma > 0']);

  test('are told apart number by number, with a sentence first', () => {
    const [mean] = model.cases[0]!.metrics.filter(({ metric }) => metric === 'latency.dma_latency_ns.mean');
    expect(model.sentence).toContain(
      `new serves a DMA in ${timesText(mean!.new! / mean!.base!)} times the time of old`,
    );
    expect(compareText(model).split('\n')[3]).toMatch(/^new serves a DMA in/);
  });

  test('fail on the conditions that are met, one sentence each', () => {
    expect(model.pass).toBe(false);
    expect(model.gates.map(({ verdict }) => verdict)).toEqual(['breach', 'pass']);
    expect(compareText(model)).toContain('FAIL: 1 of 2 conditions is breached');
    expect(compareText(model)).toMatch(/^✗ `dma_latency_ns\.mean != \+0%` is met: .* ns against/m);
    expect(compareText(model)).toMatch(/^✓ `faulted_dma > 0` is not met: 0; limit 0\.$/m);
    // In Markdown a code span is no place for escapes.
    expect(compareMarkdown(model, false)).toContain('- ✗ `dma_latency_ns.mean != +0%` is met');
  });

  test('satisfy the schema, and the text its width', () => {
    expect(compareSchema.parse(JSON.parse(compareJson(model)))).toEqual(model);
    for (const line of compareText(model).split('\n')) expect([...line].length, line).toBeLessThanOrEqual(72);
  });

  test('list at most ten devices, the one that moved most first, and count the others', () => {
    const devices = Array.from({ length: 14 }, (_, index) => `0000:${index + 10}:00.0`);
    const { model: many } = compare(run(7, { requests: 2000, devices }), run(8, { requests: 2000, devices }));
    const shares = many.cases[0]!.devices.map(({ mean_latency: mean, throughput_bytes_per_s: rate }) =>
      Math.max(Math.abs(mean.change_share!), Math.abs(rate.change_share!)),
    );
    expect(shares).toHaveLength(14);
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
    expect(compareText(many)).toContain('Devices that moved most: 14 of 14 changed');
    expect(compareText(many)).toContain('(4 more rows not shown)');
  });
});

describe('configuration', () => {
  test('comes before results: every number that differs, with what it rests on', () => {
    const [hardware, kernel] = profileCards();
    const moved = hardware!.numbers.map((number) =>
      number.path === 'iotlb.entries'
        ? { ...number, value: 128, basis: 'A', source: 'ASSUMPTION: set by the user' }
        : number,
    );
    const other = { ...hardware!, sha256: '5e'.repeat(32), overrides: ['iotlb.entries=128'], numbers: moved };
    const { model } = compare(run(7), { ...run(8), profiles: [other, kernel!], toolVersion: '0.2.0' });
    expect(model.configuration.differences.map(({ what }) => what)).toEqual([
      'tool version',
      'overrides of the hardware profile',
      'digest of the hardware profile',
    ]);
    expect(model.configuration.profiles[0]!.numbers).toEqual([
      {
        path: 'iotlb.entries',
        unit: 'entries',
        base: 64,
        new: 128,
        base_basis: 'X',
        new_basis: 'A',
        base_source: 'fit to pcie-bench bandwidth sweep, BDW',
        new_source: 'ASSUMPTION: set by the user',
      },
    ]);
    const text = compareText(model);
    expect(text.indexOf('X → ASSUMPTION')).toBeGreaterThan(0);
    expect(text.indexOf('X → ASSUMPTION')).toBeLessThan(text.indexOf('HEADLINE'));
  });

  test('different traces are said in the first sentence', () => {
    const { model } = compare(named('ring', 'a'), named('ring', 'b'));
    expect(model.sentence).toMatch(/^The runs replay different traces \(ring\): new /);
    expect(model.configuration.traces[0]).toMatchObject({ relation: 'different', differs_in: ['streams'] });
    expect(compare(named('ring', 'a'), named('tenants', 'b')).model.sentence).toMatch(
      /^The runs replay different traces \(ring and tenants\): /,
    );
  });

  test('the same trace under another name is the same trace, and that is said', () => {
    const { model } = compare(named('ring', 'a'), named('circle', 'a'));
    expect(model.configuration.traces[0]!.relation).toBe('renamed');
    expect(model.sentence).toContain('The workloads ring and circle differ in name only: their streams are the same.');
    expect(model.sentence).not.toContain('different traces');
  });

  test('an unreadable manifest leaves it open', () => {
    const lost = { ...run(7), workloads: [] };
    expect(compare(lost, run(7)).model.sentence).toMatch(/^Whether the runs replay the same trace is not known/);
  });

  test('the only hardware profiles of two runs are paired, and that is said', () => {
    const onEmr: JobResult = { ...jobResult({ requests: 300, seed: 8 }), hardwareProfile: 'vtd-emr' };
    const profiles = profileCards().map((card) => (card.kind === 'hardware' ? { ...card, name: 'vtd-emr' } : card));
    const { model } = compare(run(7), runResult([onEmr], { profiles }), ['dma_latency_ns.p99 > +900%']);
    expect(model.sentence).toContain(
      'Each run has one hardware profile, and cases are paired across it (vtd-emr against vtd-bdw).',
    );
    expect(model.cases[0]).toMatchObject({ title: 'nvme-live-replace · vtd-bdw → vtd-emr' });
    expect(model.pass).toBe(true);
  });

  test('runs without a case in common are no comparison', () => {
    const two = runResult([jobResult({ requests: 100 }), jobResult({ requests: 100, workload: 'b' })]);
    const { model } = compare(two, runResult([jobResult({ requests: 100, workload: 'c' })], { workloads: [] }), [
      'faulted_dma > +0%',
    ]);
    expect(model.sentence).toMatch(/^No case of new has a counterpart in old, so nothing was compared\./);
    expect(model.gates).toMatchObject([{ verdict: 'unknown', unknown_because: 'the base does not have this case' }]);
    expect(model.pass).toBe(false);
  });

  test('incomplete runs and cases on one side are said', () => {
    const two = runResult([jobResult({ requests: 100 }), jobResult({ requests: 100, workload: 'b' })]);
    const part = runResult([jobResult({ requests: 100 })], { complete: false, missing: ['b/0'] });
    const { model } = compare(two, part);
    expect(model.sentence).toContain('1 case of old is not in new. new is incomplete');
    expect(compareText(model)).toContain('incomplete, 1 job missing');
    expect(compareText(model)).toContain('Cases that only the base has');
  });
});

test('several cases have a range in the first sentence and a row each', () => {
  const jobs = (seed: number): RunResult =>
    runResult(['a', 'b', 'c'].map((workload) => jobResult({ workload, requests: 100, seed })));
  const { model, charts } = compare(jobs(7), jobs(9), ['dma_latency_ns.p99 > +900%', 'dma_latency_ns.p99 > 0']);
  expect(model.sentence).toMatch(/^new serves a DMA in [\d.]+( to [\d.]+)? times the time of old, over 3 cases\./);
  const text = compareText(model);
  expect(text).toContain('✓ `dma_latency_ns.p99 > +900%` is not met in 3 cases.');
  expect(text).toMatch(/✗ `dma_latency_ns\.p99 > 0` is met in b: /);
  expect(text).toContain('Change of each case, base to new');
  expect(charts.flat().map(({ name }) => name)).toContain('case3-latency-cdf');
});
