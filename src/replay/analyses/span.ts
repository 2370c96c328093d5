/** From the first issue to the last completion. */
import type { Analysis } from './analysis.ts';

/** [ps] Since the origin; `last` below `first` when there was no DMA. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

/** State of {@link span}: absolute ticks. */
export interface SpanState {
  readonly originTick: number;
  first: number;
  last: number;
}

/** Span of the DMA of a job. */
export const span: Analysis<SpanState, Span> = {
  init: ({ originTick }) => ({ originTick, first: Number.MAX_SAFE_INTEGER, last: 0 }),

  onDmaBatch(state, input, results) {
    const { issueTick, doneTick } = results;
    for (let row = 0; row < input.rowCount; row++) {
      if (issueTick[row]! < state.first) state.first = issueTick[row]!;
      if (doneTick[row]! > state.last) state.last = doneTick[row]!;
    }
  },

  finish: ({ originTick, first, last }) => ({ first: first - originTick, last: last - originTick }),

  merge: (a, b) => ({ first: Math.min(a.first, b.first), last: Math.max(a.last, b.last) }),
};
