/** V10: how long a replacement of a live PASID entry blocks DMA, by policy. Nothing was published. */
import { hardwareProfile } from '../../../hw/profiles/registry.ts';
import { modelPoint } from '../point.ts';
import { measureSync } from '../queue-sync.ts';
import type { TableRun } from './table.ts';

/** [ns] One submission from a nested guest: trapped tail write, emulator, iommufd. */
const NESTED_SYNC_NS = 7500;
/** Synchronous submissions between clearing P and the new entry, without ATS: PASID cache, IOTLB. */
const SYNCS = 2;

/** V10. */
export const V10_REPLACE: TableRun = {
  id: 'V10',
  run: () => {
    const points = ['vtd-clx', 'vtd-icx', 'vtd-emr'].flatMap((profile) => {
      const syncNs = measureSync(hardwareProfile(profile).config);
      return [
        modelPoint(profile, 'one synchronous invalidation', 'ns', syncNs),
        modelPoint(profile, 'clear-then-update: blackout', 'ns', SYNCS * syncNs, 'two submissions, hardware part'),
        modelPoint(profile, 'entry-sync (hitless): stale window at most', 'ns', SYNCS * syncNs),
      ];
    });
    return {
      id: 'V10',
      title: 'Replace policies',
      role: 'unvalidated',
      source: 'none: predictions of the model',
      basis: 'UNVALIDATED. Queue costs of the profiles are assumptions fitted to the cost of one invalidation.',
      axis: null,
      points: [
        ...points,
        modelPoint(
          'nested guest',
          'clear-then-update: blackout',
          'ns',
          SYNCS * NESTED_SYNC_NS,
          '7 to 9 µs a submission',
        ),
      ],
      notes: ['Hardware time of the invalidations only; the replace study replays the driver’s own steps on a trace.'],
    };
  },
};
