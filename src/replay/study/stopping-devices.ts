/**
 * Devices that stop when a request of theirs faults in a switch, and go on when they have a table again: when an entry is
 * set up, at the latest when the switch's calls have returned. Under closed pacing a device that did not stop would run
 * through its trace at the speed of faults.
 *
 * APPROX: whether a fault has come back is looked at every {@link LOOK_PS}, in long gaps less often. A device stops as a
 * whole, and only for switches of its requests without PASID; what a driver needs to restart it is left out.
 */
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import type { SwitchRecord } from './switch-record.ts';

/** [ps] Between two looks at first. ASSUMPTION: a device acts on an error within 100 ns. */
const LOOK_PS = 100_000;
/** A gap that lasts is looked at this many times while it doubles. */
const LOOKS_PER_DOUBLING = 64;

/** What stops and starts devices. */
export interface DeviceSwitch {
  hold(device: number): void;
  release(device: number): void;
}

/** Stops devices of one job. */
export class StoppingDevices {
  readonly #timeline: Timeline;
  readonly #devices: DeviceSwitch;
  readonly #watched = new Set<SwitchRecord>();

  constructor(timeline: Timeline, devices: DeviceSwitch) {
    this.#timeline = timeline;
    this.#devices = devices;
  }

  /** The entry of a switch under way is absent: from now on a fault stops its device. */
  entryCleared(record: SwitchRecord): void {
    const { pasid, unit } = record.lane;
    if (pasid !== 0 || unit < 0 || this.#watched.has(record)) return;
    this.#watched.add(record);
    const sinceTick = this.#timeline.now;
    const look = (atTick: Tick): void => {
      if (!this.#watched.has(record) || record.closed) return;
      if (!record.isStopped && record.firstFaultDone <= atTick) {
        record.stop(atTick);
        this.#devices.hold(record.lane.device);
      }
      this.#timeline.schedule((atTick + stepAfter(atTick - sinceTick)) as Tick, look);
    };
    this.#timeline.schedule((sinceTick + LOOK_PS) as Tick, look);
  }

  /** The entry is there again. */
  entrySetUp(record: SwitchRecord): void {
    if (record.goOn(this.#timeline.now)) this.#devices.release(record.lane.device);
  }

  /** The calls of a switch have returned. */
  ended(record: SwitchRecord): void {
    this.#watched.delete(record);
    this.entrySetUp(record);
  }
}

/** [ps] Until the next look, `elapsedPs` after the first. */
function stepAfter(elapsedPs: number): number {
  return Math.max(LOOK_PS, Math.floor(elapsedPs / LOOKS_PER_DOUBLING));
}
