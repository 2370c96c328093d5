import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hardwareProfile } from '../../../src/hw/profiles/registry.ts';
import { ConfigError } from '../../../src/input-error.ts';
import { fitUserTable } from '../../../src/replay/validate-model/fit.ts';
import { FitParameter } from '../../../src/replay/validate-model/fit-parameter.ts';
import { type Movable, patternSearch } from '../../../src/replay/validate-model/pattern-search.ts';
import { runUserTable } from '../../../src/replay/validate-model/user-run.ts';
import { readUserTable, type UserTable } from '../../../src/replay/validate-model/user-table.ts';
import { measureWindow } from '../../../src/replay/validate-model/window-sweep.ts';

const EFFORT = { seed: 5, samples: 4000 };
const READ = { direction: 'read', bytes: 64, superpages: false, translating: true } as const;
const GAINS = { step: 0.0005, value: 0.01 };

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'validate-model-fit-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Intervals of reads that a profile with these overrides makes, as a stranger's measurement of another. */
function measuredOn(profile: string, overrides: readonly string[], content: object = {}, windows = [512]): UserTable {
  const { config } = hardwareProfile(profile, overrides);
  const points = windows.map((pages) => ({
    pages,
    value: measureWindow(config, { ...READ, windowPages: pages }, EFFORT).intervalNs,
  }));
  const curve = { name: 'reads', direction: 'read', bytes: 64, quantity: 'ns-per-transaction', points };
  const file = join(folder, 'curves.json');
  writeFileSync(file, JSON.stringify({ schemaVersion: 1, name: 'a machine', profile, curves: [curve], ...content }));
  return readUserTable(file);
}

describe('a fit', () => {
  test('finds the penalty and the reach that made the curve, and says so in what it hands back', () => {
    const truth = hardwareProfile('vtd-bdw', ['translation.walkFixedNs=40', 'iotlb.entries=160']).config;
    const points = [192, 1024].map((pages) => {
      const at = { ...READ, windowPages: pages, outstanding: 1 };
      const on = measureWindow(truth, at, EFFORT).latencyNs;
      return { pages, value: on - measureWindow(truth, { ...at, translating: false }, EFFORT).latencyNs };
    });
    const curve = { name: 'added', direction: 'read', bytes: 64, outstanding: 1, quantity: 'added-latency-ns', points };
    const table = measuredOn('vtd-bdw', [], { singleMissPenaltyNs: 290, curves: [curve] });
    const { before, fit } = fitUserTable(table, ['singleMissPenaltyNs', 'iotlb.entries'], {}, EFFORT);
    const [penalty, reach] = fit.parameters;
    expect(penalty).toMatchObject({ before: 290, unit: 'ns', state: 'proposed' });
    expect(Math.abs(penalty!.proposed / 220 - 1)).toBeLessThan(0.03);
    expect(Math.abs(reach!.proposed / 160 - 1)).toBeLessThan(0.05);
    expect(fit.improved).toBe(true);
    expect(fit.misfitAfter).toBeLessThan(fit.misfitBefore / 5);
    expect(fit.errorShareAfter!).toBeLessThan(fit.errorShareBefore! / 5);
    expect(before.basis).toMatch(/nothing was fitted/);
    expect(fit.after.basis).toContain(
      `fitted to these very curves: singleMissPenaltyNs ${penalty!.proposed} ns (was 290)`,
    );
    expect(new Set(fit.after.points.map(({ use }) => use))).toEqual(new Set(['fitted']));
    // The overrides are the proposal: they give the curve that is handed back.
    const applied = runUserTable(table, { overrides: fit.overrides }, EFFORT);
    expect(applied.points.map(({ modelled }) => modelled)).toEqual(fit.after.points.map(({ modelled }) => modelled));
  });

  test('moves a number away from 0', () => {
    const table = measuredOn('vtd-bdw', ['translation.walkIntervalNs=60'], { set: ['translation.walkIntervalNs=0'] });
    const { fit } = fitUserTable(table, ['translation.walkIntervalNs'], {}, EFFORT);
    expect(fit.parameters[0]!.before).toBe(0);
    expect(Math.abs(fit.parameters[0]!.proposed - 60)).toBeLessThan(3);
  });

  test('moves what may be negative below 0, and what may not no farther than 0', () => {
    // One walker: how long it is held sets the rate.
    const set = ['translation.walkers=1', 'translation.walkIntervalNs=0', 'translation.busyExtraNs=10'];
    const table = measuredOn('vtd-bdw', [...set, 'translation.busyExtraNs=-120'], { set });
    const { fit } = fitUserTable(table, ['translation.busyExtraNs'], {}, EFFORT);
    expect(Math.abs(fit.parameters[0]!.proposed + 120)).toBeLessThan(12);
    // A walk 40 ns shorter than none at all would fit best.
    const low = measuredOn('vtd-bdw', [...set, 'translation.busyExtraNs=-160'], { set });
    const { fit: bounded } = fitUserTable(low, ['translation.walkFixedNs'], {}, EFFORT);
    expect(bounded.parameters[0]!.proposed).toBeGreaterThanOrEqual(0);
  });

  test('of what is right already proposes nothing, and names what the curves do not depend on', () => {
    const table = measuredOn('vtd-bdw', [], {}, [256]);
    const { before, fit } = fitUserTable(table, ['iotlb.entries', 'queue.fetchNs'], {}, EFFORT);
    expect(fit).toMatchObject({ improved: false, overrides: [], misfitAfter: fit.misfitBefore });
    expect(fit.parameters).toEqual([
      { path: 'iotlb.entries', unit: 'entries', before: 113, proposed: 113, state: 'kept' },
      { path: 'queue.fetchNs', unit: 'ns', before: 200, proposed: 200, state: 'flat' },
    ]);
    expect(fit.after).toEqual(before);
  });

  test('goes on where the profile refuses a value', () => {
    // Entries are a multiple of the ways; there is no generation 7.
    const table = measuredOn('vtd-bdw', [], { set: ['link.pcieGeneration=6', 'iotlb.entries=128', 'iotlb.ways=4'] });
    const { fit } = fitUserTable(table, ['iotlb.ways', 'link.pcieGeneration', 'iotlb.entries'], {}, EFFORT);
    const applied = (): unknown => hardwareProfile('vtd-bdw', [...table.set, ...fit.overrides]);
    expect(applied).not.toThrow();
    expect(fit.parameters[1]).toMatchObject({ proposed: 6 });
  });

  test.each([
    [['iotlb.policy'], /^--fit: 'iotlb\.policy' is no number/],
    [['iotlb.entires'], /did you mean 'iotlb\.entries'/],
    [['iotlb.entries', 'translation.walkers', 'iotlb.entries'], /^--fit: 'iotlb\.entries' is given twice/],
    [['singleMissPenaltyNs', 'translation.walkReadNs'], /^--fit: 'singleMissPenaltyNs' is the sum/],
    [['translation.walkFixedNs', 'singleMissPenaltyNs'], /fit it or 'translation\.walkFixedNs', not both/],
  ])('of %j is refused', (paths, message) => {
    const fit = (): unknown => fitUserTable(measuredOn('vtd-bdw', []), paths, {}, EFFORT);
    expect(fit).toThrow(ConfigError);
    expect(fit).toThrow(message);
  });

  test.each(['singleMissPenaltyNs', 'iotlb.entries'])('of %s without an IOMMU is refused', (path) => {
    const table = measuredOn('bypass', []);
    expect(() => fitUserTable(table, [path], {}, EFFORT)).toThrow(/^--fit: 'bypass' has no IOMMU/);
  });
});

test.each([
  ['link.lanes', 8, [16, 4]],
  ['link.maxPayloadBytes', 256, [512, 128]],
  ['iotlb.entries', 113, [141, 85]],
  ['translation.walkers', 8, [10, 6]],
  ['translation.hitNs', 2, [4, 0]],
  ['translation.busyExtraNs', 0, [10, -10]],
])('a step of %s from %i goes to %j', (path, start, next) => {
  const parameter = new FitParameter(path, 'vtd-bdw', hardwareProfile('vtd-bdw', [`${path}=${start}`]));
  expect(parameter.start).toBe(start);
  expect([0.25, -0.25].map((share) => parameter.stepped(start, share))).toEqual(next);
});

describe('a pattern search', () => {
  const real = (start: number): Movable => ({ start, stepped: (from, share) => from + 4 * share });

  test('ends where no single step is better', () => {
    const { values, states } = patternSearch([real(0), real(0)], ([a, b]) => 1 + (a! - 3) ** 2 + (b! + 1) ** 2, GAINS);
    expect(values[0]).toBeCloseTo(3, 0);
    expect(values[1]).toBeCloseTo(-1, 0);
    expect(states).toEqual(['moved', 'moved']);
  });

  test('tells flat, refused and not worth it from what moves', () => {
    const cost = ([a, , c, d]: readonly number[]): number =>
      c === 5 ? 100 + (a! - 1) ** 2 * 10 + (d! - 1) ** 2 * 0.2 : Number.POSITIVE_INFINITY;
    const { values, states } = patternSearch([real(0), real(7), real(5), real(0)], cost, GAINS);
    expect(states).toEqual(['moved', 'flat', 'refused', 'kept']);
    expect(values.slice(1)).toEqual([7, 5, 0]);
  });
});
