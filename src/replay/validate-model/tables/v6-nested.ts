/** V6: receive path of a guest behind nested translation (iommufd), by cores. */
import { hardwareProfile } from '../../../hw/profiles/registry.ts';
import { measureNestedReceive } from '../nested-receive.ts';
import { makePoint, reportedPoint } from '../point.ts';
import type { ModelPoint } from '../result.ts';
import type { TableRun } from './table.ts';

/** Flows, Gb/s, misses per page, reads per page, IIO clocks of walk occupancy per miss. */
const RUNS = [
  [1, 47.3, 0.963, 2.01, 176],
  [2, 84.3, 1.189, 2.46, 169],
  [4, 155.8, 1.183, 2.46, 175],
  [8, 237.8, 1.169, 2.41, 176],
  [16, 25.0, 1.199, 2.42, 330],
  [20, 17.9, 1.192, 2.33, 362],
] as const;
/** Rates of runs that the control plane does not stall. */
const UNSTALLED_GBPS = 100;
/** [pages] One unmap and one map flush per 72 to 100 pages; a divisor of the ring of 512. */
const PAGES_PER_FLUSH = 64;
/** [µs] One flush from the guest, as the queue is busy with it; two per 91 pages. */
const FLUSH_US = 5.1;
const PAGES_PER_TWO_FLUSHES = 91;

/** Cores at which a queue that serves one flush after the other has no idle time left (operational bound). */
function saturationCores(gbpsPerCore: number): number {
  const cycleUs = (PAGES_PER_TWO_FLUSHES * 32768) / (gbpsPerCore * 1000);
  return cycleUs / (2 * FLUSH_US);
}

/** V6. */
export const V6_NESTED: TableRun = {
  id: 'V6',
  run: ({ samples }) => {
    const { config } = hardwareProfile('vtd-emr');
    const pages = Math.max(12_000, Math.floor(samples / 4));
    const points = RUNS.flatMap(([flows, gbps, misses, reads, clocks]): ModelPoint[] => {
      const rate = Math.max(gbps, flows > 8 ? UNSTALLED_GBPS : 0);
      const measured = measureNestedReceive(config, { flows, pagesPerFlush: PAGES_PER_FLUSH, gbps: rate }, pages);
      const series = `${flows} ${flows === 1 ? 'flow' : 'flows'}`;
      return [
        makePoint({
          series,
          label: 'IOTLB misses',
          unit: 'per page',
          published: misses,
          modelled: measured.missesPerPage,
          tolerance: { kind: 'relative', share: 0.2 },
          use: 'predicted',
        }),
        makePoint({
          series,
          label: 'reads per miss',
          unit: 'reads',
          published: reads / misses,
          modelled: measured.readsPerMiss,
          tolerance: { kind: 'relative', share: 0.15 },
          use: 'predicted',
        }),
        reportedPoint(series, 'walk occupancy per miss', 'IIO clocks', clocks, measured.clocksPerMiss),
      ];
    });
    return {
      id: 'V6',
      title: 'Nested translation: receive path of a guest with iommufd',
      role: 'gate',
      source: 'xlab-uiuc Fast-and-Safe fork, vary_cores_results.md and host_aggregate.csv, October 2025, Linux 6.12.9',
      basis:
        'Time per read of the profile comes from the occupancy of these runs; misses and reads per miss are predicted. ' +
        'The host backs the guest with 2 MiB pages (assumption). Saturation: rate of one core and cost of one flush are ' +
        'published inputs, the bound is operational analysis.',
      axis: null,
      points: [
        ...points,
        makePoint({
          series: 'control plane',
          label: 'cores that saturate the queue',
          unit: 'cores',
          published: 8,
          modelled: saturationCores(RUNS[0][1]),
          tolerance: { kind: 'relative', share: 0.5 },
          use: 'predicted',
        }),
      ],
      notes: [
        'Not modelled: the depth of the collapse at 16 cores (a convoy of virtual CPUs on one lock), and with it the ' +
          'longer walk occupancy there.',
        'ACK reads and descriptor fetches are left out: with several flows they are the 0.2 misses per page that are missing.',
      ],
    };
  },
};
