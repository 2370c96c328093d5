/**
 * How far the devices behind one unit drift apart: a row issues no earlier than any row a fixed number of places before
 * it in the unit's stream.
 *
 * APPROX: devices that are not tied to each other by anything can drift apart without bound under closed pacing; the
 * limit keeps the rows in flight, and so memory, bounded.
 */
import { TickRing } from './chunk-window.ts';
import type { DmaLane } from './dma-lane.ts';

/** [rows] FeedOptions.skewRows unless a test wants otherwise. */
export const DEFAULT_SKEW_ROWS = 16384;
/** Ring value of a row that has not been issued. */
const UNISSUED = -1;
/** {@link SkewLimit.limitOf} a row that must wait. */
export const UNKNOWN_LIMIT = -1;

/** Issue of recent rows of one unit, and the lanes that wait for one of them. */
export class SkewLimit {
  /** [rows] 0 = there is no limit, and nothing is kept. */
  readonly rows: number;
  /** [ps] Issue of recent rows; once every earlier row has been issued, the latest issue up to the row. */
  readonly #ticks: TickRing;
  /** Rows before this one have all been issued, the latest at {@link #latestIssue} [ps]. */
  #issuedEnd = 0;
  #latestIssue = 0;
  readonly #waiting: DmaLane[] = [];
  readonly #freed: DmaLane[] = [];

  /** Remembers at least `historyRows` rows, if there is a limit. */
  constructor(rows: number, historyRows: number) {
    this.rows = rows;
    this.#ticks = new TickRing(rows > 0 ? historyRows : 0);
  }

  /** The first row that has not been issued. @hot */
  get issuedEnd(): number {
    return this.#issuedEnd;
  }

  /** Rows `from` .. `to`-1 were loaded. */
  load(from: number, to: number): void {
    if (this.rows > 0) this.#ticks.fill(UNISSUED, from, to);
  }

  /** [ps] The row issues no earlier; {@link UNKNOWN_LIMIT} while some row that says so has not been issued. @hot */
  limitOf(row: number): number {
    const behind = row - this.rows;
    if (behind < 0) return 0;
    return behind < this.#issuedEnd ? this.#ticks.get(behind) : UNKNOWN_LIMIT;
  }

  /** Adds a lane, whose next row waits for {@link DmaLane.waitsForRow}. */
  add(lane: DmaLane): void {
    this.#waiting.push(lane);
  }

  /** End of a run of rows from `from` on that may go up to `to` but not past a row that a lane waits for. @hot */
  cut(from: number, to: number): number {
    let end = to;
    for (let i = 0; i < this.#waiting.length; i++) {
      const row = this.#waiting[i]!.waitsForRow - 1;
      if (row >= from && row < end) end = row + 1;
    }
    return end;
  }

  /** Rows `from` .. `to`-1 were issued at the ticks of a column whose first row is `base`; the model is at `now`. @hot */
  issued(column: Float64Array, base: number, from: number, to: number, now: number): void {
    this.#ticks.copy(column, base, from, to);
    // A row that waited for a page was issued long ago, but only now do those behind it know.
    for (let row = from; row < to && column[row - base]! < now; row++) this.#ticks.set(row, now);
  }

  /**
   * The oldest row was issued: takes in all that were issued behind it, of rows before `end`. Returns the lanes that wait
   * no more; the caller takes them off the list. @hot
   */
  extend(end: number): DmaLane[] {
    const ticks = this.#ticks;
    let latest = this.#latestIssue;
    let row = this.#issuedEnd;
    for (; row < end; row++) {
      const tick = ticks.get(row);
      if (tick === UNISSUED) break;
      if (tick > latest) latest = tick;
      ticks.set(row, latest);
    }
    this.#issuedEnd = row;
    this.#latestIssue = latest;
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const lane = this.#waiting[i]!;
      if (lane.waitsForRow > row) continue;
      this.#waiting.splice(i, 1);
      lane.waitsForRow = 0;
      this.#freed.push(lane);
    }
    return this.#freed;
  }
}
