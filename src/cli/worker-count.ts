/** `--workers`: threads of a replay. */
import { availableParallelism } from 'node:os';
import { ConfigError } from '../input-error.ts';
import { parseCount } from './pacing-option.ts';

/** Most worker threads. */
const MAX_WORKERS = 256;

/** Threads: all cores when left out, 0 = none but this one; throws {@link ConfigError}. */
export function workerCount(text: string | undefined): number {
  if (text === undefined) return availableParallelism();
  if (text === '0') return 0;
  const count = parseCount('--workers', text);
  if (count > MAX_WORKERS) {
    throw new ConfigError({ source: '--workers', reason: `${count} threads are more than ${MAX_WORKERS}` });
  }
  return count;
}
