/** What a VT-d unit is built from: a resolved hardware profile as frozen integers in ticks. */
import type { LinkTiming } from '../device-link.ts';
import type { CacheGeometry } from '../set-assoc.ts';
import type { FaultCodes } from './fault-reasons.ts';
import type { IotlbRules } from './iotlb.ts';
import { Cap } from './registers.ts';

/** Latencies of translation. */
export interface TranslationTiming {
  /** [ps] IOTLB hit. */
  readonly hitTicks: number;
  /** [ps] A walk takes `walkFixedTicks` + reads * `walkReadTicks`. */
  readonly walkFixedTicks: number;
  readonly walkReadTicks: number;
  readonly walkers: number;
  /** [ps] How much longer (or, negative, shorter) than its latency a walk occupies its walker. */
  readonly busyExtraTicks: number;
  /** [ps] Between the starts of two walks at least: what a walk takes of the unit's port to memory. */
  readonly walkIntervalTicks: number;
  /** Walks inside one 2 MiB region run one after the other (Sandy Bridge). */
  readonly serialiseRegion: boolean;
  /** Translations of one device are released in order. */
  readonly releaseInOrder: boolean;
  /** [ps] IOMMU clock, for counters in clocks. */
  readonly clockTicks: number;
}

/** Costs of queued invalidation. */
export interface QueueTiming {
  /** [ps] Tail register write to the unit noticing. */
  readonly doorbellTicks: number;
  /** [ps] Fetch of the first descriptors after idleness; later fetches overlap execution. */
  readonly fetchTicks: number;
  /** [ps] Execution of one descriptor other than wait. */
  readonly executeTicks: number;
  /** [ps] Status write until software sees it. */
  readonly statusTicks: number;
}

/** [requests] Largest {@link EndpointTiming.pageRequestWindow} that a profile may state. ASSUMPTION: 2 MiB in 4 KiB pages. */
export const MAX_PAGE_REQUEST_WINDOW = 512;

/** An endpoint that translates for itself (ATS), and may ask for pages (PRI). */
export interface EndpointTiming {
  /** undefined = no endpoint has a device TLB. */
  readonly deviceTlb: CacheGeometry | undefined;
  /** [ps] Lookup in the device TLB. */
  readonly lookupTicks: number;
  /** Translation requests under way at most. */
  readonly translationWindow: number;
  /** [ps] What a translation request takes besides wire, flight and translation: root complex and endpoint. */
  readonly translationExtraTicks: number;
  /** Invalidations an endpoint takes at once. */
  readonly invalidateQueueDepth: number;
  /** [ps] Arrival of an invalidation to its answer leaving, requests under way aside. */
  readonly invalidationTicks: number;
  /** [ps] After which an unanswered invalidation is an error (ITE). */
  readonly invalidationTimeoutTicks: number;
  /** Page requests open at most; also the largest group. */
  readonly pageRequestWindow: number;
  /** Times a page is asked for again that is absent after a successful answer. */
  readonly pageRequestRetries: number;
  /** [ps] Arrival of a page request at the unit to its entry in the page request queue. */
  readonly pageRequestWriteTicks: number;
}

/** A resolved VT-d profile. */
export interface VtdConfig {
  readonly name: string;
  /** u32 words of CAP and ECAP. */
  readonly cap: readonly [number, number];
  readonly ecap: readonly [number, number];
  readonly iotlb: CacheGeometry;
  readonly iotlbRules: IotlbRules;
  readonly contextCache: CacheGeometry | undefined;
  readonly pasidCache: CacheGeometry | undefined;
  /** By level, index 2 .. 5. */
  readonly pagingCaches: readonly (CacheGeometry | undefined)[];
  readonly translation: TranslationTiming;
  readonly queue: QueueTiming;
  readonly link: LinkTiming;
  readonly endpoint: EndpointTiming;
  readonly faultCodes: FaultCodes;
}

/** Whether a unit of the profile keeps what is not present (caching mode, VT-d spec 6.1). */
export function cachesNotPresent({ cap, iotlbRules }: Pick<VtdConfig, 'cap' | 'iotlbRules'>): boolean {
  return iotlbRules.cachesNotPresent && iotlbRules.tag === 'domain' && Cap.cachingMode(cap[0]);
}
