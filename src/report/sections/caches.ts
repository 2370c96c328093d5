/** Caches in the names of the VT-d performance monitor: lookups, hits, and what misses cost. */
import type { CaseData } from '../case-data.ts';
import { nsFromPs, ratio } from '../quantities.ts';
import type { UnitSection } from '../schema/hardware.ts';

/** Caches that the performance monitor counts (Linux drivers/iommu/intel/perfmon.c), nearest the device first. */
const CACHES: readonly (readonly [name: string, counter: string])[] = [
  ['IOTLB', 'iotlb'],
  ['context cache', 'ctxt_cache'],
  ['PASID cache', 'pasid_cache'],
  ['first-stage non-leaf', 'fs_nonleaf'],
  ['second-stage non-leaf', 'ss_nonleaf'],
  ['nested non-leaf', 'hpt_nonleaf'],
  ['nested leaf', 'hpt_leaf'],
];

/** One section a unit; a cache that was never looked up is left out, its counters stay in the full list. */
export function unitSections(data: CaseData): UnitSection[] {
  const meanWalk = meanWalkNs(data);
  return Object.entries(data.counters).map(([unit, counters]) => ({
    unit,
    caches: CACHES.filter(([, counter]) => (counters[`${counter}_lookup`] ?? 0) > 0).map(([cache, counter]) => {
      const lookups = counters[`${counter}_lookup`] ?? 0;
      const hits = counters[`${counter}_hit`] ?? 0;
      return {
        cache,
        lookup_counter: `${counter}_lookup`,
        hit_counter: `${counter}_hit`,
        lookups,
        hits,
        misses: lookups - hits,
        hit_share: ratio(hits, lookups),
      };
    }),
    mean_walk_ns: meanWalk,
    counters: { ...counters },
  }));
}

/** Sum of a counter over all units. */
export function counterTotal(data: CaseData, name: string): number {
  return Object.values(data.counters).reduce((sum, counters) => sum + (counters[name] ?? 0), 0);
}

/** Page walks: the model's own counter, else lookups of the IOTLB that missed; perfmon has no event for them. */
export function walkCount(data: CaseData): number {
  const counted = counterTotal(data, 'model.page_walks');
  return counted > 0 ? counted : counterTotal(data, 'iotlb_lookup') - counterTotal(data, 'iotlb_hit');
}

/** [ns] Mean time of a walk, without waiting to begin. */
export function meanWalkNs(data: CaseData): number | null {
  const walks = walkCount(data);
  return walks === 0 ? null : nsFromPs((data.time.contextWalkPs + data.time.pageWalkPs) / walks);
}
