/**
 * Devices that stop when a request of theirs faults in a switch, and go on when they have a table again: when an entry is
 * set up, at the latest when the switch's calls have returned. Under closed pacing a device that did not stop would run
 * through its trace at the speed of faults.
 *
 * Where the attach of a recording waits for requests of the gap, the device must issue them: it goes on, and does not stop
 * again in this switch. If it is something else that waits for a stopped device, the replay lets every device go on once
 * nothing else can happen.
 *
 * APPROX: whether a fault has come back is looked at every {@link LOOK_PS}, in long gaps less often. A device stops as a
 * whole, and only for switches of its requests without PASID; what a driver needs to restart it is left out. One that the
 * replay had to let go on counts as stopped until its entry is set up.
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
  /** Called when an attach of the device begins to wait for requests. */
  onAttachWaits: ((device: number) => void) | undefined;
}

/** Stops devices of one job. */
export class StoppingDevices {
  readonly #timeline: Timeline;
  readonly #devices: DeviceSwitch;
  readonly #watched = new Set<SwitchRecord>();
  /** Those whose attach waits for requests of the gap. */
  readonly #ordered = new Set<SwitchRecord>();

  constructor(timeline: Timeline, devices: DeviceSwitch) {
    this.#timeline = timeline;
    this.#devices = devices;
    devices.onAttachWaits = (device) => this.#attachWaits(device);
  }

  /** The entry of a switch under way is absent: from now on a fault stops its device. */
  entryCleared(record: SwitchRecord): void {
    const { pasid, unit } = record.lane;
    if (pasid !== 0 || unit < 0 || this.#watched.has(record)) return;
    this.#watched.add(record);
    this.#lookOut(record);
  }

  /** The entry is there again. */
  entrySetUp(record: SwitchRecord): void {
    if (!this.#goOn(record)) return;
    if (this.#watched.has(record)) this.#lookOut(record);
  }

  /** An attach of the device begins to wait for requests. */
  #attachWaits(device: number): void {
    for (const record of this.#watched) {
      if (record.lane.device !== device || record.endTick >= 0) continue;
      this.#ordered.add(record);
      this.#goOn(record);
    }
  }

  /** The calls of a switch have returned. */
  ended(record: SwitchRecord): void {
    this.#watched.delete(record);
    this.#ordered.delete(record);
    this.#goOn(record);
  }

  #goOn(record: SwitchRecord): boolean {
    if (!record.goOn(this.#timeline.now)) return false;
    this.#devices.release(record.lane.device);
    return true;
  }

  /** Looks for faults until the device stops: then nothing may be left on the timeline that is not on its way to start it. */
  #lookOut(record: SwitchRecord): void {
    const sinceTick = this.#timeline.now;
    const look = (atTick: Tick): void => {
      if (!this.#watched.has(record) || record.closed || this.#ordered.has(record)) return;
      if (record.firstFaultDone <= atTick) {
        record.stop(atTick);
        this.#devices.hold(record.lane.device);
        return;
      }
      this.#timeline.schedule((atTick + stepAfter(atTick - sinceTick)) as Tick, look);
    };
    this.#timeline.schedule((sinceTick + LOOK_PS) as Tick, look);
  }
}

/** [ps] Until the next look, `elapsedPs` after the first. */
function stepAfter(elapsedPs: number): number {
  return Math.max(LOOK_PS, Math.floor(elapsedPs / LOOKS_PER_DOUBLING));
}
