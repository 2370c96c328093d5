/** Jobs of a study grouped: a case is one workload on one hardware and kernel; in it one entry a policy and queue. */

import { formatPacing } from '../../replay/pacing.ts';
import type { JobResult, RunResult } from '../../replay/protocol.ts';
import { POLICY_DESCRIPTIONS, SWITCH_POLICIES, type SwitchPolicy } from '../../replay/study/policy.ts';
import type { SwitchOutcome, SwitchStep, WindowCurves } from '../../replay/study/protocol.ts';
import { compareOutcomes } from '../../replay/study/switch-watch.ts';
import { BINS_PER_SIDE, mergeCurves } from '../../replay/study/window-curves.ts';
import { ratio } from '../quantities.ts';
import type { IdentitySection } from '../schema/identity.ts';
import { identitySection } from '../sections/identity.ts';
import { type SwitchSummary, summarize, switchesOf } from './summary.ts';

/** One policy under one queue, all shards together. */
export interface PolicyResult {
  readonly policy: SwitchPolicy;
  readonly description: string;
  readonly queue: string;
  readonly dmaRows: number;
  readonly switches: readonly SwitchOutcome[];
  readonly summary: SwitchSummary;
  readonly curves: WindowCurves;
  /** Least bin after the start against the mean before: of the switched devices, and of everybody behind the unit. */
  readonly dip: number | null;
  readonly unitDip: number | null;
  readonly refill: { readonly hits: readonly number[]; readonly rows: readonly number[] };
  /** Of the first switch that succeeded and the first that failed. */
  readonly success: SequenceOf | undefined;
  readonly failure: SequenceOf | undefined;
  /** Stale translations found by the lint, over the whole run. */
  readonly lintStale: number;
  readonly diagnostics: Readonly<Record<string, number>>;
}

/** Steps of one switch. */
export interface SequenceOf {
  readonly outcome: SwitchOutcome;
  readonly steps: readonly SwitchStep[];
}

/** One workload under one pair of profiles. */
export interface StudyCase {
  readonly workload: string;
  readonly hardwareProfile: string;
  readonly kernelProfile: string;
  readonly pacing: string;
  /** What a device does when its requests fault in a switch. */
  readonly onFault: 'continue' | 'stop';
  /** Where the trace came from; null without a readable manifest. */
  readonly identity: IdentitySection | null;
  readonly windowPs: number;
  readonly binPs: number;
  /** Under the profile's queue, in the order of SWITCH_POLICIES. */
  readonly policies: readonly PolicyResult[];
  /** Under other queues. */
  readonly variants: readonly PolicyResult[];
}

/** Cases in the order of their jobs' keys. */
export function studyCases(run: RunResult): StudyCase[] {
  const groups = new Map<string, JobResult[]>();
  for (const job of run.jobs) {
    if (job.disruption === undefined) continue;
    const key = `${job.workload}\n${job.hardwareProfile}\n${job.kernelProfile}`;
    groups.set(key, [...(groups.get(key) ?? []), job]);
  }
  return [...groups.values()].map((jobs) => {
    const first = jobs[0]!;
    const results = policyResults(jobs);
    return {
      workload: first.workload,
      hardwareProfile: first.hardwareProfile,
      kernelProfile: first.kernelProfile,
      pacing: formatPacing(first.pacing),
      onFault: first.disruption!.onFault,
      identity: identitySection({
        identity: run.workloads.find(({ name }) => name === first.workload),
        diagnostics: {},
      }),
      windowPs: first.disruption!.windowPs,
      binPs: first.disruption!.binPs,
      policies: results.filter(({ queue }) => queue === 'profile'),
      variants: results.filter(({ queue }) => queue !== 'profile'),
    };
  });
}

function policyResults(jobs: readonly JobResult[]): PolicyResult[] {
  const queues = [...new Set(jobs.map((job) => job.disruption!.queue))];
  return queues.flatMap((queue) =>
    SWITCH_POLICIES.flatMap((policy) => {
      const own = jobs.filter(({ disruption }) => disruption!.policy === policy && disruption!.queue === queue);
      return own.length === 0 ? [] : [policyResult(policy, queue, own)];
    }),
  );
}

function policyResult(policy: SwitchPolicy, queue: string, jobs: readonly JobResult[]): PolicyResult {
  const results = jobs.map((job) => job.disruption!);
  const switches = switchesOf(results).sort(compareOutcomes);
  const sequences = results.flatMap(({ switches: own, sequences: kept }) =>
    kept.map(({ switchIndex, steps }) => ({ outcome: own[switchIndex]!, steps })),
  );
  const blocks = Math.max(...results.map(({ refill }) => refill.rows.length));
  const sumOf = (key: 'hits' | 'rows'): number[] =>
    Array.from({ length: blocks }, (_, block) =>
      results.reduce((sum, { refill }) => sum + (refill[key][block] ?? 0), 0),
    );
  const curves = results.map((result) => result.curves).reduce(mergeCurves);
  const diagnostics: Record<string, number> = {};
  for (const job of jobs) {
    for (const [code, count] of Object.entries(job.diagnostics)) diagnostics[code] = (diagnostics[code] ?? 0) + count;
  }
  return {
    policy,
    description: POLICY_DESCRIPTIONS[policy],
    queue,
    dmaRows: jobs.reduce((sum, job) => sum + job.dmaRows, 0),
    switches,
    summary: summarize(switches),
    curves,
    dip: dipOf(curves.bytes),
    unitDip: dipOf(curves.unitBytes),
    refill: { hits: sumOf('hits'), rows: sumOf('rows') },
    success: sequences.find(({ outcome }) => outcome.result >= 0),
    failure: sequences.find(({ outcome }) => outcome.result < 0),
    lintStale: jobs.reduce((sum, job) => sum + (job.stale ?? []).reduce((count, use) => count + use.count, 0), 0),
    diagnostics,
  };
}

function dipOf(bins: readonly number[]): number | null {
  const before = bins.slice(0, BINS_PER_SIDE).reduce((sum, bytes) => sum + bytes, 0) / BINS_PER_SIDE;
  return ratio(Math.min(...bins.slice(BINS_PER_SIDE)), before);
}
