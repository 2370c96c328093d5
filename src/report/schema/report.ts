/**
 * The report as data, and its published JSON Schema. Keys carry their unit (`_ns`, `_bytes`, `_per_s`, `_share` of 1);
 * keys without one are counts, names or texts. `null` means that the run does not say. Counters keep the names of the
 * VT-d performance monitor (Linux drivers/iommu/intel/perfmon.c), so `perf stat -e dmar0/iotlb_hit/` can be held beside
 * them.
 */
import { z } from 'zod';
import { assumptionSchema } from './assumptions.ts';
import { divergenceSchema, faultSchema, timelineSchema } from './events.ts';
import { deviceTlbSchema, invalidationSchema, unitCachesSchema } from './hardware.ts';
import { identitySchema, pacingSchema } from './identity.ts';
import { count } from './measures.ts';
import { modelCardSchema } from './model-card.ts';
import {
  bottleneckSchema,
  concurrencySchema,
  headlineSchema,
  latencySchema,
  timeSchema,
  versusPassThroughSchema,
} from './performance.ts';

/** Version of `report.json`; raised when a key changes meaning or leaves. New keys do not raise it. */
export const REPORT_SCHEMA_VERSION = 1;

const caseSchema = z.strictObject({
  key: z.string(),
  workload: z.string(),
  hardware_profile: z.string(),
  kernel_profile: z.string(),
  pacing: pacingSchema,
  scenario: z.string(),
  shards: count,
  identity: identitySchema.nullable(),
  headline: headlineSchema,
  latency: latencySchema,
  time: timeSchema,
  units: z.array(unitCachesSchema),
  invalidation: invalidationSchema,
  device_tlbs: deviceTlbSchema.optional(),
  timeline: timelineSchema,
  faults: z.array(faultSchema),
  divergences: divergenceSchema,
  concurrency: concurrencySchema,
  bottleneck: bottleneckSchema.nullable(),
  versus_pass_through: versusPassThroughSchema.nullable(),
  assumptions: assumptionSchema.nullable(),
  answers: z.array(z.strictObject({ question: z.string(), answered: z.boolean(), answer: z.string() })),
  charts: z.array(z.strictObject({ name: z.string(), title: z.string(), rows: count })),
});

/** `report.json`. */
export const reportSchema = z.strictObject({
  schemaVersion: z.literal(REPORT_SCHEMA_VERSION),
  kind: z.literal('run'),
  tool_version: z.string(),
  complete: z.boolean(),
  missing: z.array(z.string()),
  failures: z.array(z.strictObject({ key: z.string(), error: z.string() })),
  cases: z.array(caseSchema),
  model_card: modelCardSchema,
});

/** The whole report, ready for any format. */
export type ReportModel = z.infer<typeof reportSchema>;
/** One workload under one hardware profile, kernel profile and pacing. */
export type ReportCase = z.infer<typeof caseSchema>;

/** JSON Schema (draft 2020-12) of `report.json`. */
export function reportJsonSchema(): object {
  return z.toJSONSchema(reportSchema);
}
