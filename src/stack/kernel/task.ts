/**
 * Kernel tasks: the control plane as generator functions on one timeline. A task yields where the kernel would spend
 * time or sleep; between two yields it is atomic. Every yield is a point where DMA can land.
 */
import type { Tick } from '../../units.ts';

/** What CPU or waiting time is booked under; the buckets of `TimeBreakdown.control`. */
export const COST_BUCKETS = ['iova', 'table', 'submit', 'wait', 'lock', 'other'] as const;

/** A name in {@link COST_BUCKETS}. */
export type CostBucket = (typeof COST_BUCKETS)[number];

/** What a task can wait for other than time: a lock hand-off, a status word written by hardware, a timer. */
export interface Condition {
  /** True when a waiter need not park. Reading it has no side effect. */
  readonly ready: boolean;
  /** What the time spent parked is booked under; `other` when absent. */
  readonly bucket?: CostBucket;
  /** Registers `resume`, to be called once, at the tick the condition becomes true (first parked, first resumed). */
  park(resume: (atTick: Tick) => void): void;
}

/** CPU time with the bucket it is booked under. */
export interface Charge {
  /** [ps] CPU time. */
  readonly deltaTicks: number;
  readonly bucket: CostBucket;
}

/**
 * A yielded value: a number or a {@link Charge} spends that much CPU time (a bare number is [ps] booked as `other`), a
 * {@link Condition} parks the task.
 */
export type Suspension = number | Charge | Condition;

/**
 * Modelled kernel code. Returns `T`; by convention a number is 0 or positive on success and a negative errno on
 * failure. Compose with `yield*`.
 */
export type KernelTask<T = number> = Generator<Suspension, T, undefined>;
