/** Latency distributions: cumulative share, its zoomed tail, and DMA latency by device. */
import { type HistogramState, histogramBuckets } from '../../stats/histogram.ts';
import type { CaseData } from '../case-data.ts';
import { formatDuration } from '../format.ts';
import { distributionNs, nsFromPs } from '../quantities.ts';
import { devicesByLoad } from '../sections/latency.ts';
import { type Chart, DRAWN_LINE_POINTS, thin } from './chart.ts';
import { logAxis } from './log-axis.ts';

/** Devices that get a curve of their own. */
const MAX_DEVICE_CURVES = 6;

/** A logarithmic axis cannot show 0; a latency below this is drawn at it. */
const SMALLEST_SHOWN_NS = 0.1;

/** A distribution and what it is called. */
export interface Curve {
  readonly series: string;
  readonly state: HistogramState;
}

/** Charts of the latency section; none without DMA. */
export function latencyCurves(data: CaseData): Chart[] {
  if (data.dmaLatency.count === 0) return [];
  const curves = [
    { series: 'DMA', state: data.dmaLatency },
    { series: 'translation', state: data.translationLatency },
  ].filter(({ state }) => state.count > 0);
  const charts = [cumulativeChart('latency-cdf', 'Latency distribution', curves), tail(curves)];
  if (data.devices.length > 1) {
    const devices = devicesByLoad(data)
      .filter((device) => device.dmaLatency.count > 0)
      .slice(0, MAX_DEVICE_CURVES)
      .map((device) => ({ series: device.device, state: device.dmaLatency }));
    charts.push(cumulativeChart('latency-devices', 'DMA latency by device', devices));
  }
  return charts;
}

/** Cumulative share of requests, one line a curve. */
export function cumulativeChart(name: string, title: string, curves: readonly Curve[]): Chart {
  const rows = curves.flatMap(({ series, state }) =>
    points(state).map(([latency, below]) => ({ series, latency_ns: latency, share: below / state.count })),
  );
  const axis = latencyAxis(rows);
  return {
    name,
    template: 'latency-cdf',
    title,
    description: `Cumulative share of requests by latency. ${curves.map(describe).join(' ')}`,
    columns: ['series', 'latency_ns', 'share'],
    rows,
    span: 'half',
    heightPx: 260,
    params: { latencyMin: axis.min, latencyMax: axis.max, latencyTicks: axis.ticks },
  };
}

function tail(curves: readonly Curve[]): Chart {
  const rows = curves.flatMap(({ series, state }) =>
    points(state)
      .filter(([, below]) => below < state.count)
      .map(([latency, below]) => ({ series, latency_ns: latency, slower_share: (state.count - below) / state.count })),
  );
  const axis = latencyAxis(rows);
  const shares = rows.map((row) => row.slower_share);
  const share = logAxis(Math.min(1, ...shares), 1);
  return {
    name: 'latency-tail',
    template: 'latency-tail',
    title: 'Latency tail',
    description: `Share of requests slower than a latency, on a logarithmic scale. ${curves.map(describe).join(' ')}`,
    columns: ['series', 'latency_ns', 'slower_share'],
    rows,
    span: 'half',
    heightPx: 260,
    params: {
      latencyMin: axis.min,
      latencyMax: axis.max,
      latencyTicks: axis.ticks,
      shareMin: share.min,
      shareTicks: share.ticks.filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e6) / 1e6)),
    },
  };
}

/** [ns] and the number of requests at or below it, thinned for drawing. */
function points(state: HistogramState): [number, number][] {
  let below = 0;
  const all = histogramBuckets(state).map(({ high, count }): [number, number] => {
    below += count;
    return [Math.max(SMALLEST_SHOWN_NS, nsFromPs(Math.min(high, state.max))), below];
  });
  const start: [number, number] = [Math.max(SMALLEST_SHOWN_NS, nsFromPs(state.min)), 0];
  return thin([start, ...all], DRAWN_LINE_POINTS);
}

function latencyAxis(rows: readonly { readonly latency_ns: number }[]) {
  const values = rows.map((row) => row.latency_ns);
  return values.length === 0 ? logAxis(1, 10) : logAxis(Math.min(...values), Math.max(...values));
}

function describe({ series, state }: Curve): string {
  const { p50, p99, max } = distributionNs(state);
  return `${series}: half within ${formatDuration(p50)}, 99 % within ${formatDuration(p99)}, slowest ${formatDuration(max)}.`;
}
