/** What every piece of modelled kernel code needs: the clock, the scheduler and the profile. */
import { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import type { CallObserver } from './call-observer.ts';
import type { KernelCosts, KernelProfile } from './profile.ts';
import { Scheduler } from './scheduler.ts';
import type { KernelTask } from './task.ts';

/** One booted kernel. */
export class Kernel {
  readonly timeline: Timeline;
  readonly scheduler: Scheduler;
  readonly profile: KernelProfile;
  readonly costs: KernelCosts;
  /** [ps] A tick at which a jiffy begins. A replay may align it with a recording; 0 otherwise. */
  jiffyPhaseTick = 0 as Tick;

  /** Told of calls between rooms; absent = nobody looks. */
  readonly observer: CallObserver | undefined;

  constructor(profile: KernelProfile, timeline: Timeline = new Timeline(), observer?: CallObserver) {
    this.observer = observer;
    this.timeline = timeline;
    this.scheduler = new Scheduler(timeline);
    this.profile = profile;
    this.costs = profile.costs;
  }

  /** [ps] */
  get now(): Tick {
    return this.timeline.now;
  }

  /** Runs `task` to its end, driving the timeline; see {@link Scheduler.runToCompletion}. */
  run<T>(task: KernelTask<T>): T {
    return this.scheduler.runToCompletion(task);
  }

  /**
   * Runs the task that `makeTask` makes when a timer set now for [ps] `deltaTicks` expires (mod_timer): on no CPU's queue,
   * since a timer interrupts whatever runs there. The delay is rounded up to whole jiffies, and the timer wheel fires one
   * jiffy later, so that it is never early (Linux kernel/time/timer.c, calc_index).
   *
   * APPROX: the wheel's coarser upper levels (delays above 63 jiffies) are not rounded further.
   */
  startTimer(deltaTicks: number, makeTask: () => KernelTask<unknown>): void {
    const jiffy = this.costs.jiffy;
    let atTick = this.timeline.now + deltaTicks;
    if (jiffy > 0) {
      const sinceBoot = this.timeline.now - this.jiffyPhaseTick;
      atTick = this.jiffyPhaseTick + (Math.floor(sinceBoot / jiffy) + Math.ceil(deltaTicks / jiffy) + 1) * jiffy;
    }
    this.timeline.schedule(atTick as Tick, () => {
      this.scheduler.start(makeTask());
    });
  }
}
