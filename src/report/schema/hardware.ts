/** What the IOMMU units and the device TLBs did. */
import { z } from 'zod';
import { count, distributionSchema, measure } from './measures.ts';

const cacheSchema = z.strictObject({
  cache: z.string(),
  lookup_counter: z.string(),
  hit_counter: z.string(),
  lookups: count,
  hits: count,
  misses: count,
  hit_share: measure,
});

export const unitCachesSchema = z.strictObject({
  unit: z.string(),
  caches: z.array(cacheSchema),
  mean_walk_ns: measure.describe('Time in context, PASID and page walks over misses of the IOTLB, of all units.'),
  counters: z.record(z.string(), z.number()).describe('Every counter of the unit under its VT-d perfmon name.'),
});

export const invalidationSchema = z.strictObject({
  submissions: count,
  descriptors: z.array(z.strictObject({ kind: z.string(), count, share: measure })),
  descriptors_per_submission: measure,
  peak_occupancy: count,
  wait_ns: distributionSchema,
  dmar_latency_buckets: z.array(z.strictObject({ bucket: z.string(), count })),
});

export const deviceTlbSchema = z
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

export type UnitSection = z.infer<typeof unitCachesSchema>;
export type InvalidationSection = z.infer<typeof invalidationSchema>;
export type DeviceTlbSection = z.infer<typeof deviceTlbSchema>;
