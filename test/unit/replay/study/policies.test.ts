import { beforeAll, describe, expect, test } from 'vitest';
import type { PolicyResult } from '../../../../src/report/study/study-case.ts';
import { orderVerdict, verdictOf } from '../../../../src/report/study/verdicts.ts';
import { study, switchLoad } from '../../../support/switch-study.ts';

const sum = (result: PolicyResult | undefined): PolicyResult['summary'] => result!.summary;
const blackout = (result: PolicyResult | undefined): number => sum(result).blackout.mean_ns!;

describe('second-stage tables replaced under load', () => {
  let results: Awaited<ReturnType<typeof study>>;
  beforeAll(async () => {
    results = await study(await switchLoad());
  });

  test('every policy performs every switch', () => {
    for (const [policy, result] of results) {
      expect(result.summary.switches, policy).toBe(32);
      expect(result.summary.failed, policy).toBe(0);
    }
  });

  test('blackouts are in the order of the steps: one store, one call that blocks, two calls', () => {
    expect(blackout(results.get('make-before-break'))).toBe(0);
    expect(blackout(results.get('entry-sync'))).toBe(0);
    expect(blackout(results.get('clear-then-update'))).toBeGreaterThan(1000);
    expect(blackout(results.get('block-then-setup'))).toBeGreaterThan(blackout(results.get('clear-then-update')));
    expect(blackout(results.get('detach-attach'))).toBeGreaterThan(blackout(results.get('block-then-setup')));
  });

  test('a hitless switch serves old, then new, and nothing else', () => {
    for (const policy of ['entry-sync', 'make-before-break']) {
      const { served_old, served_new, served_torn, faulted, stale_after_return } = sum(results.get(policy));
      expect(served_old, policy).toBeGreaterThan(32);
      expect(served_new, policy).toBeGreaterThan(32);
      expect([served_torn, faulted, stale_after_return], policy).toEqual([0, 0, 0]);
    }
  });

  test('the old table stays in use for about one invalidation after the entry has changed', () => {
    const stale = sum(results.get('entry-sync')).stale_window;
    expect(stale.max_ns).toBeGreaterThan(500);
    expect(stale.max_ns).toBeLessThan(sum(results.get('entry-sync')).call.max_ns!);
  });

  test('the blackout lies within the time for which the entry was absent, give or take the flight of a request', () => {
    for (const policy of ['clear-then-update', 'block-then-setup', 'detach-attach']) {
      for (const each of results.get(policy)!.switches) expect(each.blackoutPs).toBeLessThan(each.absentPs + 700_000);
    }
  });

  test('each policy submits two invalidations with a wait each', () => {
    for (const [policy, result] of results) expect(result.summary.submissions, policy).toBe(64);
  });

  test('the in-place version flushes a second-stage table by PASID, so translations outlive their domain id', () => {
    const { stale_after_return, descriptors } = sum(results.get('in-place'));
    expect(descriptors['pasid_iotlb']).toBe(32);
    expect(stale_after_return).toBeGreaterThan(0);
    expect(results.get('in-place')!.lintStale).toBeGreaterThan(0);
    expect(results.get('entry-sync')!.lintStale).toBe(0);
  });

  test('misses come back to their usual rate, and cost walks until then', () => {
    const { refilled, extra_walks } = sum(results.get('entry-sync'));
    expect(refilled).toBeGreaterThan(24);
    expect(extra_walks).toBeGreaterThan(32);
  });

  test('verdicts name the faults and the order', () => {
    expect(verdictOf(results.get('entry-sync')!)).toContain('no DMA faulted in 32 switches');
    expect(verdictOf(results.get('clear-then-update')!)).toMatch(/DMAs faulted in 32 switches, blackout .* median/);
    const policies = [...results.values()];
    const one = {
      workload: '',
      hardwareProfile: '',
      kernelProfile: '',
      pacing: '',
      identity: null,
      onFault: 'stop',
    } as const;
    const order = orderVerdict({ ...one, windowPs: 1, binPs: 1, policies, variants: [] });
    expect(order).toMatchObject({ holds: true });
  });
});

describe('the layout of the entries decides what one store can do', () => {
  test('first stage to first stage changes two words: entry-sync falls back and blacks out', async () => {
    const results = await study(await switchLoad({ fromStage: 'first', toStage: 'first' }));
    expect(sum(results.get('entry-sync')).hitless_by_layout).toBe(0);
    expect(blackout(results.get('entry-sync'))).toBe(blackout(results.get('clear-then-update')));
    expect(blackout(results.get('entry-sync'))).toBeGreaterThan(1000);
    expect(blackout(results.get('make-before-break'))).toBe(0);
  });

  test('between the stages entry-sync takes one step more and no DMA faults', async () => {
    const results = await study(await switchLoad({ fromStage: 'second', toStage: 'first' }), {
      policies: ['entry-sync', 'clear-then-update'],
    });
    const { faulted, hitless_by_layout, submissions } = sum(results.get('entry-sync'));
    expect([faulted, hitless_by_layout]).toEqual([0, 32]);
    expect(submissions).toBe(128);
    expect(sum(results.get('clear-then-update')).faulted).toBeGreaterThan(32);
  });

  test('PASIDs are replaced by the same rules', async () => {
    const results = await study(await switchLoad({ devices: 2, pasids: 4 }));
    expect([...new Set(results.get('entry-sync')!.switches.map(({ kind }) => kind))]).toEqual(['pasid']);
    expect(new Set(results.get('entry-sync')!.switches.map(({ pasid }) => pasid))).toEqual(new Set([1, 2, 3, 4]));
    expect(blackout(results.get('entry-sync'))).toBe(0);
    expect(blackout(results.get('clear-then-update'))).toBeGreaterThan(1000);
  });

  test('a store in pieces is torn where PASID-cache misses fall between them', async () => {
    const load = await switchLoad({ fromStage: 'first', toStage: 'first', gapNs: 2, devices: 4 });
    const overrides = ['pasidCache.entries.value=1', 'costsNs.entryWrite.value=400'];
    const results = await study(load, { policies: ['in-place', 'make-before-break'], overrides });
    expect(sum(results.get('in-place')).served_torn).toBeGreaterThan(0);
    expect(sum(results.get('make-before-break')).served_torn).toBe(0);
  });
});

describe('what blackouts depend on', () => {
  test('they move with the latency of the invalidation queue', async () => {
    const policies = ['clear-then-update', 'entry-sync', 'detach-attach'] as const;
    const results = await study(await switchLoad(), { policies, sensitivity: true });
    for (const policy of ['clear-then-update', 'detach-attach']) {
      const absent = (queue: string): number => sum(results.get(`${policy}${queue}`)).entry_absent.p50_ns!;
      expect(absent(' double') - absent('')).toBeCloseTo(2 * (absent('') - absent(' half')), 6);
      expect(blackout(results.get(`${policy} half`))).toBeLessThan(0.75 * blackout(results.get(policy)));
      expect(blackout(results.get(`${policy} double`))).toBeGreaterThan(1.5 * blackout(results.get(policy)));
      expect(blackout(results.get(`${policy} nested-guest`))).toBeGreaterThan(2 * blackout(results.get(policy)));
    }
    for (const queue of ['', ' half', ' double', ' nested-guest']) {
      expect(blackout(results.get(`entry-sync${queue}`))).toBe(0);
    }
  });

  test.each(['iotlb', 'pasid-cache'])('a driver that forgets the %s flush leaves stale translations', async (flush) => {
    const load = await switchLoad();
    const policies = ['entry-sync'] as const;
    const broken = await study(load, { policies, overrides: [`behaviours.omitsFlush=${flush}`] });
    expect(sum(broken.get('entry-sync')).stale_after_return).toBeGreaterThan(32);
    expect(broken.get('entry-sync')!.lintStale).toBeGreaterThan(32);
  });
});
