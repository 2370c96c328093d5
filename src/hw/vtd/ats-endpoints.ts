/** Everything of a unit that exists only where devices have ATS: endpoints, their messages, their data plane. */
import { assert } from '../../assert.ts';
import type { Timeline } from '../../timeline.ts';
import type { CacheGeometry } from '../set-assoc.ts';
import { AtsPlane } from './ats-plane.ts';
import type { DataPlane } from './data-plane.ts';
import { DeviceInvalidations, type MessageTiming } from './device-invalidations.ts';
import type { TranslationWire } from './device-translations.ts';
import { Endpoint, type EndpointCounts, type EndpointSpec } from './endpoint.ts';
import { EndpointTimes } from './endpoint-times.ts';
import type { EndpointMessages, InvalidationQueue } from './invalidation-queue.ts';
import type { PageRequestQueue } from './page-request-queue.ts';
import { PageRequests } from './page-requests.ts';
import type { Translator } from './translator.ts';

/** [bytes] One translation of an answer; the body of an invalidate request. */
const TRANSLATION_BYTES = 8;
const INVALIDATE_BYTES = 8;

/** Endpoints of one unit. */
export class AtsEndpoints {
  /** What the invalidation queue sends to endpoints. */
  readonly messages: EndpointMessages;
  readonly #translator: Translator;
  readonly #times = new EndpointTimes();
  readonly #byDevice: (Endpoint | undefined)[] = [];
  readonly #wire: TranslationWire;
  #plane: AtsPlane | undefined;

  constructor(
    translator: Translator,
    timeline: Timeline,
    pages: PageRequestQueue,
    specs: readonly EndpointSpec[],
    geometry: CacheGeometry,
  ) {
    this.#translator = translator;
    const { link, endpoint: timing } = translator.config;
    const wire = (bytes: number): number => Math.round((bytes + link.dllpBytes) * link.psPerByte);
    const message = wire(link.requestHeaderBytes);
    this.#wire = { requestTicks: message, answerTicks: wire(link.completionHeaderBytes + TRANSLATION_BYTES) };
    const bySource = new Map<number, Endpoint>();
    for (const spec of specs) {
      const endpoint = new Endpoint(spec, timing, geometry, this.#times);
      this.#byDevice[spec.device] = endpoint;
      bySource.set(spec.sourceId, endpoint);
    }
    const messages: MessageTiming = {
      downTicks: wire(link.requestHeaderBytes + INVALIDATE_BYTES) + link.oneWayTicks,
      upTicks: message + link.oneWayTicks,
    };
    const { pageRequestWriteTicks } = timing;
    this.messages = {
      invalidations: new DeviceInvalidations(timeline, timing, messages, bySource),
      pages: new PageRequests(timeline, pages, pageRequestWriteTicks, messages, message, bySource, translator.times),
    };
  }

  /** Puts the plane between callers and the plain one. */
  connect(plain: DataPlane, queue: InvalidationQueue, timeline: Timeline): void {
    const { pages } = this.messages;
    this.#plane = new AtsPlane(plain, this.#translator, queue, timeline, this.#wire, pages, this.#byDevice);
  }

  get plane(): AtsPlane {
    assert(this.#plane !== undefined, 'endpoints without a data plane');
    return this.#plane;
  }

  endpointAt(device: number): Endpoint | undefined {
    return this.#byDevice[device];
  }

  statistics(): { readonly counts: readonly EndpointCounts[]; readonly times: EndpointTimes } {
    const endpoints = this.#byDevice.filter((endpoint) => endpoint !== undefined);
    return { counts: endpoints.map((endpoint) => endpoint.counts()), times: this.#times };
  }

  /**
   * Counters that units without such devices do not have. ASSUMPTION: `ats_blocked` counts clocks in which translation
   * requests wait for a walker; no public text says more than its name.
   */
  counters(clockTicks: number): Record<string, number> {
    const { counts } = this.statistics();
    const total = (pick: (counts: EndpointCounts) => number): number =>
      counts.reduce((sum, endpoint) => sum + pick(endpoint), 0);
    const { queue } = this.messages.pages;
    return {
      ats_blocked: Math.floor(this.plane.blockedTicks / clockTicks),
      pg_req_posted: queue.posted,
      'model.pg_req_discarded': queue.discarded,
      'model.translated_requests': this.#translator.translatedTlps,
      'model.device_tlb_lookup': total(({ lookups }) => lookups),
      'model.device_tlb_hit': total(({ hits }) => hits),
      'model.device_tlb_merged': total(({ merged }) => merged),
      'model.device_tlb_requests': total(({ translationRequests }) => translationRequests),
      'model.device_tlb_denied': total(({ denied }) => denied),
      'model.device_tlb_evicted': total(({ evicted }) => evicted),
      'model.device_tlb_invalidated': total(({ invalidated }) => invalidated),
      'model.device_tlb_invalidations': total(({ invalidations }) => invalidations),
      'model.device_tlb_timeouts': total(({ timeouts }) => timeouts),
      'model.device_tlb_spaces_exhausted': total(({ spacesExhausted }) => spacesExhausted),
    };
  }
}
