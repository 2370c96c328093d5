/** What the TLBs of devices with ATS did, and what became of their page requests: read at boot and at the end. */
import type { EndpointCounts } from '../../hw/vtd/endpoint.ts';
import type { EndpointTimes } from '../../hw/vtd/endpoint-times.ts';
import { type HistogramState, mergeHistograms } from '../../stats/histogram.ts';
import type { DeviceTlbResult, EndpointResult, PageRequestStages } from '../protocol.ts';
import { subtractHistogram } from './caches.ts';

/** A unit that may have endpoints. */
export interface EndpointUnit {
  endpointStatistics(): { readonly counts: readonly EndpointCounts[]; readonly times: EndpointTimes } | undefined;
}

/** All about the endpoints of one unit at one time. */
export interface EndpointTally {
  readonly counts: readonly EndpointCounts[];
  readonly translation: HistogramState;
  readonly invalidation: HistogramState;
  readonly page: HistogramState;
  /** [ps] Sums of ticks. */
  readonly sent: bigint;
  readonly queued: bigint;
  readonly responded: bigint;
  readonly back: bigint;
}

/** Reads a unit; undefined when no device behind it has ATS. */
export function tallyEndpoints(unit: EndpointUnit): EndpointTally | undefined {
  const statistics = unit.endpointStatistics();
  if (statistics === undefined) return undefined;
  const { counts, times } = statistics;
  return {
    counts,
    translation: times.translation.toState(),
    invalidation: times.invalidation.toState(),
    page: times.page.toState(),
    sent: times.pagesSent,
    queued: times.pagesQueued,
    responded: times.pagesResponded,
    back: times.pagesBack,
  };
}

/** What happened between two tallies of the same units, all units together; undefined when there are no endpoints. */
export function deviceTlbResult(
  later: readonly (EndpointTally | undefined)[],
  earlier: readonly (EndpointTally | undefined)[],
  nameOf: (device: number) => string,
): DeviceTlbResult | undefined {
  const pairs = later.flatMap((tally, unit) => {
    const before = earlier[unit];
    return tally === undefined || before === undefined ? [] : [{ tally, before }];
  });
  if (pairs.length === 0) return undefined;
  const histogram = (pick: (tally: EndpointTally) => HistogramState): HistogramState =>
    mergeHistograms(pairs.map(({ tally, before }) => subtractHistogram(pick(tally), pick(before))));
  const endpoints = pairs.flatMap(({ tally, before }) =>
    tally.counts.map((counts, index) => endpointResult(counts, before.counts[index] as EndpointCounts, nameOf)),
  );
  return {
    endpoints,
    translationLatency: histogram(({ translation }) => translation),
    invalidationLatency: histogram(({ invalidation }) => invalidation),
    pageLatency: histogram(({ page }) => page),
    pageStages: stages(pairs.map(({ tally }) => tally)),
  };
}

function endpointResult(
  later: EndpointCounts,
  earlier: EndpointCounts,
  nameOf: (device: number) => string,
): EndpointResult {
  return {
    device: nameOf(later.device),
    lookups: later.lookups - earlier.lookups,
    hits: later.hits - earlier.hits,
    merged: later.merged - earlier.merged,
    translationRequests: later.translationRequests - earlier.translationRequests,
    denied: later.denied - earlier.denied,
    evicted: later.evicted - earlier.evicted,
    invalidated: later.invalidated - earlier.invalidated,
    invalidations: later.invalidations - earlier.invalidations,
    timeouts: later.timeouts - earlier.timeouts,
    pageGroups: later.pageGroups - earlier.pageGroups,
    pageRequests: later.pageRequests - earlier.pageRequests,
    pageFailures: later.pageFailures - earlier.pageFailures,
  };
}

/** No device asks for pages while a machine boots. */
function stages(tallies: readonly EndpointTally[]): PageRequestStages {
  const sum = (pick: (tally: EndpointTally) => bigint): bigint =>
    tallies.reduce((total, tally) => total + pick(tally), 0n);
  const sent = sum((tally) => tally.sent);
  const queued = sum((tally) => tally.queued);
  const responded = sum((tally) => tally.responded);
  const back = sum((tally) => tally.back);
  return {
    toQueuePs: Number(queued - sent),
    softwarePs: Number(responded - queued),
    responsePs: Number(back - responded),
  };
}
