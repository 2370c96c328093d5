/**
 * Log-linear histogram of integers 0 .. 2^53 - 1 (picoseconds, bytes ...). Every octave is cut into `2^precisionBits`
 * equal buckets and values below `2^(precisionBits + 1)` are exact, the layout of HdrHistogram with the number of
 * significant bits as its parameter. The bucket comes from `Math.clz32` of integer words, never from a logarithm:
 * `floor(log2(v))` is wrong just below large powers of two.
 *
 * Buckets of a lower precision are unions of those of a higher one, so histograms of different precision merge exactly
 * into the lower. State is integer throughout: a merge is associative, commutative and the same in any order.
 */
import { assert } from '../assert.ts';
import { ExactSum } from './exact-sum.ts';

/** Relative bucket width 2^-7 = 0.8 %: percentiles to better than two significant digits. */
export const DEFAULT_PRECISION_BITS = 7;

/** Values are below 2^53. */
const VALUE_BITS = 53;
/** Values of 2^32 and more are shifted right by this many bits before `clz32` looks at them. */
const WIDE_SHIFT = 21;
const WIDE_SCALE = 2 ** -WIDE_SHIFT;
const HALF_RANGE = 2 ** 52;

/** Plain data of a {@link Histogram}: what merges, crosses threads and is stored. */
export interface HistogramState {
  /** Buckets per octave are 2 to this power. */
  readonly precisionBits: number;
  /** Records. */
  readonly count: number;
  /** Smallest value recorded; 0 when there is none. */
  readonly min: number;
  /** Largest value recorded; 0 when there is none. */
  readonly max: number;
  /** Exact sum of the values, decimal digits. */
  readonly sum: string;
  /** Non-empty buckets in ascending order, and their counts. */
  readonly indices: readonly number[];
  readonly counts: readonly number[];
}

/** One non-empty bucket: values `low` .. `high`, both inclusive. */
export interface HistogramBucket {
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** Counts integers in log-linear buckets. */
export class Histogram {
  readonly precisionBits: number;
  /** Count per bucket; doubles hold integers to 2^53. */
  readonly #counts: Float64Array;
  readonly #sum = new ExactSum();
  #count = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  /** `precisionBits` 1 .. 10: relative bucket width 2^-precisionBits, 8 bytes * 2^precisionBits * ~50 of memory. */
  constructor(precisionBits: number = DEFAULT_PRECISION_BITS) {
    assert(Number.isInteger(precisionBits) && precisionBits >= 1 && precisionBits <= 10, 'precisionBits is 1 .. 10');
    this.precisionBits = precisionBits;
    this.#counts = new Float64Array((VALUE_BITS - precisionBits + 1) << precisionBits);
  }

  /** Records. */
  get count(): number {
    return this.#count;
  }

  /** Smallest value recorded; 0 when there is none. */
  get min(): number {
    return this.#count === 0 ? 0 : this.#min;
  }

  /** Largest value recorded; 0 when there is none. */
  get max(): number {
    return this.#max;
  }

  /** Exact sum of the values. */
  get sum(): bigint {
    return this.#sum.toBigInt();
  }

  /** Counts one integer 0 .. 2^53 - 1. @hot */
  record(value: number): void {
    const bits = this.precisionBits;
    // Bits above the precision are shifted out; a value with none of them is its own bucket.
    let shift: number;
    let index: number;
    if (value < 4294967296) {
      shift = 31 - bits - Math.clz32(value);
      index = shift <= 0 ? value : (shift << bits) + (value >>> shift);
    } else {
      const scaled = (value * WIDE_SCALE) >>> 0;
      shift = 31 - bits - Math.clz32(scaled);
      index = ((shift + WIDE_SHIFT) << bits) + (scaled >>> shift);
    }
    this.#counts[index]!++;
    this.#count++;
    this.#sum.add(value);
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
  }

  /** Counts the first `count` of `values`, integers 0 .. 2^53 - 1; as {@link record} for each, and faster. @hot */
  recordAll(values: Float64Array, count: number): void {
    const bits = this.precisionBits;
    const counts = this.#counts;
    let min = this.#min;
    let max = this.#max;
    // Two addends below 2^52 add exactly; larger ones go to the exact sum at once.
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const value = values[i]!;
      const wide = value >= 4294967296;
      const word = wide ? (value * WIDE_SCALE) >>> 0 : value;
      const shift = 31 - bits - Math.clz32(word);
      const index = shift <= 0 ? word : ((wide ? shift + WIDE_SHIFT : shift) << bits) + (word >>> shift);
      counts[index]!++;
      if (value < min) min = value;
      if (value > max) max = value;
      if (value < HALF_RANGE) sum += value;
      else this.#sum.add(value);
      if (sum >= HALF_RANGE) {
        this.#sum.add(sum);
        sum = 0;
      }
    }
    this.#sum.add(sum);
    this.#count += count;
    this.#min = min;
    this.#max = max;
  }

  /** Adds what `state` counted; its precision may be higher than this one's, not lower. */
  add(state: HistogramState): void {
    assert(state.precisionBits >= this.precisionBits, 'a histogram cannot gain precision');
    if (state.count === 0) return;
    for (let i = 0; i < state.indices.length; i++) {
      const index = state.indices[i]!;
      const same = state.precisionBits === this.precisionBits;
      this.#counts[same ? index : bucketIndex(this.precisionBits, bucketLow(state.precisionBits, index))]! +=
        state.counts[i]!;
    }
    this.#count += state.count;
    this.#sum.merge(ExactSum.parse(state.sum));
    if (state.min < this.#min) this.#min = state.min;
    if (state.max > this.#max) this.#max = state.max;
  }

  /** Forgets everything recorded. */
  reset(): void {
    this.#counts.fill(0);
    this.#sum.low = 0;
    this.#sum.high = 0;
    this.#count = 0;
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = 0;
  }

  toState(): HistogramState {
    const indices: number[] = [];
    const counts: number[] = [];
    for (let index = 0; index < this.#counts.length; index++) {
      const count = this.#counts[index]!;
      if (count === 0) continue;
      indices.push(index);
      counts.push(count);
    }
    return {
      precisionBits: this.precisionBits,
      count: this.#count,
      min: this.min,
      max: this.#max,
      sum: this.#sum.toString(),
      indices,
      counts,
    };
  }
}

/** State of a histogram without records. */
export function emptyHistogram(precisionBits: number = DEFAULT_PRECISION_BITS): HistogramState {
  return { precisionBits, count: 0, min: 0, max: 0, sum: '0', indices: [], counts: [] };
}

/** Sum of histograms at the lowest precision among them; empty input gives an empty histogram. */
export function mergeHistograms(states: readonly HistogramState[]): HistogramState {
  if (states.length === 0) return emptyHistogram();
  const merged = new Histogram(states.reduce((bits, state) => Math.min(bits, state.precisionBits), 10));
  for (const state of states) merged.add(state);
  return merged.toState();
}

/**
 * Nearest-rank percentile as an integer: the smallest bucket bound that at least `ceil(quantile * count)` records do
 * not exceed. It is the bucket's highest value, clamped to the recorded maximum, so it is never below the exact
 * percentile and above it by less than `exact * 2^-precisionBits`. `quantile` 0 .. 1 is taken to 9 decimal digits so that
 * 0.07 of 100 records is 7 of them; 0 gives the minimum. An empty histogram gives 0.
 */
export function percentile(state: HistogramState, quantile: number): number {
  assert(quantile >= 0 && quantile <= 1, `not a quantile: ${quantile}`);
  if (state.count === 0) return 0;
  const parts = BigInt(Math.round(quantile * 1e9));
  const rank = Number((parts * BigInt(state.count) + 999_999_999n) / 1_000_000_000n);
  if (rank <= 1) return state.min;
  let seen = 0;
  for (let i = 0; i < state.indices.length; i++) {
    seen += state.counts[i]!;
    if (seen >= rank) return Math.min(bucketHigh(state.precisionBits, state.indices[i]!), state.max);
  }
  return state.max;
}

/** Mean of the exact values (not of bucket middles); 0 when empty. Presentation only. */
export function histogramMean(state: HistogramState): number {
  return state.count === 0 ? 0 : ExactSum.parse(state.sum).toNumber() / state.count;
}

/** Non-empty buckets in ascending order, for curves and exports. */
export function histogramBuckets(state: HistogramState): HistogramBucket[] {
  return state.indices.map((index, i) => ({
    low: bucketLow(state.precisionBits, index),
    high: bucketHigh(state.precisionBits, index),
    count: state.counts[i]!,
  }));
}

/** Bucket of a value, 0 .. 2^53 - 1. */
export function bucketIndex(precisionBits: number, value: number): number {
  const wide = value >= 4294967296;
  const word = wide ? (value * WIDE_SCALE) >>> 0 : value;
  const shift = 31 - precisionBits - Math.clz32(word);
  if (shift <= 0) return word;
  return ((wide ? shift + WIDE_SHIFT : shift) << precisionBits) + (word >>> shift);
}

/** Lowest value of a bucket. */
export function bucketLow(precisionBits: number, index: number): number {
  const shift = bucketShift(precisionBits, index);
  return (index - (shift << precisionBits)) * 2 ** shift;
}

/** Highest value of a bucket. */
export function bucketHigh(precisionBits: number, index: number): number {
  return bucketLow(precisionBits, index) + 2 ** bucketShift(precisionBits, index) - 1;
}

function bucketShift(precisionBits: number, index: number): number {
  return Math.max(0, (index >> precisionBits) - 1);
}
