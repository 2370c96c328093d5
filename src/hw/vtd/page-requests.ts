/**
 * Page requests between endpoint and page request queue, and group responses on their way back (VT-d spec 7.4 to 7.7;
 * PCIe PRI). A group whose context entry forbids page requests, or that meets a unit without a queue, is answered
 * INVALID by the unit itself.
 *
 * APPROX: the requests of a group reach the queue together, with the last of them; messages do not compete with DMA for
 * the link.
 */
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import { TimePart, type TimeSums } from './counters.ts';
import type { MessageTiming } from './device-invalidations.ts';
import type { Endpoint } from './endpoint.ts';
import { PageResponse, PageResponseValue } from './layout.ts';
import type { PageRequestQueue } from './page-request-queue.ts';

/** A group of page requests: neighbouring pages, one kind of access. */
export interface PageGroup {
  /** 0 = without PASID. */
  readonly pasid: number;
  /** [4 KiB pages] */
  readonly firstPage: number;
  readonly pageCount: number;
  readonly write: boolean;
  /** The context entry lets page requests in (PRE). */
  readonly allowed: boolean;
}

/** Page requests of one unit. */
export class PageRequests {
  readonly queue: PageRequestQueue;
  readonly #timeline: Timeline;
  readonly #writeTicks: number;
  readonly #messages: MessageTiming;
  /** [ps] Wire time of one page request message. */
  readonly #messageTicks: number;
  readonly #endpoints: ReadonlyMap<number, Endpoint>;
  readonly #times: TimeSums;

  constructor(
    timeline: Timeline,
    queue: PageRequestQueue,
    writeTicks: number,
    messages: MessageTiming,
    messageTicks: number,
    endpoints: ReadonlyMap<number, Endpoint>,
    times: TimeSums,
  ) {
    this.#timeline = timeline;
    this.queue = queue;
    this.#writeTicks = writeTicks;
    this.#messages = messages;
    this.#messageTicks = messageTicks;
    this.#endpoints = endpoints;
    this.#times = times;
  }

  /** An endpoint sends a group at `atTick`. */
  send(endpoint: Endpoint, group: PageGroup, atTick: number): void {
    endpoint.sendPages(group.pageCount, atTick);
    const arriveTick = atTick + (group.pageCount - 1) * this.#messageTicks + this.#messages.upTicks;
    const writtenTick = arriveTick + this.#writeTicks;
    if (writtenTick > this.queue.drainTick) this.queue.drainTick = writtenTick;
    const index = endpoint.group;
    this.#timeline.schedule(writtenTick as Tick, (at) => this.#arrive(endpoint, group, index, at));
  }

  /** A page-group response descriptor (its first four words) executes at `atTick`, which may lie ahead. */
  respond(words: readonly [number, number, number, number], atTick: Tick): void {
    const [w0, , w2] = words;
    const endpoint = this.#endpoints.get(w0 >>> 16);
    if (endpoint === undefined) return;
    const group = (w2 >>> PageResponse.groupShift) & PageResponse.groupMask;
    const code = (w0 >>> PageResponse.codeShift) & PageResponse.codeMask;
    endpoint.pagesResponded(group, atTick);
    this.#answer(endpoint, group, code, atTick);
  }

  #arrive(endpoint: Endpoint, group: PageGroup, index: number, atTick: Tick): void {
    const { queue } = this;
    if (!queue.enabled || !group.allowed) {
      this.#answer(endpoint, index, PageResponseValue.invalid, atTick);
      return;
    }
    if (endpoint.group === index) endpoint.pagesQueued(atTick);
    let kept = true;
    for (let page = 0; page < group.pageCount; page++) {
      const number = group.firstPage + page;
      const last = page === group.pageCount - 1;
      kept = queue.post(
        {
          sourceId: endpoint.sourceId,
          pasid: group.pasid === 0 ? undefined : group.pasid,
          group: index,
          last,
          write: group.write,
          low: number | 0,
          high: Math.floor(number / 4294967296),
        },
        atTick,
      );
    }
    if (!kept) this.#answer(endpoint, index, PageResponseValue.success, atTick);
  }

  #answer(endpoint: Endpoint, group: number, code: number, atTick: Tick): void {
    this.#timeline.schedule((atTick + this.#messages.downTicks) as Tick, (at) => {
      this.#times.low[TimePart.pageRequest]! += endpoint.pagesAnswered(group, code, at);
    });
  }
}
