/** SIGINT: the first asks for a partial result marked incomplete, the second ends the process. */
import { ExitCode } from './exit-code.ts';

/** Runs `work` with a signal that the first SIGINT aborts; a second one exits with 130 at once. */
export async function withInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onInterrupt = (): void => {
    if (controller.signal.aborted) process.exit(ExitCode.interrupted);
    process.stderr.write('\ninterrupted: writing what is finished; once more to quit at once\n');
    controller.abort();
  };
  process.on('SIGINT', onInterrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}
