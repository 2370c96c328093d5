/**
 * The earliest time of a DMA row: that of the pacing, of its device's release, of the control row it depends on, and of
 * the skew limit, whichever is latest.
 */
import { type ControlProgress, INCOMPLETE } from './control-progress.ts';
import { isForward } from './control-waits.ts';
import type { DmaChunk } from './dma-chunk.ts';
import type { DmaLane } from './dma-lane.ts';
import type { PacingClock } from './pacing.ts';
import { type SkewLimit, UNKNOWN_LIMIT } from './skew-limit.ts';

/** Fills in `notBefore`, row by row, as far as it can be known. */
export class LanePacing {
  readonly #clock: PacingClock;
  readonly #progress: ControlProgress;
  readonly #skew: SkewLimit;
  #forwardDependencies = 0;

  constructor(clock: PacingClock, progress: ControlProgress, skew: SkewLimit) {
    this.#clock = clock;
    this.#progress = progress;
    this.#skew = skew;
  }

  /** Rows whose dependency was left out because it comes after them. */
  get forwardDependencies(): number {
    return this.#forwardDependencies;
  }

  /** Goes from the lane's next row, which is in `chunk`, up to one that must wait, noting for what. @hot */
  resolve(lane: DmaLane, chunk: DmaChunk): void {
    const base = chunk.firstRow;
    const { timeNs, afterControl } = chunk;
    const notBefore = chunk.input.notBefore;
    const clock = this.#clock;
    const paced = clock.ticksPerNs > 0;
    const skew = this.#skew;
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
          if (!isForward(this.#progress, chunk, i)) {
            lane.waitsForControl = after;
            break;
          }
          this.#forwardDependencies++;
        } else if (doneTick > tick) {
          tick = doneTick;
        }
      }
      if (skew.rows > 0) {
        const limit = skew.limitOf(row);
        if (limit === UNKNOWN_LIMIT) {
          lane.waitsForRow = row - skew.rows + 1;
          break;
        }
        if (limit > tick) tick = limit;
      }
      notBefore[i] = tick;
    }
    lane.resolved = row;
  }
}
