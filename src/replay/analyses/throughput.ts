/** Bytes of completed DMA over time, by completion. */
import { DmaFlag, DmaOutcome } from '../../hw/unit.ts';
import { mergeSeries, Series, type SeriesState } from '../../stats/series.ts';
import type { Analysis } from './analysis.ts';

/** [ps] Narrowest bin: 1 us. */
const BASE_WIDTH_PS = 1_000_000;
const MAX_BINS = 1024;

/** State of {@link throughput}. */
export interface ThroughputState {
  readonly originTick: number;
  readonly series: Series;
}

/** [bytes] per time bin. */
export const throughput: Analysis<ThroughputState, SeriesState> = {
  init: ({ originTick }) => ({ originTick, series: new Series(BASE_WIDTH_PS, MAX_BINS) }),

  onDmaBatch({ originTick, series }, input, results) {
    const { bytes, flags } = input;
    const { doneTick, outcome } = results;
    for (let row = 0; row < input.rowCount; row++) {
      if (outcome[row] === DmaOutcome.fault || (flags[row]! & DmaFlag.translationRequest) !== 0) continue;
      series.add(doneTick[row]! - originTick, bytes[row]!);
    }
  },

  finish: ({ series }) => series.toState(),

  merge: (a, b) => mergeSeries([a, b]),
};
