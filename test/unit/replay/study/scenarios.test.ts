import { describe, expect, test } from 'vitest';
import { parseDuration, parseInjection, parseOnFault, parsePolicies } from '../../../../src/replay/study/study-run.ts';
import type { PolicyResult } from '../../../../src/report/study/study-case.ts';
import { BundleReader } from '../../../../src/trace/reader.ts';
import { study, switchLoad, syntheticLoad } from '../../../support/switch-study.ts';

const sum = (result: PolicyResult | undefined): PolicyResult['summary'] => result!.summary;

describe('refused switches', () => {
  test.each([
    ['reserved', -98],
    ['unmappable', -14],
  ])('%s: a replace disturbs nobody, detach and attach leaves the device blocked', async (failBy, errno) => {
    const load = await switchLoad({ failEvery: 3, failBy });
    const results = await study(load, { policies: ['detach-attach', 'block-then-setup', 'entry-sync'] });
    for (const policy of ['block-then-setup', 'entry-sync']) {
      const failed = results.get(policy)!.switches.filter(({ result }) => result < 0);
      expect(failed.map(({ result }) => result)).toEqual(Array.from({ length: 10 }, () => errno));
      expect(failed.map(({ faulted }) => faulted)).toEqual(failed.map(() => 0));
      expect(failed.every(({ transition }) => transition === 'SS>SS')).toBe(true);
    }
    const apart = results.get('detach-attach')!.switches.filter(({ result }) => result < 0);
    expect(apart.every(({ transition, faulted }) => transition === 'SS>none' && faulted > 10)).toBe(true);
  });
});

describe('switches rewritten', () => {
  test('a recorded detach and attach becomes one replace, with no gap in it', async () => {
    const load = await switchLoad({ call: 'detach-attach', userGapNs: 5000 });
    const results = await study(load, { policies: ['detach-attach', 'entry-sync'] });
    const recorded = results.get('detach-attach')!.summary;
    expect(recorded.switches).toBe(32);
    // The entry goes absent with the detach, requests fault once the PASID cache has forgotten it.
    expect(recorded.blackout.p50_ns).toBeGreaterThan(3500);
    expect(recorded.entry_absent.p50_ns).toBeGreaterThan(5000);
    expect(results.get('entry-sync')!.switches.map(({ kind }) => kind)).toEqual(
      Array.from({ length: 32 }, () => 'cdev-detach-attach'),
    );
    expect(results.get('entry-sync')!.summary.faulted).toBe(0);
  });

  test('a given gap stands for the recorded one, on replaces too', async () => {
    for (const call of ['replace', 'detach-attach']) {
      const load = await switchLoad({ call, userGapNs: 5000 });
      const results = await study(load, { policies: ['detach-attach'], gapNs: 20_000 });
      const { p50_ns } = results.get('detach-attach')!.summary.blackout;
      expect(p50_ns, call).toBeGreaterThan(15_000);
      expect(p50_ns, call).toBeLessThan(30_000);
    }
  });
});

describe('devices whose requests fault', () => {
  const POLICIES = ['detach-attach', 'clear-then-update', 'entry-sync'] as const;
  const closed = () => switchLoad({ pacing: 'closed', rows: 60_000, devices: 4, switches: 16, regionBytes: 4_194_304 });

  test('under closed pacing they stop until they have a table again, and the trace waits for them', async () => {
    const load = await closed();
    const results = await study(load, { policies: POLICIES, gapNs: 20_000 });
    const going = await study(load, { policies: POLICIES, gapNs: 20_000, onFault: 'continue' });
    const apart = results.get('detach-attach')!;
    const hit = apart.switches.filter(({ faulted }) => faulted > 0);
    expect(hit.length).toBeGreaterThan(8);
    for (const { blackoutPs, stoppedPs, absentPs } of hit) {
      expect(stoppedPs).toBeGreaterThan(18_000_000);
      expect(stoppedPs).toBeLessThan(blackoutPs);
      expect(blackoutPs).toBeLessThan(absentPs + 700_000);
    }
    expect(apart.summary.faulted).toBeLessThan(sum(going.get('detach-attach')).faulted / 4);
    expect(sum(going.get('detach-attach')).device_stopped.max_ns).toBe(0);
    expect(sum(results.get('clear-then-update')).blackout.max_ns).toBeLessThan(10_000);
    expect(sum(results.get('entry-sync'))).toEqual(sum(going.get('entry-sync')));
  });

  test('a device that was refused and stays blocked goes on when the call has returned', async () => {
    const load = await switchLoad({ pacing: 'closed', failEvery: 3, devices: 2, switches: 12 });
    const results = await study(load, { policies: ['detach-attach'] });
    const refused = results.get('detach-attach')!.switches.filter(({ result }) => result < 0);
    expect(refused).toHaveLength(4);
    expect(results.get('detach-attach')!.dmaRows).toBe(24_000);
  });
});

describe('requests during a switch', () => {
  test('those recorded inside it are issued inside it', async () => {
    const path = await switchLoad();
    const results = await study(path, { policies: ['make-before-break'] });
    const bundle = BundleReader.open(path);
    try {
      const times = new Map<number, number[]>();
      for (const unit of [0, 1]) {
        for (const { rowCount, columns } of bundle.dma(unit)!.batches()) {
          for (let row = 0; row < rowCount; row++) {
            const device = columns.device[row]!;
            times.set(device, [...(times.get(device) ?? []), columns.timeNs[2 * row]!]);
          }
        }
      }
      for (const each of results.get('make-before-break')!.switches) {
        const device = bundle.manifest.topology.devices.findIndex(({ name }) => name === each.device);
        const inside = times
          .get(device)!
          .filter((ns) => ns * 1000 >= each.startTick && ns * 1000 < each.endTick).length;
        expect(inside).toBeGreaterThan(5);
        expect(Math.abs(each.servedOld + each.servedNew - inside)).toBeLessThanOrEqual(3);
      }
    } finally {
      bundle.close();
    }
  });
});

describe('injected switches', () => {
  test('a load without switches can be asked the question', async () => {
    const load = await syntheticLoad({
      name: 'scatter',
      kind: 'scatter',
      seed: 1,
      rows: 24_000,
      units: 2,
      devices: 8,
      regionBytes: 8_388_608,
      pageBytes: 2_097_152,
      gapNs: 10,
      pacing: 'recorded',
    });
    const inject = { everyNs: 10_000, kind: 'rid' } as const;
    const results = await study(load, { policies: ['clear-then-update', 'make-before-break'], inject });
    for (const result of results.values()) {
      expect(result.summary.switches).toBeGreaterThan(15);
      expect(new Set(result.switches.map(({ kind }) => kind))).toEqual(new Set(['injected']));
      expect(result.switches.every(({ oldDomainId, newDomainId }) => oldDomainId !== newDomainId)).toBe(true);
      expect(result.lintStale).toBe(0);
    }
    expect(results.get('make-before-break')!.summary.faulted).toBe(0);
    expect(results.get('clear-then-update')!.summary.faulted).toBeGreaterThan(0);
  });

  test('mediated devices go to a copy of their IOAS and back', async () => {
    const load = await switchLoad({ devices: 1, mediated: 3, switches: 1, accessGapNs: 400, gapNs: 20 });
    const inject = { everyNs: 10_000, kind: 'mdev' } as const;
    const results = await study(load, { policies: ['detach-attach', 'make-before-break'], inject, gapNs: 2000 });
    const of = (policy: string) => results.get(policy)!.switches.filter(({ kind }) => kind === 'mdev-access');
    for (const policy of ['detach-attach', 'make-before-break']) {
      expect([policy, of(policy).length > 60]).toEqual([policy, true]);
      expect(of(policy).every(({ result, transition }) => result === 0 && transition === 'SW>SW')).toBe(true);
    }
    const refused = (policy: string): number => of(policy).reduce((sum, { faulted }) => sum + faulted, 0);
    expect(refused('detach-attach')).toBeGreaterThan(60);
    expect(refused('make-before-break')).toBe(0);
  });

  test('groups go to a container with the same mappings and back', async () => {
    const load = await syntheticLoad({
      name: 'guest',
      kind: 'container',
      seed: 7,
      rows: 40_000,
      units: 2,
      devices: 4,
      regionBytes: 8_388_608,
      pageBytes: 2_097_152,
      slots: 4,
      rounds: 0,
      gapNs: 20,
      pacing: 'recorded',
    });
    const inject = { everyNs: 100_000, kind: 'container' } as const;
    const policies = ['detach-attach', 'clear-then-update', 'entry-sync'] as const;
    const results = await study(load, { policies, inject, kernels: ['v6.12'] });
    for (const [policy, { switches, diagnostics, lintStale }] of results) {
      const moves = switches.map(({ kind, result, transition }) => `${kind} ${result} ${transition}`);
      expect([policy, new Set(moves)]).toEqual([policy, new Set(['legacy-container 0 SS>SS'])]);
      expect([policy, moves.length > 4, diagnostics, lintStale]).toEqual([policy, true, {}, 0]);
    }
    const worst = (policy: string): number => results.get(policy)!.summary.blackout.max_ns!;
    expect(worst('entry-sync')).toBe(0);
    expect(worst('clear-then-update')).toBeGreaterThan(1000);
    expect(worst('detach-attach')).toBeGreaterThan(10 * worst('clear-then-update'));
  });

  test('mappings that change between injected moves are there wherever the group is', async () => {
    const load = await syntheticLoad({
      name: 'guest',
      kind: 'container',
      seed: 7,
      rows: 20_000,
      devices: 1,
      regionBytes: 8_388_608,
      pageBytes: 2_097_152,
      slots: 4,
      rounds: 16,
      gapNs: 20,
    });
    const inject = { everyNs: 60_000, kind: 'container' } as const;
    const results = await study(load, { policies: ['detach-attach', 'make-before-break'], inject });
    for (const [policy, { switches, diagnostics, lintStale }] of results) {
      expect([policy, switches.length > 4, diagnostics, lintStale]).toEqual([policy, true, {}, 0]);
    }
    expect(results.get('make-before-break')!.summary.faulted).toBe(0);
    expect(results.get('make-before-break')!.summary.unmapped).toBe(0);
  });

  test('what the command line says of it is checked', () => {
    expect(parseInjection('every=10ms,kind=pasid')).toEqual({ everyNs: 10_000_000, kind: 'pasid' });
    expect(() => parseInjection('kind=rid')).toThrowError(/every=DURATION is missing/);
    expect(() => parseInjection('every=1ms,kind=bus')).toThrowError(/kind is one of rid, pasid/);
    expect(parseOnFault('stop')).toBe('stop');
    expect(() => parseOnFault('halt')).toThrowError(/continue or stop, not 'halt'/);
    expect(() => parseDuration('--user-gap', '5')).toThrowError(/no duration/);
    expect(() => parsePolicies(['entrysync'])).toThrowError(/did you mean 'entry-sync'/);
  });
});

describe('other interfaces', () => {
  test('a move between containers is dark while memory is mapped anew; as one replace of an IOAS it is not', async () => {
    const blackoutOf = async (regionBytes: number): Promise<number[]> => {
      const load = await switchLoad({ call: 'container-move', regionBytes, switches: 16, gapNs: 40 });
      const policies = ['detach-attach', 'clear-then-update', 'entry-sync'] as const;
      // Linux 6.12 gives containers and IOASes second-stage tables.
      const results = await study(load, { policies, kernels: ['v6.12'] });
      for (const [policy, { switches, summary, diagnostics, lintStale }] of results) {
        expect(new Set(switches.map(({ kind }) => kind))).toEqual(new Set(['legacy-container']));
        expect([policy, switches.length, summary.failed, diagnostics, lintStale]).toEqual([policy, 16, 0, {}, 0]);
      }
      expect(results.get('entry-sync')!.summary.faulted).toBe(0);
      return [...results.values()].map(({ summary }) => summary.blackout.mean_ns!);
    };
    const [small, replaced] = await blackoutOf(4_194_304);
    const [large, alsoReplaced] = await blackoutOf(16_777_216);
    expect(large).toBeGreaterThan(2 * small!);
    expect(small).toBeGreaterThan(10 * replaced!);
    expect(alsoReplaced! / replaced!).toBeCloseTo(1, 0);
  });

  test('a given gap comes on top of the calls of a container move', async () => {
    const load = await switchLoad({ call: 'container-move', regionBytes: 4_194_304, switches: 8, gapNs: 40 });
    const of = async (gapNs?: number): Promise<number> => {
      const results = await study(load, { policies: ['detach-attach'], gapNs });
      return results.get('detach-attach')!.summary.blackout.p50_ns!;
    };
    const longer = (await of(50_000)) - (await of());
    expect(longer).toBeGreaterThan(45_000);
    expect(longer).toBeLessThan(55_000);
  });

  test('a mediated device keeps its memory through a replace; detach and attach refuses its driver meanwhile', async () => {
    const load = await switchLoad({ devices: 1, mediated: 3, switches: 32, accessGapNs: 400, gapNs: 20 });
    const results = await study(load, { policies: ['detach-attach', 'make-before-break'], gapNs: 5000 });
    const of = (policy: string) => results.get(policy)!.switches.filter(({ kind }) => kind === 'mdev-access');
    expect(of('make-before-break')).toHaveLength(24);
    const refused = (policy: string): number => of(policy).reduce((sum, { faulted }) => sum + faulted, 0);
    expect(refused('detach-attach')).toBeGreaterThan(24 * 5);
    expect(refused('make-before-break')).toBeLessThan(24);
    expect(of('make-before-break').every(({ transition }) => transition === 'SW>SW')).toBe(true);
  });
});
