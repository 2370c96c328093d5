/**
 * DMA latency histograms by time of completion, for percentile bands. As in a series, neighbouring bins are added and
 * the width doubles when a run outgrows the bins, so the result does not depend on the order of rows.
 */
import { DmaOutcome } from '../../hw/unit.ts';
import { emptyHistogram, Histogram, type HistogramState, mergeHistograms } from '../../stats/histogram.ts';
import type { JobResult } from '../protocol.ts';
import type { Analysis } from './analysis.ts';

/** [ps] Narrowest bin: 10 us. */
const BASE_WIDTH_PS = 10_000_000;
const MAX_BINS = 128;
/** Bucket width 6 %: a band in a chart needs no more. */
const PRECISION_BITS = 4;

type LatencyOverTime = JobResult['latencyOverTime'];

/** State of {@link latencyOverTime}. */
export class LatencyBins {
  readonly originTick: number;
  binPs = BASE_WIDTH_PS;
  bins: Histogram[] = [];
  /** [ps] Latencies of the bin being filled. */
  ticks = new Float64Array(0);

  constructor(originTick: number) {
    this.originTick = originTick;
  }

  /** The histogram of the bin that holds `deltaTicks` [ps] since the origin. */
  at(deltaTicks: number): Histogram {
    while (deltaTicks >= this.binPs * MAX_BINS) this.#coarsen();
    const bin = Math.floor(deltaTicks / this.binPs);
    while (this.bins.length <= bin) this.bins.push(new Histogram(PRECISION_BITS));
    return this.bins[bin]!;
  }

  #coarsen(): void {
    const merged: Histogram[] = [];
    for (let bin = 0; bin < this.bins.length; bin += 2) {
      const left = this.bins[bin]!;
      const right = this.bins[bin + 1];
      if (right !== undefined && right.count > 0) left.add(right.toState());
      merged.push(left);
    }
    this.bins = merged;
    this.binPs *= 2;
  }
}

/** Latency bands over time. */
export const latencyOverTime: Analysis<LatencyBins, LatencyOverTime> = {
  init: ({ originTick }) => new LatencyBins(originTick),

  onDmaBatch(state, input, results) {
    if (state.ticks.length < input.rowCount) state.ticks = new Float64Array(input.rowCount);
    const { ticks, originTick } = state;
    const { issueTick, doneTick, outcome } = results;
    let bin: Histogram | undefined;
    let binStart = 0;
    let binEnd = 0;
    let held = 0;
    for (let row = 0; row < input.rowCount; row++) {
      if (outcome[row] === DmaOutcome.fault) continue;
      const tick = doneTick[row]!;
      if (tick < binStart || tick >= binEnd) {
        bin?.recordAll(ticks, held);
        held = 0;
        bin = state.at(tick - originTick);
        binStart = originTick + Math.floor((tick - originTick) / state.binPs) * state.binPs;
        binEnd = binStart + state.binPs;
      }
      ticks[held++] = tick - issueTick[row]!;
    }
    bin?.recordAll(ticks, held);
  },

  finish: (state) => ({ binPs: state.binPs, bins: state.bins.map((bin) => bin.toState()) }),

  merge: (a, b) => {
    let [narrow, wide] = a.binPs <= b.binPs ? [a, b] : [b, a];
    while (narrow.binPs < wide.binPs) narrow = coarsen(narrow);
    const length = Math.max(narrow.bins.length, wide.bins.length);
    const bins: HistogramState[] = [];
    for (let bin = 0; bin < length; bin++) {
      bins.push(mergeHistograms([narrow.bins[bin] ?? emptyBin(), wide.bins[bin] ?? emptyBin()]));
    }
    return { binPs: wide.binPs, bins };
  },
};

function coarsen(bands: LatencyOverTime): LatencyOverTime {
  const bins: HistogramState[] = [];
  for (let bin = 0; bin < bands.bins.length; bin += 2) {
    bins.push(mergeHistograms([bands.bins[bin]!, bands.bins[bin + 1] ?? emptyBin()]));
  }
  return { binPs: bands.binPs * 2, bins };
}

function emptyBin(): HistogramState {
  return emptyHistogram(PRECISION_BITS);
}
