/** Hits and misses of each cache, as shares of its lookups. */
import type { CaseData } from '../case-data.ts';
import { formatCount, formatShare } from '../format.ts';
import { unitSections } from '../sections/caches.ts';
import type { Chart } from './chart.ts';

/** The chart; none when no cache was looked up. */
export function cacheHits(data: CaseData): Chart[] {
  const units = unitSections(data);
  const caches = units.flatMap(({ unit, caches: list }) =>
    list.map((cache) => ({ ...cache, cache: units.length > 1 ? `${unit} ${cache.cache}` : cache.cache })),
  );
  if (caches.length === 0) return [];
  const rows = caches.flatMap((cache) => {
    const label = formatShare(cache.hit_share);
    return [
      { cache: cache.cache, outcome: 'hit', lookups: cache.hits, share: cache.hits / cache.lookups, label },
      { cache: cache.cache, outcome: 'miss', lookups: cache.misses, share: cache.misses / cache.lookups, label },
    ];
  });
  return [
    {
      name: 'cache-hits',
      template: 'cache-hits',
      title: 'Cache lookups',
      description: `Share of lookups that hit. ${caches
        .map((cache) => `${cache.cache}: ${formatShare(cache.hit_share)} of ${formatCount(cache.lookups)} lookups`)
        .join('; ')}.`,
      columns: ['cache', 'outcome', 'lookups', 'share', 'label'],
      rows,
      span: 'half',
      heightPx: 30 * caches.length + 64,
      params: {},
    },
  ];
}
