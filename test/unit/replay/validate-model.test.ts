import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { hardwareProfile } from '../../../src/hw/profiles/registry.ts';
import { ConfigError, InputError } from '../../../src/input-error.ts';
import { makePoint } from '../../../src/replay/validate-model/point.ts';
import { holds, tally } from '../../../src/replay/validate-model/result.ts';
import { runUserTable } from '../../../src/replay/validate-model/user-run.ts';
import { readUserTable, userTableJsonSchema } from '../../../src/replay/validate-model/user-table.ts';
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

function withPoint(point: object) {
  return { ...HASWELL.curves[0]!, points: [point] };
}

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

  test('with the IOMMU off nothing is looked up, and a lone read takes the round trip that the profile states', () => {
    const at = { ...READ, windowPages: 64, outstanding: 1 };
    const off = measureWindow(config, { ...at, translating: false }, EFFORT);
    expect(off).toMatchObject({ missShare: 0, latencyNs: 412 });
    expect(measureWindow(config, { ...at, translating: false, readRoundTripNs: 479 }, EFFORT).latencyNs).toBe(479);
    // On adds the time of a hit.
    expect(measureWindow(config, at, EFFORT).latencyNs).toBe(412 + config.translation.hitTicks / 1000);
  });

  test('one outstanding request is all its TLPs: a read of a page is one round trip and its time on the wire', () => {
    const { config: fast } = hardwareProfile('vtd-bdw', ['device.readIntervalNs=[0,0,0,0]']);
    const at = { ...READ, windowPages: 64, outstanding: 1, translating: false };
    const { latencyNs } = measureWindow(fast, { ...at, bytes: 4096 }, EFFORT);
    const { psPerByte, completionHeaderBytes, dllpBytes } = fast.link;
    // 16 completions of 256 bytes for 8 requests of 512, against one of 64 bytes.
    const wireNs = ((4096 + 16 * completionHeaderBytes + 8 * dllpBytes) * psPerByte) / 1000;
    const lineNs = ((64 + completionHeaderBytes + dllpBytes) * psPerByte) / 1000;
    const expected = 412 + wireNs - lineNs;
    expect(Math.abs(latencyNs / expected - 1)).toBeLessThan(0.02);
    // Likewise 16 TLPs of a write of a page, not one after the other's global visibility.
    const write = { ...at, direction: 'write', bytes: 4096 } as const;
    const { latencyNs: posted } = measureWindow(hardwareProfile('vtd-bdw').config, write, EFFORT);
    expect(posted).toBeLessThan(1500);
  });

  test('of more requests than model time has room for is an error, not a number', () => {
    const slow = hardwareProfile('vtd-bdw', ['link.oneWayNs=1e12', 'link.readRoundTripNs=3e12']).config;
    expect(() => measureWindow(slow, { ...READ, windowPages: 64 }, EFFORT)).toThrow(/model time/);
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

  test.each([
    // A share of nothing, or of less, is that much in the value's unit; the error is above 0 where the model is.
    [0, 0.05, { error: 0.05, pass: false }],
    [0, 0, { error: 0, pass: true }],
    [-10, -9.5, { error: 0.5, pass: true, tolerance: { kind: 'absolute', amount: 1 } }],
    [-10, -12, { error: -2, pass: false }],
  ])('measured as %f and modelled as %f within 10 %% is counted in its unit', (published, modelled, point) => {
    expect(makePoint({ ...base, published, modelled, tolerance: { kind: 'relative', share: 0.1 } })).toMatchObject(
      point,
    );
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

  test('of superpages hold around 0, where a share says nothing; what is below 0 is noise', () => {
    const added = (...values: readonly number[]) => {
      const points = values.map((value, at) => ({ pages: [64, 512, 4096, 16384][at]!, value }));
      const curve = { ...HASWELL.curves[2]!, superpages: true, points };
      return runUserTable(readUserTable(fileOf({ ...HASWELL, curves: [curve] })), {}, EFFORT).points;
    };
    const around = added(3, 3, 1, -1.5);
    expect(around.map(({ tolerance }) => tolerance)).toEqual(
      [3, 3, 3, 4.5].map((amount) => ({ kind: 'absolute', amount })),
    );
    expect(around.map(({ pass }) => pass)).toEqual([true, true, true, true]);
    // Far from nothing on either side fails, and is said in ns.
    expect(added(-10, 12)).toMatchObject([
      { pass: false, error: 11, tolerance: { kind: 'absolute', amount: 6 } },
      { pass: false, error: -11, tolerance: { kind: 'absolute', amount: 3 } },
    ]);
  });

  test('are allowed a tenth of an added latency, and 3 ns at least; so of a tolerance of their own', () => {
    const points = [
      { pages: 1024, value: 29 },
      { pages: 1024, value: 31 },
      { pages: 128, value: 31 },
      { pages: 64, value: 31 },
      { pages: 1024, value: 20, tolerance: 0.2 },
      { pages: 1024, value: 5, tolerance: 0.2 },
    ];
    const table = readUserTable(fileOf({ ...HASWELL, curves: [{ ...HASWELL.curves[2]!, points }] }));
    const allowed = runUserTable(table, {}, EFFORT).points.map(({ tolerance }) => tolerance);
    expect(allowed).toEqual([
      { kind: 'absolute', amount: 3 },
      { kind: 'relative', share: 0.1 },
      { kind: 'absolute', amount: 30 },
      { kind: 'absolute', amount: 3 },
      { kind: 'relative', share: 0.2 },
      { kind: 'absolute', amount: 3 },
    ]);
  });

  test('in Gb/s are shown as measured beside the times they mean', () => {
    const points = runUserTable(readUserTable(fileOf(HASWELL)), {}, EFFORT).points;
    const [first] = points.filter(({ series }) => series === 'writes of 128 B');
    expect(first).toMatchObject({ label: '64 pages, 42.4 Gb/s', unit: 'ns', publishedGbps: 42.4 });
    expect(first!.published).toBeCloseTo(24.15, 2);
    expect(first!.modelledGbps).toBeCloseTo(1024 / first!.modelled!, 9);
    expect(points[0]).not.toHaveProperty('publishedGbps');
  });

  test('on a machine without an IOMMU are those of its devices; what misses cost is refused', () => {
    const { singleMissPenaltyNs: _, ...rest } = { ...HASWELL, profile: 'bypass' };
    const points = [{ pages: 16384, value: 1 }];
    const curves = [
      { ...HASWELL.curves[2]!, points },
      { ...HASWELL.curves[2]!, quantity: 'latency-ns', points: [{ pages: 16384, value: 412 }] },
    ];
    const table = runUserTable(readUserTable(fileOf({ ...rest, curves })), {}, EFFORT);
    expect(table.points.map(({ modelled }) => modelled)).toEqual([0, 412]);
    const run = (content: object, overrides: readonly string[] = []) =>
      runUserTable(readUserTable(fileOf({ ...rest, curves, ...content })), { overrides }, EFFORT);
    expect(() => run({ singleMissPenaltyNs: 200 })).toThrow(/curves\.json: singleMissPenaltyNs: 'bypass' has no IOMMU/);
    expect(() => run({ set: ['link.lanes=4', 'iotlb.entries=8'] })).toThrow(
      /curves\.json: set\.1: 'bypass' has no IOMMU/,
    );
    expect(() => run({}, ['translation.walkers=8'])).toThrow(/--set: 'bypass' has no IOMMU/);
    expect(run({ set: ['link.lanes=4'] }).points).toHaveLength(2);
  });

  test.each(['qemu-7.2', 'qemu-11.1'])('are not held against %s, which has no times of a machine', (profile) => {
    const table = readUserTable(fileOf(HASWELL));
    const message = /^--hw: 'qemu-.*' is the emulated unit of a recorder.*vtd-bdw, vtd-hsw/;
    expect(() => runUserTable(table, { profile }, EFFORT)).toThrow(message);
    const own = readUserTable(fileOf({ ...HASWELL, profile }));
    expect(() => runUserTable(own, {}, EFFORT)).toThrow(/curves\.json: profile: 'qemu-/);
  });

  test('may begin with a byte order mark', () => {
    const file = join(folder, 'bom.json');
    writeFileSync(file, `\uFEFF${JSON.stringify(HASWELL)}`);
    expect(readUserTable(file).name).toBe(HASWELL.name);
    writeFileSync(file, `\uFEFF${JSON.stringify({ ...HASWELL, curves: [{ ...HASWELL.curves[0]!, bytes: 0 }] })}`);
    expect(() => readUserTable(file)).toThrow(/bom\.json: curves\.0\.bytes: .*\(curve 'reads'\)/);
  });

  test.each([
    [{ ...HASWELL, curvs: [] }, /curvs: unknown key, did you mean 'curves'/],
    [{ ...HASWELL, curves: [] }, /curves/],
    [{ ...HASWELL, schemaVersion: 2 }, /schemaVersion/],
    [
      { ...HASWELL, profile: 'vtd-bwd' },
      /^\S*curves\.json: profile: no hardware profile 'vtd-bwd', did you mean 'vtd-bdw'/,
    ],
    [{ ...HASWELL, set: ['iotlb.entires=3'] }, /^\S*curves\.json: set\.0: iotlb\.entires: unknown key, did you mean/],
    [{ ...HASWELL, set: ['iotlb.entries=96', 'noequals'] }, /^\S*curves\.json: set\.1: 'noequals' is not/],
    // Only the whole is right: entries are a multiple of ways.
    [{ ...HASWELL, set: ['iotlb.ways=32', 'iotlb.entries=96', 'iotlb.walkers=3'] }, /^\S*curves\.json: set\.2: /],
    [{ ...HASWELL, readRoundTripNs: 100 }, /^\S*curves\.json: readRoundTripNs: a round trip of 100 ns is shorter than/],
    [{ ...HASWELL, set: ['link.oneWayNs=300'] }, /^\S*curves\.json: set\.0: a round trip of 412 ns is shorter than/],
    [
      {
        ...HASWELL,
        curves: [withPoint({ pages: 64, value: 20 }), withPoint({ pages: 64, value: 15, readRoundTripNs: 9 })],
      },
      /^\S*curves\.json: curves\.1\.points\.0\.readRoundTripNs: a round trip of 9 ns .*\(curve 'reads'\)/,
    ],
    [
      { ...HASWELL, profile: 'vtd-snb', curves: [{ ...HASWELL.curves[0]!, superpages: true }] },
      /curves\.json: curves\.0\.superpages: vtd-snb has no 2 MiB pages \(curve 'reads'\)/,
    ],
    [
      { ...HASWELL, curves: [withPoint({ pages: 64, value: 0 })] },
      /^\S*curves\.json: curves\.0\.points\.0\.value: .*\(curve 'reads'\)$/,
    ],
    [
      { ...HASWELL, curves: [{ ...HASWELL.curves[0]!, quantty: 'gbps', quantity: undefined }] },
      /curves\.0\.quantty: unknown key, did you mean 'quantity'\? \(curve 'reads'\)/,
    ],
    [
      { ...HASWELL, curves: [withPoint({ pages: 64, valu: 1 })] },
      /curves\.0\.points\.0\.valu: unknown key, did you mean 'value'\? \(curve 'reads'\)/,
    ],
  ])('that say something wrong are refused with file, place and curve: %#', (content, message) => {
    const file = fileOf(content);
    expect(() => runUserTable(readUserTable(file), {}, EFFORT)).toThrow(message);
    expect(() => runUserTable(readUserTable(file), {}, EFFORT)).toThrow(ConfigError);
  });

  test('whose profile or numbers the command line got wrong blame the command line', () => {
    const table = readUserTable(fileOf({ ...HASWELL, set: ['iotlb.entries=100'] }));
    expect(() => runUserTable(table, { profile: 'vtd-bwd' }, EFFORT)).toThrow(/^--hw: no hardware profile/);
    expect(() => runUserTable(table, { overrides: ['iotlb.entires=3'] }, EFFORT)).toThrow(/^--set: iotlb\.entires/);
  });

  test('that cannot be read are an input error', () => {
    expect(() => readUserTable(join(folder, 'absent.json'))).toThrow(InputError);
    expect(() => readUserTable(join(folder, 'absent.json'))).toThrow(/absent\.json: cannot be read \(ENOENT\)/);
    expect(() => readUserTable(folder)).toThrow(InputError);
  });

  test('have the published JSON Schema', () => {
    const published = readFileSync(new URL('../../../docs/measured-curves.schema.json', import.meta.url), 'utf8');
    expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(userTableJsonSchema())));
  });

  describe('are accepted by the published JSON Schema exactly as by the tool', () => {
    const published = z.fromJSONSchema(userTableJsonSchema() as z.core.JSONSchema.BaseSchema);
    const only = (curve: object, point: object = {}) => ({
      ...HASWELL,
      curves: [{ ...HASWELL.curves[0]!, points: [{ pages: 64, value: 20, ...point }], ...curve }],
    });
    const gbps = { quantity: 'gbps' };
    const added = { quantity: 'added-latency-ns' };
    const cases: readonly (readonly [boolean, object])[] = [
      [true, HASWELL],
      [
        true,
        only({ outstanding: null, superpages: true, pattern: 'in-turn' }, { tolerance: 0.2, readRoundTripNs: 400 }),
      ],
      [true, only({}, { value: 1e-9 })],
      [false, only({}, { value: 0 })],
      [false, only({}, { value: -3 })],
      [false, only({}, { value: 1e7 })],
      [false, only({}, { value: 1e300 })],
      [false, only({ quantity: 'latency-ns' }, { value: 0 })],
      [true, only({ quantity: 'latency-ns' })],
      [true, only(gbps)],
      [false, only(gbps, { value: 0 })],
      [false, only(gbps, { value: 1e-320 })],
      [false, only(gbps, { value: 1e-5 })],
      [true, only(added, { value: 0 })],
      [true, only(added, { value: -1.5 })],
      [false, only(added, { value: -1e300 })],
      [false, only(added, { value: '3' })],
      [false, only({ quantity: 'gbs' })],
      [false, only({ quantity: undefined })],
      [false, only({ colour: 'red' })],
      [false, only({}, { valeu: 3 })],
      [false, only({ bytes: 4097 })],
      [false, only({ bytes: 64.5 })],
      [false, only({ outstanding: 0 })],
      [false, only({ points: [] })],
      [false, only({}, { pages: 0 })],
      [false, only({}, { tolerance: 0 })],
      [false, only({}, { readRoundTripNs: 1e9 })],
      [true, { ...HASWELL, readRoundTripNs: 400, set: ['iotlb.entries=64'] }],
      [false, { ...HASWELL, singleMissPenaltyNs: 1e16 }],
      [false, { ...HASWELL, singleMissPenaltyNs: 0 }],
      [false, { ...HASWELL, readRoundTripNs: 1e9 }],
      [false, { ...HASWELL, schemaVersion: 2 }],
      [false, { ...HASWELL, name: '' }],
      [false, { ...HASWELL, curves: [] }],
      [false, { ...HASWELL, set: 'iotlb.entries=64' }],
      [false, { ...HASWELL, surprise: 1 }],
      [false, []],
    ];

    test.each(cases)('%s: case %#', (good, content) => {
      const text = JSON.stringify(content);
      expect(published.safeParse(JSON.parse(text)).success).toBe(good);
      const read = () => readUserTable(fileOf(content));
      if (good) expect(read).not.toThrow();
      else expect(read).toThrow(ConfigError);
    });
  });
});
