/** V4: Sandy Bridge walks one 2 MiB region at a time, so a larger window can be faster. */
import { type Curve, runCurve, values } from '../curve.ts';
import { makePoint } from '../point.ts';
import { PCIE_BENCH, type TableRun } from './table.ts';

/** Gb/s at 1, 1.5, 2, 3, 4, 8, 16, 32, 64 MB. */
const PUBLISHED = [
  [256, 3.9],
  [384, 2.9],
  [512, 2.6],
  [768, 3.3],
  [1024, 3.6],
  [2048, 5.1],
  [4096, 6.6],
  [8192, 7.7],
  [16384, 8.5],
] as const;
const BITS = 64 * 8;

const READS: Curve = {
  series: 'Sandy Bridge E5-2630, reads of 64 B',
  profile: 'vtd-snb',
  overrides: [],
  quantity: 'interval',
  direction: 'read',
  bytes: 64,
  superpages: false,
  use: 'predicted',
  values: values(...PUBLISHED.map(([pages, gbps]): [number, number] => [pages, BITS / gbps])),
};

/** V4. */
export const V4_REGION_WALKS: TableRun = {
  id: 'V4',
  run: (effort) => {
    const points = runCurve(READS, () => ({ kind: 'relative', share: 0.15 }), effort);
    const slowest = points.reduce((worst, point) => (point.modelled! > worst.modelled! ? point : worst));
    const last = points.at(-1)!.modelled!;
    return {
      id: 'V4',
      title: 'Sandy Bridge: walks of one 2 MiB region one by one',
      role: 'gate',
      source: `${PCIE_BENCH}: bw_dma_win_sweep_rd_rnd_64 of E5-2630`,
      basis:
        'Fitted: time of a walk inside one region (window of 2 MB), number of walkers, interval between walks (this ' +
        'curve at 64 MB), IOTLB reach (latency sweep). Everything between is a prediction.',
      axis: 'window [4 KiB pages]',
      points: [
        ...points,
        makePoint({
          series: 'shape',
          label: 'slowest window',
          unit: 'pages',
          published: 512,
          modelled: slowest.x!,
          tolerance: { kind: 'absolute', amount: 0 },
          use: 'predicted',
        }),
        makePoint({
          series: 'shape',
          label: 'recovery: time at 2 MB over time at 64 MB',
          unit: 'times',
          published: 8.5 / 2.6,
          modelled: slowest.modelled! / last,
          tolerance: { kind: 'relative', share: 0.15 },
          use: 'predicted',
        }),
      ],
      notes: [],
    };
  },
};
