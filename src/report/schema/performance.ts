/** How fast it went, where the time went, and what limits it. */
import { z } from 'zod';
import { count, distributionSchema, measure } from './measures.ts';

export const headlineSchema = z.strictObject({
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

export const latencySchema = z.strictObject({
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

export const timeSchema = z.strictObject({ dma: z.array(timePartSchema), control: z.array(timePartSchema) });

export const concurrencySchema = z.strictObject({
  in_flight_requests: measure.describe("Little's law: request rate times mean DMA latency."),
  in_flight_bytes: measure,
  walks_in_flight: measure.describe('Time in walks over the span: page walks busy on average.'),
  walkers: count.nullable().describe('Walkers of the hardware profile, when it names them.'),
  walker_bound_bytes_per_s: measure.describe('Walkers times bytes per walk over mean walk time.'),
  walker_utilisation_share: measure,
});

export const bottleneckSchema = z
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

export const versusPassThroughSchema = z
  .strictObject({
    case: z.string(),
    mean_latency_ratio: measure,
    p99_latency_ratio: measure,
    throughput_ratio: measure,
  })
  .describe('This case over the case of the same run whose default domain is identity; null when there is none.');

export type HeadlineSection = z.infer<typeof headlineSchema>;
export type LatencySection = z.infer<typeof latencySchema>;
export type DeviceSection = z.infer<typeof deviceSchema>;
export type TimeSection = z.infer<typeof timeSchema>;
export type TimePart = z.infer<typeof timePartSchema>;
export type ConcurrencySection = z.infer<typeof concurrencySchema>;
export type BottleneckSection = z.infer<typeof bottleneckSchema>;
export type VersusPassThroughSection = z.infer<typeof versusPassThroughSchema>;
