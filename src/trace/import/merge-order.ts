/**
 * Merges two recordings of one run, each in its exact own order, into one order. Clocks agree to some microseconds only,
 * so what one side must have seen before or after the other (a descriptor submitted before it runs, a page mapped before
 * it is used) moves events within that uncertainty.
 */

/** [ns] Times of events, moved by `offsetNs`. */
export function eventTimes(events: readonly { readonly timeNs: number }[], offsetNs = 0): Float64Array {
  // Not Float64Array.from, which makes an iterator result for each element.
  const times = new Float64Array(events.length);
  for (let index = 0; index < events.length; index++) times[index] = (events[index]?.timeNs ?? 0) + offsetNs;
  return times;
}

/** Bounds on where guest events lie among the device events; a rank is the number of device events before it. */
export class MergeBounds {
  readonly lower: Int32Array;
  readonly upper: Int32Array;

  constructor(guestCount: number, deviceCount: number) {
    this.lower = new Int32Array(guestCount);
    this.upper = new Int32Array(guestCount).fill(deviceCount);
  }

  /** Guest event `guest` happened before device event `device`. */
  before(guest: number, device: number): void {
    if (device < (this.upper[guest] as number)) this.upper[guest] = device;
  }

  /** Guest event `guest` happened after device event `device`. */
  after(guest: number, device: number): void {
    if (device + 1 > (this.lower[guest] as number)) this.lower[guest] = device + 1;
  }
}

/** The merged order. */
export interface MergedRanks {
  /** For each guest event the number of device events before it; never decreases. */
  readonly ranks: Int32Array;
  /** Guest events whose bounds contradict each other: they stay at their lower bound. */
  readonly conflicts: number;
  /** Guest events that bounds moved away from where the clocks put them. */
  readonly moved: number;
}

/**
 * Ranks of guest events. `preferred` is where the clocks put them and must not decrease; bounds of later events hold for
 * earlier ones and the other way round, because each side's own order is exact.
 */
export function mergeRanks(preferred: Int32Array, bounds: MergeBounds): MergedRanks {
  const count = preferred.length;
  const upper = bounds.upper.slice();
  for (let index = count - 2; index >= 0; index--) {
    const next = upper[index + 1] as number;
    if (next < (upper[index] as number)) upper[index] = next;
  }
  const ranks = new Int32Array(count);
  let conflicts = 0;
  let moved = 0;
  let lower = 0;
  let previous = 0;
  for (let index = 0; index < count; index++) {
    lower = Math.max(lower, bounds.lower[index] as number);
    const highest = upper[index] as number;
    if (lower > highest) conflicts++;
    const wanted = preferred[index] as number;
    const rank = Math.max(lower, Math.min(wanted, highest), previous);
    if (rank !== wanted) moved++;
    ranks[index] = rank;
    previous = rank;
  }
  return { ranks, conflicts, moved };
}

/**
 * Where the clocks put each guest event: number of device events that are not later. Times of either side may run
 * backwards by little; the highest so far counts.
 */
export function preferredRanks(guestTimesNs: Float64Array, deviceTimesNs: Float64Array): Int32Array {
  const ranks = new Int32Array(guestTimesNs.length);
  let rank = 0;
  let guestNow = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < guestTimesNs.length; index++) {
    guestNow = Math.max(guestNow, guestTimesNs[index] as number);
    while (rank < deviceTimesNs.length && (deviceTimesNs[rank] as number) <= guestNow) rank++;
    ranks[index] = rank;
  }
  return ranks;
}
