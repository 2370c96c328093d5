/** Jobs of a run replayed again with something changed: what assumptions rest on, and sweeps. */
import { canonicalJson } from '../canonical-json.ts';
import { JOB_FAILED } from './job-failure.ts';
import type { JobOutcome, JobSpec } from './protocol.ts';
import type { RunProfile } from './run-profiles.ts';

/** A profile of the run, and how to resolve it with something changed. */
export interface MovableProfile extends RunProfile {
  /** With `path=value` overrides after those of the run; throws ConfigError. */
  resolve(overrides: readonly string[]): RunProfile;
}

/** Path of an override that sets a number of a model card, leaving its basis alone where that can be. */
export function overridePath(path: string): string {
  return /^costsNs\.[^.]+$/.test(path) ? `${path}.value` : path;
}

/** Whether jobs with either profile give the same result. */
export function sameProfile(a: RunProfile, b: RunProfile): boolean {
  return canonicalJson(a.planned.profile) === canonicalJson(b.planned.profile);
}

/** Name of the profile a job uses. */
export function profileName(job: JobSpec, kind: 'hardware' | 'kernel'): string {
  return (job[kind] as { readonly name: string }).name;
}

/** The job with something changed, under a key of its own; only sums and distributions are kept of it. */
export function variantJob(job: JobSpec, id: string, changed: Partial<JobSpec>): JobSpec {
  return { ...job, ...changed, key: `${job.key}@${id}`, lean: true };
}

/** Exit code of replays that only compare: one has failed as a job, whatever its error. */
export function variantsExitCode(outcomes: readonly JobOutcome[]): number {
  return outcomes.some(({ status }) => status === 'failed') ? JOB_FAILED : 0;
}
