/** Runs jobs on worker threads. A worker that dies fails its job; the pool replaces it and goes on. */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { JobExecutor } from './executor.ts';
import { failedOutcome } from './job-failure.ts';
import type { JobOutcome, JobSpec } from './protocol.ts';

/** How workers are started. */
export interface PoolOptions {
  /** Worker threads, at least 1. */
  readonly workers: number;
  /** Module with the handler `runJob`; for tests. */
  readonly workerFile?: string | undefined;
}

/** This module runs as `.ts` from sources and as `.js` from `dist`; the worker lies beside it under the same ending. */
function defaultWorkerFile(): string {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`./worker.${ending}`, import.meta.url));
}

/** An executor with `workers` threads. */
export function createPiscinaExecutor({ workers, workerFile }: PoolOptions): JobExecutor {
  const pool = new Piscina({
    filename: workerFile ?? defaultWorkerFile(),
    name: 'runJob',
    minThreads: workers,
    maxThreads: workers,
    concurrentTasksPerWorker: 1,
    recordTiming: false,
  });
  // Workers that cannot load their module take no job with them, and the pool starts no others: all jobs would wait.
  const unusable = new AbortController();
  pool.on('error', (error: Error) => {
    if (pool.threads.length === 0) unusable.abort(error);
  });
  const runOne = async (job: JobSpec, stopFlag: SharedArrayBuffer): Promise<JobOutcome> => {
    try {
      return (await pool.run({ ...job, stopFlag }, { signal: unusable.signal })) as JobOutcome;
    } catch (error) {
      // runJob returns its errors: what arrives here is the end of a worker.
      const cause = unusable.signal.aborted ? unusable.signal.reason : error;
      const reason = cause instanceof Error ? cause.message : String(cause);
      return failedOutcome(job.key, new Error(`the worker died: ${reason}`));
    }
  };
  return {
    async run(jobs, onOutcome, signal) {
      const outcomes = new Map<string, JobOutcome>();
      const stopFlag = new SharedArrayBuffer(4);
      const stop = (): void => {
        Atomics.store(new Int32Array(stopFlag), 0, 1);
      };
      signal?.addEventListener('abort', stop);
      // The longest first, so that the last one to end is a short one.
      const waiting = [...jobs].sort((a, b) => b.dmaRows - a.dmaRows).values();
      // A worker gets a job when it is free: one that has not begun can be given up, one that has tells what it has.
      const serve = async (): Promise<void> => {
        for (const job of waiting) {
          const outcome: JobOutcome =
            signal?.aborted === true ? { status: 'cancelled', key: job.key } : await runOne(job, stopFlag);
          outcomes.set(job.key, outcome);
          onOutcome(outcome);
        }
      };
      await Promise.all(Array.from({ length: workers }, serve));
      signal?.removeEventListener('abort', stop);
      return jobs.map((job) => outcomes.get(job.key) as JobOutcome);
    },
    close: () => pool.destroy(),
  };
}
