/** What a worker thread does: one job, start to end. Errors are returned, never thrown. */
import { leanResult } from './assumptions/lean-result.ts';
import { failedOutcome } from './job-failure.ts';
import type { JobOutcome, JobResult, JobSpec } from './protocol.ts';
import { replayJob, replaySteps } from './replay-job.ts';

/** Runs one job; the handler that the pool calls by name. */
export function runJob(job: JobSpec): JobOutcome {
  const flag = job.stopFlag === undefined ? undefined : new Int32Array(job.stopFlag);
  try {
    return finishedOutcome(
      job,
      replayJob(job, () => flag !== undefined && Atomics.load(flag, 0) !== 0),
    );
  } catch (error) {
    return failedOutcome(job.key, error);
  }
}

/** {@link runJob} in slices, for a thread that has other things to do: answering a yield with true stops the job. */
export function* runJobSteps(job: JobSpec): Generator<void, JobOutcome, boolean> {
  try {
    return finishedOutcome(job, yield* replaySteps(job));
  } catch (error) {
    return failedOutcome(job.key, error);
  }
}

/** A job that was stopped before it replayed anything has no result. */
function finishedOutcome(job: JobSpec, result: JobResult): JobOutcome {
  if (result.stoppedEarly === true && result.dmaRows === 0 && result.controlRows === 0) {
    return { status: 'cancelled', key: job.key };
  }
  return { status: 'ok', result: job.lean === true ? leanResult(result) : result };
}
