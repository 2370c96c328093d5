/** Latency, outcomes and page sizes by device. Faulted requests are counted and stay out of the histograms. */
import { DmaFlag, DmaOutcome } from '../../hw/unit.ts';
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
  readonly outcomes = new Float64Array(5);
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
  }),

  onDmaBatch(state, input, results) {
    const { device, flags, bytes } = input;
    const { issueTick, arriveTick, readyTick, doneTick, outcome, walkReads, pageShift } = results;
    let current = -1;
    let counts = countsOf(state, device[0]!);
    for (let row = 0; row < input.rowCount; row++) {
      if (device[row] !== current) {
        current = device[row]!;
        counts = countsOf(state, current);
      }
      if ((flags[row]! & DmaFlag.write) !== 0) counts.writes++;
      else counts.reads++;
      const fate = outcome[row]!;
      counts.outcomes[fate]!++;
      counts.walkReads += walkReads[row]!;
      if (fate === DmaOutcome.fault) continue;
      if ((flags[row]! & DmaFlag.translationRequest) === 0) counts.bytes += bytes[row]!;
      counts.pageShifts[pageShift[row]!]!++;
      counts.dmaLatency.record(doneTick[row]! - issueTick[row]!);
      counts.translationLatency.record(readyTick[row]! - arriveTick[row]!);
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
      hit: outcomes[DmaOutcome.hit]!,
      miss: outcomes[DmaOutcome.miss]!,
      mergedMiss: outcomes[DmaOutcome.mergedMiss]!,
      passThrough: outcomes[DmaOutcome.passThrough]!,
      walkReads: counts.walkReads,
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
    hit: a.hit + b.hit,
    miss: a.miss + b.miss,
    mergedMiss: a.mergedMiss + b.mergedMiss,
    passThrough: a.passThrough + b.passThrough,
    walkReads: a.walkReads + b.walkReads,
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
