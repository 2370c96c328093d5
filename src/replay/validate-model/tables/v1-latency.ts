/** V1: what translation adds to the latency of a 64-byte read, by window. */
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

/** [pages] Windows up to this fit the IOTLB of every machine. */
const PLATEAU_PAGES = 64;

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
    points: CURVES.flatMap((curve) =>
      runCurve(
        curve,
        ({ pages }) => {
          // A hit adds at most 3 ns; at 128 pages reaches of single machines differ.
          if (pages <= PLATEAU_PAGES) return { kind: 'absolute', amount: 3 };
          return pages === 128 ? { kind: 'absolute', amount: 30 } : { kind: 'relative', share: 0.1 };
        },
        effort,
      ),
    ),
    notes: [
      'The time of an IOTLB hit is part of the modelled round trip with the IOMMU off as well, so the small windows read 0.',
    ],
  }),
};
