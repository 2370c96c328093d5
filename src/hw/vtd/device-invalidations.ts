/**
 * Device-TLB invalidations between descriptor and answer (VT-d spec 6.5.2.5, 6.5.2.6; PCIe ATS "Invalidate"): the unit
 * sends a message to the endpoint, which drops the entries when it arrives and answers once the requests that went out
 * with them are done. Each endpoint takes only so many at once; what exceeds the descriptor's queue depth waits here.
 *
 * An endpoint that is gone does not answer: after a time-out the unit reports ITE, and forgets what it waits for.
 *
 * APPROX: messages take flight and wire time but do not compete with DMA for the link. Source ids for which the machine
 * has no endpoint are answered at once.
 */
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import type { EndpointTiming } from './config.ts';
import type { Endpoint } from './endpoint.ts';
import { Descriptor, DescriptorType } from './layout.ts';

/** [4 KiB pages] More than any address space has. */
const ALL_PAGES = 2 ** 52;
/** Address bits 63:12. */
const PAGE_BITS = 52;

/** What a device-TLB descriptor asks for. */
export interface DeviceInvalidation {
  readonly sourceId: number;
  /** 0 = requests without PASID. */
  readonly pasid: number;
  /** [4 KiB pages] */
  readonly firstPage: number;
  readonly pageCount: number;
  /** Invalidations of the endpoint under way at most. */
  readonly queueDepth: number;
}

interface Pending extends DeviceInvalidation {
  readonly id: number;
  readonly endpoint: Endpoint;
  readonly executedTick: Tick;
  sent: boolean;
}

/** Wire and flight of messages between unit and endpoint. */
export interface MessageTiming {
  /** [ps] Unit to endpoint, and back. */
  readonly downTicks: number;
  readonly upTicks: number;
}

/** Invalidations of one unit's endpoints. */
export class DeviceInvalidations {
  /** Called with each answer. */
  onAnswer: ((atTick: Tick) => void) | undefined;
  /** Called when one was not answered in time; everything pending has been forgotten. */
  onTimeout: ((sourceId: number, atTick: Tick) => void) | undefined;

  readonly #timeline: Timeline;
  readonly #timing: EndpointTiming;
  readonly #messages: MessageTiming;
  readonly #endpoints: ReadonlyMap<number, Endpoint>;
  /** In order of execution. */
  #pending: Pending[] = [];
  #nextId = 0;

  constructor(
    timeline: Timeline,
    timing: EndpointTiming,
    messages: MessageTiming,
    endpoints: ReadonlyMap<number, Endpoint>,
  ) {
    this.#timeline = timeline;
    this.#timing = timing;
    this.#messages = messages;
    this.#endpoints = endpoints;
  }

  /** Number of the next invalidation: a wait descriptor waits for all below it. */
  get nextId(): number {
    return this.#nextId;
  }

  /** True when every invalidation below `id` is answered. */
  answeredBelow(id: number): boolean {
    const oldest = this.#pending[0];
    return oldest === undefined || oldest.id >= id;
  }

  /** A descriptor (its first four words) executes at `atTick`, which may lie ahead. */
  execute(words: readonly [number, number, number, number], atTick: Tick): void {
    const wanted = decodeDeviceInvalidation(words);
    const endpoint = this.#endpoints.get(wanted.sourceId);
    if (endpoint === undefined) return;
    const entry: Pending = { ...wanted, id: this.#nextId++, endpoint, executedTick: atTick, sent: false };
    this.#pending.push(entry);
    this.#timeline.schedule(atTick, (at) => this.#sendNext(endpoint, at));
  }

  /** Sends what the endpoint's queue has room for. */
  #sendNext(endpoint: Endpoint, atTick: Tick): void {
    for (const entry of this.#pending) {
      if (entry.endpoint !== endpoint || entry.sent || entry.executedTick > atTick) continue;
      const depth = Math.min(entry.queueDepth, this.#timing.invalidateQueueDepth);
      if (endpoint.openInvalidations >= depth) return;
      endpoint.openInvalidations++;
      entry.sent = true;
      endpoint.invalidations++;
      if (!endpoint.function.present) {
        this.#timeline.schedule((atTick + this.#timing.invalidationTimeoutTicks) as Tick, (at) =>
          this.#timeout(entry, at),
        );
        continue;
      }
      this.#timeline.schedule((atTick + this.#messages.downTicks) as Tick, (at) => this.#arrive(entry, at));
    }
  }

  /** The message is at the endpoint: entries go; the answer follows once requests with them are done. */
  #arrive(entry: Pending, atTick: Tick): void {
    const { endpoint, pasid, firstPage, pageCount } = entry;
    const space = endpoint.peekSpace(pasid);
    const lastUse = space < 0 ? endpoint.lostUse : endpoint.tlb.invalidate(space, firstPage, pageCount);
    const leaves = Math.max(atTick, lastUse) + this.#timing.invalidationTicks;
    this.#timeline.schedule((leaves + this.#messages.upTicks) as Tick, (at) => this.#answer(entry, at));
  }

  #answer(entry: Pending, atTick: Tick): void {
    const index = this.#pending.indexOf(entry);
    if (index < 0) return;
    this.#pending.splice(index, 1);
    const { endpoint } = entry;
    endpoint.openInvalidations--;
    endpoint.times.invalidation.record(atTick - entry.executedTick);
    this.#sendNext(endpoint, atTick);
    this.onAnswer?.(atTick);
  }

  #timeout(entry: Pending, atTick: Tick): void {
    if (!this.#pending.includes(entry)) return;
    entry.endpoint.timeouts++;
    for (const { endpoint } of this.#pending) endpoint.openInvalidations = 0;
    this.#pending = [];
    this.onTimeout?.(entry.sourceId, atTick);
  }
}

/** Reads a device-TLB descriptor of either form. */
export function decodeDeviceInvalidation(words: readonly [number, number, number, number]): DeviceInvalidation {
  const [w0, w1, w2, w3] = words;
  const withPasid = (w0 & 0xf) === DescriptorType.pasidDeviceTlb;
  const depth = withPasid ? (w0 >>> 4) & 0x1f : (w0 >>> Descriptor.deviceTlbQueueDepthShift) & 0x1f;
  const sized = (w2 & (withPasid ? Descriptor.pasidDeviceTlbSize : Descriptor.deviceTlbSize)) !== 0;
  const order = sized ? sizeOrder(w2, w3) : 0;
  const page = w3 * 1048576 + (w2 >>> 12);
  const pageCount = order >= PAGE_BITS ? ALL_PAGES : 2 ** order;
  return {
    sourceId: withPasid ? w0 >>> 16 : w1 & 0xffff,
    pasid: withPasid ? w1 & Descriptor.pasidMask : 0,
    firstPage: order >= PAGE_BITS ? 0 : page - (page % pageCount),
    pageCount,
    queueDepth: depth === 0 ? 32 : depth,
  };
}

/** log2 of the page count: one more than the number of ones from address bit 12 up. */
function sizeOrder(low: number, high: number): number {
  for (let bit = 0; bit < PAGE_BITS; bit++) {
    const word = bit < 20 ? low >>> (12 + bit) : high >>> (bit - 20);
    if ((word & 1) === 0) return bit + 1;
  }
  return PAGE_BITS;
}
