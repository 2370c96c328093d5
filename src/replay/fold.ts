/** Outcomes of jobs folded into the result of a run, in key order: who finished first leaves no trace. */
import { compareKeys } from './plan.ts';
import {
  type JobOutcome,
  type JobResult,
  type ProfileCard,
  RUN_SCHEMA_VERSION,
  type RunResult,
  type WorkloadIdentity,
} from './protocol.ts';

/** What a run knows besides its jobs. */
export interface RunIdentity {
  readonly toolVersion: string;
  readonly workloads: readonly WorkloadIdentity[];
  readonly profiles: readonly ProfileCard[];
}

/** The run; incomplete when a job failed or was cancelled. */
export function foldOutcomes(identity: RunIdentity, outcomes: readonly JobOutcome[]): RunResult {
  const jobs: JobResult[] = [];
  const failures: { key: string; error: string }[] = [];
  const missing: string[] = [];
  for (const outcome of outcomes) {
    switch (outcome.status) {
      case 'ok':
        jobs.push(outcome.result);
        if (outcome.result.stoppedEarly === true) missing.push(outcome.result.key);
        break;
      case 'failed':
        failures.push({ key: outcome.key, error: outcome.error });
        missing.push(outcome.key);
        break;
      case 'cancelled':
        missing.push(outcome.key);
        break;
    }
  }
  return {
    schemaVersion: RUN_SCHEMA_VERSION,
    toolVersion: identity.toolVersion,
    complete: missing.length === 0,
    missing: missing.sort(compareKeys),
    workloads: identity.workloads,
    profiles: identity.profiles,
    jobs: jobs.sort((a, b) => compareKeys(a.key, b.key)),
    failures: failures.sort((a, b) => compareKeys(a.key, b.key)),
  };
}

/** Exit code of a run: 0; 130 interrupted; what the failures have in common, else 1. */
export function runExitCode(outcomes: readonly JobOutcome[], interrupted: boolean): number {
  if (interrupted) return 130;
  const codes = new Set(outcomes.flatMap((outcome) => (outcome.status === 'failed' ? [outcome.exitCode] : [])));
  if (codes.size === 0) return 0;
  return codes.size === 1 ? [...codes][0]! : 1;
}
