/**
 * Integer amounts in fixed-width time bins. When a run outgrows `maxBins`, neighbouring bins are summed in pairs and the
 * width doubles, so memory stays bounded. The width is always the smallest `baseWidth * 2^k` that holds the latest time
 * seen: it depends on what was recorded and not on the order, hence merging is exact, associative and commutative.
 */
import { assert } from '../assert.ts';

/** Plain data of a {@link Series}. */
export interface SeriesState {
  /** [ps] Width of a bin before any coarsening; series merge only with the same. */
  readonly baseWidthPs: number;
  /** [ps] Width of a bin: `baseWidthPs * 2^k`. */
  readonly binWidthPs: number;
  /** Most bins kept; series merge only with the same. */
  readonly maxBins: number;
  /** Amount per bin from time 0; trailing empty bins are absent. */
  readonly bins: readonly number[];
}

/** Accumulates amounts over time. */
export class Series {
  readonly #baseWidthPs: number;
  readonly #maxBins: number;
  readonly #bins: Float64Array;
  #widthPs: number;
  #used = 0;
  /** Bin of the latest addition and the times it covers: consecutive records mostly fall into one bin. */
  #currentBin = 0;
  #currentStart = 0;
  #currentEnd = 0;

  /** `baseWidthPs` [ps] is a positive integer; `maxBins` is even. */
  constructor(baseWidthPs: number, maxBins: number = 1024) {
    assert(Number.isSafeInteger(baseWidthPs) && baseWidthPs > 0, `not a bin width: ${baseWidthPs}`);
    assert(Number.isInteger(maxBins) && maxBins > 0 && maxBins % 2 === 0, `maxBins is even and positive: ${maxBins}`);
    this.#baseWidthPs = baseWidthPs;
    this.#widthPs = baseWidthPs;
    this.#maxBins = maxBins;
    this.#bins = new Float64Array(maxBins);
  }

  /** [ps] */
  get binWidthPs(): number {
    return this.#widthPs;
  }

  /** Adds an integer amount at a time [ps]. @hot */
  add(atTick: number, amount: number): void {
    if (atTick < this.#currentStart || atTick >= this.#currentEnd) this.#seek(atTick);
    this.#bins[this.#currentBin]! += amount;
  }

  /** Adds what another series of the same base width and bin limit holds. */
  merge(state: SeriesState): void {
    assert(
      state.baseWidthPs === this.#baseWidthPs && state.maxBins === this.#maxBins,
      'series of different geometry do not merge',
    );
    while (this.#widthPs < state.binWidthPs) this.#coarsen();
    for (let bin = 0; bin < state.bins.length; bin++) {
      // A bin of the other series lies inside one of ours, because ours is at least as wide.
      this.#seek(bin * state.binWidthPs);
      this.#bins[this.#currentBin]! += state.bins[bin]!;
    }
  }

  toState(): SeriesState {
    return {
      baseWidthPs: this.#baseWidthPs,
      binWidthPs: this.#widthPs,
      maxBins: this.#maxBins,
      bins: Array.from(this.#bins.subarray(0, this.#used)),
    };
  }

  #seek(atTick: number): void {
    while (atTick >= this.#widthPs * this.#maxBins) this.#coarsen();
    const bin = Math.floor(atTick / this.#widthPs);
    if (bin >= this.#used) this.#used = bin + 1;
    this.#currentBin = bin;
    this.#currentStart = bin * this.#widthPs;
    this.#currentEnd = this.#currentStart + this.#widthPs;
  }

  #coarsen(): void {
    const bins = this.#bins;
    const half = (this.#used + 1) >> 1;
    for (let bin = 0; bin < half; bin++)
      bins[bin] = bins[2 * bin]! + (2 * bin + 1 < this.#used ? bins[2 * bin + 1]! : 0);
    bins.fill(0, half, this.#used);
    this.#used = half;
    this.#widthPs *= 2;
    this.#currentStart = 0;
    this.#currentEnd = 0;
  }
}

/** Sum of series; all have the same base width and bin limit. */
export function mergeSeries(states: readonly [SeriesState, ...SeriesState[]]): SeriesState {
  const merged = new Series(states[0].baseWidthPs, states[0].maxBins);
  for (const state of states) merged.merge(state);
  return merged.toState();
}
