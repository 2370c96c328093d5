/**
 * What a report chapter is about: all shards of one workload under one hardware profile, kernel profile and pacing,
 * folded with integer arithmetic. Shards are closed worlds on a common time origin, so bins and markers line up.
 */
import type {
  ControlMarker,
  DeviceLatency,
  DeviceOutcomes,
  DeviceTlbResult,
  FaultGroup,
  InvalidationStats,
  JobResult,
  Pacing,
  RunResult,
  TimeBreakdown,
  WorkloadIdentity,
} from '../replay/protocol.ts';
import { scenarioName } from '../replay/scenario.ts';
import { type HistogramState, mergeHistograms } from '../stats/histogram.ts';
import { mergeSeries, type SeriesState } from '../stats/series.ts';
import { compareText, sumRecords } from './quantities.ts';

/** One chapter's integers. */
export interface CaseData {
  readonly key: string;
  readonly workload: string;
  readonly identity: WorkloadIdentity | undefined;
  readonly hardwareProfile: string;
  readonly kernelProfile: string;
  readonly pacing: Pacing;
  readonly scenario: string;
  readonly shards: number;
  readonly dmaRows: number;
  readonly controlRows: number;
  /** [ps] Longest of the shards, which run side by side. */
  readonly spanPs: number;
  readonly devices: readonly DeviceLatency[];
  readonly dmaLatency: HistogramState;
  readonly translationLatency: HistogramState;
  readonly time: TimeBreakdown;
  readonly counters: JobResult['counters'];
  readonly invalidation: InvalidationStats;
  readonly deviceTlb: DeviceTlbResult | undefined;
  readonly throughput: SeriesState;
  readonly latencyOverTime: JobResult['latencyOverTime'];
  readonly controlLatency: JobResult['controlLatency'];
  readonly markers: readonly ControlMarker[];
  readonly markersOmitted: number;
  readonly faults: readonly FaultGroup[];
  readonly divergences: JobResult['divergences'];
  readonly diagnostics: Readonly<Record<string, number>>;
}

/** Folds the jobs of a run into cases, in the order of their keys. */
export function collectCases(run: Pick<RunResult, 'jobs' | 'workloads'>): CaseData[] {
  const groups = new Map<string, JobResult[]>();
  for (const job of run.jobs) {
    const key = `${job.workload}/${job.hardwareProfile}/${job.kernelProfile}/${scenarioName(job)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [job]);
    else group.push(job);
  }
  return [...groups]
    .sort(([a], [b]) => compareText(a, b))
    .map(([key, jobs]) => foldCase(key, jobs as [JobResult, ...JobResult[]], run.workloads));
}

function foldCase(
  key: string,
  jobs: readonly [JobResult, ...JobResult[]],
  workloads: readonly WorkloadIdentity[],
): CaseData {
  const first = jobs[0];
  const total = (pick: (job: JobResult) => number) => jobs.reduce((sum, job) => sum + pick(job), 0);
  const devices = foldDevices(jobs.flatMap((job) => job.devices));
  return {
    key,
    workload: first.workload,
    identity: workloads.find((workload) => workload.name === first.workload),
    hardwareProfile: first.hardwareProfile,
    kernelProfile: first.kernelProfile,
    pacing: first.pacing,
    scenario: scenarioName(first),
    shards: jobs.length,
    dmaRows: total((job) => job.dmaRows),
    controlRows: total((job) => job.controlRows),
    spanPs: Math.max(...jobs.map((job) => job.spanPs)),
    devices,
    dmaLatency: mergeHistograms(devices.map((device) => device.dmaLatency)),
    translationLatency: mergeHistograms(devices.map((device) => device.translationLatency)),
    time: foldTime(jobs.map((job) => job.time)),
    counters: foldNested(jobs.map((job) => job.counters)),
    invalidation: foldInvalidation(jobs.map((job) => job.invalidation)),
    deviceTlb: foldDeviceTlbs(jobs.map((job) => job.deviceTlb)),
    throughput: mergeSeries(jobs.map((job) => job.throughput) as [SeriesState, ...SeriesState[]]),
    latencyOverTime: foldLatencyOverTime(jobs.map((job) => job.latencyOverTime)),
    controlLatency: foldHistograms(jobs.map((job) => job.controlLatency)),
    markers: jobs
      .flatMap((job) => job.markers)
      .sort((a, b) => a.startTick - b.startTick || a.endTick - b.endTick || compareText(a.op, b.op)),
    markersOmitted: total((job) => job.markersOmitted),
    faults: jobs
      .flatMap((job) => job.faults)
      .sort((a, b) => compareText(a.device, b.device) || a.reason - b.reason || a.firstTick - b.firstTick),
    divergences: {
      compared: total((job) => job.divergences.compared),
      count: total((job) => job.divergences.count),
      first: jobs.flatMap((job) => job.divergences.first).sort((a, b) => a.controlRow - b.controlRow),
    },
    diagnostics: sumRecords(jobs.map((job) => job.diagnostics)),
  };
}

function foldDevices(parts: readonly DeviceLatency[]): DeviceLatency[] {
  const names = [...new Set(parts.map((part) => part.device))].sort(compareText);
  return names.map((device) => {
    const own = parts.filter((part) => part.device === device);
    const total = (pick: (part: DeviceLatency) => number) => own.reduce((sum, part) => sum + pick(part), 0);
    return {
      device,
      reads: total((part) => part.reads),
      writes: total((part) => part.writes),
      bytes: total((part) => part.bytes),
      faults: total((part) => part.faults),
      dmaLatency: mergeHistograms(own.map((part) => part.dmaLatency)),
      translationLatency: mergeHistograms(own.map((part) => part.translationLatency)),
      outcomes: foldOutcomes(own.map((part) => part.outcomes)),
      pageShifts: sumRecords(own.map((part) => part.pageShifts ?? {})),
    };
  });
}

function foldOutcomes(parts: readonly (DeviceOutcomes | undefined)[]): DeviceOutcomes | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length === 0) return undefined;
  const total = (pick: (part: DeviceOutcomes) => number) => known.reduce((sum, part) => sum + pick(part), 0);
  return {
    hit: total((part) => part.hit),
    miss: total((part) => part.miss),
    mergedMiss: total((part) => part.mergedMiss),
    passThrough: total((part) => part.passThrough),
    ...(known.every(({ deviceHit }) => deviceHit === undefined)
      ? {}
      : { deviceHit: total((part) => part.deviceHit ?? 0) }),
    walkReads: total((part) => part.walkReads),
  };
}

function foldTime(parts: readonly TimeBreakdown[]): TimeBreakdown {
  const total = (pick: (part: TimeBreakdown) => number) => parts.reduce((sum, part) => sum + pick(part), 0);
  return {
    windowPs: total((part) => part.windowPs),
    linkPs: total((part) => part.linkPs),
    iotlbHitPs: total((part) => part.iotlbHitPs),
    contextWalkPs: total((part) => part.contextWalkPs),
    pageWalkPs: total((part) => part.pageWalkPs),
    walkQueuePs: total((part) => part.walkQueuePs),
    memoryPs: total((part) => part.memoryPs),
    ...optional('deviceTlbPs', parts),
    ...optional('pageRequestPs', parts),
    control: {
      iovaPs: total((part) => part.control.iovaPs),
      tablePs: total((part) => part.control.tablePs),
      submitPs: total((part) => part.control.submitPs),
      waitPs: total((part) => part.control.waitPs),
      lockPs: total((part) => part.control.lockPs),
      otherPs: total((part) => part.control.otherPs),
      busiestCpuPs: Math.max(...parts.map((part) => part.control.busiestCpuPs ?? 0)),
      activePs: Math.max(...parts.map((part) => part.control.activePs ?? 0)),
    },
  };
}

/** A part of the time that only some jobs have. */
function optional(key: 'deviceTlbPs' | 'pageRequestPs', parts: readonly TimeBreakdown[]): Partial<TimeBreakdown> {
  const known = parts.map((part) => part[key]).filter((ps) => ps !== undefined);
  return known.length === 0 ? {} : { [key]: known.reduce((sum, ps) => sum + ps, 0) };
}

function foldDeviceTlbs(parts: readonly (DeviceTlbResult | undefined)[]): DeviceTlbResult | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length === 0) return undefined;
  const stages = (pick: (part: DeviceTlbResult['pageStages']) => number): number =>
    known.reduce((sum, { pageStages }) => sum + pick(pageStages), 0);
  return {
    endpoints: known.flatMap(({ endpoints }) => endpoints).sort((a, b) => compareText(a.device, b.device)),
    translationLatency: mergeHistograms(known.map((part) => part.translationLatency)),
    invalidationLatency: mergeHistograms(known.map((part) => part.invalidationLatency)),
    pageLatency: mergeHistograms(known.map((part) => part.pageLatency)),
    pageStages: {
      toQueuePs: stages(({ toQueuePs }) => toQueuePs),
      softwarePs: stages(({ softwarePs }) => softwarePs),
      responsePs: stages(({ responsePs }) => responsePs),
    },
  };
}

function foldNested(parts: readonly JobResult['counters'][]): JobResult['counters'] {
  const names = [...new Set(parts.flatMap((part) => Object.keys(part)))].sort(compareText);
  return Object.fromEntries(names.map((name) => [name, sumRecords(parts.map((part) => part[name] ?? {}))]));
}

function foldInvalidation(parts: readonly InvalidationStats[]): InvalidationStats {
  const buckets = Math.max(...parts.map((part) => part.dmarLatencyBuckets.length));
  return {
    descriptors: sumRecords(parts.map((part) => part.descriptors)),
    submissions: parts.reduce((sum, part) => sum + part.submissions, 0),
    waitLatency: mergeHistograms(parts.map((part) => part.waitLatency)),
    dmarLatencyBuckets: Array.from({ length: buckets }, (_, bucket) =>
      parts.reduce((sum, part) => sum + (part.dmarLatencyBuckets[bucket] ?? 0), 0),
    ),
    peakOccupancy: Math.max(...parts.map((part) => part.peakOccupancy)),
  };
}

function foldHistograms(parts: readonly JobResult['controlLatency'][]): JobResult['controlLatency'] {
  const names = [...new Set(parts.flatMap((part) => Object.keys(part)))].sort(compareText);
  return Object.fromEntries(
    names.map((name) => [
      name,
      mergeHistograms(parts.map((part) => part[name]).filter((state) => state !== undefined)),
    ]),
  );
}

/** Bins of a finer width are summed into those of the widest; widths differ by powers of two. */
function foldLatencyOverTime(parts: readonly JobResult['latencyOverTime'][]): JobResult['latencyOverTime'] {
  const binPs = Math.max(...parts.map((part) => part.binPs));
  const grouped: HistogramState[][] = [];
  for (const part of parts) {
    for (const [index, state] of part.bins.entries()) {
      const bin = Math.floor((index * part.binPs) / binPs);
      while (grouped.length <= bin) grouped.push([]);
      grouped[bin]!.push(state);
    }
  }
  return { binPs, bins: grouped.map((states) => mergeHistograms(states)) };
}
