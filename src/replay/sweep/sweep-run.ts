/** Runs a sweep: all points of all cases are jobs of one run of the executor. */

import { executeJobs } from '../execute.ts';
import { runExitCode } from '../fold.ts';
import type { JobOutcome, JobResult, JobSpec } from '../protocol.ts';
import { planRun, type RunOptions, type RunPlan } from '../run.ts';
import { profileName, variantsExitCode } from '../variant.ts';
import { parseParams } from './param.ts';
import { type PlannedCase, type PlannedPoint, planSweep, type SweepPlan } from './plan.ts';
import type { MissingReplay, SweepCase, SweepMode, SweepPoint, SweepResult } from './protocol.ts';

/** What to sweep. */
export interface SweepOptions extends Omit<RunOptions, 'studies' | 'assumptions' | 'onAssumptions' | 'defaultDomain'> {
  /** `PATH=RANGE`, at least one. */
  readonly params: readonly string[];
  readonly mode: SweepMode;
  /** Called before the first job. */
  readonly onPlan?: ((plan: SweepPlan) => void) | undefined;
}

/** What came of it. */
export interface SweepOutcome {
  readonly sweep: SweepResult;
  readonly interrupted: boolean;
  /** Exit code of a command that does nothing else. */
  readonly exitCode: number;
}

/** The replays that {@link runSweep} would make; throws InputError and ConfigError. */
export function planSweepRun(options: SweepOptions): SweepPlan {
  return planned(options).plan;
}

/** Runs a sweep; throws InputError and ConfigError before the first job starts. */
export async function runSweep(options: SweepOptions): Promise<SweepOutcome> {
  const { run, plan } = planned(options);
  options.onPlan?.(plan);
  const all = await executeJobs(plan.jobs, options);
  const outcomes = new Map(plan.jobs.map(({ key }, index) => [key, all[index] as JobOutcome]));
  const interrupted = options.signal?.aborted === true;
  const base = new Set(plan.cases.flatMap((one) => one.base.jobs.map(({ key }) => key)));
  const ofBase = all.filter((_, index) => base.has((plan.jobs[index] as JobSpec).key));
  const cases = plan.cases.map((one) => foldCase(one, outcomes));
  return {
    sweep: {
      toolVersion: options.toolVersion,
      mode: plan.mode,
      complete: cases.every(({ base: own, points }) => [own, ...points].every(({ missing }) => missing.length === 0)),
      params: plan.params,
      workloads: run.workloads,
      profiles: run.profiles,
      replays: plan.jobs.length,
      cases,
    },
    interrupted,
    exitCode: runExitCode(ofBase, interrupted) || variantsExitCode(all),
  };
}

function planned(options: SweepOptions): { readonly run: RunPlan; readonly plan: SweepPlan } {
  const params = parseParams(options.params);
  const run = planRun(options);
  return { run, plan: planSweep(run, params, options.mode) };
}

function foldCase({ key, own, base, points }: PlannedCase, outcomes: ReadonlyMap<string, JobOutcome>): SweepCase {
  const first = base.jobs[0]!;
  return {
    key,
    workload: first.workload,
    hardwareProfile: profileName(first, 'hardware'),
    kernelProfile: profileName(first, 'kernel'),
    pacing: first.pacing,
    own,
    base: foldPoint(base, outcomes),
    points: points.map((point) => foldPoint(point, outcomes)),
  };
}

/** A point of which a shard is missing has no result: the others alone would say something else. */
function foldPoint({ values, jobs, sameAs }: PlannedPoint, outcomes: ReadonlyMap<string, JobOutcome>): SweepPoint {
  const results: JobResult[] = [];
  const missing: MissingReplay[] = [];
  for (const { key } of jobs) {
    const outcome = outcomes.get(key);
    if (outcome?.status === 'ok' && outcome.result.stoppedEarly !== true) results.push(outcome.result);
    else missing.push({ key, error: outcome?.status === 'failed' ? outcome.error : null });
  }
  return { values, jobs: missing.length === 0 ? results : [], missing, sameAs };
}
