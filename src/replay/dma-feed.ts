/**
 * Feeds one IOMMU unit: loads the rows of its DMA stream, sorts them into one lane a device, and issues them in order
 * of (issue tick, row) until the caller's limit. Within a lane the order is the trace's; between lanes it is that of
 * model time, since a device that waits does not hold up another.
 *
 * Nothing here depends on where chunks begin: which row issues next follows from rows, ticks and dependencies alone.
 */
import { InvariantError } from '../assert.ts';
import type { IommuUnit } from '../hw/unit.ts';
import type { Tick } from '../units.ts';
import { AnnouncedStops } from './announced-stops.ts';
import { ChunkWindow, TickRing } from './chunk-window.ts';
import { ControlWaits } from './control-waits.ts';
import type { DmaChunk } from './dma-chunk.ts';
import { BLOCKED, DmaLane, LaneHeap } from './dma-lane.ts';
import type { FeedOptions } from './feed-options.ts';
import { LanePacing } from './lane-pacing.ts';
import { DEFAULT_SKEW_ROWS, SkewLimit } from './skew-limit.ts';
import { sortIntoLanes } from './sort-into-lanes.ts';

/** [rows] Completed rows whose ticks are kept for control rows that depend on them. */
const HISTORY_ROWS = 65536;
/** Ring value of a row that has not been issued. */
const UNISSUED = -1;

/** The rows of one unit. */
export class DmaFeed {
  readonly unitIndex: number;
  readonly #unit: IommuUnit;
  readonly #options: FeedOptions;
  readonly #onIssued: FeedOptions['onIssued'];
  readonly #events: FeedOptions['events'];
  readonly #batchRows: number;
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
  /** Without a limit where one device has all rows. */
  readonly #skew: SkewLimit;
  readonly #stops = new AnnouncedStops();
  readonly #controlWaits: ControlWaits;
  readonly #pacing: LanePacing;
  /** Lanes whose next row waits for whatever the next event brings. */
  readonly #waiting: DmaLane[] = [];
  readonly #sink = (chunk: DmaChunk): void => this.#options.onChunk(chunk, this.unitIndex);

  constructor(options: FeedOptions) {
    this.#options = options;
    this.unitIndex = options.unitIndex;
    this.#unit = options.unit;
    this.#onIssued = options.onIssued;
    this.#events = options.events;
    this.#batchRows = options.batchRows;
    const skewRows = options.devices.length > 1 ? (options.skewRows ?? DEFAULT_SKEW_ROWS) : 0;
    this.#lookaheadChunks = Math.ceil(skewRows / options.chunkRows);
    this.#window = new ChunkWindow(options.chunks, options.chunkRows, options.unit);
    const ringRows = HISTORY_ROWS + 2 * skewRows + 4 * options.chunkRows;
    this.#doneTicks = new TickRing(ringRows);
    this.#skew = new SkewLimit(skewRows, ringRows);
    this.#controlWaits = new ControlWaits(options.progress);
    this.#pacing = new LanePacing(options.clock, options.progress, this.#skew);
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
    return this.#pacing.forwardDependencies;
  }

  /** Rows that control rows wait for. */
  get stopCount(): number {
    return this.#stops.count;
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
    this.#stops.add(row);
  }

  /** Control rows up to `sequence` are known: lanes whose control row is not among them wait in vain. */
  controlLoaded(sequence: number): void {
    const freed = this.#controlWaits.takeForward(sequence, this.#window);
    for (let lane = freed.pop(); lane !== undefined; lane = freed.pop()) this.#refresh(lane);
  }

  /** A control row completed: lanes that waited for it go on. */
  controlDone(row: number): void {
    for (const lane of this.#controlWaits.complete(row)) this.#refresh(lane);
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
   * announced by {@link stopAfter} was issued, when the slice is over, or when a row has made an event that comes before
   * `limit`. @hot
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
      // Nobody who waits for one of the rows is passed by.
      to = this.#skew.cut(from, this.#stops.cut(from, to));
      if (this.#issue(lane, from, to, laneLimit) || this.#issuedRows >= this.#sliceEnd) return true;
      if (this.#events !== undefined && this.#events.next < limit) return true;
    }
  }

  /** One call of the unit; true when it ended at an announced row. @hot */
  #issue(lane: DmaLane, from: number, to: number, limit: number): boolean {
    const skew = this.#skew;
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
    if (skew.rows > 0) skew.issued(issueTick, base, from, reached, this.#events?.now ?? 0);
    this.#onIssued?.(chunk, from - base, reached - base);
    this.#issuedRows += reached - from;
    chunk.pending -= reached - from;
    lane.lastIssue = issueTick[reached - 1 - base]!;
    lane.advance(reached);
    if (reached < to) this.#heap.update(lane);
    else this.#refresh(lane);
    if (skew.rows > 0 && from === skew.issuedEnd) {
      const freed = skew.extend(this.#window.loadedEnd);
      for (let other = freed.pop(); other !== undefined; other = freed.pop()) this.#refresh(other);
    }
    const stopped = this.#stops.count > 0 && this.#fireStop(reached - 1);
    if (chunk.pending === 0) this.#retire();
    return stopped;
  }

  #fireStop(row: number): boolean {
    if (!this.#stops.take(row)) return false;
    this.#options.onStop(this.unitIndex, row, this.#doneTicks.get(row));
    return true;
  }

  /** Finds the key of a lane whose next row has changed or may have become free. */
  #refresh(lane: DmaLane): void {
    lane.key = BLOCKED;
    if (!lane.empty && !lane.held) {
      if (lane.next === lane.resolved) this.#pacing.resolve(lane, this.#window.chunkOf(lane.next));
      if (lane.resolved > lane.next) {
        const chunk = this.#window.chunkOf(lane.next);
        // A device issues its rows in order, so none before the one it issued last.
        lane.key = Math.max(chunk.input.notBefore[lane.next - chunk.firstRow]!, lane.lastIssue);
        this.#heap.update(lane);
        this.#load(this.#window.indexOf(lane.next) + this.#lookaheadChunks);
        return;
      }
      if (lane.waitsForControl > 0) this.#controlWaits.add(lane);
      else this.#skew.add(lane);
    }
    this.#heap.update(lane);
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
      this.#skew.load(chunk.firstRow, window.loadedEnd);
      // Sorted first: finding a key may load the next chunk, whose rows come behind all of these.
      for (const lane of sortIntoLanes(chunk, this.#lanes, this.#options.file)) this.#refresh(lane);
    }
  }
}
