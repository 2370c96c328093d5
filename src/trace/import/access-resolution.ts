/**
 * Which mapping each recorded DMA went through. The mapping timeline and the clocks give candidates, the translated page
 * decides; the outcome bounds where the guest's events may lie among the device's. Pages that no recorded map explains
 * existed before the trace: they are learned from their first use.
 */
import type { ControlCall } from './control-call.ts';
import type { MappingInterval, MappingTimeline } from './mapping-timeline.ts';
import type { MergeBounds } from './merge-order.ts';

/** A DMA of the window. */
export interface WindowAccess {
  /** Index of the device event. */
  readonly deviceEvent: number;
  readonly device: number;
  /** [4 KiB pages] */
  readonly iovaPfn: number;
  /** [4 KiB pages] Page it reached; -1 when it faulted. */
  readonly pfn: number;
  readonly outcome: 'hit' | 'fill' | 'unknown' | 'fault';
}

/** Times and clock ranks that an access is held against. */
export interface ResolutionClock {
  /** Rank of each guest event by the clocks alone. */
  readonly preferred: Int32Array;
  /** [ns] Guest events in device time. */
  readonly guestTimesNs: Float64Array;
  /** [ns] */
  readonly deviceTimesNs: Float64Array;
}

/** [ns] How far the clocks may put an event on the wrong side of another one. */
const CLOCK_SLACK_NS = 2_000_000;

/** Resolves accesses one by one, in device order. */
export class AccessResolver {
  /** Accesses whose page no mapping of that time or nearby has. */
  unexplained = 0;
  readonly #timeline: MappingTimeline;
  readonly #calls: readonly ControlCall[];
  readonly #clock: ResolutionClock;
  readonly #bounds: MergeBounds;

  constructor(timeline: MappingTimeline, calls: readonly ControlCall[], clock: ResolutionClock, bounds: MergeBounds) {
    this.#timeline = timeline;
    this.#calls = calls;
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** Mapping that `access` went through, or for a fault the one that ended last before it; undefined when none fits. */
  resolve(access: WindowAccess): MappingInterval | undefined {
    const intervals = this.#timeline.intervals(access.device, access.iovaPfn);
    if (access.outcome === 'fault') return this.#resolveFault(access, intervals);
    const interval = this.#nearest(access, intervals);
    if (interval === undefined) {
      this.unexplained++;
      return undefined;
    }
    this.#boundStart(interval, access.deviceEvent);
    // A hit may use an entry that outlives its mapping; a fill read the table itself.
    if (access.outcome === 'fill' && interval.endCall >= 0) {
      this.#bounds.after(this.#event(interval.endCall), access.deviceEvent);
    }
    return interval;
  }

  #boundStart(interval: MappingInterval, deviceEvent: number): void {
    if (interval.startCall >= 0) this.#bounds.before(this.#event(interval.startCall), deviceEvent);
  }

  /** Of the intervals with the right page, the one that holds at this time, else the nearest in time. */
  #nearest(access: WindowAccess, intervals: readonly MappingInterval[]): MappingInterval | undefined {
    let best: MappingInterval | undefined;
    let bestDistanceNs = Number.POSITIVE_INFINITY;
    const atNs = this.#clock.deviceTimesNs[access.deviceEvent] as number;
    for (const interval of intervals) {
      if (interval.pfn !== access.pfn) continue;
      const distanceNs = this.#distanceNs(interval, access.deviceEvent, atNs);
      if (distanceNs < bestDistanceNs) {
        best = interval;
        bestDistanceNs = distanceNs;
        if (distanceNs === 0) break;
      }
    }
    // A hit may be long after the unmap in lazy mode: the entry lives until the flush.
    return best;
  }

  /** [ns] 0 inside the interval, else how far outside. */
  #distanceNs(interval: MappingInterval, deviceEvent: number, atNs: number): number {
    if (interval.startCall >= 0) {
      const start = this.#event(interval.startCall);
      if ((this.#clock.preferred[start] as number) > deviceEvent) {
        return Math.max(0, (this.#clock.guestTimesNs[start] as number) - atNs) + 1;
      }
    }
    if (interval.endCall >= 0) {
      const end = this.#event(interval.endCall);
      if ((this.#clock.preferred[end] as number) <= deviceEvent) {
        return Math.max(0, atNs - (this.#clock.guestTimesNs[end] as number)) + 1;
      }
    }
    return 0;
  }

  /** A fault lies where nothing was mapped: if the clocks put it just inside a mapping, that mapping's edge moves. */
  #resolveFault(access: WindowAccess, intervals: readonly MappingInterval[]): MappingInterval | undefined {
    const { deviceEvent } = access;
    const atNs = this.#clock.deviceTimesNs[deviceEvent] as number;
    let ended: MappingInterval | undefined;
    for (const interval of intervals) {
      const distanceNs = this.#distanceNs(interval, deviceEvent, atNs);
      const startsLater =
        interval.startCall >= 0 && (this.#clock.preferred[this.#event(interval.startCall)] as number) > deviceEvent;
      if (distanceNs > 0) {
        if (!startsLater) ended = interval;
        continue;
      }
      if (interval.endCall >= 0) {
        const end = this.#event(interval.endCall);
        if ((this.#clock.guestTimesNs[end] as number) - atNs < CLOCK_SLACK_NS) {
          this.#bounds.before(end, deviceEvent);
          ended = interval;
          continue;
        }
      }
      if (interval.startCall >= 0) {
        const start = this.#event(interval.startCall);
        if (atNs - (this.#clock.guestTimesNs[start] as number) < CLOCK_SLACK_NS) this.#bounds.after(start, deviceEvent);
      }
    }
    return ended;
  }

  #event(call: number): number {
    const position = (this.#calls[call] as ControlCall).position;
    return Math.min(Math.ceil(position), this.#clock.preferred.length - 1);
  }
}
