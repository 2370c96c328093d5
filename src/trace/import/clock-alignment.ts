/**
 * Finds the offset between two clocks from events that both sides recorded. Equal events recur (IOVAs are reused, domain
 * flushes are all alike), so the offset is where the differences of all equal pairs lie densest.
 */

/** One side of a pair: a time and what must be equal. */
export interface ClockSample {
  /** [ns] */
  readonly timeNs: number;
  readonly key: string | number;
}

/** A found offset. */
export interface ClockOffset {
  /** [ns] Later clock minus earlier clock. */
  readonly offsetNs: number;
  /** Pairs that lie within the densest window. */
  readonly pairs: number;
  /** Samples of the smaller side. */
  readonly samples: number;
}

/** [ns] Width within which differences count as one: twice the 10 µs to which such clocks were seen to agree. */
const WINDOW_NS = 20_000;
/** Pairs looked at, at most; beyond, every n-th sample of the first side is used. Bounds time and memory. */
const MAX_PAIRS = 200_000;

const NO_TIMES: readonly number[] = [];

/**
 * Offset that, added to `earlier` times, meets most `later` times of equal key; undefined when no keys are equal. The
 * offset is the median of the densest window.
 */
export function alignClocks(earlier: readonly ClockSample[], later: readonly ClockSample[]): ClockOffset | undefined {
  const timesByKey = new Map<string | number, number[]>();
  for (const sample of later) {
    const times = timesByKey.get(sample.key);
    if (times === undefined) timesByKey.set(sample.key, [sample.timeNs]);
    else times.push(sample.timeNs);
  }
  let pairCount = 0;
  for (const sample of earlier) pairCount += timesByKey.get(sample.key)?.length ?? 0;
  if (pairCount === 0) return undefined;
  const stride = Math.ceil(pairCount / MAX_PAIRS);
  const differences = new Float64Array(pairCount);
  let used = 0;
  for (let index = 0; index < earlier.length; index += stride) {
    const sample = earlier[index] as ClockSample;
    const times = timesByKey.get(sample.key) ?? NO_TIMES;
    for (let at = 0; at < times.length; at++) differences[used++] = times[at]! - sample.timeNs;
  }
  const sorted = differences.subarray(0, used).sort();
  const { first, last } = densestWindow(sorted);
  return {
    offsetNs: sorted[(first + last) >> 1] as number,
    pairs: last - first + 1,
    samples: Math.min(earlier.length, later.length),
  };
}

function densestWindow(sorted: Float64Array): { first: number; last: number } {
  let best = { first: 0, last: 0 };
  let first = 0;
  for (let last = 0; last < sorted.length; last++) {
    while ((sorted[last] as number) - (sorted[first] as number) > WINDOW_NS) first++;
    if (last - first > best.last - best.first) best = { first, last };
  }
  return best;
}
