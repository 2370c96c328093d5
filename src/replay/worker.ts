/** What a worker thread does: one job, start to end. Errors are returned, never thrown. */
import { failedOutcome } from './job-failure.ts';
import type { JobOutcome, JobSpec } from './protocol.ts';
import { replayJob } from './replay-job.ts';

/** Runs one job; the handler that the pool calls by name. */
export function runJob(job: JobSpec): JobOutcome {
  try {
    return { status: 'ok', result: replayJob(job) };
  } catch (error) {
    return failedOutcome(job.key, error);
  }
}
