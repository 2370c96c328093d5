/**
 * When control rows completed, for the DMA rows that depend on them. Holds a window of rows: those that left it
 * completed long before any DMA row that can still be issued, so they constrain nothing.
 */

/** {@link ControlProgress.doneTick} of a row that is not complete. */
export const INCOMPLETE = -1;

/** Completion ticks by control row. */
export class ControlProgress {
  readonly #ticks: Float64Array;
  readonly #mask: number;
  readonly #sequences: Float64Array;
  /** Rows loaded so far: later ones are incomplete. */
  #end = 0;
  #lastSequence = -1;

  /** `windowRows`: at least twice the number of rows that can be incomplete at once; rounded up to a power of two. */
  constructor(windowRows: number) {
    const capacity = 2 ** Math.ceil(Math.log2(windowRows));
    this.#ticks = new Float64Array(capacity).fill(INCOMPLETE);
    this.#sequences = new Float64Array(capacity);
    this.#mask = capacity - 1;
  }

  /** Adds the next row, incomplete. */
  load(sequence: number): void {
    this.#ticks[this.#end & this.#mask] = INCOMPLETE;
    this.#sequences[this.#end & this.#mask] = sequence;
    this.#lastSequence = sequence;
    this.#end++;
  }

  /** True when the incomplete row is known to come after `sequence`: nothing can have depended on it. */
  comesAfter(row: number, sequence: number): boolean {
    if (row >= this.#end) return this.#lastSequence > sequence;
    return this.#sequences[row & this.#mask]! > sequence;
  }

  /** Marks a loaded row complete. */
  complete(row: number, atTick: number): void {
    this.#ticks[row & this.#mask] = atTick;
  }

  /** [ps] When the row completed; 0 when that is long ago; {@link INCOMPLETE}. @hot */
  doneTick(row: number): number {
    const behind = this.#end - row;
    if (behind <= 0) return INCOMPLETE;
    return behind > this.#mask ? 0 : this.#ticks[row & this.#mask]!;
  }
}
