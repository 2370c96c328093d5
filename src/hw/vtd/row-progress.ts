/**
 * DMA rows that span pages: what is known of a row while some of its pieces are still to come. One row per device can be
 * in progress, since a device issues its rows in order.
 */
import { InvariantError } from '../../assert.ts';
import { type ArraySource, HEAP_ARRAYS } from '../linear-memory.ts';
import { DmaOutcome, type ResultColumns } from '../unit.ts';

const SEVERITY = new Uint8Array(6);
SEVERITY[DmaOutcome.passThrough] = 0;
SEVERITY[DmaOutcome.deviceHit] = 0;
SEVERITY[DmaOutcome.hit] = 1;
SEVERITY[DmaOutcome.mergedMiss] = 2;
SEVERITY[DmaOutcome.miss] = 3;
SEVERITY[DmaOutcome.fault] = 4;

/** Rows in progress, by device. */
export class RowProgress {
  /** [bytes] Of the row, done so far; 0 = no row in progress. */
  readonly bytesDone: Int32Array;
  readonly #issue: Float64Array;
  readonly #arrive: Float64Array;
  readonly #ready: Float64Array;
  readonly #done: Float64Array;
  readonly #outcome: Uint8Array;
  readonly #fault: Uint8Array;
  readonly #reads: Uint32Array;
  readonly #pageShift: Uint8Array;
  readonly #pfnLow: Uint32Array;
  readonly #pfnHigh: Uint32Array;

  constructor(deviceCount: number, arrays: ArraySource = HEAP_ARRAYS) {
    this.bytesDone = arrays.int32(deviceCount);
    this.#issue = new Float64Array(deviceCount);
    this.#arrive = new Float64Array(deviceCount);
    this.#ready = new Float64Array(deviceCount);
    this.#done = new Float64Array(deviceCount);
    this.#outcome = new Uint8Array(deviceCount);
    this.#fault = new Uint8Array(deviceCount);
    this.#reads = new Uint32Array(deviceCount);
    this.#pageShift = new Uint8Array(deviceCount);
    this.#pfnLow = new Uint32Array(deviceCount);
    this.#pfnHigh = new Uint32Array(deviceCount);
  }

  /** Adds a piece of `bytes` whose outcome is in row `row` of `out`. Ticks are those of the last piece. @hot */
  add(device: number, bytes: number, row: number, out: ResultColumns): void {
    const outcome = out.outcome[row]!;
    if (this.bytesDone[device] === 0) {
      this.#issue[device] = out.issueTick[row]!;
      this.#arrive[device] = out.arriveTick[row]!;
      this.#pageShift[device] = out.pageShift[row]!;
      this.#pfnLow[device] = out.pfn[2 * row]!;
      this.#pfnHigh[device] = out.pfn[2 * row + 1]!;
      this.#reads[device] = out.walkReads[row]!;
      this.#ready[device] = out.readyTick[row]!;
      this.#done[device] = out.doneTick[row]!;
      this.#outcome[device] = outcome;
      this.#fault[device] = out.fault[row]!;
    } else {
      this.#reads[device]! += out.walkReads[row]!;
      if (out.readyTick[row]! > this.#ready[device]!) this.#ready[device] = out.readyTick[row]!;
      if (out.doneTick[row]! > this.#done[device]!) this.#done[device] = out.doneTick[row]!;
      if (SEVERITY[outcome]! > SEVERITY[this.#outcome[device]!]!) this.#outcome[device] = outcome;
      if (this.#fault[device] === 0) this.#fault[device] = out.fault[row]!;
    }
    this.bytesDone[device]! += bytes;
  }

  /**
   * Writes the whole row's outcome to row `row` of `out`; the device has no row in progress any more. Throws
   * InvariantError for a row of 0 bytes, which had no piece.
   */
  finish(device: number, row: number, out: ResultColumns): void {
    // What is kept here would be the answer to the device's previous row.
    if (this.bytesDone[device] === 0) throw new InvariantError(`device ${device}: a DMA row of 0 bytes`);
    out.issueTick[row] = this.#issue[device]!;
    out.arriveTick[row] = this.#arrive[device]!;
    out.readyTick[row] = this.#ready[device]!;
    out.doneTick[row] = this.#done[device]!;
    out.outcome[row] = this.#outcome[device]!;
    out.fault[row] = this.#fault[device]!;
    out.walkReads[row] = Math.min(this.#reads[device]!, 255);
    out.pageShift[row] = this.#pageShift[device]!;
    out.pfn[2 * row] = this.#pfnLow[device]!;
    out.pfn[2 * row + 1] = this.#pfnHigh[device]!;
    this.bytesDone[device] = 0;
  }
}
