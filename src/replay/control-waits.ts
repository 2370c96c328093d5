/**
 * Lanes whose next row names a control row that is not complete. They are let go when it completes, or when it turns
 * out to come after the row that names it.
 */
import type { ChunkWindow } from './chunk-window.ts';
import type { ControlProgress } from './control-progress.ts';
import type { DmaChunk } from './dma-chunk.ts';
import type { DmaLane } from './dma-lane.ts';

const NO_LANES: readonly DmaLane[] = [];

/** Lanes by the control row they wait for. */
export class ControlWaits {
  readonly #progress: ControlProgress;
  readonly #lanes = new Map<number, DmaLane[]>();
  readonly #freed: DmaLane[] = [];

  constructor(progress: ControlProgress) {
    this.#progress = progress;
  }

  /** Adds a lane, which waits for {@link DmaLane.waitsForControl}. */
  add(lane: DmaLane): void {
    const waiting = this.#lanes.get(lane.waitsForControl - 1);
    if (waiting === undefined) this.#lanes.set(lane.waitsForControl - 1, [lane]);
    else waiting.push(lane);
  }

  /** The control row completed: its lanes, which wait no more. */
  complete(row: number): readonly DmaLane[] {
    const lanes = this.#lanes.get(row);
    if (lanes === undefined) return NO_LANES;
    this.#lanes.delete(row);
    for (const lane of lanes) lane.waitsForControl = 0;
    return lanes;
  }

  /**
   * Control rows up to `sequence` are known: the lanes whose control row is not among those before their own row, which
   * wait no more. The caller takes them off the list.
   */
  takeForward(sequence: number, window: ChunkWindow): DmaLane[] {
    if (this.#lanes.size === 0) return this.#freed;
    for (const [control, lanes] of this.#lanes) {
      const stay: DmaLane[] = [];
      for (const lane of lanes) {
        const chunk = window.chunkOf(lane.next);
        const i = lane.next - chunk.firstRow;
        if (chunk.sequence[i]! < sequence && isForward(this.#progress, chunk, i)) {
          lane.waitsForControl = 0;
          this.#freed.push(lane);
        } else {
          stay.push(lane);
        }
      }
      if (stay.length > 0) this.#lanes.set(control, stay);
      else this.#lanes.delete(control);
    }
    return this.#freed;
  }
}

/** True when a row names a control row that comes after it: an error of the trace, and no dependency. */
export function isForward(progress: ControlProgress, chunk: DmaChunk, i: number): boolean {
  return progress.comesAfter(chunk.afterControl[i]! - 1, chunk.sequence[i]!);
}
