/**
 * A user's own measured curves: a window or page sweep of their machine, held against any profile. The JSON Schema of the
 * file is published in docs/measured-curves.schema.json.
 */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { decodeJson } from '../../decode.ts';
import { InputError } from '../../input-error.ts';
import type { Curve, CurveValue } from './curve.ts';

/** Version of the file format. */
export const USER_TABLE_SCHEMA_VERSION = 1;

const positive = z.number().positive();

const point = z
  .strictObject({
    /** [4 KiB pages] Size of the window. */
    pages: z.int().min(1).max(262_144),
    /** Measured, in the curve's quantity. Added latency may come out a little below 0; nothing else may. */
    value: z.number(),
    /** [ns] Round trip of a 64-byte read to this window with the IOMMU off, where it is not the machine's. */
    readRoundTripNs: positive.optional(),
    /** Share of the value that the model may be off by; default: that of the published sweeps at this window. */
    tolerance: positive.optional(),
  })
  .describe('one measured value');

const curve = z
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
    /**
     * `ns-per-transaction`: mean time between requests. `gbps`: payload rate. `latency-ns`: mean latency.
     * `added-latency-ns`: mean latency with the IOMMU on less off.
     */
    quantity: z.enum(['ns-per-transaction', 'gbps', 'latency-ns', 'added-latency-ns']),
    points: z.array(point).min(1).max(200),
  })
  .check(({ value, issues }) => {
    if (value.quantity === 'added-latency-ns') return;
    for (const [at, { value: measured }] of value.points.entries()) {
      if (measured > 0) continue;
      issues.push({ code: 'custom', path: ['points', at, 'value'], message: 'not above 0', input: measured });
    }
  })
  .describe('one sweep');

/** Schema of the file. */
export const USER_TABLE_SCHEMA = z.strictObject({
  schemaVersion: z.literal(USER_TABLE_SCHEMA_VERSION),
  name: z.string().min(1),
  source: z.string().default('not stated'),
  /** Hardware profile to start from; `--hw` overrules it. */
  profile: z.string().default('vtd-bdw'),
  /** [ns] What one IOTLB miss with warm paging-structure caches adds to a lone read. */
  singleMissPenaltyNs: positive.optional(),
  /** [ns] Round trip of a 64-byte read with the IOMMU off, data in the last-level cache. */
  readRoundTripNs: positive.optional(),
  /** Further overrides of the profile, `path=value`. */
  set: z.array(z.string()).default([]),
  curves: z.array(curve).min(1).max(100),
});

/** A decoded file. */
export type UserTable = z.output<typeof USER_TABLE_SCHEMA>;

/** Reads a file; throws InputError for one that cannot be read and ConfigError for one that says something wrong. */
export function readUserTable(file: string): UserTable {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError({ file, reason: (error as Error).message });
  }
  return decodeJson(USER_TABLE_SCHEMA, text, file);
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
    quantity: one.quantity === 'gbps' || one.quantity === 'ns-per-transaction' ? 'interval' : latency(one.quantity),
    direction: one.direction,
    bytes: one.bytes,
    superpages: one.superpages,
    inTurn: one.pattern === 'in-turn',
    use: 'predicted',
    ...(one.outstanding === undefined || one.outstanding === null ? {} : { outstanding: one.outstanding }),
    values: one.points.map(
      (value): CurveValue => ({
        pages: value.pages,
        value: one.quantity === 'gbps' ? (one.bytes * 8) / value.value : value.value,
        ...(value.readRoundTripNs === undefined ? {} : { readRoundTripNs: value.readRoundTripNs }),
        ...(value.tolerance === undefined ? {} : { tolerance: { kind: 'relative' as const, share: value.tolerance } }),
      }),
    ),
  }));
}

function latency(quantity: 'latency-ns' | 'added-latency-ns'): 'latency' | 'added-latency' {
  return quantity === 'latency-ns' ? 'latency' : 'added-latency';
}
