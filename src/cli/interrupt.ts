/** SIGINT: the first asks for an early end, the second ends the process. */
import { ExitCode } from './exit-code.ts';

/** What is said of a command that keeps what was replayed until then. */
export const KEEPS_WHAT_IS_FINISHED = 'writing what is finished';

/**
 * Runs `work` with a signal that the first SIGINT aborts; a second one exits with 130 at once. `consequence` says what
 * becomes of the work so far.
 */
export async function withInterrupt<T>(consequence: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onInterrupt = (): void => {
    if (controller.signal.aborted) process.exit(ExitCode.interrupted);
    process.stderr.write(`\ninterrupted: ${consequence}; once more to quit at once\n`);
    controller.abort();
  };
  process.on('SIGINT', onInterrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}
