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
  const runOne = async (job: JobSpec, signal: AbortSignal | undefined): Promise<JobOutcome> => {
    if (isAborted(signal)) return { status: 'cancelled', key: job.key };
    try {
      const signals = signal === undefined ? [unusable.signal] : [signal, unusable.signal];
      return (await pool.run(job, { signal: AbortSignal.any(signals) })) as JobOutcome;
    } catch (error) {
      // runJob returns its errors: what arrives here is the end of a worker, by abort or by accident.
      if (isAborted(signal)) return { status: 'cancelled', key: job.key };
      const cause = isAborted(unusable.signal) ? unusable.signal.reason : error;
      const reason = cause instanceof Error ? cause.message : String(cause);
      return failedOutcome(job.key, new Error(`the worker died: ${reason}`));
    }
  };
  return {
    async run(jobs, onOutcome, signal) {
      const outcomes = new Map<string, JobOutcome>();
      // The longest first, so that the last one to end is a short one.
      const order = [...jobs].sort((a, b) => b.dmaRows - a.dmaRows);
      await Promise.all(
        order.map(async (job) => {
          const outcome = await runOne(job, signal);
          outcomes.set(job.key, outcome);
          onOutcome(outcome);
        }),
      );
      return jobs.map((job) => outcomes.get(job.key) as JobOutcome);
    },
    close: () => pool.destroy(),
  };
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
