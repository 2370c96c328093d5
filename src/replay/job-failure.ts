/** Errors of a job as data: an error loses its class on the way between threads. */
import { ConfigError, InputError } from '../input-error.ts';
import type { JobOutcome } from './protocol.ts';

/** Exit code of a job that failed by itself. */
export const JOB_FAILED = 1;

/** The outcome of job `key` that ended with `error`. */
export function failedOutcome(key: string, error: unknown): JobOutcome {
  if (error instanceof InputError || error instanceof ConfigError) {
    return { status: 'failed', key, error: error.message, exitCode: error.exitCode };
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { status: 'failed', key, error: text, exitCode: JOB_FAILED };
}
