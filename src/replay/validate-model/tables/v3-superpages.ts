/** V3: the same sweeps with 2 MiB mappings: translation costs nothing up to 64 MB. */
import { type Curve, type CurveValue, runCurve } from '../curve.ts';
import type { Tolerance } from '../result.ts';
import { BROADWELL_FIT, PCIE_BENCH, type TableRun } from './table.ts';

const MACHINE = { series: 'Haswell E5-2620 v3', profile: 'vtd-hsw', overrides: [], superpages: true } as const;

/** [ns] Round trip of a 64-byte read with the IOMMU off: data leave the last-level cache as the window grows. */
const OFF_NS = [
  [64, 412],
  [128, 412],
  [256, 412],
  [512, 430],
  [1024, 455],
  [4096, 474],
  [16384, 479],
] as const;

/** [ns] Between reads; none where the window is partly in the last-level cache. */
const READ_NS = [15.2, 15.2, 15.2, null, null, 17.9, 17.9] as const;
const WRITE_NS = 21.1;

function curve(
  name: string,
  quantity: Curve['quantity'],
  direction: Curve['direction'],
  valueAt: (at: number) => number | null,
): Curve {
  const points: CurveValue[] = OFF_NS.flatMap(([pages, off], at) => {
    const value = valueAt(at);
    if (value === null) return [];
    return [{ pages, value, ...(direction === 'read' ? { readRoundTripNs: off } : {}) }];
  });
  const outstanding = quantity === 'added-latency' ? { outstanding: 1 } : {};
  return {
    ...MACHINE,
    series: `${MACHINE.series}, ${name}`,
    quantity,
    direction,
    bytes: 64,
    use: 'predicted',
    values: points,
    ...outstanding,
  };
}

const CURVES = [
  curve('added latency of reads', 'added-latency', 'read', () => 0),
  curve('reads of 64 B', 'interval', 'read', (at) => READ_NS[at]!),
  curve('writes of 64 B', 'interval', 'write', () => WRITE_NS),
];

/** V3. */
export const V3_SUPERPAGES: TableRun = {
  id: 'V3',
  run: (effort) => ({
    id: 'V3',
    title: 'Superpages: no penalty up to 64 MB',
    role: 'gate',
    source: `${PCIE_BENCH}: superpages on, Haswell (Ivy Bridge alike)`,
    basis:
      `${BROADWELL_FIT} Input: the round trip of a read with the IOMMU off at each window (412 to 479 ns), because ` +
      'data leave the last-level cache as the window grows, which is not translation.',
    axis: 'window [4 KiB pages]',
    points: CURVES.flatMap((one) =>
      runCurve(
        one,
        (_, { quantity }): Tolerance =>
          quantity === 'added-latency' ? { kind: 'absolute', amount: 3 } : { kind: 'relative', share: 0.03 },
        effort,
      ),
    ),
    notes: [
      'Reads of 512 and 1024 pages are left out: a mixture of hits and misses of the last-level cache under load is not ' +
        'its mean latency, and the model has one memory latency a run.',
    ],
  }),
};
