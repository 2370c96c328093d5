/**
 * Finding out by what a request is translated, in time: the binding is known, is being read for another request, or is
 * read for this one; then its reads are charged together with those of the page walk, or alone when none follows.
 */
import { NEVER } from '../../units.ts';
import type { Bindings } from './binding.ts';
import { TimePart, type TimeSums } from './counters.ts';
import { FaultReason } from './fault-reasons.ts';
import type { BindingResolver } from './resolver.ts';
import { Result } from './translation-result.ts';
import { type WalkSchedule, WalkTick } from './walk-schedule.ts';

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const Walk = WalkTick;
const Part = TimePart;
const Reason = FaultReason;

/** Context and PASID entries of the request under way, on one unit. */
export class BindingWalk {
  /** The entries were read for this request. */
  resolved = false;

  readonly #bindings: Bindings;
  readonly #resolver: BindingResolver;
  readonly #schedule: WalkSchedule;
  readonly #times: TimeSums;
  readonly #result: Int32Array;
  /** [ps] By {@link WalkTick}. */
  readonly #ticks: Float64Array;
  readonly #walkReadTicks: number;

  constructor(
    bindings: Bindings,
    resolver: BindingResolver,
    schedule: WalkSchedule,
    times: TimeSums,
    result: Int32Array,
    walkReadTicks: number,
  ) {
    this.#bindings = bindings;
    this.#resolver = resolver;
    this.#schedule = schedule;
    this.#times = times;
    this.#result = result;
    this.#ticks = schedule.ticks;
    this.#walkReadTicks = walkReadTicks;
  }

  /**
   * Finds out what translates the slot's requests: known, being read for another request, or to be resolved for this
   * one, which may fault. Memory reads made. @hot
   */
  begin(slot: number): number {
    const bindings = this.#bindings;
    const arrival = this.#ticks[Walk.arrival]!;
    const bound = bindings.readyTick[slot]!;
    if (arrival >= bound) return 0;
    if (bound !== NEVER) {
      this.#waitFor(bound);
      return 0;
    }
    bindings.keepEarlier(slot, arrival);
    const reads = this.#resolver.resolve(slot);
    this.resolved = true;
    this.#waitFor(this.#resolver.readyTick);
    return reads;
  }

  /** The page walk that read the entries too has been charged: they can be used from `ticks[bound]` on. @hot */
  end(slot: number): void {
    if (!this.resolved) return;
    this.resolved = false;
    const resolver = this.#resolver;
    const boundTick = this.#ticks[Walk.bound]!;
    resolver.entriesRead(boundTick, this.#walkReadTicks);
    if (resolver.cached && resolver.fault === Reason.none) this.#bindings.readyTick[slot] = boundTick;
  }

  /** Charges `reads` of the entries, which no page walk follows; leaves when they ended in `ticks[ready]`. @hot */
  endAlone(slot: number, reads: number): void {
    const ticks = this.#ticks;
    if (reads > 0) {
      this.#schedule.begin();
      this.#schedule.end(reads, 0);
      this.#result[Result.reads] = reads;
    } else {
      ticks[Walk.bound] = ticks[Walk.from]!;
      ticks[Walk.ready] = ticks[Walk.from]!;
    }
    this.end(slot);
  }

  /** Entries that this request needs are being read for another until `readyTick`. */
  #waitFor(readyTick: number): void {
    const ticks = this.#ticks;
    const waited = readyTick - ticks[Walk.from]!;
    if (waited <= 0) return;
    this.#times.low[Part.walkQueue]! += waited;
    ticks[Walk.from] = readyTick;
  }
}
