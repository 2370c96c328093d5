/** What every piece of modelled kernel code needs: the clock, the scheduler and the profile. */
import { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import type { KernelCosts, KernelProfile } from './profile.ts';
import { Scheduler } from './scheduler.ts';
import type { KernelTask } from './task.ts';

/** One booted kernel. */
export class Kernel {
  readonly timeline: Timeline;
  readonly scheduler: Scheduler;
  readonly profile: KernelProfile;
  readonly costs: KernelCosts;

  constructor(profile: KernelProfile, timeline: Timeline = new Timeline()) {
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
   * Runs the task that `makeTask` makes, [ps] `deltaTicks` from now, in timer context: on no CPU's queue, since a
   * timer interrupts whatever runs there.
   */
  startTimer(deltaTicks: number, makeTask: () => KernelTask<unknown>): void {
    this.timeline.schedule((this.timeline.now + deltaTicks) as Tick, () => {
      this.scheduler.start(makeTask());
    });
  }
}
