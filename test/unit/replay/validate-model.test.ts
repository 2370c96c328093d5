import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hardwareProfile } from '../../../src/hw/profiles/registry.ts';
import { fitUserTable } from '../../../src/replay/validate-model/fit.ts';
import { makePoint } from '../../../src/replay/validate-model/point.ts';
import { holds, tally } from '../../../src/replay/validate-model/result.ts';
import { runUserTable } from '../../../src/replay/validate-model/user-run.ts';
import { readUserTable, type UserTable, userTableJsonSchema } from '../../../src/replay/validate-model/user-table.ts';
import { measureWindow } from '../../../src/replay/validate-model/window-sweep.ts';

const EFFORT = { seed: 5, samples: 8000 };
const READ = { direction: 'read', bytes: 64, superpages: false, translating: true } as const;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'validate-model-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(content: unknown): string {
  const file = join(folder, 'curves.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

const HASWELL = {
  schemaVersion: 1,
  name: 'Haswell E5-2637 v3, as a stranger would give it',
  source: 'pcie-bench/data',
  singleMissPenaltyNs: 267,
  curves: [
    {
      name: 'reads',
      direction: 'read',
      bytes: 64,
      quantity: 'ns-per-transaction',
      points: [
        { pages: 256, value: 32.8 },
        { pages: 1024, value: 47.8 },
        { pages: 16384, value: 52.0 },
      ],
    },
    {
      name: 'writes of 128 B',
      direction: 'write',
      bytes: 128,
      quantity: 'gbps',
      points: [
        { pages: 64, value: 42.4 },
        { pages: 1024, value: 25.7 },
      ],
    },
    {
      name: 'latency',
      direction: 'read',
      bytes: 64,
      outstanding: 1,
      quantity: 'added-latency-ns',
      points: [
        { pages: 512, value: 205 },
        { pages: 16384, value: 265 },
      ],
    },
  ],
};

describe('a window sweep', () => {
  const { config } = hardwareProfile('vtd-bdw');

  test('is the same for the same seed, and for another seed nearly', () => {
    const point = { ...READ, windowPages: 512 };
    const first = measureWindow(config, point, EFFORT);
    expect(measureWindow(config, point, EFFORT)).toEqual(first);
    const other = measureWindow(config, point, { ...EFFORT, seed: 6 });
    expect(other).not.toEqual(first);
    expect(other.intervalNs / first.intervalNs).toBeCloseTo(1, 1);
  });

  test('misses as often as pages do not fit the IOTLB', () => {
    const reach = config.iotlb.entries;
    for (const windowPages of [256, 1024, 16384]) {
      const { missShare } = measureWindow(config, { ...READ, windowPages }, EFFORT);
      expect(Math.abs(missShare - (1 - reach / windowPages))).toBeLessThan(0.02);
    }
  });

  test('pages in turn miss always as soon as there is one page too many', () => {
    const inTurn = { ...READ, inTurn: true };
    const { entries } = config.iotlb;
    expect(measureWindow(config, { ...inTurn, windowPages: entries }, EFFORT).missShare).toBe(0);
    expect(measureWindow(config, { ...inTurn, windowPages: entries + 1 }, EFFORT).missShare).toBe(1);
  });

  test('superpages of a unit that has none are refused', () => {
    const { config: sandyBridge } = hardwareProfile('vtd-snb');
    const point = { ...READ, windowPages: 64, superpages: true };
    expect(() => measureWindow(sandyBridge, point, EFFORT)).toThrow(
      'hardware profile vtd-snb: the unit has no superpages (CAP.SLLPS)',
    );
  });

  test('with the IOMMU off nothing is looked up', () => {
    const off = measureWindow(config, { ...READ, windowPages: 4096, translating: false }, EFFORT);
    expect(off.missShare).toBe(0);
  });
});

describe('a point', () => {
  const base = { series: 's', label: 'l', unit: 'ns', published: 100, use: 'predicted' } as const;
  test.each([
    [109.9, { kind: 'relative', share: 0.1 }, true],
    [110.1, { kind: 'relative', share: 0.1 }, false],
    [103, { kind: 'absolute', amount: 3 }, true],
    [96.9, { kind: 'absolute', amount: 3 }, false],
    [100, { kind: 'at-most' }, true],
    [100.1, { kind: 'at-most' }, false],
    [99.9, { kind: 'at-least' }, false],
  ] as const)('of %f against 100 within %o: %s', (modelled, tolerance, pass) => {
    expect(makePoint({ ...base, modelled, tolerance }).pass).toBe(pass);
  });
});

describe('measured curves of a user', () => {
  test('of a machine never seen hold with its single-miss penalty alone', () => {
    const table = runUserTable(readUserTable(fileOf(HASWELL)), {}, EFFORT);
    expect(table.points.filter(({ pass }) => !pass)).toEqual([]);
    expect(tally(table)).toEqual({ decided: 7, passed: 7 });
  });

  test('do not hold with the penalty of another machine', () => {
    const other = readUserTable(fileOf({ ...HASWELL, singleMissPenaltyNs: 400 }));
    expect(holds(runUserTable(other, {}, EFFORT))).toBe(false);
  });

  test.each([
    [{ ...HASWELL, curvs: [] }, /curvs: unknown key, did you mean 'curves'/],
    [{ ...HASWELL, curves: [] }, /curves/],
    [{ ...HASWELL, schemaVersion: 2 }, /schemaVersion/],
    [{ ...HASWELL, profile: 'vtd-bwd' }, /no hardware profile 'vtd-bwd', did you mean 'vtd-bdw'/],
    [{ ...HASWELL, set: ['iotlb.entires=3'] }, /iotlb\.entires/],
  ])('that say something wrong are refused with the place', (content, message) => {
    const file = fileOf(content);
    expect(() => runUserTable(readUserTable(file), {}, EFFORT)).toThrow(message);
  });

  test('that cannot be read are an input error', () => {
    expect(() => readUserTable(join(folder, 'absent.json'))).toThrow(/absent\.json/);
  });

  test('have the published JSON Schema', () => {
    const published = readFileSync(new URL('../../../docs/measured-curves.schema.json', import.meta.url), 'utf8');
    expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(userTableJsonSchema())));
  });
});

describe('a fit', () => {
  test('finds the penalty and the reach that made the curve', () => {
    const truth = hardwareProfile('vtd-bdw', ['translation.walkFixedNs=40', 'iotlb.entries=160']).config;
    const points = [192, 256, 512, 4096].map((pages) => {
      const at = { ...READ, windowPages: pages, outstanding: 1 };
      const on = measureWindow(truth, at, EFFORT).latencyNs;
      return { pages, value: on - measureWindow(truth, { ...at, translating: false }, EFFORT).latencyNs };
    });
    const curve = { ...HASWELL.curves[2]!, points };
    const table: UserTable = readUserTable(fileOf({ ...HASWELL, singleMissPenaltyNs: 290, curves: [curve] }));
    const fit = fitUserTable(table, ['singleMissPenaltyNs', 'iotlb.entries'], {}, EFFORT);
    const [penalty, reach] = fit.parameters;
    expect(Math.abs(penalty!.proposed / 220 - 1)).toBeLessThan(0.03);
    expect(Math.abs(reach!.proposed / 160 - 1)).toBeLessThan(0.05);
    expect(fit.errorAfter).toBeLessThan(fit.errorBefore / 5);
  });

  test('of something that is no number of the profile is refused', () => {
    const table = readUserTable(fileOf(HASWELL));
    expect(() => fitUserTable(table, ['iotlb.policy'], {}, EFFORT)).toThrow(/'iotlb.policy' is no number/);
  });
});
