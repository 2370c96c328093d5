import { expect, test } from 'vitest';
import * as z from 'zod';
import { applyOverrides, decodeJson, decodeStrict } from '../../src/decode.ts';
import { ConfigError } from '../../src/input-error.ts';

const schema = z.object({
  name: z.string(),
  iotlb: z.object({ entries: z.int().positive(), ways: z.int().optional() }),
  levels: z.array(z.object({ hitCycles: z.int() })).default([]),
  policy: z
    .discriminatedUnion('kind', [
      z.object({ kind: z.literal('lru') }),
      z.object({ kind: z.literal('random'), seed: z.int() }),
    ])
    .optional(),
  costs: z.record(z.string(), z.object({ valueNs: z.number() })).optional(),
});
const good = { name: 'x', iotlb: { entries: 4 } };

function errorOf(value: unknown): ConfigError {
  try {
    decodeStrict(schema, value, 'p.json');
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('decoded without an error');
}

test('a decoded value is frozen all the way down', () => {
  const value = decodeStrict(schema, good, 'p.json');
  expect(value).toEqual({ ...good, levels: [] });
  expect(Object.isFrozen(value) && Object.isFrozen(value.iotlb) && Object.isFrozen(value.levels)).toBe(true);
});

test.each([
  [{ ...good, iotlb: { entries: 4, wasy: 2 } }, 'iotlb.wasy', "unknown key, did you mean 'ways'?"],
  [
    { ...good, levels: [{ hitCycles: 1 }, { hitCycle: 1 }] },
    'levels.1.hitCycle',
    "unknown key, did you mean 'hitCycles'?",
  ],
  [{ ...good, policy: { kind: 'random', sede: 1 } }, 'policy.sede', "unknown key, did you mean 'seed'?"],
  [{ ...good, policy: { kind: 'lru', seed: 1 } }, 'policy.seed', 'unknown key'],
  [{ ...good, costs: { map: { valueNS: 1 } } }, 'costs.map.valueNS', "unknown key, did you mean 'valueNs'?"],
  [{ ...good, zebra: 1 }, 'zebra', 'unknown key'],
  [{ ...good, toString: 1 }, 'toString', 'unknown key'],
])('an unknown key is named with its path and the nearest known key: %j', (value, path, reason) => {
  expect(errorOf(value)).toMatchObject({ source: 'p.json', path, reason, exitCode: 2 });
});

test('a wrong type is named with its path', () => {
  expect(errorOf({ ...good, iotlb: { entries: 'many' } })).toMatchObject({ path: 'iotlb.entries' });
  expect(errorOf({ ...good, iotlb: { entries: 'many' } }).message).toMatch(/^p\.json: iotlb\.entries: expected/);
});

const sweep = z.object({
  curves: z.array(
    z.discriminatedUnion('quantity', [
      z.object({ quantity: z.enum(['ns', 'latency']), unit: z.enum(['a', 'b']), at: z.object({ ns: z.number() }) }),
      z.object({ quantity: z.literal('gbps'), unit: z.enum(['a', 'b']), at: z.object({ gbps: z.number() }) }),
    ]),
  ),
});

test.each([
  [{ quantity: 'latency', unit: 'a', at: { ns: 1, nss: 2 } }, 'curves.0.at.nss', /did you mean 'ns'/],
  [{ quantity: 'gbps', unit: 'a', at: { ns: 1 } }, 'curves.0.at.ns', /unknown key/],
  // The discriminator alone tells the option: another member that is wrong does not hide what is unknown in it.
  [{ quantity: 'gbps', unit: 'c', at: { gpbs: 1 } }, 'curves.0.at.gpbs', /did you mean 'gbps'/],
  // Without a discriminator that means something, a key that no option knows is unknown all the same.
  [{ quantty: 'gbps', unit: 'a', at: { gbps: 1 } }, 'curves.0.quantty', /did you mean 'quantity'/],
  [{ quantity: 'gbs', unit: 'a', at: { gbps: 1 } }, 'curves.0.quantity', /discriminator/],
])('unknown keys are seen inside unions by discriminator: %j', (curve, path, reason) => {
  const decode = (): unknown => decodeStrict(sweep, { curves: [curve] }, 's.json');
  expect(decode).toThrow(reason);
  expect(decode).toThrow(`s.json: ${path}: `);
});

test('a byte order mark before JSON text is skipped, one inside is not', () => {
  expect(decodeJson(schema, `\uFEFF${JSON.stringify(good)}`, 'p.json').name).toBe('x');
  expect(() => decodeJson(schema, `\uFEFF\uFEFF${JSON.stringify(good)}`, 'p.json')).toThrow(ConfigError);
});

test('text that is no JSON is a configuration error', () => {
  expect(() => decodeJson(schema, '{', 'p.json')).toThrow(ConfigError);
});

test('overrides assign numbers, strings and list members without touching the original', () => {
  const base = { iotlb: { entries: 4 }, levels: [{ hitCycles: 1 }, { hitCycles: 2 }], name: 'x' };
  const changed = applyOverrides(base, ['iotlb.entries=64', 'levels.1.hitCycles=9', 'name=fast', 'iotlb.ways=8']);
  expect(changed).toEqual({
    iotlb: { entries: 64, ways: 8 },
    levels: [{ hitCycles: 1 }, { hitCycles: 9 }],
    name: 'fast',
  });
  expect(base.iotlb.entries).toBe(4);
});

test.each(['noequals', '=1', 'iotlb.entries.deep=1', 'levels.7.hitCycles=1', '__proto__.x=1', 'a..b=1'])(
  'an override that means nothing is refused: %s',
  (override) => {
    expect(() => applyOverrides({ iotlb: { entries: 4 }, levels: [] }, [override])).toThrow(ConfigError);
  },
);

test('what is wrong with one of several forms is said of the form that was meant', () => {
  const forms = z.object({ bundle: z.union([z.string(), z.object({ path: z.string(), rows: z.int().optional() })]) });
  expect(decodeStrict(forms, { bundle: 'a' }, 'p.json')).toEqual({ bundle: 'a' });
  const message = (bundle: unknown): string => {
    try {
      return String(decodeStrict(forms, { bundle }, 'p.json'));
    } catch (error) {
      return (error as ConfigError).message;
    }
  };
  expect(message({ path: 'a', rows: 'many' })).toMatch(
    /^p\.json: bundle\.rows: expected (int|number), received string/,
  );
  expect(message({ path: 'a', row: 3 })).toBe("p.json: bundle.row: unknown key, did you mean 'rows'?");
  expect(message(3)).toMatch(/^p\.json: bundle: /);
});
