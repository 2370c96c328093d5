/**
 * The report as data, and its published JSON Schema. Keys carry their unit (`_ns`, `_bytes`, `_per_s`, `_share` of 1);
 * keys without one are counts, names or texts. `null` means that the run does not say. Counters keep the names of the
 * VT-d performance monitor (Linux drivers/iommu/intel/perfmon.c), so `perf stat -e dmar0/iotlb_hit/` can be held beside
 * them.
 */
import { z } from 'zod';

/** Version of `report.json`; raised when a key changes meaning or leaves. New keys do not raise it. */
export const REPORT_SCHEMA_VERSION = 1;

const count = z.number().int().nonnegative();
const measure = z.number().nullable();

/** Percentiles are upper bounds of histogram buckets: never below the exact value, above it by less than 1 %. */
export const distributionSchema = z
  .strictObject({
    count,
    min: measure,
    mean: measure,
    p50: measure,
    p90: measure,
    p99: measure,
    p99_9: measure,
    max: measure,
  })
  .describe('All values in the unit of the key that holds this object; null without records.');

const pacingSchema = z.strictObject({
  mode: z.enum(['recorded', 'closed', 'scale']),
  factor: measure,
  is_bundle_default: z.boolean().nullable(),
  reason: z.string(),
});

const provenanceSchema = z.strictObject({
  measured: count,
  inferred: count,
  synthetic: count,
  measured_share: measure,
  inferred_share: measure,
  synthetic_share: measure,
  inferred_columns: z
    .strictObject({ size: count, direction: count, time: count })
    .nullable()
    .describe('Measured rows of which one column was inferred; null when the bundle does not say.'),
});

export const identitySchema = z.strictObject({
  manifest_sha256: z.string(),
  description: z.string(),
  importer: z.string(),
  tool: z.string(),
  kernel: z.string(),
  recorder_profile: z.string().nullable(),
  clock: z.string(),
  command_line: z.string().nullable(),
  flush_mode: z.string(),
  link: z
    .strictObject({ bytes_per_s: z.number(), max_payload_bytes: count, max_read_request_bytes: count })
    .nullable()
    .describe('Of every device, each way; null when the run does not say.'),
  window: z
    .array(z.strictObject({ request_bytes: count, reads: count, writes: count }))
    .nullable()
    .describe('Requests that a device keeps outstanding at most, by their size.'),
  recorded_window_ns: measure,
  units: z.array(z.strictObject({ name: z.string(), mode: z.string(), stage: z.string() })),
  devices: z.array(
    z.strictObject({
      name: z.string(),
      kind: z.string(),
      driver: z.string(),
      unit: z.string().nullable(),
      default_domain: z.string(),
      ats: z.boolean(),
    }),
  ),
  streams: z.array(z.strictObject({ file: z.string(), rows: count, sha256: z.string() })),
  provenance: provenanceSchema,
  lost_events: count.nullable(),
  import_diagnostics: z.array(z.strictObject({ code: z.string(), severity: z.string(), count, first: z.string() })),
  replay_diagnostics: z.array(z.strictObject({ code: z.string(), count })),
});

const headlineSchema = z.strictObject({
  dma_requests: count,
  control_calls: count,
  dma_bytes: count,
  span_ns: z.number(),
  throughput_bytes_per_s: measure,
  dma_per_s: measure,
  translation_share: measure.describe(
    'Translation latency over DMA latency, both summed over all requests; with ATS the share of translation in the parts of time.',
  ),
  iotlb_hit_share: measure,
  walks_per_dma: measure,
  memory_reads_per_dma: measure,
  invalidation_wait_share: measure.describe('Waiting for invalidations over all modelled control-plane time.'),
  longest_domain_change_ns: measure.describe('Longest attach, detach or replace call; not a measured blackout.'),
  faulted_dma: count,
  divergences: count,
});

const deviceSchema = z.strictObject({
  device: z.string(),
  reads: count,
  writes: count,
  dma_bytes: count,
  faults: count,
  dma_latency_ns: distributionSchema,
  translation_latency_ns: distributionSchema,
  hits: count.nullable(),
  misses: count.nullable(),
  merged_misses: count.nullable(),
  pass_through: count.nullable(),
  device_tlb_hits: count.optional().describe('Translated by the TLB of the device; absent without ATS.'),
  walk_memory_reads: count.nullable(),
  miss_share: measure.describe('Misses of this device over misses of all devices.'),
  page_sizes: z.array(z.strictObject({ page_bytes: count, requests: count })),
});

const latencySchema = z.strictObject({
  dma_latency_ns: distributionSchema,
  translation_latency_ns: distributionSchema,
  devices: z.array(deviceSchema),
});

const timePartSchema = z.strictObject({
  part: z.string(),
  total_ns: z.number(),
  share: measure,
  mean_ns: measure.describe('Per DMA request, or per control-plane call.'),
});

const timeSchema = z.strictObject({ dma: z.array(timePartSchema), control: z.array(timePartSchema) });

const cacheSchema = z.strictObject({
  cache: z.string(),
  lookup_counter: z.string(),
  hit_counter: z.string(),
  lookups: count,
  hits: count,
  misses: count,
  hit_share: measure,
});

const unitCachesSchema = z.strictObject({
  unit: z.string(),
  caches: z.array(cacheSchema),
  mean_walk_ns: measure.describe('Time in context, PASID and page walks over misses of the IOTLB, of all units.'),
  counters: z.record(z.string(), z.number()).describe('Every counter of the unit under its VT-d perfmon name.'),
});

const invalidationSchema = z.strictObject({
  submissions: count,
  descriptors: z.array(z.strictObject({ kind: z.string(), count, share: measure })),
  descriptors_per_submission: measure,
  peak_occupancy: count,
  wait_ns: distributionSchema,
  dmar_latency_buckets: z.array(z.strictObject({ bucket: z.string(), count })),
});

const controlOpSchema = z.strictObject({ op: z.string(), class: z.string(), duration_ns: distributionSchema });

const deviceTlbSchema = z
  .strictObject({
    devices: z.array(
      z.strictObject({
        device: z.string(),
        lookups: count,
        hits: count,
        hit_share: measure,
        merged: count.describe('Requests that joined a translation request under way.'),
        translation_requests: count,
        denied: count.describe('Answered without the permission asked for.'),
        evicted: count,
        invalidated: count.describe('Entries dropped by invalidations.'),
        invalidations: count,
        invalidation_timeouts: count,
        page_request_groups: count,
        page_requests: count,
        page_request_failures: count,
      }),
    ),
    translation_request_ns: distributionSchema,
    invalidation_ns: distributionSchema,
    page_request_ns: distributionSchema,
    page_request_stages: z.array(z.strictObject({ stage: z.string(), mean_ns: measure, share: measure })),
  })
  .describe('Devices with ATS; absent when there are none.');

const timelineSchema = z.strictObject({
  bin_ns: z.number(),
  peak_bytes_per_s: measure,
  mean_bytes_per_s: measure,
  idle_bins: count.describe('Bins between the first and the last completion in which none fell.'),
  longest_idle_ns: measure.describe('Longest run of such bins; resolution is one bin.'),
  domain_changes: z.array(
    z.strictObject({ start_ns: z.number(), duration_ns: z.number(), op: z.string(), device: z.string() }),
  ),
  markers: count,
  markers_omitted: count,
  control: z.array(controlOpSchema),
});

const faultSchema = z.strictObject({
  device: z.string(),
  reason: count,
  reason_text: z.string(),
  count,
  first_ns: z.number(),
  last_ns: z.number(),
  first_iova: z.string(),
});

const divergenceSchema = z.strictObject({
  compared: count,
  count,
  share: measure,
  first: z.array(z.strictObject({ control_row: count, op: z.string(), recorded: z.string(), modelled: z.string() })),
});

const concurrencySchema = z.strictObject({
  in_flight_requests: measure.describe("Little's law: request rate times mean DMA latency."),
  in_flight_bytes: measure,
  walks_in_flight: measure.describe('Time in walks over the span: page walks busy on average.'),
  walkers: count.nullable().describe('Walkers of the hardware profile, when it names them.'),
  walker_bound_bytes_per_s: measure.describe('Walkers times bytes per walk over mean walk time.'),
  walker_utilisation_share: measure,
});

const bottleneckSchema = z
  .strictObject({
    limiting: z.string().nullable().describe('The resource that is used up; null when none is.'),
    resources: z
      .array(
        z.strictObject({
          resource: z.string(),
          utilisation_share: z
            .number()
            .describe(
              'Time in use over the span, of the busiest of its kind; a little over 1 where use reaches beyond the span.',
            ),
          bound_bytes_per_s: measure.describe('Throughput over utilisation: what it would carry if it were used up.'),
          detail: z.string(),
        }),
      )
      .describe('Busiest first.'),
  })
  .describe("Little's law for every limited resource; null when the run does not carry the limits of its hardware.");

const versusPassThroughSchema = z
  .strictObject({
    case: z.string(),
    mean_latency_ratio: measure,
    p99_latency_ratio: measure,
    throughput_ratio: measure,
  })
  .describe('This case over the case of the same run whose default domain is identity; null when there is none.');

const assumptionMetricSchema = z.strictObject({
  metric: z.string(),
  base: measure,
  all_slow: measure.describe(
    'With every assumed number that has a scale on its slower side at once; null when that replay has no result.',
  ),
  all_fast: measure,
  share: measure.describe(
    'How far the metric follows all assumed numbers: |log(all_slow / all_fast)| over 2 log(factor), at most 1.',
  ),
  numbers: count.describe('Assumed numbers that move it when moved alone.'),
});

const assumptionSchema = z
  .strictObject({
    metrics: z.array(assumptionMetricSchema),
    numbers: z
      .array(
        z.strictObject({
          profile: z.string(),
          path: z.string(),
          value: z.string(),
          unit: z.string(),
          slow_value: z.string().nullable(),
          fast_value: z.string().nullable(),
          effects: z.array(
            z.strictObject({
              metric: z.string(),
              slow_change: measure.describe(
                'Share of the metric by which it changes; 0 = not at all, null = that replay has no result.',
              ),
              fast_change: measure,
            }),
          ),
        }),
      )
      .describe('Moved one at a time; largest effect first.'),
    missing: z
      .array(z.strictObject({ replay: z.string(), error: z.string().nullable() }))
      .describe('Replays without a result, and why they failed; an error of null = not finished.'),
  })
  .describe('What the case rests on, from replays with assumed numbers moved; null when the run did not ask for it.');

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

const profileSchema = z.strictObject({
  name: z.string(),
  kind: z.enum(['hardware', 'kernel']),
  description: z.string(),
  sha256: z.string(),
  overrides: z.array(z.string()),
  number_count: count,
  assumption_count: count,
  numbers: z.array(
    z.strictObject({
      path: z.string(),
      value: z.union([z.number(), z.string(), z.boolean()]),
      unit: z.string(),
      basis: z.string(),
      source: z.string(),
    }),
  ),
});

export const modelCardSchema = z.strictObject({
  profiles: z.array(profileSchema),
  number_count: count,
  by_basis: z.array(z.strictObject({ basis: z.string(), meaning: z.string(), count, share: measure })),
  assumption_share: measure.describe('Numbers that are assumptions over all numbers of the profiles.'),
  assumption_result_share: measure.describe(
    'Share of mean DMA latency that rests on assumptions, of the case with the largest; null when the run did not ask.',
  ),
  assumptions: z
    .strictObject({
      factor: z.number(),
      replays: count,
      moved: count,
      not_moved: z.array(
        z.strictObject({ profile: z.string(), path: z.string(), value: z.string(), reason: z.string() }),
      ),
      missing: count.describe('Replays without a result.'),
    })
    .nullable(),
  limits: z.array(z.string()),
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
export type Distribution = z.infer<typeof distributionSchema>;
export type IdentitySection = z.infer<typeof identitySchema>;
export type PacingSection = z.infer<typeof pacingSchema>;
export type HeadlineSection = z.infer<typeof headlineSchema>;
export type LatencySection = z.infer<typeof latencySchema>;
export type DeviceSection = z.infer<typeof deviceSchema>;
export type TimeSection = z.infer<typeof timeSchema>;
export type TimePart = z.infer<typeof timePartSchema>;
export type UnitSection = z.infer<typeof unitCachesSchema>;
export type InvalidationSection = z.infer<typeof invalidationSchema>;
export type DeviceTlbSection = z.infer<typeof deviceTlbSchema>;
export type TimelineSection = z.infer<typeof timelineSchema>;
export type FaultSection = z.infer<typeof faultSchema>;
export type DivergenceSection = z.infer<typeof divergenceSchema>;
export type ConcurrencySection = z.infer<typeof concurrencySchema>;
export type BottleneckSection = NonNullable<z.infer<typeof caseSchema>['bottleneck']>;
export type VersusPassThroughSection = z.infer<typeof versusPassThroughSchema>;
export type AssumptionSection = z.infer<typeof assumptionSchema>;
export type AssumptionCardSection = NonNullable<ModelCardSection['assumptions']>;
export type ModelCardSection = z.infer<typeof modelCardSchema>;

/** JSON Schema (draft 2020-12) of `report.json`. */
export function reportJsonSchema(): object {
  return z.toJSONSchema(reportSchema);
}
