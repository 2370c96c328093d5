/**
 * A nightly plan: what is replayed every night, which metrics are followed, what has to hold. The JSON Schema of the file
 * is published in docs/nightly-plan.schema.json.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { sha256Hex } from '../canonical-json.ts';
import { decodeJson, decodeStrict } from '../decode.ts';
import { ConfigError, InputError } from '../input-error.ts';
import { parsePacing } from '../replay/pacing.ts';
import { hardwareForRun, kernelForRun, splitOverrides } from '../replay/run-profiles.ts';
import { readThresholds, THRESHOLD_SCHEMA, type Threshold, thresholdsOf } from '../report/metrics/thresholds.ts';

/** Version of the file format. */
export const PLAN_SCHEMA_VERSION = 1;

/** Metrics that are followed when a plan does not say which. */
export const DEFAULT_TRACK: readonly string[] = [
  'headline.throughput_bytes_per_s',
  'latency.dma_latency_ns.p50',
  'latency.dma_latency_ns.p99',
  'headline.iotlb_hit_share',
  'headline.walks_per_dma',
];

const text = z.string().min(1);

const bundle = z
  .union([
    text,
    z.strictObject({
      /** Relative to the plan. */
      path: text,
      /** DMA rows of a recipe instead of its own. */
      rows: z.int().min(1).optional(),
    }),
  ])
  .describe('bundle folder, recipe (.json) or recorded directory, relative to the plan');

const run = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][\w.-]*$/, 'not a name of letters, digits, dots, dashes and underscores'),
  bundles: z.array(bundle).min(1),
  /** Names of hardware profiles. */
  hardware: z.array(text).min(1),
  /** Names of kernel profiles; each recording's own kernel when absent. */
  kernels: z.array(text).min(1).optional(),
  /** Overrides of the profiles, `path=value`. */
  set: z.array(text).optional(),
  /** `recorded`, `closed` or `scale=N`; the bundle's default when absent. */
  pace: text.optional(),
});

const thresholdList = z.array(THRESHOLD_SCHEMA).min(1);

/** Schema of the file. */
export const PLAN_SCHEMA = z.strictObject({
  schemaVersion: z.literal(PLAN_SCHEMA_VERSION),
  name: text,
  runs: z.array(run).min(1).max(100),
  /** Names of metrics that are charted and tested for a trend. */
  track: z.array(text).min(1).max(24).optional(),
  /** A threshold file relative to the plan, or its thresholds. */
  thresholds: z.union([text, thresholdList]).optional(),
});

/** One run of a plan. */
export type PlannedRun = z.output<typeof run>;

/** A plan, read. */
export interface NightlyPlan {
  /** As the user named it. */
  readonly file: string;
  readonly name: string;
  /** Of the bytes of the file. */
  readonly sha256: string;
  readonly runs: readonly PlannedRun[];
  readonly track: readonly string[];
  readonly thresholds: readonly Threshold[];
}

/** Reads a plan; throws {@link InputError} for a file that cannot be read, {@link ConfigError} for what is wrong in it. */
export function readPlan(file: string): NightlyPlan {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError({ file, reason: `cannot be read (${(error as NodeJS.ErrnoException).code})` });
  }
  const { name, runs, track = DEFAULT_TRACK, thresholds } = decodeJson(PLAN_SCHEMA, content, file);
  const plan = { file, name, sha256: sha256Hex(content), runs, track, thresholds: readGates(thresholds, file) };
  checkRuns(plan);
  return plan;
}

/** JSON Schema of the file. */
export function planJsonSchema(): object {
  return z.toJSONSchema(PLAN_SCHEMA, { io: 'input' });
}

/** A path of the plan: relative to the plan itself. */
export function planPath(plan: Pick<NightlyPlan, 'file'>, path: string): string {
  return resolve(dirname(plan.file), path);
}

function readGates(thresholds: z.output<typeof PLAN_SCHEMA>['thresholds'], file: string): Threshold[] {
  if (thresholds === undefined) return [];
  if (typeof thresholds === 'string') return readThresholds(planPath({ file }, thresholds));
  return thresholdsOf(decodeStrict(thresholdList, thresholds, file), file);
}

/** What can be said before a bundle is opened: names, profiles, overrides, pacing. */
function checkRuns({ file, runs }: Pick<NightlyPlan, 'file' | 'runs'>): void {
  const names = new Set<string>();
  for (const [at, { name, hardware, kernels = [], set = [], pace }] of runs.entries()) {
    const path = `runs.${at}`;
    if (names.has(name)) throw new ConfigError({ source: file, path: `${path}.name`, reason: `'${name}' comes twice` });
    names.add(name);
    if (pace !== undefined) parsePacing(pace, `${file}: ${path}.pace`);
    const overrides = splitOverrides(set);
    try {
      for (const profile of hardware) hardwareForRun(profile, overrides.hardware);
      for (const profile of kernels) kernelForRun(profile, overrides.kernel);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError({ source: file, path, reason: error.reason });
    }
  }
}
