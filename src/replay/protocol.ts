/**
 * What crosses threads and what a run leaves behind: plain data only. A {@link JobResult} is everything one job
 * (workload x shard x hardware profile x kernel profile x scenario) has to say; a {@link RunResult} is the fold of all
 * jobs in job-key order. The report floor reads a RunResult and never the trace again.
 *
 * Everything that merges is integer state (style.md "Statistics"); quotients are made by the report.
 */
import type { LinkTiming } from '../hw/device-link.ts';
import type { QueueTiming, TranslationTiming } from '../hw/vtd/config.ts';
import type { HistogramState } from '../stats/histogram.ts';
import type { SeriesState } from '../stats/series.ts';
import type { ClosedWorld } from './shards.ts';
import type { DisruptionResult, StudySpec } from './study/protocol.ts';

/** Version of `report.json` and of this structure; raised when a field changes meaning or leaves. */
export const RUN_SCHEMA_VERSION = 1;

/** How requests are paced (design.md §5 "Issue modes"). */
export type Pacing =
  | { readonly mode: 'recorded' }
  | { readonly mode: 'closed' }
  | { readonly mode: 'scale'; readonly factor: number };

/** What one job is. The key is unique in a run and orders the fold. */
export interface JobSpec {
  readonly key: string;
  readonly bundlePath: string;
  readonly workload: string;
  /** Index of the closed world within the workload's shard plan. */
  readonly shard: number;
  /** The closed world itself, so that a worker need not plan again. */
  readonly world: ClosedWorld;
  /** DMA rows of the world: long jobs are started first. */
  readonly dmaRows: number;
  /** Resolved profiles travel by value, so that a worker reads no profile file. */
  readonly hardware: unknown;
  readonly kernel: unknown;
  /** Name of the scenario; the pacing belongs to it. */
  readonly scenario: string;
  readonly pacing: Pacing;
  /** Default domain of kernel-driven devices instead of the recorded one: strict, lazy or passed through. */
  readonly defaultDomain?: 'dma' | 'dma-fq' | 'identity' | undefined;
  /** Switching policy of a disruption study; absent in plain runs. */
  readonly study?: StudySpec | undefined;
  /** [rows] Rows per call of the data plane; does not change any result. */
  readonly batchRows: number;
  /** Only sums and distributions are wanted: a replay to compare with. */
  readonly lean?: boolean | undefined;
  /** Word 0 becomes 1 when the user wants what there is by now. Changes no result of a job that finishes. */
  readonly stopFlag?: SharedArrayBuffer | undefined;
}

/** Outcome of a job as data: an error loses its class on the way between threads. */
export type JobOutcome =
  | { readonly status: 'ok'; readonly result: JobResult }
  | { readonly status: 'failed'; readonly key: string; readonly error: string; readonly exitCode: number }
  | { readonly status: 'cancelled'; readonly key: string };

/** Latency of one device, in integer picoseconds. */
export interface DeviceLatency {
  readonly device: string;
  readonly reads: number;
  readonly writes: number;
  readonly bytes: number;
  readonly faults: number;
  /** Device issue to completion. */
  readonly dmaLatency: HistogramState;
  /** Arrival at the IOMMU to translation ready. */
  readonly translationLatency: HistogramState;
  /** Requests by outcome: which device causes the misses. Absent = the report says "not recorded". */
  readonly outcomes?: DeviceOutcomes | undefined;
  /** Translated requests by log2 of the page size as a decimal string: `12`, `21`, `30`. */
  readonly pageShifts?: Readonly<Record<string, number>> | undefined;
}

/** Requests of one device by {@link DmaOutcome}, and what their walks read. */
export interface DeviceOutcomes {
  readonly hit: number;
  readonly miss: number;
  readonly mergedMiss: number;
  readonly passThrough: number;
  /** Translated by the device's own TLB; absent in results of older versions. */
  readonly deviceHit?: number | undefined;
  /** Memory reads made by context, PASID and page walks. */
  readonly walkReads: number;
}

/** Where time went, exact sums in picoseconds (BigInt as decimal strings cross JSON; numbers while below 2^53). */
export interface TimeBreakdown {
  /** Device window or link not free. */
  readonly windowPs: number;
  readonly linkPs: number;
  readonly iotlbHitPs: number;
  readonly contextWalkPs: number;
  readonly pageWalkPs: number;
  /** Waiting for a free walker or for a walk already under way. */
  readonly walkQueuePs: number;
  /** Memory behind the IOMMU and the way back. */
  readonly memoryPs: number;
  /** Device-TLB lookups, and translation requests but for the unit's own work; absent without such devices. */
  readonly deviceTlbPs?: number | undefined;
  /** Waiting for answers to page requests. */
  readonly pageRequestPs?: number | undefined;
  /** Control plane, summed over calls. */
  readonly control: {
    readonly iovaPs: number;
    readonly tablePs: number;
    readonly submitPs: number;
    readonly waitPs: number;
    readonly lockPs: number;
    readonly otherPs: number;
    /** Of the CPU that was in calls longest; absent in results of older versions. */
    readonly busiestCpuPs?: number | undefined;
    /** From the first call or DMA to the last: what the time in calls is a share of. */
    readonly activePs?: number | undefined;
  };
}

/** One control-plane call of the replay, kept for markers and divergences. */
export interface ControlMarker {
  /** [ps] */
  readonly startTick: number;
  readonly endTick: number;
  readonly op: string;
  readonly device: string;
  /** Text of a `marker` row. */
  readonly text?: string | undefined;
}

/** A modelled result that differs from the recorded one. */
export interface Divergence {
  readonly controlRow: number;
  readonly op: string;
  readonly recorded: string;
  readonly modelled: string;
}

/** Faulted DMA, grouped by (device, reason). */
export interface FaultGroup {
  readonly device: string;
  readonly reason: number;
  readonly count: number;
  /** [ps] First and last. */
  readonly firstTick: number;
  readonly lastTick: number;
  /** IOVA of the first, 0x hex. */
  readonly firstIova: string;
}

/** Hits on translations whose mapping was already gone, by device. */
export interface StaleUse {
  readonly device: string;
  readonly count: number;
  /** Of these, on pages that waited in a flush queue: the known exposure of lazy unmapping. */
  readonly awaitingFlush: number;
  /** [ps] First and last. */
  readonly firstTick: number;
  readonly lastTick: number;
  /** IOVA page of the first, 0x hex. */
  readonly firstIova: string;
}

/** Invalidation queue as seen by software and hardware. */
export interface InvalidationStats {
  /** Descriptors by kind: iotlb_global, iotlb_domain, iotlb_pages, context_device, pasid_cache, wait ... */
  readonly descriptors: Readonly<Record<string, number>>;
  readonly submissions: number;
  /** [ps] Tail write to status write, per submission. */
  readonly waitLatency: HistogramState;
  /** Kernel's dmar debugfs buckets: counts of <0.1, 0.1-1, 1-10, 10-100 us, 0.1-1, 1-10, >=10 ms. */
  readonly dmarLatencyBuckets: readonly number[];
  /** Most descriptors pending at once. */
  readonly peakOccupancy: number;
}

/** One device with ATS. */
export interface EndpointResult {
  readonly device: string;
  /** Requests, one a page piece, that asked the device TLB; those that found an entry; those that joined a request. */
  readonly lookups: number;
  readonly hits: number;
  readonly merged: number;
  readonly translationRequests: number;
  /** Answered without the permission asked for. */
  readonly denied: number;
  /** Entries replaced, and dropped by invalidations. */
  readonly evicted: number;
  readonly invalidated: number;
  readonly invalidations: number;
  /** Invalidations never answered. */
  readonly timeouts: number;
  readonly pageGroups: number;
  readonly pageRequests: number;
  /** Groups answered with anything but success, and pages given up. */
  readonly pageFailures: number;
}

/** [ps] Where the time of page request groups went, summed over groups. */
export interface PageRequestStages {
  /** Device to the page request queue. */
  readonly toQueuePs: number;
  /** Interrupt, fault handler of the kernel, whoever maps the page, up to the response descriptor's execution. */
  readonly softwarePs: number;
  /** Response on its way to the device. */
  readonly responsePs: number;
}

/** Devices that translate for themselves. */
export interface DeviceTlbResult {
  readonly endpoints: readonly EndpointResult[];
  /** [ps] Device asks to answer at the device. */
  readonly translationLatency: HistogramState;
  /** [ps] Descriptor executed to answer at the unit. */
  readonly invalidationLatency: HistogramState;
  /** [ps] Page request group sent to response at the device. */
  readonly pageLatency: HistogramState;
  readonly pageStages: PageRequestStages;
}

/** Everything a job has to say. */
export interface JobResult {
  readonly key: string;
  readonly workload: string;
  readonly shard: number;
  readonly hardwareProfile: string;
  readonly kernelProfile: string;
  /** Name of the scenario. */
  readonly scenario?: string | undefined;
  readonly pacing: Pacing;
  /** It was interrupted: counts and times cover what was replayed until then, distributions the whole chunks of it. */
  readonly stoppedEarly?: true | undefined;
  readonly dmaRows: number;
  readonly controlRows: number;
  /** [ps] First issue to last completion. */
  readonly spanPs: number;
  readonly devices: readonly DeviceLatency[];
  readonly time: TimeBreakdown;
  /** Per unit, VT-d perfmon names. */
  readonly counters: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly invalidation: InvalidationStats;
  /** [bytes] of completed DMA by completion time. */
  readonly throughput: SeriesState;
  /** DMA latency histograms per time bin from tick 0, for percentile bands; the width is one of `base * 2^k`. */
  readonly latencyOverTime: { readonly binPs: number; readonly bins: readonly HistogramState[] };
  /** [ps] Duration of modelled control-plane calls by op. */
  readonly controlLatency: Readonly<Record<string, HistogramState>>;
  /** First N markers in time order; `markersOmitted` counts the rest. */
  readonly markers: readonly ControlMarker[];
  readonly markersOmitted: number;
  readonly faults: readonly FaultGroup[];
  /** Stale translations used; absent in results of older versions. */
  readonly stale?: readonly StaleUse[] | undefined;
  readonly divergences: { readonly compared: number; readonly count: number; readonly first: readonly Divergence[] };
  /** Device TLBs and page requests; absent when no device has ATS. */
  readonly deviceTlb?: DeviceTlbResult | undefined;
  /** What the switches of a study did. */
  readonly disruption?: DisruptionResult | undefined;
  /** Counted anomalies of the replay itself (rows out of order, unknown object names ...). */
  readonly diagnostics: Readonly<Record<string, number>>;
}

/** Identity of one workload of a run: the manifest as it was read, and its digest. */
export interface WorkloadIdentity {
  readonly name: string;
  readonly manifestSha256: string;
  readonly manifest: unknown;
}

/** One number of a resolved profile and what it rests on. */
export interface SourcedNumber {
  readonly path: string;
  readonly value: number | string | boolean;
  readonly unit: string;
  /** Basis tag (M measured, P published, D documented, S specification, X derived, A) and the source in words; A = ASSUMPTION. */
  readonly basis: string;
  readonly source: string;
}

/** A resolved profile as the model card prints it. */
export interface ProfileCard {
  readonly name: string;
  readonly kind: 'hardware' | 'kernel';
  readonly description: string;
  readonly sha256: string;
  readonly overrides: readonly string[];
  readonly numbers: readonly SourcedNumber[];
  /** Of hardware: rates and limits as the replay used them [ps]. Absent in results of older versions. */
  readonly timing?: HardwareTiming | undefined;
}

/** What bounds the rate of a modelled machine. */
export interface HardwareTiming {
  readonly link: LinkTiming;
  readonly translation: TranslationTiming;
  readonly queue: QueueTiming;
}

/** A number of a profile that is an assumption, and where it was moved to. */
export interface AssumedNumber {
  readonly profile: string;
  readonly kind: 'hardware' | 'kernel';
  readonly path: string;
  readonly value: string;
  readonly unit: string;
  /** Values on the side where the machine is slower, and faster; null = none on that side. */
  readonly slow: string | null;
  readonly fast: string | null;
  /** Why it was not moved at all; null when it was. */
  readonly unmoved: string | null;
}

/** A replay with assumed numbers moved that has no result. */
export interface MissingVariant {
  readonly key: string;
  /** Index into {@link AssumptionResult.numbers}; -1 = all of them at once. */
  readonly number: number;
  readonly side: 'slow' | 'fast';
  /** Why it failed; null when it was not finished. */
  readonly error: string | null;
}

/**
 * Replays of the run's jobs with assumed numbers moved. A moved number changes nothing on a side that has neither a variant
 * nor a missing replay: there the move leaves the profile as it was.
 */
export interface AssumptionResult {
  /** By which times, costs and sizes were multiplied and divided. */
  readonly factor: number;
  readonly numbers: readonly AssumedNumber[];
  readonly variants: readonly {
    /** Index into `numbers`; -1 = all of them at once. */
    readonly number: number;
    readonly side: 'slow' | 'fast';
    /** In the order of the run's jobs, of the jobs that use the profile. */
    readonly jobs: readonly JobResult[];
  }[];
  /** Replays that have no result. */
  readonly missing: readonly MissingVariant[];
}

/** The whole run, before presentation. */
export interface RunResult {
  readonly schemaVersion: number;
  readonly toolVersion: string;
  /** False when jobs are missing (interrupted or failed). */
  readonly complete: boolean;
  /** Jobs without a complete result: failed, cancelled, or stopped early (then they have one in `jobs`). */
  readonly missing: readonly string[];
  readonly workloads: readonly WorkloadIdentity[];
  readonly profiles: readonly ProfileCard[];
  readonly jobs: readonly JobResult[];
  readonly failures: readonly { readonly key: string; readonly error: string }[];
  /** What the result rests on; absent when it was not asked for. */
  readonly assumptions?: AssumptionResult | undefined;
}
