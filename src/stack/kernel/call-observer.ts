/**
 * Sequence charts of what the model does: an observer that is told of the calls between the rooms of the stack, named as
 * the kernel functions they model. It is passed in, never global, and the model does not read it.
 */
import type { KernelTask } from './task.ts';

/** Told when a call begins and ends; calls nest. */
export interface CallObserver {
  enter(call: string): void;
  leave(call: string): void;
}

/** Runs `task` as the body of `call`. Without an observer that is all it does. */
export function* observed<T>(observer: CallObserver | undefined, call: string, task: KernelTask<T>): KernelTask<T> {
  if (observer === undefined) return yield* task;
  observer.enter(call);
  const result = yield* task;
  observer.leave(call);
  return result;
}
