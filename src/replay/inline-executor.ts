/** Runs jobs one after the other in this thread. */
import { setImmediate } from 'node:timers/promises';
import type { JobExecutor } from './executor.ts';
import type { JobOutcome, JobSpec } from './protocol.ts';
import { runJobSteps } from './worker.ts';

/** An executor without threads. */
export function createInlineExecutor(): JobExecutor {
  return {
    async run(jobs, onOutcome, signal) {
      const outcomes: JobOutcome[] = [];
      for (const job of jobs) {
        const outcome = await runInSlices(job, signal);
        outcomes.push(outcome);
        onOutcome(outcome);
      }
      return outcomes;
    },
    close: async () => {},
  };
}

/** Between two slices the thread looks around, so that an interrupt is seen. */
async function runInSlices(job: JobSpec, signal: AbortSignal | undefined): Promise<JobOutcome> {
  await setImmediate();
  if (isAborted(signal)) return { status: 'cancelled', key: job.key };
  const steps = runJobSteps(job);
  let step = steps.next(false);
  while (step.done !== true) {
    await setImmediate();
    step = steps.next(isAborted(signal));
  }
  return step.value;
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
