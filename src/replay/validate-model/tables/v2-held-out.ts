/** V2 of machines that no number was fitted to: their single-miss penalty, and what follows from it. */
import { type Curve, runCurve, values } from '../curve.ts';
import { penaltyOverrides } from '../user-run.ts';
import { BROADWELL_FIT, PCIE_BENCH, type TableRun } from './table.ts';
import { bandwidthTolerance, curve64 } from './v2-bandwidth.ts';

/** A machine: the profile of its platform, and what one miss takes there [ns]. */
interface Machine {
  readonly name: string;
  readonly profile: string;
  readonly penaltyNs: number;
}

const HSW_2620: Machine = { name: 'Haswell E5-2620 v3', profile: 'vtd-bdw', penaltyNs: 228 };
const HSW_2637: Machine = { name: 'Haswell E5-2637 v3', profile: 'vtd-bdw', penaltyNs: 267 };
/** Buffers, and in large windows the tables, are in memory of the other socket. */
const BDW_REMOTE: Machine = { name: 'Broadwell E5-2630 v4, other socket', profile: 'vtd-bdw', penaltyNs: 340 };
const IVB: Machine = { name: 'Ivy Bridge E5-2620 v2', profile: 'vtd-ivb', penaltyNs: 298 };
const IVB_REMOTE: Machine = { name: 'Ivy Bridge E5-2620 v2, other socket', profile: 'vtd-ivb', penaltyNs: 358 };

const SIZES_PAGES = [64, 256, 1024, 16384] as const;

/** Requests of 64 bytes, at the windows of V2. */
const HELD_OUT: readonly Curve[] = [
  of64(HSW_2620, 'read', [15.2, 20.5, 31.8, 38.1, 41.4, 46.4, 50.0, 50.9]),
  of64(HSW_2620, 'write', [21.1, 21.1, 25.0, 32.4, 36.0, 41.0, 44.6, 45.9]),
  of64(HSW_2637, 'read', [15.7, 21.9, 32.8, 39.4, 42.8, 47.8, 51.2, 52.0]),
  of64(HSW_2637, 'write', [21.1, 21.1, 25.5, 33.0, 36.8, 41.6, 44.4, 45.1]),
  of64(BDW_REMOTE, 'read', [15.2, 22.4, 33.3, 39.1, 42.1, 48.8, 52.6, 53.1]),
  of64(BDW_REMOTE, 'write', [21.1, 21.1, 26.3, 33.9, 37.7, 43.0, 45.5, 45.9]),
  of64(IVB_REMOTE, 'read', [15.4, 15.8, 33.2, 41.7, 45.8, 51.5, 55.6, 56.2]),
  of64(IVB_REMOTE, 'write', [21.1, 21.1, 27.6, 36.7, 40.6, 46.4, 50.9, 51.6]),
];

/** Larger requests, at the windows of 256 KiB, 1, 4 and 64 MiB. */
const SIZES: readonly Curve[] = [
  larger(HSW_2620, 'read', 128, [23.2, 32.9, 47.3, 51.8]),
  larger(HSW_2620, 'read', 256, [42.6, 48.1, 57.0, 60.8]),
  larger(HSW_2620, 'read', 512, [74.4, 74.5, 74.9, 75.2]),
  larger(HSW_2620, 'write', 128, [24.2, 24.7, 39.7, 44.0]),
  larger(HSW_2620, 'write', 256, [40.6, 40.6, 40.7, 44.4]),
  larger(HSW_2637, 'read', 128, [23.4, 34.1, 48.7, 53.5]),
  larger(HSW_2637, 'read', 256, [42.8, 48.7, 57.1, 60.7]),
  larger(HSW_2637, 'read', 512, [74.3, 74.5, 74.8, 75.1]),
  larger(HSW_2637, 'write', 128, [24.1, 24.8, 39.8, 43.9]),
  larger(HSW_2637, 'write', 256, [40.5, 40.5, 40.7, 44.3]),
  larger(BDW_REMOTE, 'read', 128, [23.3, 34.7, 49.4, 53.9]),
  larger(BDW_REMOTE, 'read', 256, [42.6, 48.7, 57.8, 61.6]),
  larger(BDW_REMOTE, 'read', 512, [74.4, 74.7, 75.8, 77.9]),
  larger(BDW_REMOTE, 'write', 128, [24.2, 25.2, 40.4, 44.6]),
  larger(BDW_REMOTE, 'write', 256, [40.6, 40.6, 41.2, 45.2]),
  larger(IVB, 'read', 128, [23.5, 35.2, 51.2, 56.5]),
  larger(IVB, 'read', 256, [42.8, 48.0, 57.4, 64.5]),
  larger(IVB, 'read', 512, [74.0, 74.5, 76.7, 79.5]),
  larger(IVB, 'write', 128, [24.1, 26.9, 45.3, 51.5]),
  larger(IVB, 'write', 256, [40.5, 40.5, 44.0, 50.2]),
  larger(IVB_REMOTE, 'read', 128, [23.5, 35.2, 51.9, 57.0]),
  larger(IVB_REMOTE, 'read', 256, [42.7, 48.1, 58.5, 65.0]),
  larger(IVB_REMOTE, 'read', 512, [74.0, 74.4, 78.6, 81.6]),
  larger(IVB_REMOTE, 'write', 128, [24.1, 26.9, 45.5, 52.2]),
  larger(IVB_REMOTE, 'write', 256, [40.5, 40.5, 44.3, 50.3]),
];

function of64(machine: Machine, direction: Curve['direction'], ns: readonly number[]): Curve {
  const { name, profile, penaltyNs } = machine;
  const made = curve64(`${name}, ${direction}s of 64 B`, profile, direction, 'predicted', ns);
  return { ...made, overrides: penaltyOverrides(profile, penaltyNs) };
}

function larger(machine: Machine, direction: Curve['direction'], bytes: number, ns: readonly number[]): Curve {
  const points = values(...SIZES_PAGES.map((pages, at): [number, number] => [pages, ns[at]!]));
  return {
    ...of64(machine, direction, []),
    series: `${machine.name}, ${direction}s of ${bytes} B`,
    bytes,
    values: points,
  };
}

/** V2 of machines not used at all. */
export const V2_HELD_OUT: TableRun = {
  id: 'V2-held-out',
  run: (effort) => ({
    id: 'V2-held-out',
    title: 'Time between requests of machines never fitted, from their single-miss penalty alone',
    role: 'gate',
    source:
      `${PCIE_BENCH}: bw_dma_win_sweep_{rd,wr}_rnd_64 of E5-2620 v3 (228 ns), E5-2637 v3 (267 ns), and of E5-2630 v4 ` +
      '(340 ns) and E5-2620 v2 (358 ns) with the buffers on the other socket',
    basis:
      `${BROADWELL_FIT} No number was fitted to these curves, but two rules were suggested by them: that walks are as far ` +
      'apart however long one takes (that there are always walkers enough), and that this distance goes with the platform.',
    axis: 'window [4 KiB pages]',
    points: HELD_OUT.flatMap((one) => runCurve(one, bandwidthTolerance, effort)),
    notes: [],
  }),
};

/** Larger requests of machines not used at all. */
export const V2_SIZES: TableRun = {
  id: 'V2-sizes',
  run: (effort) => ({
    id: 'V2-sizes',
    title: 'Larger requests on machines never fitted, from their single-miss penalty alone',
    role: 'report',
    source: `${PCIE_BENCH}: bw_dma_win_sweep_{rd,wr}_rnd_{128,256,512}`,
    basis: `${BROADWELL_FIT} Windows and issue intervals of the device are those fitted on Broadwell per size.`,
    axis: 'window [4 KiB pages]',
    points: SIZES.flatMap((one) => runCurve(one, bandwidthTolerance, effort)),
    notes: ['Reads of 256 bytes on Ivy Bridge come 5 to 7 % too slow at 512 to 2048 pages; why is not known.'],
  }),
};
