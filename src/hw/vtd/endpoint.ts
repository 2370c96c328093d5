/**
 * A device with ATS as its IOMMU unit meets it: configuration registers, device TLB, translation requests under way, and
 * the page request it waits for. The device's own timing is that of {@link ../device-link.ts}.
 *
 * APPROX: a device that waits for the answer to a page request issues nothing else. At most 2^17 - 2 PASIDs have entries at
 * once; when they run out the device gives up all entries, and it is counted.
 */
import type { SourceId } from '../../address.ts';
import type { Tick } from '../../units.ts';
import { DeviceTlb, MAX_DEVICE_SPACES } from '../device-tlb.ts';
import { PciFunction } from '../pci-function.ts';
import { ServerPool } from '../server.ts';
import type { CacheGeometry } from '../set-assoc.ts';
import type { EndpointTiming } from './config.ts';
import type { EndpointTimes } from './endpoint-times.ts';
import { PageResponseValue } from './layout.ts';

/** An endpoint to be modelled. */
export interface EndpointSpec {
  /** Index into the machine's devices. */
  readonly device: number;
  readonly sourceId: SourceId;
  /** It can send page requests, too. */
  readonly pri: boolean;
}

/** What one endpoint counted: plain data. */
export interface EndpointCounts {
  /** Index into the machine's devices. */
  readonly device: number;
  /** Requests, one a page piece, that asked the device TLB. */
  readonly lookups: number;
  readonly hits: number;
  /** Requests that joined a translation request under way. */
  readonly merged: number;
  readonly translationRequests: number;
  /** Answered without the permission asked for. */
  readonly denied: number;
  /** Entries dropped by invalidations, and replaced. */
  readonly invalidated: number;
  readonly evicted: number;
  readonly invalidations: number;
  /** Invalidations that were never answered. */
  readonly timeouts: number;
  /** Times the device TLB ran out of address spaces and was emptied. */
  readonly spacesExhausted: number;
  readonly pageGroups: number;
  readonly pageRequests: number;
  /** Groups answered with anything but success, and pages given up. */
  readonly pageFailures: number;
}

/** Where an endpoint's page request stands. */
export const PageWait = { none: 0, sent: 1, answered: 2 } as const;

/** One endpoint. */
export class Endpoint {
  readonly device: number;
  readonly sourceId: SourceId;
  readonly function: PciFunction;
  readonly tlb: DeviceTlb;
  /** Translation requests under way. */
  readonly requests: ServerPool;
  readonly times: EndpointTimes;
  lookups = 0;
  hits = 0;
  merged = 0;
  translationRequests = 0;
  denied = 0;
  invalidations = 0;
  timeouts = 0;
  /** Invalidations on their way or not answered. */
  openInvalidations = 0;
  /** Times all spaces were given up. */
  spacesExhausted = 0;
  /** [ps] When the last request is done that used a space given up. */
  lostUse = 0;
  pageGroups = 0;
  pageRequests = 0;
  pageFailures = 0;

  /** The piece that waits: its issue, and its arrivals had it gone out then [ps]. */
  issueTick = 0;
  arrivalTick = 0;
  lastArrivalTick = 0;
  /** [ps] From when on its translation is sought (again). */
  fromTick = 0;
  /** {@link PageWait}. */
  pageWait: number = PageWait.none;
  /** ATS was switched, at {@link fromTick}, while a page request was open: the piece starts over, not before that. */
  abandoned = false;
  /** {@link PageResponseValue} of the answer. */
  pageCode: number = PageResponseValue.success;
  pageRetries = 0;
  /** Why the translation that the page request is about was refused. */
  pageFault = 0;
  /** Index of the open group, 9 bits. */
  group = 0;

  #sentTick = 0;
  #queuedTick = 0;
  #respondedTick = 0;
  readonly #spaces = new Map<number, number>();

  constructor(spec: EndpointSpec, timing: EndpointTiming, geometry: CacheGeometry, times: EndpointTimes) {
    this.times = times;
    this.device = spec.device;
    this.sourceId = spec.sourceId;
    this.function = new PciFunction({
      ats: true,
      invalidateQueueDepth: timing.invalidateQueueDepth,
      pri: spec.pri,
      pageRequestCapacity: timing.pageRequestWindow,
    });
    this.tlb = new DeviceTlb(geometry);
    this.requests = new ServerPool(timing.translationWindow);
    // A cache that was switched off is empty when it comes back (PCIe ATS, "Enable" of the ATS Control register).
    this.function.onAtsChange = (_enabled, atTick) => {
      this.tlb.clear();
      if (this.pageWait === PageWait.none) return;
      this.pageWait = PageWait.none;
      this.abandoned = true;
      this.fromTick = atTick;
    };
  }

  /** Number of an address space in the device TLB: 0 without PASID. @hot */
  spaceOf(pasid: number): number {
    return pasid === 0 ? 0 : this.#spaceOfPasid(pasid);
  }

  /** Space of a PASID if anything was ever cached for it, else -1. */
  peekSpace(pasid: number): number {
    return pasid === 0 ? 0 : (this.#spaces.get(pasid) ?? -1);
  }

  /** A page request group goes out. */
  sendPages(count: number, atTick: number): void {
    this.group = (this.group + 1) & 0x1ff;
    this.pageWait = PageWait.sent;
    this.pageGroups++;
    this.pageRequests += count;
    this.#sentTick = atTick;
    this.#queuedTick = atTick;
    this.#respondedTick = atTick;
  }

  /** The open group is in the page request queue. */
  pagesQueued(atTick: number): void {
    this.#queuedTick = atTick;
    this.#respondedTick = atTick;
  }

  /** The descriptor that answers the open group was executed. */
  pagesResponded(group: number, atTick: number): void {
    if (group === this.group) this.#respondedTick = atTick;
  }

  /** A group response arrived. Returns how long the device waited [ps], 0 when nobody waits for it. */
  pagesAnswered(group: number, code: number, atTick: Tick): number {
    if (this.pageWait !== PageWait.sent || group !== this.group) return 0;
    this.pageWait = PageWait.answered;
    this.pageCode = code;
    this.fromTick = atTick;
    if (code !== PageResponseValue.success) this.pageFailures++;
    const { times } = this;
    times.page.record(atTick - this.#sentTick);
    times.pagesSent += BigInt(this.#sentTick);
    times.pagesQueued += BigInt(this.#queuedTick);
    times.pagesResponded += BigInt(this.#respondedTick);
    times.pagesBack += BigInt(atTick);
    return atTick - this.#sentTick;
  }

  counts(): EndpointCounts {
    const { cache } = this.tlb;
    return {
      device: this.device,
      lookups: this.lookups,
      hits: this.hits,
      merged: this.merged,
      translationRequests: this.translationRequests,
      denied: this.denied,
      invalidated: this.tlb.invalidated,
      evicted: cache.evictedByCapacity + cache.evictedByConflict,
      invalidations: this.invalidations,
      timeouts: this.timeouts,
      spacesExhausted: this.spacesExhausted,
      pageGroups: this.pageGroups,
      pageRequests: this.pageRequests,
      pageFailures: this.pageFailures,
    };
  }

  #spaceOfPasid(pasid: number): number {
    let space = this.#spaces.get(pasid);
    if (space === undefined) {
      if (this.#spaces.size >= MAX_DEVICE_SPACES) {
        this.lostUse = this.tlb.dropAll();
        this.#spaces.clear();
        this.spacesExhausted++;
      }
      space = this.#spaces.size + 1;
      this.#spaces.set(pasid, space);
    }
    return space;
  }
}
