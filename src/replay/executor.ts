/** Where jobs run: in this thread or on worker threads. Which one must not be visible in any result. */
import type { JobOutcome, JobSpec } from './protocol.ts';

/** Runs jobs. */
export interface JobExecutor {
  /**
   * Runs all jobs and resolves with one outcome a job, in the order of `jobs`; never rejects for what a job does. After
   * `signal` aborts, jobs that have not begun end as `cancelled`, and those under way with what they have, marked as
   * stopped early. `onOutcome` is called as jobs finish, in any order.
   */
  run(
    jobs: readonly JobSpec[],
    onOutcome: (outcome: JobOutcome) => void,
    signal: AbortSignal | undefined,
  ): Promise<JobOutcome[]>;
  /** Ends worker threads. */
  close(): Promise<void>;
}
