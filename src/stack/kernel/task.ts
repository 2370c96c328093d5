/**
 * Kernel tasks: the control plane as generator functions on one timeline. A task yields where the kernel would spend
 * time or sleep; between two yields it is atomic. Every yield is a point where DMA can land.
 */
import type { Tick } from '../../units.ts';

/** What a task can wait for other than time: a lock hand-off, a status word written by hardware, a timer. */
export interface Condition {
  /** True when a waiter need not park. Reading it has no side effect. */
  readonly ready: boolean;
  /** Registers `resume`, to be called once, at the tick the condition becomes true (first parked, first resumed). */
  park(resume: (atTick: Tick) => void): void;
}

/** A yielded value: a number charges that many picoseconds of CPU time, a {@link Condition} parks the task. */
export type Suspension = number | Condition;

/**
 * Modelled kernel code. Returns `T`; by convention a number is 0 or positive on success and a negative errno on
 * failure. Compose with `yield*`.
 */
export type KernelTask<T = number> = Generator<Suspension, T, undefined>;
