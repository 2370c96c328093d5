/** Runs jobs one after the other in this thread. */
import { setImmediate } from 'node:timers/promises';
import type { JobExecutor } from './executor.ts';
import type { JobOutcome } from './protocol.ts';
import { runJob } from './worker.ts';

/** An executor without threads. */
export function createInlineExecutor(): JobExecutor {
  return {
    async run(jobs, onOutcome, signal) {
      const outcomes: JobOutcome[] = [];
      for (const job of jobs) {
        // Lets an interrupt be seen between two jobs.
        await setImmediate();
        const outcome: JobOutcome = signal?.aborted === true ? { status: 'cancelled', key: job.key } : runJob(job);
        outcomes.push(outcome);
        onOutcome(outcome);
      }
      return outcomes;
    },
    close: async () => {},
  };
}
