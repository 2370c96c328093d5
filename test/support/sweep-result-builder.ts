/** Builds a {@link SweepResult} as replays would leave it, from seeded imitations of jobs; the numbers are not modelled. */
import { leanResult } from '../../src/replay/assumptions/lean-result.ts';
import type { JobResult } from '../../src/replay/protocol.ts';
import type { OwnValue, SweepMode, SweepPoint, SweepResult, SweptParam } from '../../src/replay/sweep/protocol.ts';
import { jobResult, runResult } from './run-result-builder.ts';

/** A job whose requests are `slower` times as far apart and take as much longer. */
export function sweptJob(slower: number, faults = 0): JobResult {
  const job = leanResult(jobResult({ requests: 400, faults, seed: 7 }));
  const stretch = (state: JobResult['devices'][number]['dmaLatency']): typeof state => ({
    ...state,
    sum: String((BigInt(state.sum) * BigInt(Math.round(slower * 1000))) / 1000n),
  });
  return {
    ...job,
    spanPs: Math.round(job.spanPs * slower),
    devices: job.devices.map((device) => ({ ...device, dmaLatency: stretch(device.dmaLatency) })),
  };
}

/** A point with a result. */
export function sweptPoint(values: SweepPoint['values'], slower: number, fields: Partial<SweepPoint> = {}): SweepPoint {
  return { values, jobs: [sweptJob(slower)], missing: [], sameAs: null, ...fields };
}

const ENTRIES: SweptParam = {
  path: 'iotlb.entries',
  kind: 'hardware',
  spacing: 'geometric',
  values: ['16', '32', '64', '128'],
};
const POLICY: SweptParam = { path: 'iotlb.policy', kind: 'hardware', spacing: 'list', values: ['lru', 'fifo'] };
const WALKERS: SweptParam = { path: 'walk.walkers', kind: 'hardware', spacing: 'list', values: ['3', '12'] };

const OWN: Readonly<Record<string, OwnValue>> = {
  [ENTRIES.path]: { value: '64', unit: 'entries', basis: 'X', source: 'fit to pcie-bench bandwidth sweep, BDW' },
  [POLICY.path]: { value: 'lru', unit: '', basis: 'A', source: 'ASSUMPTION: organisation is not public' },
  [WALKERS.path]: { value: '6', unit: 'walkers', basis: 'X', source: 'penalty over interval at saturation' },
};

function sweepOf(mode: SweepMode, params: readonly SweptParam[], points: readonly SweepPoint[]): SweepResult {
  const { workloads, profiles, toolVersion } = runResult([jobResult({ requests: 400 })]);
  const base = sweptPoint(
    params.map(() => null),
    1,
  );
  return {
    toolVersion,
    mode,
    complete: points.every(({ missing }) => missing.length === 0),
    params,
    workloads,
    profiles,
    replays: 1 + points.filter(({ sameAs }) => sameAs === null).length,
    cases: [
      {
        key: 'nvme-live-replace/vtd-bdw/v6.12/closed',
        workload: 'nvme-live-replace',
        hardwareProfile: 'vtd-bdw',
        kernelProfile: 'v6.12',
        pacing: { mode: 'recorded' },
        own: params.map(({ path }) => OWN[path]!),
        base,
        points,
      },
    ],
  };
}

/** One at a time: entries with a bend at 64, a policy that does not help and a point that failed. */
export function sweepResult(): SweepResult {
  const same = { sameAs: -1 } as const;
  return sweepOf(
    'one-at-a-time',
    [ENTRIES, POLICY],
    [
      sweptPoint(['16', null], 2.5),
      sweptPoint(['32', null], 1.4),
      sweptPoint(['64', null], 1, same),
      sweptPoint(['128', null], 0.97),
      sweptPoint([null, 'lru'], 1, same),
      sweptPoint([null, 'fifo'], 1, {
        jobs: [],
        missing: [{ key: 'nvme-live-replace/0/vtd-bdw/v6.12/closed@iotlb.policy=fifo', error: 'RangeError: test' }],
      }),
    ],
  );
}

/** All combinations of two numbers. */
export function gridResult(): SweepResult {
  const points = ENTRIES.values.flatMap((entries, row) =>
    WALKERS.values.map((walkers, column) => sweptPoint([entries, walkers], (4 - row) / (1 + column))),
  );
  return sweepOf('grid', [ENTRIES, WALKERS], points);
}
