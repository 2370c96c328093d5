/**
 * The data plane of devices that translate for themselves (PCIe ATS). A request looks up the device's TLB; on a miss a
 * translation request goes to the unit and its answer fills the TLB; then the request goes out translated, and the unit
 * lets it pass after a look at its context and PASID entries. A page that is absent is asked for with a page request, if
 * the device may send one; the row then waits, and is tried again when the answer is there.
 *
 * Rows of devices whose ATS is off, and rows that say themselves what they are (translation request, translated), go to
 * the {@link DataPlane} of all others.
 *
 * APPROX: a request holds its place on the link and its tag or credit while it waits for its translation, and sends no
 * later than it would have without a wait plus that wait; translation requests take wire time but do not queue for the
 * link. An invalidation that meets a translation request under way waits for its answer and for the request that uses it.
 */
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import { DevicePort, LinkTick } from '../device-link.ts';
import { type DmaColumns, DmaFlag, DmaOutcome, type ResultColumns } from '../unit.ts';
import { BindingKind } from './binding.ts';
import type { EndpointTiming } from './config.ts';
import { TimePart } from './counters.ts';
import type { DataPlane, SharedDeviceState } from './data-plane.ts';
import { type Endpoint, PageWait } from './endpoint.ts';
import type { InvalidationQueue } from './invalidation-queue.ts';
import { MAX_PAGE_HIGH, packValue1, VALUE_PFN_HIGH, VALUE_PROT_SHIFT, VALUE_SIZE_SHIFT } from './iotlb.ts';
import { PageResponseValue } from './layout.ts';
import type { PageRequests } from './page-requests.ts';
import { Result, type Translator } from './translator.ts';
import { WalkTick } from './walk-schedule.ts';

/** [rows] Looked ahead at most for rows of one device. */
const RUN_ROWS = 64;
const RECORDED_AS_SUCH = DmaFlag.translationRequest | DmaFlag.translated;

/** [ps] Wire time of a translation request, and of its answer. */
export interface TranslationWire {
  readonly requestTicks: number;
  readonly answerTicks: number;
}

/** What asking for a translation came to. */
const Asked = { granted: 0, refused: 1, waits: 2 } as const;

/** The plane of one unit. */
export class AtsPlane {
  readonly #plain: DataPlane;
  readonly #shared: SharedDeviceState;
  readonly #translator: Translator;
  readonly #queue: InvalidationQueue;
  readonly #timeline: Timeline;
  readonly #timing: EndpointTiming;
  readonly #wire: TranslationWire;
  readonly #pages: PageRequests;
  /** By device index. */
  readonly #endpoints: readonly (Endpoint | undefined)[];
  /** [ps] Clocks in which translation requests waited for a walker. */
  blockedTicks = 0;
  /** Entry (-1 = not cached), page, outcome, fault and reads of the last grant; [ps] when the device had it. */
  #entry = -1;
  #pageShift = 0;
  #pfnLow = 0;
  #pfnHigh = 0;
  #outcome = 0;
  #fault = 0;
  #reads = 0;
  readonly #granted = new Float64Array(1);

  constructor(
    plain: DataPlane,
    translator: Translator,
    queue: InvalidationQueue,
    timeline: Timeline,
    wire: TranslationWire,
    pages: PageRequests,
    endpoints: readonly (Endpoint | undefined)[],
  ) {
    this.#plain = plain;
    this.#shared = plain.shared;
    this.#translator = translator;
    this.#queue = queue;
    this.#timeline = timeline;
    this.#timing = translator.config.endpoint;
    this.#wire = wire;
    this.#pages = pages;
    this.#endpoints = endpoints;
  }

  /** See {@link IommuUnit.translate}. @hot */
  translate(input: DmaColumns, from: number, to: number, limit: Tick, out: ResultColumns): number {
    const { device: devices } = input;
    let row = from;
    while (row < to) {
      const device = devices[row]!;
      const endpoint = this.#endpoints[device];
      let end = row + 1;
      while (end < to && end - row < RUN_ROWS && devices[end] === device) end++;
      if (endpoint?.function.atsEnabled !== true) {
        const reached = this.#plain.translate(input, row, end, limit, out);
        if (reached < end) return reached;
      } else {
        for (let at = row; at < end; at++) if (!this.#row(endpoint, input, at, limit, out)) return at;
      }
      row = end;
    }
    this.#translator.times.carry();
    return to;
  }

  /** One row; false when it would issue at `limit` or later, or waits: then it is to be tried after the next event. @hot */
  #row(endpoint: Endpoint, input: DmaColumns, row: number, limit: Tick, out: ResultColumns): boolean {
    const { links, progress } = this.#shared;
    const { device } = endpoint;
    const flags = input.flags[row]!;
    if ((flags & RECORDED_AS_SUCH) !== 0) return this.#recorded(endpoint, input, row, limit, out);
    if (isInterrupt(input, row)) return this.#plain.translate(input, row, row + 1, limit, out) > row;
    const size = input.bytes[row]!;
    const { bindings } = this.#translator;
    const pasid = input.pasid[row]!;
    const slot = bindings.slotOf(bindings.requesterOf[device]!, pasid);
    const chunkLimit = (flags & 1) === 0 ? links.maxReadChunkBytes : links.maxWriteChunkBytes;
    for (let done = progress.bytesDone[device]!; done < size; done = progress.bytesDone[device]!) {
      const start = input.iova[2 * row]! + done;
      const low = start >>> 0;
      const high = (input.iova[2 * row + 1]! + Math.floor(start / 4294967296)) | 0;
      const bytes = Math.min(4096 - (low & 4095), size - done, chunkLimit);
      if (endpoint.pageWait === PageWait.none) {
        const earliest = Math.max(input.notBefore[row]!, done > 0 ? this.#shared.lastIssue[device]! : 0);
        out.issueTick[row] = this.#offer(endpoint, flags & 1, bytes, earliest, limit);
        if (out.issueTick[row]! >= limit) return false;
      }
      const pageLow = (low >>> 12) | (high << 20);
      const pageHigh = high >>> 12;
      const pagesLeft = Math.ceil(((low & 4095) + size - done) / 4096);
      if (!this.#piece(endpoint, slot, pasid, pageLow, pageHigh, pagesLeft, flags, row, out)) {
        out.issueTick[row] = this.#timeline.next;
        return false;
      }
      progress.add(device, bytes, row, out);
    }
    progress.finish(device, row, out);
    return true;
  }

  /** Offers a piece to the device's window and link and commits it if it issues before `limit`; its issue [ps]. */
  #offer(endpoint: Endpoint, direction: number, bytes: number, earliest: number, limit: Tick): number {
    const { links, lastIssue } = this.#shared;
    const { ticks } = links;
    const port = (endpoint.device << 1) | direction;
    ticks[LinkTick.earliest] = earliest;
    links.offer(port, bytes);
    const issue = ticks[LinkTick.issue]!;
    if (issue >= limit) return issue;
    links.commit(port);
    endpoint.issueTick = issue;
    endpoint.arrivalTick = ticks[LinkTick.arrival]!;
    endpoint.lastArrivalTick = ticks[LinkTick.lastArrival]!;
    endpoint.fromTick = issue;
    endpoint.pageRetries = 0;
    const sums = this.#translator.times.low;
    const since = Math.max(lastIssue[endpoint.device]!, earliest);
    const free = Math.max(ticks[LinkTick.window]!, since);
    sums[TimePart.window]! += free - since;
    sums[TimePart.link]! += endpoint.arrivalTick - free;
    lastIssue[endpoint.device] = issue;
    return issue;
  }

  /** Gets a piece its translation and sends it; false when it has to wait for a page. @hot */
  #piece(
    endpoint: Endpoint,
    slot: number,
    pasid: number,
    low: number,
    high: number,
    pagesLeft: number,
    flags: number,
    row: number,
    out: ResultColumns,
  ): boolean {
    if (endpoint.pageWait === PageWait.sent) return false;
    let asked: number = Asked.refused;
    if (endpoint.pageWait === PageWait.answered && endpoint.pageCode !== PageResponseValue.success) {
      this.#granted[0] = endpoint.fromTick;
      this.#outcome = DmaOutcome.fault;
      this.#fault = endpoint.pageFault;
      this.#reads = 0;
    } else {
      asked = this.#translation(endpoint, slot, pasid, low, high, flags);
      if (asked === Asked.refused && this.#askForPages(endpoint, slot, pasid, low, high, pagesLeft, flags))
        return false;
    }
    if (endpoint.pageWait !== PageWait.none) this.#resume(endpoint);
    const port = (endpoint.device << 1) | (flags & 1);
    if (asked === Asked.granted) this.#send(endpoint, port, slot, low, high, flags);
    else this.#giveUp(endpoint, port);
    this.#answer(endpoint, low, high, asked === Asked.granted, row, out);
    return true;
  }

  /** The device goes on after a page request: what it issues next comes after the answer. */
  #resume(endpoint: Endpoint): void {
    endpoint.pageWait = PageWait.none;
    const { links, lastIssue } = this.#shared;
    const { device, fromTick } = endpoint;
    const next = (device << 2) + DevicePort.nextIssue;
    links.devices[next] = Math.max(links.devices[next]!, fromTick);
    links.devices[next + 1] = Math.max(links.devices[next + 1]!, fromTick);
    lastIssue[device] = Math.max(lastIssue[device]!, fromTick);
  }

  /** From the device TLB, or from the unit. The answer is in the private fields. @hot */
  #translation(endpoint: Endpoint, slot: number, pasid: number, low: number, high: number, flags: number): number {
    const { tlb } = endpoint;
    const { cache } = tlb;
    const from = endpoint.fromTick;
    const { lookupTicks } = this.#timing;
    const sums = this.#translator.times.low;
    const space = endpoint.spaceOf(pasid);
    // APPROX: addresses of the upper half of a first-stage address space are not cached.
    const entry = high <= MAX_PAGE_HIGH ? tlb.lookup(space, low, high) : -1;
    endpoint.lookups++;
    this.#reads = 0;
    this.#fault = 0;
    if (entry >= 0) {
      const value1 = cache.values[(entry << 1) + 1]!;
      if (((value1 >>> VALUE_PROT_SHIFT) & (1 + (flags & 1))) !== 0) {
        const ready = cache.readyTick[entry]!;
        const merged = ready > from;
        if (merged) endpoint.merged++;
        else endpoint.hits++;
        this.#entry = entry;
        this.#translate(cache.values[entry << 1]!, value1, low);
        this.#outcome = merged ? DmaOutcome.mergedMiss : DmaOutcome.deviceHit;
        this.#granted[0] = (merged ? ready : from) + lookupTicks;
        sums[TimePart.deviceTlb]! += this.#granted[0] - from;
        return Asked.granted;
      }
      // Another permission is wanted than was granted: the device asks anew.
      tlb.drop(entry);
    }
    return this.#request(endpoint, slot, space, low, high, flags & 1);
  }

  /** A translation request, from the device and back. */
  #request(endpoint: Endpoint, slot: number, space: number, low: number, high: number, write: number): number {
    const translator = this.#translator;
    const { ticks: walk, result, times } = translator;
    const { requests } = endpoint;
    const { links } = this.#shared;
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
    translator.denied = false;
    translator.translate(slot, low, high, write | DmaFlag.translationRequest, 1);
    this.blockedTicks += sums[TimePart.walkQueue]! - blocked;
    const ready = walk[WalkTick.ready]!;
    const answered = ready + timing.translationExtraTicks + answerTicks + oneWay;
    requests.busyUntil[server] = answered;
    endpoint.translationRequests++;
    endpoint.times.translation.record(answered - from);
    sums[TimePart.deviceTlb]! += arrival - from + (answered - ready);
    this.#granted[0] = answered;
    this.#outcome = result[Result.outcome]!;
    this.#fault = result[Result.fault]!;
    this.#reads = result[Result.reads]!;
    if (this.#outcome === DmaOutcome.fault) {
      if (translator.denied) endpoint.denied++;
      return Asked.refused;
    }
    const size = result[Result.pageShift] === 0 ? 0 : (result[Result.pageShift]! - 12) / 9;
    const frameLow = result[Result.pfnLow]! & ~((1 << (9 * size)) - 1);
    const value1 = packValue1(0, size, this.#permission(slot, low, high), result[Result.pfnHigh]! & VALUE_PFN_HIGH);
    this.#translate(frameLow, value1, low);
    this.#entry = high <= MAX_PAGE_HIGH ? endpoint.tlb.fill(space, size, low, high, frameLow, value1, answered) : -1;
    return Asked.granted;
  }

  /** The page behind `low`, of an entry's values. */
  #translate(value0: number, value1: number, low: number): void {
    const bits = 9 * ((value1 >>> VALUE_SIZE_SHIFT) & 3);
    this.#pageShift = 12 + bits;
    this.#pfnLow = value0 | (low & ((1 << bits) - 1));
    this.#pfnHigh = value1 & VALUE_PFN_HIGH;
  }

  /** Permission that the last translation grants. */
  #permission(slot: number, low: number, high: number): number {
    const { bindings, iotlb, walker } = this.#translator;
    if (this.#outcome === DmaOutcome.passThrough || bindings.kind[slot] === BindingKind.passThrough) return 3;
    if (this.#outcome === DmaOutcome.miss) return walker.prot;
    const pages = this.#translator.tableHigh(slot, low, high);
    const entry = iotlb.peek(bindings.space[slot]!, low, pages);
    return entry < 0 ? walker.prot : (iotlb.cache.values[(entry << 1) + 1]! >>> VALUE_PROT_SHIFT) & 3;
  }

  /** Sends a page request group for what is left of the row, if device and unit are set up for it. */
  #askForPages(
    endpoint: Endpoint,
    slot: number,
    pasid: number,
    low: number,
    high: number,
    pagesLeft: number,
    flags: number,
  ): boolean {
    if (!endpoint.function.priEnabled || !this.#translator.denied) return false;
    if (endpoint.pageRetries >= this.#timing.pageRequestRetries) {
      endpoint.pageFailures++;
      return false;
    }
    endpoint.pageRetries++;
    endpoint.pageFault = this.#fault;
    const group = {
      pasid,
      firstPage: (high >>> 0) * 4294967296 + (low >>> 0),
      pageCount: Math.min(pagesLeft, this.#timing.pageRequestWindow),
      write: (flags & 1) !== 0,
      allowed: this.#translator.bindings.pageRequests[slot] === 1,
    };
    this.#pages.send(endpoint, group, this.#granted[0]!);
    return true;
  }

  /** The request itself, translated: past the unit and on to memory. @hot */
  #send(endpoint: Endpoint, port: number, slot: number, low: number, high: number, flags: number): void {
    const { links } = this.#shared;
    const { ticks } = links;
    const translator = this.#translator;
    const { result, ticks: walk, times } = translator;
    const delay = this.#granted[0]! - endpoint.issueTick;
    const arrival = endpoint.arrivalTick + delay;
    ticks[LinkTick.arrival] = arrival;
    ticks[LinkTick.lastArrival] = endpoint.lastArrivalTick + delay;
    walk[WalkTick.arrival] = arrival;
    translator.translate(slot, low, high, (flags & 1) | DmaFlag.translated, links.tlpCount(port));
    const ready = walk[WalkTick.ready]!;
    ticks[LinkTick.ready] = ready;
    this.#reads += result[Result.reads]!;
    if (result[Result.outcome] === DmaOutcome.fault) {
      this.#outcome = DmaOutcome.fault;
      this.#fault = result[Result.fault]!;
      links.abort(port);
    } else {
      // The down link serves requests in the order of their unhindered data: this one's wait holds up none behind it.
      ticks[LinkTick.arrival] = endpoint.arrivalTick;
      links.complete(port);
      ticks[LinkTick.arrival] = arrival;
    }
    const done = ticks[LinkTick.done]!;
    if (this.#entry >= 0) endpoint.tlb.use(this.#entry, done);
    times.low[TimePart.memory]! += done - ready;
    this.#plain.noteDone(done);
  }

  /** There is no translation: the device drops the request when it learns that, and nothing goes out. */
  #giveUp(endpoint: Endpoint, port: number): void {
    const { links } = this.#shared;
    const { ticks } = links;
    const granted = this.#granted[0]!;
    ticks[LinkTick.ready] = granted - links.timing.oneWayTicks;
    links.abort(port);
    ticks[LinkTick.arrival] = granted;
    ticks[LinkTick.ready] = granted;
    ticks[LinkTick.done] = granted;
    this.#translator.times.low[TimePart.link]! -= endpoint.arrivalTick - endpoint.issueTick;
    this.#outcome = DmaOutcome.fault;
  }

  #answer(endpoint: Endpoint, low: number, high: number, granted: boolean, row: number, out: ResultColumns): void {
    const { ticks } = this.#shared.links;
    out.issueTick[row] = endpoint.issueTick;
    out.arriveTick[row] = ticks[LinkTick.arrival]!;
    out.readyTick[row] = ticks[LinkTick.ready]!;
    out.doneTick[row] = ticks[LinkTick.done]!;
    out.outcome[row] = this.#outcome;
    out.fault[row] = this.#fault;
    out.walkReads[row] = Math.min(this.#reads, 255);
    out.pageShift[row] = 0;
    out.pfn[2 * row] = low;
    out.pfn[2 * row + 1] = high;
    if (!granted) return;
    out.pageShift[row] = this.#pageShift;
    out.pfn[2 * row] = this.#pfnLow;
    out.pfn[2 * row + 1] = this.#pfnHigh;
  }

  /** A row recorded as translation request or translated: as it is; the answer to a request fills the device TLB. */
  #recorded(endpoint: Endpoint, input: DmaColumns, row: number, limit: Tick, out: ResultColumns): boolean {
    if (this.#plain.translate(input, row, row + 1, limit, out) === row) return false;
    const flags = input.flags[row]!;
    if ((flags & DmaFlag.translationRequest) === 0) return true;
    endpoint.translationRequests++;
    endpoint.times.translation.record(out.doneTick[row]! - out.issueTick[row]!);
    const outcome = out.outcome[row]!;
    if (outcome === DmaOutcome.fault) {
      endpoint.denied++;
      return true;
    }
    const low = (input.iova[2 * row]! >>> 12) | (input.iova[2 * row + 1]! << 20);
    const high = input.iova[2 * row + 1]! >>> 12;
    const space = endpoint.spaceOf(input.pasid[row]!);
    const { bindings } = this.#translator;
    const slot = bindings.slotOf(bindings.requesterOf[endpoint.device]!, input.pasid[row]!);
    if (high > MAX_PAGE_HIGH) return true;
    const known = endpoint.tlb.lookup(space, low, high);
    if (known >= 0) endpoint.tlb.drop(known);
    this.#outcome = outcome;
    const size = out.pageShift[row] === 0 ? 0 : (out.pageShift[row]! - 12) / 9;
    const frameLow = out.pfn[2 * row]! & ~((1 << (9 * size)) - 1);
    const value1 = packValue1(0, size, this.#permission(slot, low, high), out.pfn[2 * row + 1]! & VALUE_PFN_HIGH);
    endpoint.tlb.fill(space, size, low, high, frameLow, value1, out.doneTick[row]!);
    return true;
  }
}

/** An interrupt message: a device never translates those itself. */
function isInterrupt(input: DmaColumns, row: number): boolean {
  return (
    (input.flags[row]! & DmaFlag.write) !== 0 && input.iova[2 * row + 1] === 0 && input.iova[2 * row]! >>> 20 === 0xfee
  );
}
