/**
 * Kernel locks in modelled time. All are fair: waiters are served first come, first served, and a release hands the
 * lock over at its own tick (as the kernel's queued spinlocks and handed-off mutexes and rwsems do). The time a task
 * spends parked is booked as lock time.
 *
 * Taking a lock nobody holds costs nothing here; the instruction cost belongs to the caller's charges.
 *
 * ```ts
 * if (!mutex.tryAcquire()) yield mutex.queue;   // owns it when resumed
 * ...
 * mutex.release();
 * ```
 *
 * APPROX: mutex and spinlock differ only in name. Spinning occupies the CPU, and so does any task here until it ends.
 */
import { InvariantError } from '../../assert.ts';
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import type { Condition } from './task.ts';

type Resume = (atTick: Tick) => void;

/** Mutual exclusion: struct mutex, or a spinlock. */
export class Mutex {
  readonly name: string;
  readonly #timeline: Timeline;
  readonly #waiters: Resume[] = [];
  #held = false;
  /** To be yielded after a failed {@link tryAcquire}: on resumption the lock is held by the waiter. */
  readonly queue: Condition;

  constructor(timeline: Timeline, name: string) {
    this.#timeline = timeline;
    this.name = name;
    this.queue = { ready: false, bucket: 'lock', park: (resume) => void this.#waiters.push(resume) };
  }

  get held(): boolean {
    return this.#held;
  }

  /** Takes the lock if it is free. */
  tryAcquire(): boolean {
    if (this.#held) return false;
    this.#held = true;
    return true;
  }

  /** Gives the lock to the first waiter, or frees it. */
  release(): void {
    if (!this.#held) throw new InvariantError(`${this.name} released while free`);
    const next = this.#waiters.shift();
    if (next === undefined) this.#held = false;
    else next(this.#timeline.now);
  }
}

/** A spinlock taken with interrupts off: the same behaviour as {@link Mutex} in this model. */
export { Mutex as SpinLock };

/** Shared/exclusive lock: struct rw_semaphore. A waiting writer holds back later readers. */
export class RwSemaphore {
  readonly name: string;
  readonly #timeline: Timeline;
  readonly #waiters: { readonly exclusive: boolean; readonly resume: Resume }[] = [];
  #readers = 0;
  #writer = false;
  /** To be yielded after a failed {@link tryAcquireShared}. */
  readonly sharedQueue: Condition;
  /** To be yielded after a failed {@link tryAcquireExclusive}. */
  readonly exclusiveQueue: Condition;

  constructor(timeline: Timeline, name: string) {
    this.#timeline = timeline;
    this.name = name;
    const park = (exclusive: boolean) => (resume: Resume) => void this.#waiters.push({ exclusive, resume });
    this.sharedQueue = { ready: false, bucket: 'lock', park: park(false) };
    this.exclusiveQueue = { ready: false, bucket: 'lock', park: park(true) };
  }

  get held(): 'free' | 'shared' | 'exclusive' {
    if (this.#writer) return 'exclusive';
    return this.#readers > 0 ? 'shared' : 'free';
  }

  tryAcquireShared(): boolean {
    if (this.#writer || this.#waiters.length > 0) return false;
    this.#readers++;
    return true;
  }

  tryAcquireExclusive(): boolean {
    if (this.#writer || this.#readers > 0 || this.#waiters.length > 0) return false;
    this.#writer = true;
    return true;
  }

  releaseShared(): void {
    if (this.#readers === 0) throw new InvariantError(`${this.name} released shared while not held`);
    this.#readers--;
    if (this.#readers === 0) this.#handOff();
  }

  releaseExclusive(): void {
    if (!this.#writer) throw new InvariantError(`${this.name} released exclusive while not held`);
    this.#writer = false;
    this.#handOff();
  }

  #handOff(): void {
    const waiters = this.#waiters;
    for (let first = waiters[0]; first !== undefined; first = waiters[0]) {
      if (first.exclusive) {
        if (this.#readers > 0) return;
        waiters.shift();
        this.#writer = true;
        first.resume(this.#timeline.now);
        return;
      }
      waiters.shift();
      this.#readers++;
      first.resume(this.#timeline.now);
    }
  }
}
