/** A progress bar on a terminal; silence elsewhere. */
import type { Console } from './console.ts';

/** Shows how far a run is. */
export interface Progress {
  /** `done` of `total` units of work, whole numbers. */
  update(done: number, total: number): void;
  stop(): void;
}

/** A bar on stderr when {@link Console.interactive}, else an object that does nothing. */
export async function createProgress(console: Console, label: string): Promise<Progress> {
  if (!console.interactive) return { update: () => undefined, stop: () => undefined };
  const { SingleBar } = await import('cli-progress');
  const colour = process.env['NO_COLOR'] === undefined;
  const filled = colour ? '\u001b[36m{bar}\u001b[0m' : '{bar}';
  const bar = new SingleBar({ format: `${label} ${filled} {percentage}%`, stream: process.stderr, hideCursor: true });
  let started = false;
  return {
    update(done, total) {
      if (started) bar.setTotal(total);
      else bar.start(total, 0);
      started = true;
      bar.update(done);
    },
    stop() {
      if (started) bar.stop();
    },
  };
}
