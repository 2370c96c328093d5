/**
 * The one clock of a machine: events in (tick, order of scheduling). Everything that happens at a time of its own
 * (kernel tasks, queue steps, lock hand-offs) runs from here; the data plane only compares {@link Timeline.next}.
 */
import { InvariantError } from './assert.ts';
import { NEVER, type Tick } from './units.ts';

/** Runs at its tick. It may schedule further events, at the same tick or later. */
export type TimelineHandler = (atTick: Tick) => void;

interface TimelineEvent {
  readonly tick: Tick;
  readonly order: number;
  readonly handler: TimelineHandler;
}

/** Deterministic event queue: a binary heap ordered by (tick, scheduling order). */
export class Timeline {
  /** [ps] Tick of the earliest pending event; {@link NEVER} when there is none. */
  next: Tick = NEVER;
  /** [ps] Tick of the event being run, or of the last one that ran. */
  now: Tick = 0 as Tick;

  readonly #heap: TimelineEvent[] = [];
  #order = 0;

  get pending(): number {
    return this.#heap.length;
  }

  /** Schedules `handler` at `atTick`, which must not lie before {@link now}. */
  schedule(atTick: Tick, handler: TimelineHandler): void {
    // Not assert(): its message would be built for every event.
    if (atTick < this.now) throw new InvariantError(`event at ${atTick} ps scheduled in the past of ${this.now} ps`);
    const event: TimelineEvent = { tick: atTick, order: this.#order++, handler };
    const heap = this.#heap;
    let hole = heap.length;
    heap.push(event);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = heap[parent] as TimelineEvent;
      if (!before(event, above)) break;
      heap[hole] = above;
      hole = parent;
    }
    heap[hole] = event;
    this.next = (heap[0] as TimelineEvent).tick;
  }

  /** Runs the earliest event; false when none is pending. */
  run(): boolean {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return false;
    const last = heap.pop() as TimelineEvent;
    if (heap.length > 0) this.#sink(last);
    this.next = heap.length > 0 ? (heap[0] as TimelineEvent).tick : NEVER;
    this.now = first.tick;
    first.handler(first.tick);
    return true;
  }

  /** Runs every event up to and including `tick`, then moves {@link now} there. */
  runUntil(tick: Tick): void {
    while (this.next <= tick) this.run();
    if (tick > this.now) this.now = tick;
  }

  #sink(event: TimelineEvent): void {
    const heap = this.#heap;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as TimelineEvent, heap[child] as TimelineEvent)) child++;
      const below = heap[child] as TimelineEvent;
      if (!before(below, event)) break;
      heap[hole] = below;
      hole = child;
    }
    heap[hole] = event;
  }
}

function before(a: TimelineEvent, b: TimelineEvent): boolean {
  return a.tick < b.tick || (a.tick === b.tick && a.order < b.order);
}
