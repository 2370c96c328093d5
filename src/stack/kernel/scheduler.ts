/**
 * Runs kernel tasks on the timeline. A task starts at its tick (or, with a CPU, when the tasks before it on that CPU
 * are done), advances from yield to yield, and ends with a result and a tick. Time is charged to buckets on the way.
 *
 * A charge of zero does not touch the event queue; neither does any charge while {@link Scheduler.runToCompletion} is
 * alone on the timeline.
 */
import { assert, InvariantError } from '../../assert.ts';
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import type { Charge, Condition, CostBucket, KernelTask } from './task.ts';

/** [ps] Time of one task or of many, by bucket. */
export type TimeAccount = Record<CostBucket, number>;

/** A {@link TimeAccount} of zeros. */
export function emptyAccount(): TimeAccount {
  return { iova: 0, table: 0, submit: 0, wait: 0, lock: 0, other: 0 };
}

/** Adds `part` to `total`. */
export function addAccount(total: TimeAccount, part: TimeAccount): void {
  total.iova += part.iova;
  total.table += part.table;
  total.submit += part.submit;
  total.wait += part.wait;
  total.lock += part.lock;
  total.other += part.other;
}

/** A task under way or finished. */
export interface TaskHandle<T> {
  readonly done: boolean;
  /** What the task returned; undefined until it is {@link done}. */
  readonly result: T | undefined;
  /** [ps] When the task began to run: its own tick, or later when its CPU was busy. */
  readonly startTick: Tick;
  /** [ps] When it ended; meaningless until {@link done}. */
  readonly endTick: Tick;
  readonly account: Readonly<TimeAccount>;
}

/** How a task is started. */
export interface StartOptions<T> {
  /** [ps] Not before now. Absent: now. */
  readonly atTick?: Tick;
  /** Tasks with the same CPU run one after the other, in the order of their start calls. Absent: no such order. */
  readonly cpu?: number;
  /** Called at the tick the task ends. */
  readonly onDone?: (handle: TaskHandle<T>) => void;
}

/** Starts tasks and resumes them. */
export class Scheduler {
  readonly timeline: Timeline;
  readonly #cpuQueues = new Map<number, RunningTask<unknown>[]>();
  #running = 0;
  /** True while runToCompletion drives the timeline, so that nothing outside can happen between two events. */
  #exclusive = false;

  constructor(timeline: Timeline) {
    this.timeline = timeline;
  }

  /** Tasks started and not finished. */
  get running(): number {
    return this.#running;
  }

  /** Starts `task`. It runs from the timeline, never inside this call. */
  start<T>(task: KernelTask<T>, options: StartOptions<T> = {}): TaskHandle<T> {
    const run = new RunningTask<T>(this, task, options.cpu, options.onDone);
    this.#running++;
    const atTick = options.atTick ?? this.timeline.now;
    if (options.cpu === undefined) {
      this.timeline.schedule(atTick, run.begin);
      return run;
    }
    run.earliestTick = atTick;
    const queue = this.#cpuQueues.get(options.cpu);
    if (queue === undefined) {
      this.#cpuQueues.set(options.cpu, [run as RunningTask<unknown>]);
      this.timeline.schedule(atTick, run.begin);
    } else {
      queue.push(run as RunningTask<unknown>);
    }
    return run;
  }

  /**
   * Starts `task` now and drives the timeline until it is done; other pending events run as their tick comes. For
   * callers without a data plane of their own (conformance, verification, tests).
   *
   * Throws {@link InvariantError} when nothing is left to run although the task is not done: a deadlock of the model.
   */
  runToCompletion<T>(task: KernelTask<T>): T {
    return this.runForHandle(task).result as T;
  }

  /** As {@link runToCompletion}, for callers that also need the times. */
  runForHandle<T>(task: KernelTask<T>): TaskHandle<T> {
    assert(!this.#exclusive, 'runToCompletion inside a task');
    const run = new RunningTask<T>(this, task, undefined, undefined);
    this.#running++;
    this.#exclusive = true;
    try {
      run.begin(this.timeline.now);
      while (!run.done) {
        if (!this.timeline.run()) {
          throw new InvariantError(`no progress: a task waits at ${this.timeline.now} ps and no event is pending`);
        }
      }
    } finally {
      this.#exclusive = false;
    }
    return run;
  }

  /** Moves time to `tick` at once when nothing can happen until then; false when the caller has to schedule. */
  skipTo(tick: Tick): boolean {
    if (!this.#exclusive || this.timeline.next <= tick) return false;
    this.timeline.runUntil(tick);
    return true;
  }

  /** Bookkeeping at a task's end: starts the next task of its CPU. */
  finished(run: { readonly cpu: number | undefined }): void {
    this.#running--;
    if (run.cpu === undefined) return;
    const queue = this.#cpuQueues.get(run.cpu) as RunningTask<unknown>[];
    queue.shift();
    const next = queue[0];
    if (next === undefined) {
      this.#cpuQueues.delete(run.cpu);
      return;
    }
    this.timeline.schedule(Math.max(next.earliestTick, this.timeline.now) as Tick, next.begin);
  }
}

/** One task and where it stands. */
class RunningTask<T> implements TaskHandle<T> {
  done = false;
  result: T | undefined = undefined;
  startTick = 0 as Tick;
  endTick = 0 as Tick;
  readonly account: TimeAccount = emptyAccount();
  readonly cpu: number | undefined;
  /** [ps] Start tick asked for. */
  earliestTick = 0 as Tick;

  readonly #scheduler: Scheduler;
  readonly #task: KernelTask<T>;
  readonly #onDone: ((handle: TaskHandle<T>) => void) | undefined;
  #parkedTick = 0 as Tick;
  #parkedBucket: CostBucket = 'other';

  constructor(
    scheduler: Scheduler,
    task: KernelTask<T>,
    cpu: number | undefined,
    onDone: ((handle: TaskHandle<T>) => void) | undefined,
  ) {
    this.#scheduler = scheduler;
    this.#task = task;
    this.cpu = cpu;
    this.#onDone = onDone;
  }

  readonly begin = (atTick: Tick): void => {
    this.startTick = atTick;
    this.#advance();
  };

  readonly #advance = (): void => {
    const scheduler = this.#scheduler;
    const timeline = scheduler.timeline;
    const task = this.#task;
    for (;;) {
      const step = task.next();
      if (step.done === true) {
        this.done = true;
        this.result = step.value;
        this.endTick = timeline.now;
        scheduler.finished(this);
        this.#onDone?.(this);
        return;
      }
      const suspension = step.value;
      if (typeof suspension !== 'number' && 'park' in suspension) {
        if ((suspension as Condition).ready) continue;
        this.#parkedTick = timeline.now;
        this.#parkedBucket = suspension.bucket ?? 'other';
        suspension.park(this.#resume);
        return;
      }
      const deltaTicks = typeof suspension === 'number' ? suspension : (suspension as Charge).deltaTicks;
      if (deltaTicks === 0) continue;
      this.account[typeof suspension === 'number' ? 'other' : (suspension as Charge).bucket] += deltaTicks;
      const resumeTick = (timeline.now + deltaTicks) as Tick;
      if (scheduler.skipTo(resumeTick)) continue;
      timeline.schedule(resumeTick, this.#advance);
      return;
    }
  };

  readonly #resume = (atTick: Tick): void => {
    this.account[this.#parkedBucket] += atTick - this.#parkedTick;
    this.#scheduler.timeline.schedule(atTick, this.#advance);
  };
}
