/** What an entry says of its gates and of what changed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NightlyEntry } from '../../../src/history/entry.ts';
import { checkThresholds, entryGates } from '../../../src/history/entry-gates.ts';
import { readPast } from '../../../src/history/past.ts';
import { trackedMetrics } from '../../../src/history/track.ts';
import { appendNight, type Night, nightlyEntry, nightlyPlan, threshold } from '../../support/nightly-history.ts';

const plan = nightlyPlan();
let history = '';
beforeEach(() => {
  history = mkdtempSync(join(tmpdir(), 'nightly-entry-'));
});
afterEach(() => rmSync(history, { recursive: true, force: true }));

const night = (what: Night = {}): Promise<NightlyEntry> => appendNight(history, plan, what);
const kinds = ({ cases }: NightlyEntry): string[] => [...new Set(cases.map(({ change }) => change.kind))];
const verdicts = ({ gates }: NightlyEntry, text: string): string[] => [
  ...new Set(gates.filter((gate) => gate.text.startsWith(text)).map(({ verdict }) => verdict)),
];

describe('a change', () => {
  test('is none when nothing differs', async () => {
    expect(kinds(await night())).toEqual(['first']);
    const second = await night();
    expect(kinds(second)).toEqual(['none']);
    expect(second.cases.every(({ change }) => change.against === '000001' && change.differing === 0)).toBe(true);
  });

  test('is unexplained when the model gives other numbers for the same', async () => {
    await night();
    const second = await night({ slower: 1.01 });
    expect(kinds(second)).toEqual(['unexplained']);
    const [one] = second.cases;
    expect(one!.change.metrics).toContainEqual({
      metric: 'latency.dma_latency_ns.p50',
      before: 420,
      after: 420 * 1.01,
    });
    // What is the same is not listed.
    expect(one!.change.metrics.map(({ metric }) => metric)).not.toContain('headline.iotlb_hit_share');
  });

  test('is one of the tool when that is another', async () => {
    await night();
    const second = await night({ slower: 1.01, toolVersion: '0.2.0' });
    expect(kinds(second)).toEqual(['tool']);
    expect(second.tool_changed_from).toBe('0.1.0');
    // The tool alone is no change.
    expect(kinds(await night({ slower: 1.01, toolVersion: '0.3.0' }))).toEqual(['none']);
  });

  test('is one of the configuration when a profile is another, and says of what', async () => {
    await night();
    const second = await night({ iotlbEntries: 64 });
    expect(kinds(second)).toEqual(['configuration']);
    expect(second.cases[0]!.change.configuration).toEqual(['iotlb.entries 128 → 64']);
    expect(second.cases[0]!.change.differing).toBe(3);
  });

  test('is against the last result, over nights that have none', async () => {
    const failed = 'ring/ring/vtd-emr/v6.12/closed';
    await night();
    const second = await night({ failed });
    expect(second.verdict).toBe('incomplete');
    const third = await night({ slower: 2 });
    expect(third.cases.map(({ change }) => change.against)).toEqual(['000002', '000002', '000002', '000001']);
    expect(kinds(third)).toEqual(['unexplained']);
  });
});

describe('a gate about a change', () => {
  test('is not judged in the first night, which becomes the base', async () => {
    const first = await night();
    expect(verdicts(first, 'dma_latency_ns.p99')).toEqual(['first']);
    expect(first.verdict).toBe('pass');
    const second = await night({ slower: 1.01 });
    expect(verdicts(second, 'dma_latency_ns.p99')).toEqual(['pass']);
    expect(second.gates.at(-1)).toMatchObject({ base_entry: '000001', base: 2300 });
  });

  test('is held against the newest that passed, not against one that failed', async () => {
    await night();
    const slow = await night({ slower: 1.05 });
    expect(slow.verdict).toBe('fail');
    const still = await night({ slower: 1.05 });
    expect(verdicts(still, 'dma_latency_ns.p99')).toEqual(['breach']);
    expect(still.gates.at(-1)!.base_entry).toBe('000001');
  });

  test('is not judged for a case that joined the plan', async () => {
    await night({ hardware: ['vtd-emr'] });
    const second = await night({ slower: 1.5 });
    const byCase = new Map(second.gates.map((gate) => [`${gate.case} ${gate.text}`, gate.verdict]));
    expect(byCase.get('ring/ring/vtd-bdw/v6.12/closed dma_latency_ns.p99 > +2%')).toBe('first');
    expect(second.verdict).toBe('fail');
    expect(byCase.get('ring/ring/vtd-emr/v6.12/closed dma_latency_ns.p99 > +2%')).toBe('breach');
  });

  test('is held against the entry that the user names, where a case that it lacks is unknown', async () => {
    await night({ hardware: ['vtd-emr'], slower: 2 });
    await night({ slower: 1.5 });
    const cases = nightlyEntry('000003', history, plan, { slower: 1.5 }).cases;
    const gatesAgainst = (base: string) =>
      entryGates(plan.thresholds.slice(1), cases, readPast(history, base)).map(({ verdict }) => verdict);
    expect(gatesAgainst('2')).toEqual(['pass', 'pass', 'pass', 'pass']);
    expect(gatesAgainst('000001')).toEqual(['unknown', 'pass', 'unknown', 'pass']);
    expect(() => readPast(history, 'abc')).toThrow(/--base: 'abc' is no number of an entry$/);
    expect(() => readPast(history, '7')).toThrow(/--base: no entry '7', did you mean '00000[12]'/);
  });
});

test('gates of a case without a result are unknown, and no case is held against it', async () => {
  const failed = 'nvme/nvme/vtd-emr/v6.12/closed';
  const first = await night({ failed });
  expect(first).toMatchObject({ complete: false, verdict: 'incomplete' });
  const own = first.gates.filter((gate) => gate.case === failed);
  expect(own.map(({ verdict, metric }) => [verdict, metric])).toEqual([
    ['unknown', null],
    ['unknown', null],
  ]);
  expect(verdicts(await night(), 'dma_latency_ns.p99')).toEqual(['first']);
});

test('a threshold about no case and a metric that does not exist are refused', () => {
  const cases = nightlyEntry('000001', history, plan).cases;
  const one = threshold('headline.faulted_dma == 0', true);
  expect(() => checkThresholds([{ ...one, workload: 'rung' }], cases)).toThrow(/is about no case of the plan/);
  expect(() => checkThresholds([{ ...one, workload: 'ri*' }], cases)).not.toThrow();
  const past = readPast(history);
  expect(() => entryGates([threshold('headline.faulted == 0', true)], cases, past)).toThrow(
    /no metric 'headline.faulted'/,
  );
});

test('a tracked metric need not be in every case, but in one', () => {
  const cases = [
    { key: 'a', metrics: { 'headline.x': 1, 'device_tlbs.hits': 1 } },
    { key: 'b', metrics: { 'headline.x': 1 } },
  ];
  const tracked = trackedMetrics(['x', 'headline.x', 'device_tlbs.hits'], cases, 'plan');
  expect(tracked.get('a')!.map(({ metric }) => metric)).toEqual(['headline.x', 'device_tlbs.hits']);
  expect(tracked.get('b')!.map(({ metric }) => metric)).toEqual(['headline.x']);
  expect(() => trackedMetrics(['headline.z'], cases, 'plan')).toThrow(/plan: no metric 'headline.z', did you mean/);
  expect(trackedMetrics(['headline.z'], [], 'plan').size).toBe(0);
});
