/**
 * Feeds one IOMMU unit: loads the rows of its DMA stream, sorts them into one lane a device, and issues them in order
 * of (issue tick, row) until the caller's limit. Within a lane the order is the trace's; between lanes it is that of
 * model time, since a device that waits does not hold up another.
 *
 * Nothing here depends on where chunks begin: which row issues next follows from rows, ticks and dependencies alone.
 *
 * APPROX: a row issues no earlier than any row {@link FeedOptions.skewRows} or more places before it in the unit's
 * stream. Devices that are not tied to each other by anything can drift apart without bound under closed pacing; this
 * keeps the rows in flight, and so memory, bounded.
 */
import { InvariantError } from '../assert.ts';
import type { IommuUnit } from '../hw/unit.ts';
import { InputError } from '../input-error.ts';
import type { Tick } from '../units.ts';
import { ChunkWindow, TickRing } from './chunk-window.ts';
import { type ControlProgress, INCOMPLETE } from './control-progress.ts';
import type { DmaChunk } from './dma-chunk.ts';
import { BLOCKED, DmaLane, LaneHeap } from './dma-lane.ts';
import type { FeedOptions } from './feed-options.ts';
import type { PacingClock } from './pacing.ts';

/** [rows] Completed rows whose ticks are kept for control rows that depend on them. */
const HISTORY_ROWS = 65536;
/** [rows] {@link FeedOptions.skewRows} unless a test wants otherwise. */
export const DEFAULT_SKEW_ROWS = 16384;
/** Ring value of a row that has not been issued. */
const UNISSUED = -1;

/** The rows of one unit. */
export class DmaFeed {
  readonly unitIndex: number;
  readonly #unit: IommuUnit;
  readonly #options: FeedOptions;
  readonly #clock: PacingClock;
  readonly #onIssued: FeedOptions['onIssued'];
  readonly #events: FeedOptions['events'];
  readonly #progress: ControlProgress;
  readonly #batchRows: number;
  readonly #skewRows: number;
  /** Chunks that must be loaded beyond the one a row is issued from. */
  readonly #lookaheadChunks: number;
  readonly #lanes = new Map<number, DmaLane>();
  readonly #heap = new LaneHeap();
  readonly #window: ChunkWindow;
  #issuedRows = 0;
  /** Rows after which {@link advance} returns whatever comes: the caller wants to look around. */
  #sliceEnd = Number.POSITIVE_INFINITY;
  /** [ps] Completion of recent rows. */
  readonly #doneTicks: TickRing;
  /**
   * [ps] Issue of recent rows; once every earlier row has been issued, the latest issue up to the row. Only where devices
   * can drift apart.
   */
  readonly #issueTicks: TickRing;
  /** Rows before this one have all been issued, the latest at {@link #latestIssue} [ps]. */
  #issuedEnd = 0;
  #latestIssue = 0;
  /** Rows some control row waits for, ascending. */
  readonly #stops: number[] = [];
  readonly #lanesByControl = new Map<number, DmaLane[]>();
  readonly #skewed: DmaLane[] = [];
  readonly #freed: DmaLane[] = [];
  /** Lanes whose next row waits for whatever the next event brings. */
  readonly #waiting: DmaLane[] = [];
  #forwardDependencies = 0;
  readonly #sink = (chunk: DmaChunk): void => this.#options.onChunk(chunk, this.unitIndex);

  constructor(options: FeedOptions) {
    this.#options = options;
    this.unitIndex = options.unitIndex;
    this.#unit = options.unit;
    this.#clock = options.clock;
    this.#onIssued = options.onIssued;
    this.#events = options.events;
    this.#progress = options.progress;
    this.#batchRows = options.batchRows;
    this.#skewRows = options.devices.length > 1 ? (options.skewRows ?? DEFAULT_SKEW_ROWS) : 0;
    this.#lookaheadChunks = Math.ceil(this.#skewRows / options.chunkRows);
    this.#window = new ChunkWindow(options.chunks, options.chunkRows, options.unit);
    const ringRows = HISTORY_ROWS + 2 * this.#skewRows + 4 * options.chunkRows;
    this.#doneTicks = new TickRing(ringRows);
    this.#issueTicks = new TickRing(this.#skewRows > 0 ? ringRows : 0);
    for (const device of options.devices) {
      const lane = new DmaLane(device);
      this.#lanes.set(device, lane);
      this.#heap.add(lane);
    }
    this.#refill();
  }

  /** [ps] Lower bound of the next issue; infinite when no row can be issued now. */
  get nextKey(): number {
    return this.#heap.top?.key ?? BLOCKED;
  }

  /** True when every row of the stream has been issued. */
  get finished(): boolean {
    return this.#window.exhausted && this.#issuedRows === this.#window.loadedEnd;
  }

  /** Rows issued so far. */
  get issuedRows(): number {
    return this.#issuedRows;
  }

  /** Rows whose dependency was left out because it comes after them. */
  get forwardDependencies(): number {
    return this.#forwardDependencies;
  }

  /** Rows that control rows wait for. */
  get stopCount(): number {
    return this.#stops.length;
  }

  /** First row not issued, and what it waits for: for the message when nothing moves any more. */
  describeStall(): string {
    const row = this.#oldestRow();
    for (const lane of this.#lanes.values()) {
      if (lane.empty || lane.next !== row) continue;
      const why = lane.waitsForControl > 0 ? `waits for control row ${lane.waitsForControl - 1}` : 'was not issued';
      return `row ${row} of dma-${this.unitIndex} ${why}`;
    }
    return `dma-${this.unitIndex} stopped at row ${row}`;
  }

  /** [ps] Completion of a row; -1 when it has not been issued, 0 when that is long ago. */
  doneTick(row: number): number {
    if (row >= this.#window.loadedEnd) return UNISSUED;
    return row + HISTORY_ROWS < this.#oldestRow() ? 0 : this.#doneTicks.get(row);
  }

  /** Makes {@link advance} return true once about so many more rows have been issued. */
  beginSlice(rows: number): void {
    this.#sliceEnd = this.#issuedRows + rows;
  }

  /** True when the slice is used up: {@link advance} does nothing until the next begins. */
  get sliceOver(): boolean {
    return this.#issuedRows >= this.#sliceEnd;
  }

  /** Makes {@link advance} return after the row, which has not been issued, so that the caller can react to it. */
  stopAfter(row: number): void {
    let at = this.#stops.length;
    while (at > 0 && this.#stops[at - 1]! > row) at--;
    if (this.#stops[at - 1] !== row) this.#stops.splice(at, 0, row);
  }

  /** Control rows up to `sequence` are known: lanes whose control row is not among them wait in vain. */
  controlLoaded(sequence: number): void {
    if (this.#lanesByControl.size === 0) return;
    for (const [control, lanes] of this.#lanesByControl) {
      const stay: DmaLane[] = [];
      for (const lane of lanes) {
        const chunk = this.#window.chunkOf(lane.next);
        const i = lane.next - chunk.firstRow;
        if (chunk.sequence[i]! < sequence && this.#isForward(chunk, i)) this.#freed.push(lane);
        else stay.push(lane);
      }
      if (stay.length > 0) this.#lanesByControl.set(control, stay);
      else this.#lanesByControl.delete(control);
    }
    for (let lane = this.#freed.pop(); lane !== undefined; lane = this.#freed.pop()) {
      lane.waitsForControl = 0;
      this.#refresh(lane);
    }
  }

  /** A control row completed: lanes that waited for it go on. */
  controlDone(row: number): void {
    const lanes = this.#lanesByControl.get(row);
    if (lanes === undefined) return;
    this.#lanesByControl.delete(row);
    for (const lane of lanes) {
      lane.waitsForControl = 0;
      this.#refresh(lane);
    }
  }

  /** The device issues nothing more until {@link release}. Nothing happens when it has no rows here. */
  hold(device: number): void {
    const lane = this.#lanes.get(device);
    if (lane === undefined) return;
    lane.held = true;
    lane.key = BLOCKED;
    this.#heap.update(lane);
  }

  /** A device that was held goes on at `atTick` [ps]. True when there was one. */
  release(device: number, atTick: number): boolean {
    const lane = this.#lanes.get(device);
    if (lane === undefined || !lane.held) return false;
    lane.held = false;
    lane.heldUntil = atTick;
    if (!lane.empty && lane.resolved > lane.next) {
      const { firstRow, input } = this.#window.chunkOf(lane.next);
      for (let row = lane.next; row < lane.resolved; row++) {
        if (input.notBefore[row - firstRow]! < atTick) input.notBefore[row - firstRow] = atTick;
      }
    }
    // A lane whose next row waits is woken by what it waits for.
    const waits = lane.next === lane.resolved && (lane.waitsForControl > 0 || lane.waitsForRow > 0);
    if (!waits) this.#refresh(lane);
    return true;
  }

  /** Every device that is held goes on. True when there was one. */
  releaseAll(atTick: number): boolean {
    let any = false;
    for (const device of this.#lanes.keys()) if (this.release(device, atTick)) any = true;
    return any;
  }

  /** True when rows can make events of their own. */
  get makesEvents(): boolean {
    return this.#events !== undefined;
  }

  /** An event has run: rows that waited for the next one are tried again. */
  wake(): void {
    for (let lane = this.#waiting.pop(); lane !== undefined; lane = this.#waiting.pop()) {
      if (lane.held) continue;
      lane.key = lane.lastIssue;
      this.#heap.update(lane);
    }
  }

  /**
   * Issues rows in order of (issue tick, row) until no row issues before `limit`. Returns early, and true, when a row
   * announced by {@link stopAfter} was issued, when a row has made an event that comes before `limit`, or when the slice
   * is over. @hot
   */
  advance(limit: number): boolean {
    const heap = this.#heap;
    for (;;) {
      const lane = heap.top;
      if (lane === undefined || lane.key >= limit) return false;
      const from = lane.next;
      let to = lane.resolved;
      if (to - from > this.#batchRows) to = from + this.#batchRows;
      let laneLimit = limit;
      const second = heap.second();
      if (second !== undefined && second.key < limit) {
        laneLimit = second.key;
        if (second.key === lane.key) {
          // A tie goes to the lower row, and to one row only.
          laneLimit++;
          to = from + 1;
        }
      }
      to = this.#cut(from, to);
      if (this.#issue(lane, from, to, laneLimit) || this.#issuedRows >= this.#sliceEnd) return true;
      if (this.#events !== undefined && this.#events.next < limit) return true;
    }
  }

  /** One call of the unit; true when it ended at an announced row. @hot */
  #issue(lane: DmaLane, from: number, to: number, limit: number): boolean {
    const chunk = this.#window.chunkOf(from);
    const base = chunk.firstRow;
    const reached = base + this.#unit.translate(chunk.input, from - base, to - base, limit as Tick, chunk.results);
    if (reached < to) {
      // The unit says when the row it stopped at would issue; that is at or after the limit, or at an event just made.
      const issueTick = chunk.results.issueTick[reached - base]!;
      if (!(issueTick >= limit) && this.#events === undefined)
        throw new InvariantError(`${this.#unit.name} stopped at ${issueTick}, not ${limit} ps`);
      lane.key = issueTick;
      if (this.#events !== undefined && issueTick === this.#events.next) this.#waiting.push(lane);
    }
    if (reached === from) {
      this.#heap.update(lane);
      return false;
    }
    const { issueTick, doneTick } = chunk.results;
    this.#doneTicks.copy(doneTick, base, from, reached);
    if (this.#skewRows > 0) {
      this.#issueTicks.copy(issueTick, base, from, reached);
      // A row that waited for a page was issued long ago, but only now do those behind it know.
      const now = this.#events?.now ?? 0;
      for (let row = from; row < reached && issueTick[row - base]! < now; row++) this.#issueTicks.set(row, now);
    }
    this.#onIssued?.(chunk, from - base, reached - base);
    this.#issuedRows += reached - from;
    chunk.pending -= reached - from;
    lane.lastIssue = issueTick[reached - 1 - base]!;
    lane.advance(reached);
    if (reached < to) this.#heap.update(lane);
    else this.#refresh(lane);
    if (this.#skewRows > 0 && from === this.#issuedEnd) this.#extendIssued();
    const stopped = this.#stops.length > 0 && this.#fireStop(reached - 1);
    if (chunk.pending === 0) this.#retire();
    return stopped;
  }

  /** End of the run from `from` such that nobody who waits for one of its rows is passed by. @hot */
  #cut(from: number, to: number): number {
    let end = to;
    for (let i = 0; i < this.#stops.length; i++) {
      const row = this.#stops[i]!;
      if (row >= from && row < end) end = row + 1;
    }
    for (let i = 0; i < this.#skewed.length; i++) {
      const row = this.#skewed[i]!.waitsForRow - 1;
      if (row >= from && row < end) end = row + 1;
    }
    return end;
  }

  #fireStop(row: number): boolean {
    const at = this.#stops.indexOf(row);
    if (at < 0) return false;
    this.#stops.splice(at, 1);
    this.#options.onStop(this.unitIndex, row, this.#doneTicks.get(row));
    return true;
  }

  /** The oldest row was issued: takes in all that were issued behind it and frees the lanes that waited. @hot */
  #extendIssued(): void {
    const ticks = this.#issueTicks;
    const end = this.#window.loadedEnd;
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
    for (let i = this.#skewed.length - 1; i >= 0; i--) {
      const lane = this.#skewed[i]!;
      if (lane.waitsForRow > row) continue;
      this.#skewed.splice(i, 1);
      lane.waitsForRow = 0;
      this.#refresh(lane);
    }
  }

  /** Finds the key of a lane whose next row has changed or may have become free. */
  #refresh(lane: DmaLane): void {
    lane.key = BLOCKED;
    if (!lane.empty && !lane.held) {
      if (lane.next === lane.resolved) this.#resolve(lane);
      if (lane.resolved > lane.next) {
        const chunk = this.#window.chunkOf(lane.next);
        // A device issues its rows in order, so none before the one it issued last.
        lane.key = Math.max(chunk.input.notBefore[lane.next - chunk.firstRow]!, lane.lastIssue);
        this.#heap.update(lane);
        this.#load(this.#window.indexOf(lane.next) + this.#lookaheadChunks);
        return;
      }
      if (lane.waitsForControl > 0) {
        const waiting = this.#lanesByControl.get(lane.waitsForControl - 1);
        if (waiting === undefined) this.#lanesByControl.set(lane.waitsForControl - 1, [lane]);
        else waiting.push(lane);
      } else {
        this.#skewed.push(lane);
      }
    }
    this.#heap.update(lane);
  }

  /** Fills `notBefore` from the lane's next row up to one that must wait, noting for what. @hot */
  #resolve(lane: DmaLane): void {
    const chunk = this.#window.chunkOf(lane.resolved);
    const base = chunk.firstRow;
    const { timeNs, afterControl } = chunk;
    const notBefore = chunk.input.notBefore;
    const clock = this.#clock;
    const paced = clock.ticksPerNs > 0;
    const skewRows = this.#skewRows;
    const { heldUntil } = lane;
    const end = lane.segmentEnd;
    let row = lane.resolved;
    for (; row < end; row++) {
      const i = row - base;
      let tick = paced ? clock.tickOf(timeNs[2 * i + 1]! * 4294967296 + timeNs[2 * i]!) : clock.originTick;
      if (heldUntil > tick) tick = heldUntil;
      const after = afterControl[i]!;
      if (after !== 0) {
        const doneTick = this.#progress.doneTick(after - 1);
        if (doneTick === INCOMPLETE) {
          if (!this.#isForward(chunk, i)) {
            lane.waitsForControl = after;
            break;
          }
          this.#forwardDependencies++;
        } else if (doneTick > tick) {
          tick = doneTick;
        }
      }
      if (skewRows > 0 && row >= skewRows) {
        const behind = row - skewRows;
        if (behind >= this.#issuedEnd) {
          lane.waitsForRow = behind + 1;
          break;
        }
        const issueTick = this.#issueTicks.get(behind);
        if (issueTick > tick) tick = issueTick;
      }
      notBefore[i] = tick;
    }
    lane.resolved = row;
  }

  /** True when a row names a control row that comes after it: an error of the trace, and no dependency. */
  #isForward(chunk: DmaChunk, i: number): boolean {
    return this.#progress.comesAfter(chunk.afterControl[i]! - 1, chunk.sequence[i]!);
  }

  #oldestRow(): number {
    let oldest = this.#window.loadedEnd;
    for (const lane of this.#lanes.values()) if (!lane.empty && lane.next < oldest) oldest = lane.next;
    return oldest;
  }

  /** Hands finished chunks on and makes sure that some row is loaded. */
  #retire(): void {
    this.#window.retire(this.#sink);
    this.#refill();
  }

  #refill(): void {
    if (this.#window.isEmpty) this.#load(this.#window.nextIndex);
  }

  /** Loads chunks up to and including number `chunkIndex`. */
  #load(chunkIndex: number): void {
    const window = this.#window;
    while (!window.exhausted && window.nextIndex <= chunkIndex) {
      const chunk = window.load();
      if (chunk === undefined) return;
      this.#doneTicks.fill(UNISSUED, chunk.firstRow, window.loadedEnd);
      if (this.#skewRows > 0) this.#issueTicks.fill(UNISSUED, chunk.firstRow, window.loadedEnd);
      this.#sort(chunk);
    }
  }

  /** Cuts a new chunk into runs of one device and appends them to the lanes. */
  #sort(chunk: DmaChunk): void {
    const { device, bytes } = chunk.input;
    const unsized = firstUnsized(bytes, chunk.rowCount);
    if (unsized >= 0) {
      const reason = `a request of ${bytes[unsized]} bytes`;
      throw new InputError({ file: this.#options.file, row: chunk.firstRow + unsized, reason });
    }
    const woken: DmaLane[] = [];
    let from = 0;
    while (from < chunk.rowCount) {
      const index = device[from]!;
      let to = from + 1;
      while (to < chunk.rowCount && device[to] === index) to++;
      const lane = this.#lanes.get(index);
      if (lane === undefined) {
        const reason = `device ${index} is not behind this unit`;
        throw new InputError({ file: this.#options.file, row: chunk.firstRow + from, reason });
      }
      if (lane.push(chunk.firstRow + from, chunk.firstRow + to)) woken.push(lane);
      from = to;
    }
    // Only now: finding a key may load the next chunk, whose rows come behind all of these.
    for (const lane of woken) this.#refresh(lane);
  }
}

/** First row whose size no unit takes (1 .. 2^31 - 1 bytes); -1 = none. */
function firstUnsized(bytes: Uint32Array, rowCount: number): number {
  for (let i = 0; i < rowCount; i++) if ((bytes[i]! | 0) <= 0) return i;
  return -1;
}
