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
import { NO_PASID } from '../../address.ts';
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import { DevicePort, LinkTick } from '../device-link.ts';
import { type DmaColumns, DmaFlag, DmaOutcome, type ResultColumns } from '../unit.ts';
import type { EndpointTiming } from './config.ts';
import { TimePart } from './counters.ts';
import type { DataPlane, SharedDeviceState } from './data-plane.ts';
import { DeviceTranslations, type TranslationWire } from './device-translations.ts';
import { type Endpoint, PageWait } from './endpoint.ts';
import type { InvalidationQueue } from './invalidation-queue.ts';
import { PageResponseValue } from './layout.ts';
import type { PageRequests } from './page-requests.ts';
import { Result } from './translation-result.ts';
import type { Translator } from './translator.ts';
import { WalkTick } from './walk-schedule.ts';

/** [rows] Looked ahead at most for rows of one device. */
const RUN_ROWS = 64;
const RECORDED_AS_SUCH = DmaFlag.translationRequest | DmaFlag.translated;

/** The plane of one unit. */
export class AtsPlane {
  readonly #plain: DataPlane;
  readonly #shared: SharedDeviceState;
  readonly #translator: Translator;
  readonly #timeline: Timeline;
  readonly #timing: EndpointTiming;
  readonly #translations: DeviceTranslations;
  readonly #pages: PageRequests;
  /** By device index. */
  readonly #endpoints: readonly (Endpoint | undefined)[];

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
    this.#timeline = timeline;
    this.#timing = translator.config.endpoint;
    this.#translations = new DeviceTranslations(translator, queue, this.#shared.links, wire);
    this.#pages = pages;
    this.#endpoints = endpoints;
  }

  /** [ps] In which translation requests waited for a walker. */
  get blockedTicks(): number {
    return this.#translations.blockedTicks;
  }

  /** See {@link IommuUnit.translate}. @hot */
  translate(input: DmaColumns, from: number, to: number, limit: Tick, out: ResultColumns): number {
    const reached = this.#rows(input, from, to, limit, out);
    this.#translator.times.carry();
    return reached;
  }

  /** Rows up to the first that has to wait; that row. @hot */
  #rows(input: DmaColumns, from: number, to: number, limit: Tick, out: ResultColumns): number {
    const { device: devices } = input;
    let row = from;
    while (row < to) {
      const device = devices[row]!;
      const endpoint = this.#endpoints[device];
      let end = row + 1;
      while (end < to && end - row < RUN_ROWS && devices[end] === device) end++;
      if (endpoint?.abandoned === true) this.#startOver(endpoint);
      if (endpoint?.function.atsEnabled !== true) {
        const reached = this.#plain.translate(input, row, end, limit, out);
        if (reached < end) return reached;
      } else {
        for (let at = row; at < end; at++) if (!this.#row(endpoint, input, at, limit, out)) return at;
      }
      row = end;
    }
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
    const translations = this.#translations;
    let granted = false;
    if (endpoint.pageWait === PageWait.answered && endpoint.pageCode !== PageResponseValue.success) {
      translations.granted[0] = endpoint.fromTick;
      translations.outcome = DmaOutcome.fault;
      translations.fault = endpoint.pageFault;
      translations.reads = 0;
    } else {
      granted = translations.find(endpoint, slot, pasid, low, high, flags);
      if (!granted && this.#askForPages(endpoint, slot, pasid, low, high, pagesLeft, flags)) return false;
    }
    if (endpoint.pageWait !== PageWait.none) this.#resume(endpoint);
    const port = (endpoint.device << 1) | (flags & 1);
    if (granted) this.#send(endpoint, port, slot, low, high, flags);
    else this.#giveUp(endpoint, port);
    this.#answer(endpoint, low, high, granted, row, out);
    return true;
  }

  /** The piece that waited for a page never went out; it is offered again. */
  #startOver(endpoint: Endpoint): void {
    this.#translator.times.low[TimePart.link]! -= endpoint.arrivalTick - endpoint.issueTick;
    this.#resume(endpoint);
  }

  /** The device goes on after a page request: what it issues next comes after the answer. */
  #resume(endpoint: Endpoint): void {
    endpoint.pageWait = PageWait.none;
    endpoint.abandoned = false;
    const { links, lastIssue } = this.#shared;
    const { device, fromTick } = endpoint;
    const next = (device << 2) + DevicePort.nextIssue;
    links.devices[next] = Math.max(links.devices[next]!, fromTick);
    links.devices[next + 1] = Math.max(links.devices[next + 1]!, fromTick);
    lastIssue[device] = Math.max(lastIssue[device]!, fromTick);
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
    if (!endpoint.function.priEnabled || !this.#translator.faults.denied) return false;
    if (endpoint.pageRetries >= this.#timing.pageRequestRetries) {
      endpoint.pageFailures++;
      return false;
    }
    endpoint.pageRetries++;
    endpoint.pageFault = this.#translations.fault;
    const group = {
      pasid,
      firstPage: (high >>> 0) * 4294967296 + (low >>> 0),
      pageCount: Math.min(pagesLeft, this.#timing.pageRequestWindow),
      write: (flags & 1) !== 0,
      allowed: this.#translator.bindings.pageRequests[slot] === 1,
    };
    this.#pages.send(endpoint, group, this.#translations.granted[0]!);
    return true;
  }

  /** The request itself, translated: past the unit and on to memory. @hot */
  #send(endpoint: Endpoint, port: number, slot: number, low: number, high: number, flags: number): void {
    const { links } = this.#shared;
    const { ticks } = links;
    const translator = this.#translator;
    const translations = this.#translations;
    const { result, ticks: walk, times } = translator;
    const delay = translations.granted[0]! - endpoint.issueTick;
    const arrival = endpoint.arrivalTick + delay;
    ticks[LinkTick.arrival] = arrival;
    ticks[LinkTick.lastArrival] = endpoint.lastArrivalTick + delay;
    walk[WalkTick.arrival] = arrival;
    translator.translate(slot, low, high, (flags & 1) | DmaFlag.translated, links.tlpCount(port));
    const ready = walk[WalkTick.ready]!;
    ticks[LinkTick.ready] = ready;
    translations.reads += result[Result.reads]!;
    if (result[Result.outcome] === DmaOutcome.fault) {
      translations.outcome = DmaOutcome.fault;
      translations.fault = result[Result.fault]!;
      links.abort(port);
    } else {
      // The down link serves requests in the order of their unhindered data: this one's wait holds up none behind it.
      ticks[LinkTick.arrival] = endpoint.arrivalTick;
      links.complete(port);
      ticks[LinkTick.arrival] = arrival;
      const portTicks = links.memoryPortTicks(port);
      // As if the device had not translated first: a read of the future keeps nobody from the port until then.
      if (portTicks > 0) translator.schedule.readData(endpoint.arrivalTick, portTicks);
    }
    const done = ticks[LinkTick.done]!;
    if (translations.entry >= 0) endpoint.tlb.use(translations.entry, done);
    times.low[TimePart.memory]! += done - ready;
    this.#plain.noteDone(done);
  }

  /** There is no translation: the device drops the request when it learns that, and nothing goes out. */
  #giveUp(endpoint: Endpoint, port: number): void {
    const { links } = this.#shared;
    const { ticks } = links;
    const granted = this.#translations.granted[0]!;
    ticks[LinkTick.ready] = granted - links.timing.oneWayTicks;
    links.abort(port);
    ticks[LinkTick.arrival] = granted;
    ticks[LinkTick.ready] = granted;
    ticks[LinkTick.done] = granted;
    this.#translator.times.low[TimePart.link]! -= endpoint.arrivalTick - endpoint.issueTick;
    this.#translations.outcome = DmaOutcome.fault;
  }

  #answer(endpoint: Endpoint, low: number, high: number, granted: boolean, row: number, out: ResultColumns): void {
    const { ticks } = this.#shared.links;
    const translations = this.#translations;
    out.issueTick[row] = endpoint.issueTick;
    out.arriveTick[row] = ticks[LinkTick.arrival]!;
    out.readyTick[row] = ticks[LinkTick.ready]!;
    out.doneTick[row] = ticks[LinkTick.done]!;
    out.outcome[row] = translations.outcome;
    out.fault[row] = translations.fault;
    out.walkReads[row] = Math.min(translations.reads, 255);
    out.pageShift[row] = 0;
    out.pfn[2 * row] = low;
    out.pfn[2 * row + 1] = high;
    if (!granted) return;
    out.pageShift[row] = translations.pageShift;
    out.pfn[2 * row] = translations.pfnLow;
    out.pfn[2 * row + 1] = translations.pfnHigh;
  }

  /** A row recorded as translation request or translated: as it is; the answer to a request fills the device TLB. */
  #recorded(endpoint: Endpoint, input: DmaColumns, row: number, limit: Tick, out: ResultColumns): boolean {
    this.#translator.faults.denied = false;
    if (this.#plain.translate(input, row, row + 1, limit, out) === row) return false;
    const flags = input.flags[row]!;
    if ((flags & DmaFlag.translationRequest) === 0) return true;
    endpoint.translationRequests++;
    endpoint.times.translation.record(out.doneTick[row]! - out.issueTick[row]!);
    const outcome = out.outcome[row]!;
    if (outcome === DmaOutcome.fault) {
      if (this.#translator.faults.denied) endpoint.denied++;
      return true;
    }
    const low = (input.iova[2 * row]! >>> 12) | (input.iova[2 * row + 1]! << 20);
    const high = input.iova[2 * row + 1]! >>> 12;
    const { bindings } = this.#translator;
    const pasid = input.pasid[row]!;
    const slot = bindings.slotOf(bindings.requesterOf[endpoint.device]!, pasid);
    const [pfnLow, pfnHigh] = [out.pfn[2 * row]!, out.pfn[2 * row + 1]!];
    const done = out.doneTick[row]!;
    this.#translations.keep(endpoint, slot, pasid, low, high, outcome, out.pageShift[row]!, pfnLow, pfnHigh, done);
    return true;
  }
}

/** An interrupt message, which has no PASID: a device never translates those itself. */
function isInterrupt(input: DmaColumns, row: number): boolean {
  const inRange = input.iova[2 * row + 1] === 0 && input.iova[2 * row]! >>> 20 === 0xfee;
  return inRange && (input.flags[row]! & DmaFlag.write) !== 0 && input.pasid[row] === NO_PASID;
}
