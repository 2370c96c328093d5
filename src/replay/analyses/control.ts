/** Control plane: durations by op, where the time went, markers, and results that differ from the recorded ones. */
import { errnoName } from '../../errno.ts';
import { addAccount, emptyAccount, type TimeAccount } from '../../stack/kernel/scheduler.ts';
import { Histogram, type HistogramState, mergeHistograms } from '../../stats/histogram.ts';
import { RESULT_UNKNOWN } from '../../trace/schema/control-stream.ts';
import type { ControlCall } from '../control-call.ts';
import type { ControlMarker, Divergence } from '../protocol.ts';
import type { Analysis, AnalysisContext } from './analysis.ts';

/** Markers and divergences kept; the rest are counted. */
const MAX_MARKERS = 1000;
const MAX_DIVERGENCES = 100;

/** Calls that are the load itself: frequent, and no marker each. */
const BULK_OPS: ReadonlySet<string> = new Set([
  'dma_map',
  'dma_unmap',
  'dma_alloc',
  'dma_free',
  'IOMMU_IOAS_MAP',
  'IOMMU_IOAS_UNMAP',
  'VFIO_IOMMU_MAP_DMA',
  'VFIO_IOMMU_UNMAP_DMA',
  'vfio_pin_pages',
  'vfio_unpin_pages',
  'vfio_dma_rw',
]);

/** State of {@link control}. */
export interface ControlState {
  readonly context: AnalysisContext;
  readonly latency: Map<string, Histogram>;
  readonly account: TimeAccount;
  /** [ps] In calls, by CPU: calls of one CPU follow each other. */
  readonly byCpu: Map<number, number>;
  /** [ps] Start of the first call and end of the last, since the origin. */
  firstTick: number;
  lastTick: number;
  readonly markers: ControlMarker[];
  markersOmitted: number;
  compared: number;
  divergenceCount: number;
  readonly divergences: Divergence[];
}

/** What the control plane has to say. */
export interface ControlSnapshot {
  readonly latency: Readonly<Record<string, HistogramState>>;
  readonly account: TimeAccount;
  /** [ps] In calls, of the CPU that was in calls longest. */
  readonly busiestCpuTicks: number;
  /** [ps] Start of the first call and end of the last, since the origin; last below first without calls. */
  readonly firstTick: number;
  readonly lastTick: number;
  readonly markers: readonly ControlMarker[];
  readonly markersOmitted: number;
  readonly divergences: { readonly compared: number; readonly count: number; readonly first: readonly Divergence[] };
}

/** Control-plane analysis. */
export const control: Analysis<ControlState, ControlSnapshot> = {
  init: (context) => ({
    context,
    latency: new Map(),
    account: emptyAccount(),
    byCpu: new Map(),
    firstTick: Number.MAX_SAFE_INTEGER,
    lastTick: 0,
    markers: [],
    markersOmitted: 0,
    compared: 0,
    divergenceCount: 0,
    divergences: [],
  }),

  onControlCall(state, call) {
    if (!BULK_OPS.has(call.op)) mark(state, call);
    if (call.skipped) return;
    let histogram = state.latency.get(call.op);
    if (histogram === undefined) {
      // Calls are few kinds and many: 3 % buckets keep twenty kinds below a quarter of a MiB.
      histogram = new Histogram(5);
      state.latency.set(call.op, histogram);
    }
    histogram.record(call.endTick - call.startTick);
    state.byCpu.set(call.cpu, (state.byCpu.get(call.cpu) ?? 0) + call.endTick - call.startTick);
    state.firstTick = Math.min(state.firstTick, call.startTick - state.context.originTick);
    state.lastTick = Math.max(state.lastTick, call.endTick - state.context.originTick);
    addAccount(state.account, call.account);
    if (call.recordedResult === RESULT_UNKNOWN) return;
    state.compared++;
    if (sameResult(call.recordedResult, call.result)) return;
    state.divergenceCount++;
    if (state.divergences.length >= MAX_DIVERGENCES) return;
    const recorded = formatResult(call.recordedResult);
    state.divergences.push({ controlRow: call.row, op: call.op, recorded, modelled: formatResult(call.result) });
  },

  finish: (state) => ({
    latency: Object.fromEntries(
      [...state.latency.entries()]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([op, histogram]) => [op, histogram.toState()]),
    ),
    account: state.account,
    busiestCpuTicks: Math.max(0, ...state.byCpu.values()),
    firstTick: state.firstTick,
    lastTick: state.lastTick,
    markers: [...state.markers].sort(byTime),
    markersOmitted: state.markersOmitted,
    divergences: {
      compared: state.compared,
      count: state.divergenceCount,
      first: [...state.divergences].sort((a, b) => a.controlRow - b.controlRow),
    },
  }),

  merge: (a, b) => {
    const ops = [...new Set([...Object.keys(a.latency), ...Object.keys(b.latency)])].sort();
    const account = { ...a.account };
    addAccount(account, b.account);
    const markers = [...a.markers, ...b.markers].sort(byTime);
    const divergences = [...a.divergences.first, ...b.divergences.first].sort((x, y) => x.controlRow - y.controlRow);
    return {
      latency: Object.fromEntries(
        ops.map((op) => [op, mergeHistograms([a.latency[op], b.latency[op]].filter((state) => state !== undefined))]),
      ),
      account,
      busiestCpuTicks: Math.max(a.busiestCpuTicks, b.busiestCpuTicks),
      firstTick: Math.min(a.firstTick, b.firstTick),
      lastTick: Math.max(a.lastTick, b.lastTick),
      markers: markers.slice(0, MAX_MARKERS),
      markersOmitted: a.markersOmitted + b.markersOmitted + Math.max(0, markers.length - MAX_MARKERS),
      divergences: {
        compared: a.divergences.compared + b.divergences.compared,
        count: a.divergences.count + b.divergences.count,
        first: divergences.slice(0, MAX_DIVERGENCES),
      },
    };
  },
};

function mark(state: ControlState, call: ControlCall): void {
  if (state.markers.length >= MAX_MARKERS) {
    state.markersOmitted++;
    return;
  }
  const { originTick, devices } = state.context;
  state.markers.push({
    startTick: call.startTick - originTick,
    endTick: call.endTick - originTick,
    op: call.op,
    device: devices[call.device]?.name ?? '',
    ...(call.text === '' ? {} : { text: call.text }),
  });
}

/** Success values (descriptors, ids) are the recorder's own; failures must have the same errno. */
function sameResult(recorded: number, modelled: number): boolean {
  return recorded >= 0 ? modelled >= 0 : recorded === modelled;
}

function formatResult(result: number): string {
  return result < 0 ? `-${errnoName(result)}` : String(result);
}

function byTime(a: ControlMarker, b: ControlMarker): number {
  if (a.startTick !== b.startTick) return a.startTick - b.startTick;
  if (a.endTick !== b.endTick) return a.endTick - b.endTick;
  return a.op < b.op ? -1 : a.op > b.op ? 1 : 0;
}
