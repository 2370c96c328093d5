/**
 * `compare.json`: two runs held against each other, and its published JSON Schema. Metrics are named by their path in
 * `report.json` (docs/gates.md); a value has the unit of the last key that has one. `null` = the run does not say.
 */
import { z } from 'zod';
import { gateSchema } from '../gate/schema.ts';
import { DIMENSIONS } from '../metrics/pairing.ts';
import { TRACE_RELATION_WORDS, TRACE_RELATIONS } from '../metrics/trace-relation.ts';

/** Version of `compare.json`; raised when a key changes meaning or leaves. New keys do not raise it. */
export const COMPARE_SCHEMA_VERSION = 1;

const count = z.number().int().nonnegative();
const measure = z.number().nullable();

const runSchema = z.strictObject({
  folder: z.string(),
  name: z.string().describe('As sentences and tables call it.'),
  tool_version: z.string(),
  complete: z.boolean(),
  missing: z.array(z.string()),
});

/** How a metric moved. Replays are deterministic, so whatever differs has changed. */
export const changeVerdict = z.enum(['improved', 'regressed', 'changed', 'no change']);

const changeSchema = z.strictObject({
  metric: z.string(),
  base: measure,
  new: measure,
  delta: measure.describe('new less base.'),
  change_share: measure.describe('delta over base; null where base is 0 or a value is missing.'),
  verdict: changeVerdict.describe('changed = it differs, and more is neither better nor worse.'),
});

const deviceSchema = z.strictObject({
  device: z.string(),
  mean_latency: changeSchema,
  throughput_bytes_per_s: changeSchema.describe('Bytes of the device over the span of the run.'),
});

const traceSchema = z.strictObject({
  base_workload: z.string(),
  new_workload: z.string(),
  base_manifest_sha256: z.string().nullable(),
  new_manifest_sha256: z.string().nullable(),
  relation: z.enum(TRACE_RELATIONS).describe(TRACE_RELATION_WORDS),
  differs_in: z.array(z.string()).describe('Keys of identity in report.json.'),
});

const numberValue = z.union([z.number(), z.string(), z.boolean()]).nullable();
const profileSchema = z.strictObject({
  kind: z.enum(['hardware', 'kernel']),
  base: z.string(),
  new: z.string(),
  base_sha256: z.string(),
  new_sha256: z.string(),
  base_overrides: z.array(z.string()),
  new_overrides: z.array(z.string()),
  equal_numbers: count,
  numbers: z
    .array(
      z.strictObject({
        path: z.string(),
        unit: z.string(),
        base: numberValue,
        new: numberValue,
        base_basis: z.string().nullable().describe('A = ASSUMPTION; the others as in report.json.'),
        new_basis: z.string().nullable(),
        base_source: z.string().nullable(),
        new_source: z.string().nullable(),
      }),
    )
    .describe('Numbers that differ; null = the profile does not have it.'),
});

const configurationSchema = z.strictObject({
  differences: z.array(z.strictObject({ what: z.string(), base: z.string(), new: z.string() })),
  equal: z.array(z.string()).describe('What was compared and is the same.'),
  traces: z.array(traceSchema),
  profiles: z.array(profileSchema),
  only_base: z.array(z.string()).describe('Keys of cases that only the base has.'),
  only_new: z.array(z.string()),
});

const caseSchema = z.strictObject({
  title: z.string(),
  base_case: z.string().describe('Key in report.json of the run.'),
  new_case: z.string(),
  across: z.array(z.enum(DIMENSIONS)).describe('In what the two cases differ, each being the only choice of its run.'),
  sentence: z.string(),
  improved: count,
  regressed: count,
  changed: count,
  no_change: count,
  metrics: z.array(changeSchema).describe('All of them.'),
  devices: z.array(deviceSchema).describe('Devices of both runs that changed; largest change first.'),
  equal_devices: count,
  charts: z.array(z.strictObject({ name: z.string(), title: z.string(), rows: count })),
});

/** The document. */
export const compareSchema = z.strictObject({
  schemaVersion: z.literal(COMPARE_SCHEMA_VERSION),
  kind: z.literal('compare'),
  tool_version: z.string(),
  base: runSchema,
  new: runSchema,
  sentence: z.string(),
  pass: z.boolean().nullable().describe('Whether every condition was evaluated and none was met; null without any.'),
  gates: z.array(gateSchema),
  configuration: configurationSchema,
  cases: z.array(caseSchema),
});

/** A comparison, ready for any format. */
export type CompareModel = z.infer<typeof compareSchema>;
export type ComparedRun = z.infer<typeof runSchema>;
export type ComparedCase = z.infer<typeof caseSchema>;
export type ComparedConfiguration = z.infer<typeof configurationSchema>;
export type ComparedTrace = z.infer<typeof traceSchema>;
export type ComparedProfile = z.infer<typeof profileSchema>;
export type ComparedDevice = z.infer<typeof deviceSchema>;
export type MetricChange = z.infer<typeof changeSchema>;
export type ChangeVerdict = z.infer<typeof changeVerdict>;

/** The document as text: keys in the order of the schema. Throws `ZodError` for a model that does not satisfy it. */
export function compareJson(model: CompareModel): string {
  return `${JSON.stringify(compareSchema.parse(model), null, 2)}\n`;
}

/** JSON Schema (draft 2020-12) of the document. */
export function compareJsonSchema(): object {
  return z.toJSONSchema(compareSchema);
}
