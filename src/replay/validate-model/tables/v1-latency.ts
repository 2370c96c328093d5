/** V1: what translation adds to the latency of a 64-byte read, by window. */
import { addedLatencyTolerance } from '../added-latency.ts';
import { type Curve, runCurve, values } from '../curve.ts';
import { BROADWELL_FIT, PCIE_BENCH, type TableRun } from './table.ts';

const SHAPE = { quantity: 'added-latency', direction: 'read', bytes: 64, outstanding: 1, superpages: false } as const;

const CURVES: readonly Curve[] = [
  {
    ...SHAPE,
    series: 'Broadwell E5-2630 v4',
    profile: 'vtd-bdw',
    overrides: [],
    use: 'fitted',
    values: values(
      [64, 3],
      [128, 28],
      [256, 160],
      [384, 203],
      [512, 225],
      [768, 248],
      [1024, 259],
      [2048, 275],
      [16384, 288],
    ),
  },
  {
    ...SHAPE,
    series: 'Ivy Bridge E5-2620 v2',
    profile: 'vtd-ivb',
    overrides: [],
    use: 'predicted',
    values: values(
      [64, 1],
      [128, 6],
      [256, 153],
      [384, 204],
      [512, 227],
      [768, 252],
      [1024, 264],
      [2048, 282],
      [16384, 298],
    ),
  },
];

/** V1. */
export const V1_LATENCY: TableRun = {
  id: 'V1',
  run: (effort) => ({
    id: 'V1',
    title: 'Added latency against window, 64-byte reads, one outstanding',
    role: 'gate',
    source: `${PCIE_BENCH}: lat_cmd_sweep_rd_rnd_64, mean with the IOMMU on less off`,
    basis: `${BROADWELL_FIT} The Ivy Bridge penalty is its own value at 16384 pages.`,
    axis: 'window [4 KiB pages]',
    points: CURVES.flatMap((curve) => runCurve(curve, addedLatencyTolerance, effort)),
    notes: [
      'With the IOMMU off nothing is added, so small windows read the 1 ns of an IOTLB hit. At 128 pages the reach of the ' +
        'single machine decides: Ivy Bridge reaches some ten pages further than Broadwell.',
    ],
  }),
};
