/** Latency, outcomes and page sizes by device. Faulted requests are counted and stay out of the histograms. */
import { type DmaColumns, DmaFlag, DmaOutcome, type ResultColumns } from '../../hw/unit.ts';
import { DEFAULT_PRECISION_BITS, Histogram, mergeHistograms } from '../../stats/histogram.ts';
import type { DeviceLatency, DeviceOutcomes } from '../protocol.ts';
import type { Analysis, AnalysisContext } from './analysis.ts';

/** With more devices than this the histograms are coarser (3 % instead of 0.8 %), so that memory stays bounded. */
const FINE_DEVICES = 64;
const COARSE_PRECISION_BITS = 5;

/** What is counted for one device. */
class DeviceCounts {
  readonly dmaLatency: Histogram;
  readonly translationLatency: Histogram;
  reads = 0;
  writes = 0;
  bytes = 0;
  walkReads = 0;
  /** By {@link DmaOutcome}. */
  readonly outcomes = new Float64Array(6);
  /** By log2 of the page size. */
  readonly pageShifts = new Float64Array(64);

  constructor(precisionBits: number) {
    this.dmaLatency = new Histogram(precisionBits);
    this.translationLatency = new Histogram(precisionBits);
  }
}

/** State of {@link latency}: devices appear with their first row. */
export interface LatencyState {
  readonly context: AnalysisContext;
  readonly precisionBits: number;
  readonly devices: (DeviceCounts | undefined)[];
  /** [ps] Latencies of the run being counted. */
  dmaTicks: Float64Array;
  translationTicks: Float64Array;
}

/** Counts rows `from` .. `to`-1, which are all of one device. @hot */
function countRun(
  state: LatencyState,
  counts: DeviceCounts,
  input: DmaColumns,
  results: ResultColumns,
  from: number,
  to: number,
): void {
  if (state.dmaTicks.length < to - from) {
    state.dmaTicks = new Float64Array(to - from);
    state.translationTicks = new Float64Array(to - from);
  }
  const { dmaTicks, translationTicks } = state;
  const { outcomes, pageShifts } = counts;
  const { flags, bytes } = input;
  const { issueTick, arriveTick, readyTick, doneTick, outcome, walkReads, pageShift } = results;
  let writes = 0;
  let bytesMoved = 0;
  let reads = 0;
  let good = 0;
  for (let row = from; row < to; row++) {
    const flag = flags[row]!;
    writes += flag & DmaFlag.write;
    reads += walkReads[row]!;
    const fate = outcome[row]!;
    outcomes[fate]!++;
    if (fate === DmaOutcome.fault) continue;
    if ((flag & DmaFlag.translationRequest) === 0) bytesMoved += bytes[row]!;
    pageShifts[pageShift[row]!]!++;
    dmaTicks[good] = doneTick[row]! - issueTick[row]!;
    translationTicks[good] = readyTick[row]! - arriveTick[row]!;
    good++;
  }
  counts.writes += writes;
  counts.reads += to - from - writes;
  counts.bytes += bytesMoved;
  counts.walkReads += reads;
  counts.dmaLatency.recordAll(dmaTicks, good);
  counts.translationLatency.recordAll(translationTicks, good);
}

function countsOf(state: LatencyState, device: number): DeviceCounts {
  let counts = state.devices[device];
  if (counts === undefined) {
    counts = new DeviceCounts(state.precisionBits);
    state.devices[device] = counts;
  }
  return counts;
}

/** Per-device latency; devices in topology order. */
export const latency: Analysis<LatencyState, DeviceLatency[]> = {
  init: (context) => ({
    context,
    precisionBits: context.devices.length > FINE_DEVICES ? COARSE_PRECISION_BITS : DEFAULT_PRECISION_BITS,
    devices: [],
    dmaTicks: new Float64Array(0),
    translationTicks: new Float64Array(0),
  }),

  onDmaBatch(state, input, results) {
    const { device } = input;
    let from = 0;
    while (from < input.rowCount) {
      const index = device[from]!;
      let to = from + 1;
      while (to < input.rowCount && device[to] === index) to++;
      countRun(state, countsOf(state, index), input, results, from, to);
      from = to;
    }
  },

  finish: (state) =>
    state.devices.flatMap((counts, index) => {
      const device = state.context.devices[index];
      return counts === undefined || device === undefined ? [] : [snapshot(device.name, counts)];
    }),

  merge: (a, b) => {
    const merged = new Map(a.map((device) => [device.device, device]));
    for (const device of b) {
      const known = merged.get(device.device);
      merged.set(device.device, known === undefined ? device : mergeDevice(known, device));
    }
    return [...merged.values()].sort((x, y) => (x.device < y.device ? -1 : 1));
  },
};

function snapshot(name: string, counts: DeviceCounts): DeviceLatency {
  const { outcomes } = counts;
  const pageShifts: Record<string, number> = {};
  for (let shift = 1; shift < counts.pageShifts.length; shift++) {
    if (counts.pageShifts[shift]! > 0) pageShifts[String(shift)] = counts.pageShifts[shift]!;
  }
  return {
    device: name,
    reads: counts.reads,
    writes: counts.writes,
    bytes: counts.bytes,
    faults: outcomes[DmaOutcome.fault]!,
    dmaLatency: counts.dmaLatency.toState(),
    translationLatency: counts.translationLatency.toState(),
    outcomes: {
      // First, so that this object does not share its hidden class with DmaOutcome, whose values must stay constants to
      // the compiler: filling such an object with doubles would deoptimise every loop that names an outcome.
      walkReads: counts.walkReads,
      hit: outcomes[DmaOutcome.hit]!,
      miss: outcomes[DmaOutcome.miss]!,
      mergedMiss: outcomes[DmaOutcome.mergedMiss]!,
      passThrough: outcomes[DmaOutcome.passThrough]!,
      ...(outcomes[DmaOutcome.deviceHit]! > 0 ? { deviceHit: outcomes[DmaOutcome.deviceHit]! } : {}),
    },
    pageShifts,
  };
}

function mergeDevice(a: DeviceLatency, b: DeviceLatency): DeviceLatency {
  return {
    device: a.device,
    reads: a.reads + b.reads,
    writes: a.writes + b.writes,
    bytes: a.bytes + b.bytes,
    faults: a.faults + b.faults,
    dmaLatency: mergeHistograms([a.dmaLatency, b.dmaLatency]),
    translationLatency: mergeHistograms([a.translationLatency, b.translationLatency]),
    outcomes: mergeOutcomes(a.outcomes, b.outcomes),
    pageShifts: addCounters(a.pageShifts ?? {}, b.pageShifts ?? {}),
  };
}

function mergeOutcomes(a: DeviceOutcomes | undefined, b: DeviceOutcomes | undefined): DeviceOutcomes | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    walkReads: a.walkReads + b.walkReads,
    hit: a.hit + b.hit,
    miss: a.miss + b.miss,
    mergedMiss: a.mergedMiss + b.mergedMiss,
    passThrough: a.passThrough + b.passThrough,
    ...(a.deviceHit === undefined && b.deviceHit === undefined
      ? {}
      : { deviceHit: (a.deviceHit ?? 0) + (b.deviceHit ?? 0) }),
  };
}

/** Sum of two records of counters; keys of both, in code-unit order. */
export function addCounters(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return Object.fromEntries(keys.map((key) => [key, (a[key] ?? 0) + (b[key] ?? 0)]));
}
