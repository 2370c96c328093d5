/** Throughput over time with domain changes, and control-plane calls over the same axis. */
import type { CaseData } from '../case-data.ts';
import { formatByteRate, formatCount, formatDuration } from '../format.ts';
import { nsFromPs, perSecond } from '../quantities.ts';
import { CONTROL_CLASSES, controlClass, shortOpName } from '../sections/control-class.ts';
import { binStride, type Chart, type ChartRow, DRAWN_LINE_POINTS } from './chart.ts';

/** Domain changes drawn as rules; more would hide the curve. */
const MAX_RULES = 100;

/** Bins of the bar chart of calls. */
const ACTIVITY_BINS = 120;

/** The charts; none without DMA or control-plane calls. */
export function timelineCharts(data: CaseData): Chart[] {
  return [...throughput(data), ...activity(data)];
}

function throughput(data: CaseData): Chart[] {
  const { binWidthPs, bins } = data.throughput;
  if (bins.length === 0) return [];
  const stride = binStride(bins.length, DRAWN_LINE_POINTS);
  const binNs = nsFromPs(binWidthPs * stride);
  const rows: ChartRow[] = [];
  let peak = 0;
  for (let start = 0; start < bins.length; start += stride) {
    const bytes = bins.slice(start, start + stride).reduce((sum, value) => sum + value, 0);
    const rate = perSecond(bytes, binNs) ?? 0;
    peak = Math.max(peak, rate);
    rows.push({ kind: 'throughput', time_ns: (start / stride) * binNs, bytes_per_s: rate, op: null });
  }
  rows.push({ kind: 'throughput', time_ns: rows.length * binNs, bytes_per_s: 0, op: null });
  const changes = data.markers.filter((marker) => controlClass(marker.op) === 'domain change').slice(0, MAX_RULES);
  for (const marker of changes) {
    rows.push({
      kind: 'domain change',
      time_ns: nsFromPs(marker.startTick),
      bytes_per_s: null,
      op: shortOpName(marker.op),
    });
  }
  return [
    {
      name: 'throughput',
      template: 'throughput',
      title: 'Throughput and domain changes',
      description:
        `Bytes of completed DMA per second in bins of ${formatDuration(binNs)}; the peak is ${formatByteRate(peak)}. ` +
        `${formatCount(changes.length)} attach, detach or replace calls are marked.`,
      columns: ['kind', 'time_ns', 'bytes_per_s', 'op'],
      rows,
      span: 'full',
      heightPx: 240,
      params: { endNs: endNs(data) },
    },
  ];
}

function activity(data: CaseData): Chart[] {
  if (data.markers.length === 0) return [];
  const end = endNs(data);
  const binNs = end / ACTIVITY_BINS;
  const counts = new Map<string, number>();
  for (const marker of data.markers) {
    const bin = Math.min(ACTIVITY_BINS - 1, Math.floor(nsFromPs(marker.startTick) / binNs));
    const key = `${controlClass(marker.op)}\n${bin}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const rows = CONTROL_CLASSES.flatMap((name) =>
    Array.from({ length: ACTIVITY_BINS }, (_, bin) => ({
      class: name,
      time_ns: bin * binNs,
      end_ns: (bin + 1) * binNs,
      calls: counts.get(`${name}\n${bin}`) ?? 0,
    })).filter((row) => row.calls > 0),
  );
  const used = CONTROL_CLASSES.filter((name) => rows.some((row) => row.class === name));
  const omitted = data.markersOmitted === 0 ? '' : ` ${formatCount(data.markersOmitted)} later ones are not drawn.`;
  return [
    {
      name: 'control-activity',
      template: 'control-activity',
      title: 'Marked control-plane calls',
      description: `Marked calls by kind in bins of ${formatDuration(binNs)}, ${formatCount(data.markers.length)} in all.${omitted}`,
      columns: ['class', 'time_ns', 'end_ns', 'calls'],
      rows,
      span: 'full',
      heightPx: 140,
      params: { endNs: end, classes: used },
    },
  ];
}

/** [ns] Common end of both time axes. */
function endNs(data: CaseData): number {
  const lastBin = nsFromPs(data.throughput.binWidthPs * data.throughput.bins.length);
  return data.markers.reduce((end, marker) => Math.max(end, nsFromPs(marker.endTick)), Math.max(lastBin, 1));
}
