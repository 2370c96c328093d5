/**
 * One entry of a history: what one night replayed, every metric of every case, what it was held against and what changed.
 * The JSON Schema is published in docs/nightly-entry.schema.json.
 */
import * as z from 'zod';

/** Version of the file format; raised when a key changes meaning or leaves. */
export const ENTRY_SCHEMA_VERSION = 1;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const measure = z.number().nullable();
const entryId = z.string().regex(/^\d{6,}$/);
const scalar = z.union([z.number(), z.string(), z.boolean()]);

const metricChange = z.strictObject({ metric: z.string(), before: measure, after: measure });

const change = z.strictObject({
  against: entryId.nullable().describe('Newest earlier entry that has the case; null = none has.'),
  kind: z
    .enum(['first', 'none', 'configuration', 'tool', 'unexplained'])
    .describe(
      'first: nothing to compare with. none: every metric is the same. configuration, tool: that differs, and metrics may. unexplained: metrics differ although profiles, workload and tool version are the same.',
    ),
  configuration: z.array(z.string()).describe('What differs of profiles and workload, in words.'),
  metrics: z.array(metricChange).describe('Metrics that differ; left out when the configuration does.'),
  differing: z.number().int().nonnegative().describe('Count of metrics that differ.'),
});

const entryCase = z.strictObject({
  key: z.string(),
  run: z.string(),
  workload: z.string(),
  hardware_profile: z.string(),
  kernel_profile: z.string(),
  scenario: z.string(),
  error: z.string().nullable().describe('Why the case has no result; null = it has.'),
  config_sha256: sha256.describe('Of the three digests of `config` and the scenario.'),
  config: z.strictObject({ hardware_sha256: sha256, kernel_sha256: sha256, manifest_sha256: sha256 }),
  metrics: z.record(z.string(), measure).describe('Every number of the case by its name; empty without a result.'),
  change,
});

const entryGate = z.strictObject({
  case: z.string(),
  text: z.string(),
  required: z.boolean(),
  metric: z.string().nullable().describe('Whole name; null when the case has no result to find it in.'),
  value: measure,
  base: measure,
  base_entry: entryId.nullable(),
  observed: measure.describe('What the condition looked at: value, change, or share.'),
  verdict: z
    .enum(['pass', 'breach', 'unknown', 'first'])
    .describe('first: about a change, and no earlier entry passed that has the case; neither passed nor failed.'),
  because: z.string().optional(),
});

const profile = z.strictObject({
  kind: z.enum(['hardware', 'kernel']),
  name: z.string(),
  overrides: z.array(z.string()),
  numbers: z.record(z.string(), scalar),
});

/** Schema of the file. */
export const ENTRY_SCHEMA = z.strictObject({
  schemaVersion: z.literal(ENTRY_SCHEMA_VERSION),
  kind: z.literal('nightly-entry'),
  id: entryId,
  date: z.string().regex(/^\d{4}-\d\d-\d\d$/),
  label: z.string().nullable(),
  commit: z.string().nullable(),
  tool_version: z.string(),
  plan: z.strictObject({ name: z.string(), sha256 }),
  complete: z.boolean().describe('False when a job failed.'),
  verdict: z.enum(['pass', 'fail', 'incomplete']).describe('fail: a threshold breached or unknown.'),
  tool_changed_from: z.string().nullable().describe('Tool version of the last entry, where it is another.'),
  failures: z.array(z.strictObject({ run: z.string(), job: z.string(), error: z.string() })),
  cases: z.array(entryCase),
  gates: z.array(entryGate),
  profiles: z.record(sha256, profile).describe('By digest.'),
});

/** An entry. */
export type NightlyEntry = z.output<typeof ENTRY_SCHEMA>;
/** A case of a run of the plan. */
export type EntryCase = NightlyEntry['cases'][number];
/** A threshold in a case. */
export type EntryGate = NightlyEntry['gates'][number];
/** How a case differs from its last result. */
export type EntryChange = EntryCase['change'];
/** Numbers of a profile as it was used. */
export type EntryProfile = NightlyEntry['profiles'][string];

/** JSON Schema of the file. */
export function entryJsonSchema(): object {
  return z.toJSONSchema(ENTRY_SCHEMA);
}

/** Id of the entry with a number: six digits at least, so that names sort. */
export function entryIdOf(number: number): string {
  return String(number).padStart(6, '0');
}

/** Whether a gate stands in the way of a pass. */
export function gateFails({ verdict }: Pick<EntryGate, 'verdict'>): boolean {
  return verdict === 'breach' || verdict === 'unknown';
}
