/** Invalidation queue: what was submitted, how long software waited, how full the queue got. */
import type { CaseData } from '../case-data.ts';
import { distributionNs, ratio } from '../quantities.ts';
import type { InvalidationSection } from '../schema/hardware.ts';

/** Bounds of the kernel's latency buckets (Linux drivers/iommu/intel/perf.c, debugfs dmar_perf_latency). */
const DMAR_BUCKETS = ['< 0.1 µs', '0.1–1 µs', '1–10 µs', '10–100 µs', '0.1–1 ms', '1–10 ms', '≥ 10 ms'];

/** The section; most frequent descriptors first. */
export function invalidationSection(data: CaseData): InvalidationSection {
  const { invalidation } = data;
  const total = Object.values(invalidation.descriptors).reduce((sum, count) => sum + count, 0);
  return {
    submissions: invalidation.submissions,
    descriptors: Object.entries(invalidation.descriptors)
      .map(([kind, count]) => ({ kind, count, share: ratio(count, total) }))
      .sort((a, b) => b.count - a.count || (a.kind < b.kind ? -1 : 1)),
    descriptors_per_submission: ratio(total, invalidation.submissions),
    peak_occupancy: invalidation.peakOccupancy,
    wait_ns: distributionNs(invalidation.waitLatency),
    dmar_latency_buckets: DMAR_BUCKETS.map((bucket, i) => ({
      bucket,
      count: invalidation.dmarLatencyBuckets[i] ?? 0,
    })),
  };
}
