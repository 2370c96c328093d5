/**
 * When walks run: a pool of identical walkers, whose reads leave through one port to memory, which the reads of devices
 * share; and, on silicon that has it, one walk at a time in a 2 MiB region. A walk starts when it is wanted, a walker is free, the
 * port is, and its region is; it lasts a fixed time plus the time of its reads. One that waits for its region holds its
 * walker, but not the walks behind it.
 *
 * Reads of devices go first: a walk waits for those before it, but not for ever, since the port is walks' again after
 * `readPortDelayTicks`. APPROX: reads take it when their requests arrive and never wait for it themselves.
 *
 * Ticks pass through {@link WalkSchedule.ticks} so that nothing is boxed on the way.
 */
import { type ArraySource, HEAP_ARRAYS } from '../linear-memory.ts';
import { ServerPool } from '../server.ts';
import { SetAssoc } from '../set-assoc.ts';
import type { TranslationTiming } from './config.ts';
import { Counter, TimePart, type TimeSums, type UnitCounters } from './counters.ts';

/** Indices of {@link WalkSchedule.ticks}. */
export const WalkTick = {
  /** When the request arrived at the unit. */
  arrival: 0,
  /** When it wants to walk: arrival, or the end of somebody else's context walk. */
  from: 1,
  /** When its walk starts. */
  start: 2,
  /** When its context and PASID entries are read. */
  bound: 3,
  /** When its translation is ready. */
  ready: 4,
} as const;

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const Count = Counter;
const Part = TimePart;

const REGION_SHIFT = 9;
/** More regions than there are walkers: the ones forgotten are long free. */
const REGIONS = 64;

/** Walkers of one unit. */
export class WalkSchedule {
  readonly ticks = new Float64Array(5);
  readonly #timing: TranslationTiming;
  readonly #counters: UnitCounters;
  readonly #times: TimeSums;
  readonly walkers: ServerPool;
  /** Walks under way by 2 MiB region; `readyTick` is when the region is free. */
  readonly #regions: SetAssoc | undefined;
  /** [ps] Until when the port to memory is taken: by anybody (before, no walk starts), and by walks alone. */
  readonly portFree: Float64Array;
  readonly #readDelay: number;
  #walker = 0;
  #region = -1;

  /** `readPortDelayTicks`: how long reads of devices keep a walk from the port at most [ps]. */
  constructor(
    timing: TranslationTiming,
    readPortDelayTicks: number,
    counters: UnitCounters,
    times: TimeSums,
    arrays: ArraySource = HEAP_ARRAYS,
  ) {
    this.#timing = timing;
    this.#counters = counters;
    this.#times = times;
    this.walkers = new ServerPool(timing.walkers, arrays);
    this.portFree = arrays.float64(2);
    this.#readDelay = readPortDelayTicks;
    this.#regions = timing.serialiseRegion
      ? new SetAssoc({ entries: REGIONS, ways: 0, policy: 'lru', indexing: 'hash' }, { current: new Int32Array(0) })
      : undefined;
  }

  /** Chooses walker and `start` for a walk wanted at `from`. @hot */
  begin(): void {
    const { ticks } = this;
    const walker = this.walkers.earliest();
    this.#walker = walker;
    this.#region = -1;
    const from = ticks[WalkTick.from]!;
    const free = this.walkers.busyUntil[walker]!;
    // One that still waits for somebody's context keeps its place at the port, and nobody behind it waiting.
    const place = Math.max(free, ticks[WalkTick.arrival]!, this.portFree[0]!);
    this.portFree[0] = place;
    ticks[WalkTick.start] = Math.max(place, from);
    this.#counters.values[Count.iommu_mem_blocked]! += place - ticks[WalkTick.arrival]!;
  }

  /** Puts the start off until the page's region is free, where regions are walked one by one. @hot */
  beginInRegion(space: number, low: number, high: number): void {
    this.begin();
    const regions = this.#regions;
    if (regions === undefined) return;
    const key0 = (low >>> REGION_SHIFT) | (high << (32 - REGION_SHIFT));
    let region = regions.find(key0, space, 0);
    if (region < 0) {
      region = regions.fill(key0, space, 0, 0, 0);
      regions.readyTick[region] = 0;
    }
    this.#region = region;
    const free = regions.readyTick[region]!;
    if (free > this.ticks[WalkTick.start]!) this.ticks[WalkTick.start] = free;
  }

  /** A read that arrived at `arrival` takes `portTicks` of the port to memory: the next walk starts behind it. @hot */
  readData(arrival: number, portTicks: number): void {
    const { portFree } = this;
    const latest = Math.max(portFree[1]!, arrival) + this.#readDelay;
    const free = Math.max(portFree[0]!, arrival) + portTicks;
    portFree[0] = Math.max(portFree[0]!, Math.min(free, latest));
  }

  /** Charges a walk of so many context and page-table reads; sets `bound` and `ready`. @hot */
  end(contextReads: number, pageReads: number): void {
    const { ticks } = this;
    const timing = this.#timing;
    const start = ticks[WalkTick.start]!;
    const contextTicks = contextReads * timing.walkReadTicks;
    const pageTicks = pageReads * timing.walkReadTicks;
    const latency = timing.walkFixedTicks + contextTicks + pageTicks;
    const busy = latency + timing.busyExtraTicks;
    ticks[WalkTick.bound] = start + timing.walkFixedTicks + contextTicks;
    ticks[WalkTick.ready] = start + latency;
    this.walkers.busyUntil[this.#walker] = start + busy;
    this.portFree[0]! += timing.walkIntervalTicks;
    this.portFree[1] = this.portFree[0]!;
    if (this.#region >= 0) this.#regions!.readyTick[this.#region] = start + busy;
    this.#counters.values[Count.pw_occupancy]! += busy;
    const sums = this.#times.low;
    sums[Part.walkQueue]! += start - ticks[WalkTick.from]!;
    // The fixed part belongs to the page walk, unless there was none.
    sums[Part.contextWalk]! += pageReads > 0 ? contextTicks : latency;
    if (pageReads > 0) sums[Part.pageWalk]! += timing.walkFixedTicks + pageTicks;
  }
}
