/**
 * How a device with ATS gets the translation of one request: from its own TLB, or by a translation request to the unit,
 * whose answer fills the TLB. The answer is left in fields, for the plane to use ({@link ./ats-plane.ts}).
 */
import { type DeviceLinks, DevicePort } from '../device-link.ts';
import { DmaFlag, DmaOutcome } from '../unit.ts';
import { BindingKind } from './binding.ts';
import type { EndpointTiming } from './config.ts';
import { TimePart } from './counters.ts';
import type { Endpoint } from './endpoint.ts';
import type { InvalidationQueue } from './invalidation-queue.ts';
import { MAX_PAGE_HIGH, packValue1, VALUE_PFN_HIGH, VALUE_PROT_SHIFT, VALUE_SIZE_SHIFT } from './iotlb.ts';
import { Result } from './translation-result.ts';
import type { Translator } from './translator.ts';
import { WalkTick } from './walk-schedule.ts';

/** [ps] Wire time of a translation request, and of its answer. */
export interface TranslationWire {
  readonly requestTicks: number;
  readonly answerTicks: number;
}

/** Translations of the devices of one unit. */
export class DeviceTranslations {
  /** Entry of the device TLB behind the last translation; -1 = it is not cached. */
  entry = -1;
  /** The page, when there is one. */
  pageShift = 0;
  pfnLow = 0;
  pfnHigh = 0;
  /** DmaOutcome of the last translation, fault reason, memory reads at the unit. */
  outcome = 0;
  fault = 0;
  reads = 0;
  /** [ps] Element 0: when the device knew. */
  readonly granted = new Float64Array(1);
  /** [ps] In which translation requests waited for a walker. */
  blockedTicks = 0;

  readonly #translator: Translator;
  readonly #queue: InvalidationQueue;
  readonly #links: DeviceLinks;
  readonly #timing: EndpointTiming;
  readonly #wire: TranslationWire;

  constructor(translator: Translator, queue: InvalidationQueue, links: DeviceLinks, wire: TranslationWire) {
    this.#translator = translator;
    this.#queue = queue;
    this.#links = links;
    this.#timing = translator.config.endpoint;
    this.#wire = wire;
  }

  /** Looks for a translation in the device TLB, then asks the unit. @hot */
  find(endpoint: Endpoint, slot: number, pasid: number, low: number, high: number, flags: number): boolean {
    const { tlb } = endpoint;
    const { cache } = tlb;
    const from = endpoint.fromTick;
    const { lookupTicks } = this.#timing;
    const sums = this.#translator.times.low;
    const space = endpoint.spaceOf(pasid);
    // APPROX: addresses of the upper half of a first-stage address space are not cached.
    const entry = high <= MAX_PAGE_HIGH ? tlb.lookup(space, low, high) : -1;
    endpoint.lookups++;
    this.reads = 0;
    this.fault = 0;
    if (entry >= 0) {
      const value1 = cache.values[(entry << 1) + 1]!;
      if (((value1 >>> VALUE_PROT_SHIFT) & (1 + (flags & 1))) !== 0) {
        const ready = cache.readyTick[entry]!;
        const merged = ready > from;
        if (merged) endpoint.merged++;
        else endpoint.hits++;
        this.entry = entry;
        this.#translate(cache.values[entry << 1]!, value1, low);
        this.outcome = merged ? DmaOutcome.mergedMiss : DmaOutcome.deviceHit;
        this.granted[0] = (merged ? ready : from) + lookupTicks;
        sums[TimePart.deviceTlb]! += this.granted[0] - from;
        return true;
      }
      // Another permission is wanted than was granted: the device asks anew.
      tlb.drop(entry);
    }
    return this.#request(endpoint, slot, space, low, high, flags & 1);
  }

  /** A translation request, from the device and back. */
  #request(endpoint: Endpoint, slot: number, space: number, low: number, high: number, write: number): boolean {
    const translator = this.#translator;
    const { ticks: walk, result, times } = translator;
    const { requests } = endpoint;
    const links = this.#links;
    const sums = times.low;
    const timing = this.#timing;
    const { requestTicks, answerTicks } = this.#wire;
    const oneWay = links.timing.oneWayTicks;
    const from = endpoint.fromTick;
    const server = requests.earliest();
    const sent = Math.max(from + timing.lookupTicks, requests.busyUntil[server]!);
    const arrival = sent + requestTicks + oneWay;
    const state = endpoint.device << 2;
    links.devices[state + DevicePort.upFree]! += requestTicks;
    links.devices[state + DevicePort.downFree]! += answerTicks;
    if (arrival >= this.#queue.nextEffectTick) this.#queue.applyEffects(arrival);
    const blocked = sums[TimePart.walkQueue]!;
    walk[WalkTick.arrival] = arrival;
    translator.faults.denied = false;
    translator.translate(slot, low, high, write | DmaFlag.translationRequest, 1);
    this.blockedTicks += sums[TimePart.walkQueue]! - blocked;
    const ready = walk[WalkTick.ready]!;
    const answered = ready + timing.translationExtraTicks + answerTicks + oneWay;
    requests.busyUntil[server] = answered;
    endpoint.translationRequests++;
    endpoint.times.translation.record(answered - from);
    sums[TimePart.deviceTlb]! += arrival - from + (answered - ready);
    this.granted[0] = answered;
    this.outcome = result[Result.outcome]!;
    this.fault = result[Result.fault]!;
    this.reads = result[Result.reads]!;
    if (this.outcome === DmaOutcome.fault) {
      if (translator.faults.denied) endpoint.denied++;
      return false;
    }
    const size = sizeOf(result[Result.pageShift]!);
    const frameLow = result[Result.pfnLow]! & ~((1 << (9 * size)) - 1);
    const value1 = packValue1(0, size, this.#permission(slot, low, high), result[Result.pfnHigh]! & VALUE_PFN_HIGH);
    this.#translate(frameLow, value1, low);
    this.entry = high <= MAX_PAGE_HIGH ? endpoint.tlb.fill(space, size, low, high, frameLow, value1, answered) : -1;
    return true;
  }

  /** The page behind `low`, of an entry's values. */
  #translate(value0: number, value1: number, low: number): void {
    const bits = 9 * ((value1 >>> VALUE_SIZE_SHIFT) & 3);
    this.pageShift = 12 + bits;
    this.pfnLow = value0 | (low & ((1 << bits) - 1));
    this.pfnHigh = value1 & VALUE_PFN_HIGH;
  }

  /** Permission that the last translation grants. */
  #permission(slot: number, low: number, high: number): number {
    const { bindings, iotlb, walker } = this.#translator;
    if (this.outcome === DmaOutcome.passThrough || bindings.kind[slot] === BindingKind.passThrough) return 3;
    if (this.outcome === DmaOutcome.miss) return walker.prot;
    const pages = this.#translator.bindings.tableHigh(slot, low, high);
    const entry = iotlb.peek(bindings.space[slot]!, low, pages);
    return entry < 0 ? walker.prot : (iotlb.cache.values[(entry << 1) + 1]! >>> VALUE_PROT_SHIFT) & 3;
  }

  /** Keeps the answer of a translation request that a trace holds as a row; `low`, `high` are its page, `pfn` ours. */
  keep(
    endpoint: Endpoint,
    slot: number,
    pasid: number,
    low: number,
    high: number,
    outcome: number,
    pageShift: number,
    pfnLow: number,
    pfnHigh: number,
    readyTick: number,
  ): void {
    if (high > MAX_PAGE_HIGH) return;
    const { tlb } = endpoint;
    const space = endpoint.spaceOf(pasid);
    const known = tlb.lookup(space, low, high);
    if (known >= 0) tlb.drop(known);
    this.outcome = outcome;
    const size = sizeOf(pageShift);
    const value1 = packValue1(0, size, this.#permission(slot, low, high), pfnHigh & VALUE_PFN_HIGH);
    tlb.fill(space, size, low, high, pfnLow & ~((1 << (9 * size)) - 1), value1, readyTick);
  }
}

/** Page size as an entry has it: 0 = 4 KiB, also for what was not translated. */
function sizeOf(pageShift: number): number {
  return pageShift === 0 ? 0 : (pageShift - 12) / 9;
}
