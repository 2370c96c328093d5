/** V5: receive path of a 100 Gb/s network card in strict mode, with and without Fast & Safe. */
import { hardwareProfile } from '../../../hw/profiles/registry.ts';
import { makePoint } from '../point.ts';
import { measureReceivePath, type ReceiveMeasurement, type ReceivePath } from '../receive-path.ts';
import type { ModelPoint, Tolerance } from '../result.ts';
import type { TableRun } from './table.ts';

const COUNTER: Tolerance = { kind: 'relative', share: 0.3 };
const RATE: Tolerance = { kind: 'relative', share: 0.15 };
const EXACT: Tolerance = { kind: 'absolute', amount: 0 };
const LINE_RATE_GBPS = 100;
/** Region changes of contiguous addresses: two 64-page runs in 4 MiB at most. */
const CONTIGUOUS_MISSES = 2 / 64;

/** [Gb/s] Their fit: 4096 bytes a page in l_0 + M l_m. */
function published(readsPerPage: number): number {
  return Math.min(LINE_RATE_GBPS, 32768 / (65 + 197 * readsPerPage));
}

interface Run {
  readonly series: string;
  readonly path: ReceivePath;
  readonly misses: number;
  readonly misses1g: number | null;
  readonly misses2m: number | null;
  readonly reads: number;
  readonly use: ModelPoint['use'];
}

const LINUX_5: Run = {
  series: 'Linux, 5 flows',
  path: { burstPages: 20, acksPerPage: 0.3, addresses: { kind: 'scattered', regions: 7 }, leafHint: false },
  misses: 1.3,
  misses1g: 0.05,
  misses2m: 0.36,
  reads: 1.76,
  use: 'fitted',
};
const LINUX_40: Run = {
  series: 'Linux, 40 flows',
  path: { burstPages: 1.6, acksPerPage: 1.2, addresses: { kind: 'scattered', regions: 2 }, leafHint: false },
  misses: 2.2,
  misses1g: 0.63,
  misses2m: 0.9,
  reads: 4.36,
  use: 'predicted',
};
const FAST_SAFE: Run = {
  series: 'Fast & Safe, 5 flows',
  path: { burstPages: 64, acksPerPage: 0.3, addresses: { kind: 'runs' }, leafHint: true },
  misses: 1.3,
  misses1g: null,
  misses2m: null,
  reads: 1.35,
  use: 'predicted',
};

function runPoints(run: Run, measured: ReceiveMeasurement): ModelPoint[] {
  const { series } = run;
  const counter = (label: string, value: number, modelled: number, use: ModelPoint['use']): ModelPoint =>
    makePoint({ series, label, unit: 'per page', published: value, modelled, tolerance: COUNTER, use });
  const points = [counter('IOTLB misses', run.misses, measured.iotlbMisses, 'input')];
  if (run.misses1g !== null) {
    points.push(counter('misses of the 512 GiB cache', run.misses1g, measured.misses512g, 'input'));
    points.push(counter('misses of the 1 GiB cache', run.misses1g, measured.misses1g, 'predicted'));
  }
  if (run.misses2m !== null)
    points.push(counter('misses of the 2 MiB cache', run.misses2m, measured.misses2m, 'input'));
  points.push(counter('memory reads', run.reads, measured.reads, 'predicted'));
  points.push(
    makePoint({
      series,
      label: 'throughput',
      unit: 'Gb/s',
      published: published(run.reads),
      modelled: Math.min(LINE_RATE_GBPS, measured.gbps),
      tolerance: RATE,
      use: run.use,
    }),
  );
  return points;
}

/** What holds whatever the workload. */
function laws(contiguous: ReceiveMeasurement, hinted: ReceiveMeasurement, linux: ReceiveMeasurement): ModelPoint[] {
  const law = (label: string, bound: number, modelled: number, tolerance: Tolerance): ModelPoint =>
    makePoint({ series: 'laws', label, unit: 'per page', published: bound, modelled, tolerance, use: 'predicted' });
  return [
    law('IOTLB misses of contiguous addresses, at least', 1, contiguous.iotlbMisses, { kind: 'at-least' }),
    law('misses of the 2 MiB cache, contiguous addresses, at most', CONTIGUOUS_MISSES, contiguous.misses2m, {
      kind: 'at-most',
    }),
    law('misses of the 512 GiB cache with the leaf hint, contiguous', 0, contiguous.misses512g, EXACT),
    law('misses of the 1 GiB cache with the leaf hint, contiguous', 0, contiguous.misses1g, EXACT),
    law('misses of the 512 GiB cache with the leaf hint, scattered', 0, hinted.misses512g, EXACT),
    law('misses of the 1 GiB cache with the leaf hint, scattered', 0, hinted.misses1g, EXACT),
    law('misses of the 1 GiB cache without the hint, more than', Number.MIN_VALUE, linux.misses1g, {
      kind: 'at-least',
    }),
  ];
}

/** V5. */
export const V5_RECEIVE: TableRun = {
  id: 'V5',
  run: ({ seed, samples }) => {
    const { config } = hardwareProfile('vtd-clx');
    const effort = { seed, pages: Math.max(4000, Math.floor(samples / 5)) };
    const measure = (path: ReceivePath): ReceiveMeasurement => measureReceivePath(config, path, effort);
    const five = measure(LINUX_5.path);
    const safe = measure(FAST_SAFE.path);
    const hinted = measure({ ...LINUX_5.path, leafHint: true });
    return {
      id: 'V5',
      title: 'Receive path in strict mode, 100 Gb/s, pages of 4 KiB',
      role: 'gate',
      source:
        'Fast & Safe IO Memory Protection (SOSP 2024), Cascade Lake, ConnectX-5: counters per page, 2.2 for the rate',
      basis:
        'From the authors’ fit: time per read and per walk, and that walks of the card do not overlap (time per page is ' +
        'linear in the reads). Fitted to the throughput of 5 flows: write latency behind the IIO. Workload from the ' +
        'published counters (marked input): ACK pages per received page, pages per burst of unmapping, spread of ' +
        'addresses. Predicted: reads per page and throughput of 40 flows and of Fast & Safe.',
      axis: null,
      points: [
        ...runPoints(LINUX_5, five),
        ...runPoints(LINUX_40, measure(LINUX_40.path)),
        ...runPoints(FAST_SAFE, safe),
        ...laws(safe, hinted, five),
      ],
      notes: ['Published throughput is the authors’ own fit, which they report to be within 10 % of most experiments.'],
    };
  },
};
