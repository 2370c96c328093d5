/**
 * What is wrong with a run that was read back: a damaged one can often still be added up, to numbers of nothing. Checks
 * what ties its parts together; that each part is whole is for whoever adds them up.
 */
import { jobKey } from './plan.ts';
import type { JobResult, RunResult } from './protocol.ts';
import { scenarioName } from './scenario.ts';

const LISTS = ['jobs', 'missing', 'failures', 'profiles', 'workloads'] as const satisfies readonly (keyof RunResult)[];

/** The first thing wrong, with its place; undefined when nothing is. */
export function runProblem(run: RunResult): string | undefined {
  for (const list of LISTS) if (!Array.isArray(run[list])) return `no list of ${list}`;
  if (run.complete && run.jobs.length === 0) return 'complete, but without jobs';
  const seen = new Set<string>();
  for (const [index, job] of run.jobs.entries()) {
    const problem = jobProblem(job, run, seen);
    if (problem !== undefined) return `jobs.${index}: ${problem}`;
  }
  return undefined;
}

function jobProblem(job: JobResult | null, run: RunResult, seen: Set<string>): string | undefined {
  if (typeof job !== 'object' || job === null || typeof job.pacing !== 'object') return 'no job';
  const { key, workload, shard, hardwareProfile, kernelProfile } = job;
  if (key !== jobKey(workload, shard, hardwareProfile, kernelProfile, scenarioName(job))) {
    return `key '${key}' is not that of its workload, shard, profiles and scenario`;
  }
  if (seen.has(key)) return `'${key}' is there twice`;
  seen.add(key);
  if (!run.workloads.some(({ name }) => name === workload)) return `no workload '${workload}' in the run`;
  const has = (kind: 'hardware' | 'kernel', name: string): boolean =>
    run.profiles.some((card) => card.kind === kind && card.name === name);
  if (!has('hardware', hardwareProfile)) return `no hardware profile '${hardwareProfile}' in the run`;
  return has('kernel', kernelProfile) ? undefined : `no kernel profile '${kernelProfile}' in the run`;
}
