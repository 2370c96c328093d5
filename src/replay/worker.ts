/** What a worker thread does: one job, start to end. Errors are returned, never thrown. */
import { leanResult } from './assumptions/lean-result.ts';
import { failedOutcome } from './job-failure.ts';
import type { JobOutcome, JobSpec } from './protocol.ts';
import { replayJob } from './replay-job.ts';

/** Runs one job; the handler that the pool calls by name. */
export function runJob(job: JobSpec): JobOutcome {
  try {
    const result = replayJob(job);
    return { status: 'ok', result: job.lean === true ? leanResult(result) : result };
  } catch (error) {
    return failedOutcome(job.key, error);
  }
}
