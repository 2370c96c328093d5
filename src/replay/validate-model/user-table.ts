/**
 * A user's own measured curves: a window or page sweep of their machine, held against any profile. The JSON Schema of the
 * file is published in docs/measured-curves.schema.json.
 */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { decodeJson, parseJson } from '../../decode.ts';
import { ConfigError, InputError } from '../../input-error.ts';
import { shareOfAdded } from './added-latency.ts';
import type { Curve, CurveValue } from './curve.ts';
import type { Tolerance } from './result.ts';

/** Version of the file format. */
export const USER_TABLE_SCHEMA_VERSION = 1;

/** [ns] Longest time: no DMA takes a millisecond, and millions of those are still exact in picoseconds. */
const MOST_NS = 1_000_000;
/** [Gb/s] Slowest and fastest rate. The slowest is 0.33 s for a page, so that times between requests are finite. */
const LEAST_GBPS = 1e-4;
const MOST_GBPS = 1e5;

const time = z.number().positive().max(MOST_NS);

/** One measured value; what values there are depends on the quantity. */
function point(value: z.ZodNumber) {
  return z
    .strictObject({
      /** [4 KiB pages] Size of the window. */
      pages: z.int().min(1).max(262_144),
      /** Measured, in the curve's quantity. */
      value,
      /** [ns] Round trip of a 64-byte read to this window with the IOMMU off, where it is not the machine's. */
      readRoundTripNs: time.optional(),
      /** Share of the value that the model may be off by; default: that of the published sweeps at this window. */
      tolerance: z.number().positive().max(100).optional(),
    })
    .describe('one measured value');
}

/** One sweep of a quantity. */
function curve<const Q extends readonly [string, ...string[]]>(quantities: Q, value: z.ZodNumber) {
  return z
    .strictObject({
      name: z.string().min(1),
      direction: z.enum(['read', 'write']),
      /** [bytes] Of one request. */
      bytes: z.int().min(1).max(4096),
      /** Requests outstanding at most; null or absent: what the profile's device keeps at this size. */
      outstanding: z.int().min(1).max(4096).nullable().optional(),
      superpages: z.boolean().default(false),
      /** `random`: uniformly random pages of the window. `in-turn`: page after page. */
      pattern: z.enum(['random', 'in-turn']).default('random'),
      quantity: z.enum(quantities),
      points: z.array(point(value)).min(1).max(200),
    })
    .describe('one sweep');
}

const anyCurve = z.discriminatedUnion('quantity', [
  /** [ns] Mean time between requests, or mean latency. */
  curve(['ns-per-transaction', 'latency-ns'], time),
  /** [Gb/s] Payload rate. */
  curve(['gbps'], z.number().min(LEAST_GBPS).max(MOST_GBPS)),
  /** [ns] Mean latency with the IOMMU on less off; noise may put it a little below 0. */
  curve(['added-latency-ns'], z.number().min(-MOST_NS).max(MOST_NS)),
]);

/** Schema of the file. */
export const USER_TABLE_SCHEMA = z.strictObject({
  schemaVersion: z.literal(USER_TABLE_SCHEMA_VERSION),
  name: z.string().min(1),
  source: z.string().default('not stated'),
  /** Hardware profile to start from; `--hw` overrules it. */
  profile: z.string().default('vtd-bdw'),
  /** [ns] What one IOTLB miss with warm paging-structure caches adds to a lone read. */
  singleMissPenaltyNs: time.optional(),
  /** [ns] Round trip of a 64-byte read with the IOMMU off, data in the last-level cache. */
  readRoundTripNs: time.optional(),
  /** Further overrides of the profile, `path=value`. */
  set: z.array(z.string()).default([]),
  curves: z.array(anyCurve).min(1).max(100),
});

/** A decoded file, and its name as the user gave it. */
export type UserTable = z.output<typeof USER_TABLE_SCHEMA> & { readonly file: string };
type UserCurve = UserTable['curves'][number];

/** Reads a file; throws InputError for one that cannot be read and ConfigError for one that says something wrong. */
export function readUserTable(file: string): UserTable {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError({ file, reason: `cannot be read (${(error as NodeJS.ErrnoException).code})` });
  }
  try {
    return { ...decodeJson(USER_TABLE_SCHEMA, text, file), file };
  } catch (error) {
    throw error instanceof ConfigError ? withCurveName(error, text) : error;
  }
}

/** JSON Schema of the file. */
export function userTableJsonSchema(): object {
  return z.toJSONSchema(USER_TABLE_SCHEMA, { io: 'input' });
}

/** The file's curves as the model runs them; Gb/s become times between requests. */
export function curvesOf(table: UserTable, profile: string, overrides: readonly string[]): Curve[] {
  return table.curves.map((one) => ({
    series: one.name,
    profile,
    overrides,
    quantity: QUANTITY[one.quantity],
    direction: one.direction,
    bytes: one.bytes,
    superpages: one.superpages,
    inTurn: one.pattern === 'in-turn',
    use: 'predicted',
    ...(one.outstanding === undefined || one.outstanding === null ? {} : { outstanding: one.outstanding }),
    values: one.points.map(
      (value): CurveValue => ({
        pages: value.pages,
        ...(one.quantity === 'gbps'
          ? { value: (one.bytes * 8) / value.value, gbps: value.value }
          : { value: value.value }),
        ...(value.readRoundTripNs === undefined ? {} : { readRoundTripNs: value.readRoundTripNs }),
        ...(value.tolerance === undefined ? {} : { tolerance: stated(one, value.value, value.tolerance) }),
      }),
    ),
  }));
}

const QUANTITY = {
  'ns-per-transaction': 'interval',
  gbps: 'interval',
  'latency-ns': 'latency',
  'added-latency-ns': 'added-latency',
} as const satisfies Record<UserCurve['quantity'], Curve['quantity']>;

function stated({ quantity }: UserCurve, value: number, share: number): Tolerance {
  return quantity === 'added-latency-ns' ? shareOfAdded(share, value) : { kind: 'relative', share };
}

/** The error of a place inside a curve, with the curve's name where it has one. */
function withCurveName(error: ConfigError, text: string): ConfigError {
  const at = /^curves\.(\d+)\b/.exec(error.path)?.[1];
  if (at === undefined) return error;
  const { curves } = parseJson(text) as { curves: readonly unknown[] };
  const name = (curves[Number(at)] as { readonly name?: unknown } | null)?.name;
  if (typeof name !== 'string' || name === '') return error;
  return new ConfigError({ source: error.source, path: error.path, reason: `${error.reason} (curve '${name}')` });
}
