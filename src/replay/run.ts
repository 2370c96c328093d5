/**
 * A run: bundles x hardware x kernels x scenarios, planned, replayed on worker threads or in this thread, and folded. What
 * the user asked for is checked before any work starts; what a job does is data in the result.
 */

import { BundleReader } from '../trace/reader.ts';
import type { Manifest } from '../trace/schema/manifest.ts';
import { foldAssumptions } from './assumptions/fold.ts';
import { planAssumptions } from './assumptions/plan.ts';
import { DEFAULT_BATCH_ROWS } from './batch-rows.ts';
import { executeJobs } from './execute.ts';
import { foldOutcomes, runExitCode } from './fold.ts';
import { type PlannedWorkload, planJobs, uniqueNames } from './plan.ts';
import type { JobOutcome, JobSpec, Pacing, RunResult, WorkloadIdentity } from './protocol.ts';
import { DEFAULT_KERNEL, hardwareForRun, kernelForRun, type RunProfile, splitOverrides } from './run-profiles.ts';
import { scenarioOf, studyScenario } from './scenario.ts';
import { planShards, shardFacts } from './shards.ts';
import type { StudySpec } from './study/protocol.ts';
import { type MovableProfile, variantsExitCode } from './variant.ts';

/** What to run. */
export interface RunOptions {
  /** Paths of bundles. */
  readonly bundles: readonly string[];
  /** Names of hardware profiles. */
  readonly hardware: readonly string[];
  /** Names of kernel profiles; each recording's own kernel when absent. */
  readonly kernels?: readonly string[] | undefined;
  /** `path=value` for profiles, hardware or kernel. */
  readonly overrides?: readonly string[] | undefined;
  /** The bundle's default when absent. */
  readonly pacing?: Pacing | undefined;
  /** Default domain of kernel-driven devices instead of the recorded one. */
  readonly defaultDomain?: JobSpec['defaultDomain'];
  /** Switching policies of a disruption study, each a scenario of its own; absent in plain runs. */
  readonly studies?: readonly StudySpec[] | undefined;
  /** Also replay with every assumed number moved, to say what the result rests on. */
  readonly assumptions?: boolean | undefined;
  /** Called before the first job with what {@link assumptions} adds. */
  readonly onAssumptions?: ((numbers: number, replays: number) => void) | undefined;
  /** Worker threads; 0 replays in this thread. Changes no result. */
  readonly workers: number;
  /** [rows] Rows per call of the data plane. Changes no result. */
  readonly batchRows?: number | undefined;
  readonly toolVersion: string;
  /** Called with the jobs finished and all jobs: first with 0, then after each. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Aborting it cancels jobs that are not finished; the result is then incomplete. */
  readonly signal?: AbortSignal | undefined;
}

/** What came of it. */
export interface RunOutcome {
  readonly run: RunResult;
  readonly interrupted: boolean;
  /** Exit code of a command that does nothing else. */
  readonly exitCode: number;
}

/** Replays everything; throws InputError and ConfigError for what is wrong before the first job starts. */
export async function runReplay(options: RunOptions): Promise<RunOutcome> {
  const plan = planRun(options);
  const assumptions = options.assumptions === true ? planAssumptions(plan.jobs, plan.movable) : undefined;
  const compared = assumptions?.variants.flatMap(({ jobs }) => jobs) ?? [];
  if (assumptions !== undefined) options.onAssumptions?.(assumptions.numbers.length, compared.length);
  const all = await executeJobs([...plan.jobs, ...compared], options);
  const outcomes = all.slice(0, plan.jobs.length);
  const interrupted = options.signal?.aborted === true;
  const run = foldOutcomes({ ...plan, toolVersion: options.toolVersion }, outcomes);
  const exitCode = runExitCode(outcomes, interrupted) || variantsExitCode(all.slice(plan.jobs.length));
  if (assumptions === undefined) return { run, interrupted, exitCode };
  const byKey = new Map(compared.map(({ key }, index) => [key, all[plan.jobs.length + index] as JobOutcome]));
  return { run: { ...run, assumptions: foldAssumptions(assumptions, byKey) }, interrupted, exitCode };
}

/** The jobs of a run and what the result says about its inputs. */
export interface RunPlan {
  readonly jobs: readonly JobSpec[];
  readonly workloads: readonly WorkloadIdentity[];
  readonly profiles: readonly RunResult['profiles'][number][];
  /** The profiles of `profiles`, to be resolved again with something changed. */
  readonly movable: readonly MovableProfile[];
}

/** Opens bundles, resolves profiles, plans shards; throws InputError and ConfigError. */
export function planRun(options: RunOptions): RunPlan {
  const overrides = splitOverrides(options.overrides ?? []);
  const hardware = [...new Set(options.hardware)].map((name) => hardwareForRun(name, overrides.hardware));
  const kernels = new Map<string, RunProfile>();
  const kernel = (name: string): RunProfile => {
    const known = kernels.get(name) ?? kernelForRun(name, overrides.kernel);
    kernels.set(name, known);
    return known;
  };
  const workloads: PlannedWorkload[] = [];
  const identities: WorkloadIdentity[] = [];
  const bundles = options.bundles.map((path) => BundleReader.open(path));
  try {
    const names = uniqueNames(bundles.map((bundle) => bundle.manifest.name));
    for (const [index, bundle] of bundles.entries()) {
      const { manifest, manifestSha256 } = bundle;
      const name = names[index] as string;
      const pacing = options.pacing ?? { mode: manifest.pacing.default };
      const kernelNames = [...new Set(options.kernels ?? [manifest.origin.kernelProfile ?? DEFAULT_KERNEL])];
      workloads.push({
        name,
        bundlePath: bundle.path,
        worlds: planShards(shardFacts(bundle)),
        unitRows: unitRows(manifest),
        kernels: kernelNames.map((kernelName) => kernel(kernelName).planned),
        scenarios: options.studies?.map((study) => studyScenario(pacing, study)) ?? [
          scenarioOf(pacing, options.defaultDomain),
        ],
      });
      identities.push({ name, manifestSha256, manifest });
    }
  } finally {
    for (const bundle of bundles) bundle.close();
  }
  const jobs = planJobs({
    workloads,
    hardware: hardware.map((profile) => profile.planned),
    batchRows: options.batchRows ?? DEFAULT_BATCH_ROWS,
  });
  const profiles = [...hardware, ...kernels.values()];
  const movable = profiles.map((profile): MovableProfile => {
    const { kind, name } = profile.card;
    return {
      ...profile,
      resolve: (moved) =>
        kind === 'hardware'
          ? hardwareForRun(name, [...overrides.hardware, ...moved])
          : kernelForRun(name, [...overrides.kernel, ...moved]),
    };
  });
  return { jobs, workloads: identities, profiles: profiles.map(({ card }) => card), movable };
}

function unitRows({ topology, streams }: Manifest): number[] {
  return topology.units.map((_, unit) => streams[`dma-${unit}`]?.rows ?? 0);
}
