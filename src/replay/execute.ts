/** Runs planned jobs on worker threads or in this thread, and says how far it is. */
import type { JobExecutor } from './executor.ts';
import type { JobOutcome, JobSpec } from './protocol.ts';

/** How jobs are run; nothing of it changes a result. */
export interface ExecuteOptions {
  /** Worker threads; 0 replays in this thread. */
  readonly workers: number;
  /** Called with the jobs finished and all jobs: first with 0, then after each. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Aborting it cancels jobs that are not finished. */
  readonly signal?: AbortSignal | undefined;
}

/** One outcome a job, in the order of `jobs`; never rejects for what a job does. */
export async function executeJobs(
  jobs: readonly JobSpec[],
  { workers, onProgress, signal }: ExecuteOptions,
): Promise<JobOutcome[]> {
  onProgress?.(0, jobs.length);
  let done = 0;
  const executor = await createExecutor(Math.min(workers, jobs.length));
  try {
    return await executor.run(jobs, () => onProgress?.(++done, jobs.length), signal);
  } finally {
    await executor.close();
  }
}

/** The pool is loaded only where it is used: a run in this thread starts faster. */
async function createExecutor(workers: number): Promise<JobExecutor> {
  if (workers <= 0) {
    const { createInlineExecutor } = await import('./inline-executor.ts');
    return createInlineExecutor();
  }
  const { createPiscinaExecutor } = await import('./piscina-executor.ts');
  return createPiscinaExecutor({ workers });
}
