/**
 * The data plane of a unit: DMA rows in, outcomes out, straight-line busy-until arithmetic, O(1) per page piece. A row
 * is cut into pieces at 4 KiB boundaries (and at what the device's window can hold); each piece is offered to the
 * device's window and link, arrives at the unit, is translated, and completes in memory. A row of several pieces may be
 * interrupted between two of them when events are due; the next call with that row goes on where it stopped.
 *
 * The loop of {@link DataPlane.translate} holds the common case, a row of one piece that hits a valid IOTLB entry, with
 * the link's arithmetic written out: ticks in locals instead of its scratch array. All else goes through the
 * {@link Translator} and the link's own methods.
 */
import { InvariantError } from '../../assert.ts';
import type { Tick } from '../../units.ts';
import { DeviceLinks, DevicePort, LinkTick, MAX_REQUEST_BYTES, RequestShape } from '../device-link.ts';
import { GROUP_SHIFT } from '../set-assoc.ts';
import { type DmaColumns, DmaFlag, DmaOutcome, type ResultColumns } from '../unit.ts';
import type { Bindings } from './binding.ts';
import { Counter, TimePart } from './counters.ts';
import type { InvalidationQueue } from './invalidation-queue.ts';
import { MAX_PAGE_HIGH, RECENT_FACTOR, VALUE_PFN_HIGH, VALUE_PROT_SHIFT, VALUE_SIZE_SHIFT } from './iotlb.ts';
import { RowProgress } from './row-progress.ts';
import { Result, type Translator } from './translator.ts';
import { WalkTick } from './walk-schedule.ts';

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const Link = LinkTick;
const Walk = WalkTick;
const Outcome = DmaOutcome;
const Flag = DmaFlag;
const Answer = Result;
const Part = TimePart;
const Count = Counter;
const SHAPES = MAX_REQUEST_BYTES + 1;
const STEP = RequestShape.step;
const SERIAL = RequestShape.serial;
const DOWN_TOTAL = RequestShape.downTotal;
const DOWN_STEP = RequestShape.downStep;
const HOLD = RequestShape.hold;
const UP_FREE = DevicePort.upFree;
const DOWN_FREE = DevicePort.downFree;
const NEXT_ISSUE = DevicePort.nextIssue;
const SPACE_SHIFT = GROUP_SHIFT;
const HASH = RECENT_FACTOR;
const PAGE_HIGH_LIMIT = MAX_PAGE_HIGH;
const PROT_SHIFT = VALUE_PROT_SHIFT;
const SIZE_SHIFT = VALUE_SIZE_SHIFT;
const PFN_HIGH = VALUE_PFN_HIGH;
/** Instead of an IOTLB entry: none has the key; nobody has looked, or what was found does not answer. */
const ABSENT = -1;
const UNKNOWN = -2;

/** See {@link DataPlane.shared}. */
export interface SharedDeviceState {
  readonly links: DeviceLinks;
  readonly progress: RowProgress;
  /** [ps] By device: when it issued its last request. */
  readonly lastIssue: Float64Array;
}

/** Devices, links and translation of one unit. */
export class DataPlane {
  /** [ps] Completion of the DMA that completed last. */
  lastDoneTick = 0;

  readonly #translator: Translator;
  readonly #bindings: Bindings;
  readonly #queue: InvalidationQueue;
  readonly #links: DeviceLinks;
  readonly #progress: RowProgress;
  /** [ps] By device: when its last translation was released, for in-order release. */
  readonly #released: Float64Array;
  /** [ps] By device: when it issued its last request. */
  readonly #lastIssue: Float64Array;

  constructor(translator: Translator, queue: InvalidationQueue, deviceCount: number) {
    const { config } = translator;
    this.#translator = translator;
    this.#bindings = translator.bindings;
    this.#queue = queue;
    this.#links = new DeviceLinks(config.link, deviceCount, config.translation.hitTicks);
    this.#progress = new RowProgress(deviceCount);
    this.#released = new Float64Array(deviceCount);
    this.#lastIssue = new Float64Array(deviceCount);
  }

  /** State of the devices that whoever handles some of their requests otherwise has to share. */
  get shared(): SharedDeviceState {
    return { links: this.#links, progress: this.#progress, lastIssue: this.#lastIssue };
  }

  /** See {@link IommuUnit.translate}. @hot */
  translate(input: DmaColumns, from: number, to: number, limit: Tick, out: ResultColumns): number {
    const { notBefore, device: devices, pasid: pasids, iova, bytes: sizes, flags: flagColumn } = input;
    const { issueTick, arriveTick, readyTick, doneTick, outcome, fault, walkReads, pageShift, pfn } = out;
    const links = this.#links;
    const { ticks, shapes, shapeTlps, devices: state, heads, ring } = links;
    const ringShift = links.ringShift | 0;
    const ringMask = links.ringMask | 0;
    const { oneWayTicks, memoryReadTicks, memoryWriteTicks } = links.timing;
    const queue = this.#queue;
    const translator = this.#translator;
    const { iotlb, spaces } = translator;
    const { cache, recent } = iotlb;
    const recentShift = iotlb.recentShift | 0;
    const { tags, values, readyTick: validFrom } = cache;
    const bindings = this.#bindings;
    const { requesterOf } = bindings;
    const { bytesDone } = this.#progress;
    const { hitTicks, releaseInOrder } = translator.config.translation;
    const maxReadChunkBytes = links.maxReadChunkBytes | 0;
    const maxWriteChunkBytes = links.maxWriteChunkBytes | 0;
    const lastIssue = this.#lastIssue;
    const end = to | 0;
    let hits = 0;
    let hitTlps = 0;
    let windowTicks = 0;
    let linkTicks = 0;
    let memoryTicks = 0;
    let lastDone = this.lastDoneTick;
    let i = from | 0;
    for (; i < end; i = (i + 1) | 0) {
      const device = devices[i]!;
      const flags = flagColumn[i]!;
      // Int32 throughout: a u32 that may not fit would make these doubles.
      const size = sizes[i]! | 0;
      const low = iova[i << 1]! | 0;
      const high = iova[(i << 1) | 1]! | 0;
      const write = flags & 1;
      if (((low & 4095) + size) >>> 0 > 4096 || size > (write === 0 ? maxReadChunkBytes : maxWriteChunkBytes)) {
        if (!this.#rowInPieces(input, i, limit, out)) break;
        continue;
      }
      if (bytesDone[device] !== 0) throw pendingRow(device);

      // DeviceLinks.offer and commit, written out.
      const port = (device << 1) | write;
      const shape = (Math.imul(write, SHAPES) + size) | 0;
      if (shapeTlps[shape << 1] === 0) links.measure(write, size);
      const tlps = shapeTlps[shape << 1]! | 0;
      const window = shapeTlps[(shape << 1) | 1]! | 0;
      const head = heads[port]! | 0;
      const ringBase = port << ringShift;
      const earliest = notBefore[i]!;
      const returned = ring[ringBase | ((head - window) & ringMask)]!;
      let free = earliest;
      if (returned > free) free = returned;
      let issue = free;
      const stateBase = device << 2;
      const next = state[stateBase | NEXT_ISSUE | write]!;
      if (next > issue) issue = next;
      const upFree = state[stateBase | UP_FREE]!;
      if (upFree > issue) issue = upFree;
      issueTick[i] = issue;
      if (issue >= limit) break;
      const figures = shape << 3;
      const step = shapes[figures | STEP]!;
      let last = issue;
      if (tlps > 1) {
        last += (tlps - 1) * step;
        const tagFree = ring[ringBase | ((head + tlps - 1 - window) & ringMask)]!;
        if (tagFree > last) last = tagFree;
      }
      const serial = shapes[figures | SERIAL]!;
      state[stateBase | NEXT_ISSUE | write] = last + step;
      state[stateBase | UP_FREE] = last + serial;
      const flight = serial + oneWayTicks;
      const arrival = issue + flight;
      const lastArrival = last + flight;
      arriveTick[i] = arrival;
      // Time as the device's next request: before that, it was the requests in front of it that waited.
      let since = lastIssue[device]!;
      if (since < earliest) since = earliest;
      if (free > since) windowTicks += free - since;
      else free = since;
      linkTicks += arrival - free;
      lastIssue[device] = issue;
      if (arrival >= queue.nextEffectTick) queue.applyEffects(arrival);

      const pageLow = (low >>> 12) | (high << 20);
      const pageHigh = high >>> 12;
      const pasid = pasids[i]! | 0;
      const requester = requesterOf[device]!;
      const slot = pasid === 0 ? requester : bindings.slotOf(requester, pasid);
      let entry = UNKNOWN;
      if (arrival >= bindings.readyTick[slot]! && flags < 2 && pageHigh <= PAGE_HIGH_LIMIT && !releaseInOrder) {
        const space = bindings.space[slot]!;
        const key1 = (space << SPACE_SHIFT) | pageHigh;
        entry = recent[Math.imul(pageLow ^ Math.imul(key1, HASH), HASH) >>> recentShift]!;
        const tag = entry << 2;
        if (tags[tag] === pageLow && tags[tag | 1] === key1 && tags[tag | 2] === spaces.leaf.current[space]) {
          cache.touch(entry);
        } else {
          entry = iotlb.lookup(space, pageLow, pageHigh);
        }
        if (
          entry >= 0 &&
          (validFrom[entry]! > arrival || ((values[(entry << 1) | 1]! >>> PROT_SHIFT) & (1 + write)) === 0)
        ) {
          entry = UNKNOWN;
        }
      }
      if (entry < 0) {
        links.shape[port] = shape;
        ticks[Link.arrival] = arrival;
        ticks[Link.lastArrival] = lastArrival;
        this.#translatePiece(device, port, slot, pageLow, pageHigh, flags, entry === ABSENT, i, out);
        const ready = ticks[Link.ready]!;
        readyTick[i] = ready;
        const done = ticks[Link.done]!;
        doneTick[i] = done;
        memoryTicks += done - ready;
        if (done > lastDone) lastDone = done;
        continue;
      }

      // A plain hit; DeviceLinks.complete written out.
      const value1 = values[(entry << 1) | 1]!;
      const pageBits = 9 * ((value1 >>> SIZE_SHIFT) & 3);
      hits = (hits + 1) | 0;
      hitTlps = (hitTlps + tlps) | 0;
      outcome[i] = Outcome.hit;
      fault[i] = 0;
      walkReads[i] = 0;
      pageShift[i] = 12 + pageBits;
      pfn[i << 1] = values[entry << 1]! | (pageLow & ((1 << pageBits) - 1));
      pfn[(i << 1) | 1] = value1 & PFN_HIGH;
      const ready = arrival + hitTicks;
      readyTick[i] = ready;
      let memory = lastArrival + hitTicks;
      let done: number;
      let back: number;
      let spacing: number;
      if (write === 1) {
        memory += memoryWriteTicks;
        done = memory;
        back = memory + oneWayTicks;
        spacing = step;
      } else {
        memory += memoryReadTicks;
        spacing = shapes[figures | DOWN_STEP]!;
        let sent = ready + memoryReadTicks;
        const downFree = state[stateBase | DOWN_FREE]!;
        if (downFree > sent) sent = downFree;
        sent += shapes[figures | DOWN_TOTAL]!;
        state[stateBase | DOWN_FREE] = sent;
        done = memory + spacing;
        if (sent > done) done = sent;
        done += oneWayTicks;
        back = done + shapes[figures | HOLD]!;
      }
      doneTick[i] = done;
      memoryTicks += done - ready;
      if (done > lastDone) lastDone = done;
      const space = bindings.space[slot]!;
      const { lastUse } = spaces;
      if (memory > lastUse[space]!) lastUse[space] = memory;
      if (tlps === 1 && ring[ringBase | ((head - 1) & ringMask)]! <= back) {
        ring[ringBase | (head & ringMask)] = back;
        heads[port] = (head + 1) | 0;
      } else {
        ticks[Link.returned] = back - (tlps - 1) * spacing;
        ticks[Link.spacing] = spacing;
        links.giveBack(port, tlps);
      }
    }
    const counts = translator.counters.values;
    counts[Count.iommu_requests]! += hitTlps;
    counts[Count.iotlb_lookup]! += hitTlps;
    counts[Count.iotlb_hit]! += hitTlps;
    const { times } = translator;
    times.low[Part.window]! += windowTicks;
    times.low[Part.link]! += linkTicks;
    times.low[Part.iotlbHit]! += hits * hitTicks;
    times.low[Part.memory]! += memoryTicks;
    times.carry();
    if (lastDone > this.lastDoneTick) this.lastDoneTick = lastDone;
    return i;
  }

  /**
   * Translates and completes a piece that has arrived (`ticks[arrival]`); outcome columns of the row are filled, ticks
   * are left in the link's `ready` and `done`. `absent`: known not to be in the IOTLB.
   */
  #translatePiece(
    device: number,
    port: number,
    slot: number,
    low: number,
    high: number,
    flags: number,
    absent: boolean,
    row: number,
    out: ResultColumns,
  ): void {
    const translator = this.#translator;
    const links = this.#links;
    const { ticks } = links;
    const { result, ticks: walk } = translator;
    walk[Walk.arrival] = ticks[Link.arrival]!;
    translator.translate(slot, low, high, flags, links.tlpCount(port), absent);
    let ready = walk[Walk.ready]!;
    if (translator.config.translation.releaseInOrder) {
      const previous = this.#released[device]!;
      if (previous > ready) {
        translator.times.low[Part.walkQueue]! += previous - ready;
        ready = previous;
      }
      this.#released[device] = ready;
    }
    const outcome = result[Answer.outcome]!;
    out.outcome[row] = outcome;
    out.fault[row] = result[Answer.fault]!;
    out.walkReads[row] = result[Answer.reads]!;
    out.pageShift[row] = result[Answer.pageShift]!;
    out.pfn[2 * row] = result[Answer.pfnLow]!;
    out.pfn[2 * row + 1] = result[Answer.pfnHigh]!;
    ticks[Link.ready] = ready;
    if (outcome === Outcome.fault || (flags & Flag.translationRequest) !== 0) {
      links.abort(port);
      return;
    }
    links.complete(port);
    const space = this.#bindings.space[slot]!;
    const { lastUse } = translator.spaces;
    if (ticks[Link.memory]! > lastUse[space]!) lastUse[space] = ticks[Link.memory]!;
  }

  /** A row of several pieces, from where it stopped; false when a piece would issue at or after `limit`. */
  #rowInPieces(input: DmaColumns, row: number, limit: Tick, out: ResultColumns): boolean {
    const links = this.#links;
    const { ticks } = links;
    const bindings = this.#bindings;
    const sums = this.#translator.times.low;
    const device = input.device[row]!;
    const flags = input.flags[row]!;
    const port = (device << 1) | (flags & 1);
    const size = input.bytes[row]!;
    const requester = bindings.requesterOf[device]!;
    const slot = bindings.slotOf(requester, input.pasid[row]!);
    const chunkLimit = (flags & 1) === 0 ? links.maxReadChunkBytes : links.maxWriteChunkBytes;
    for (let done = this.#progress.bytesDone[device]!; done < size; done = this.#progress.bytesDone[device]!) {
      const start = input.iova[2 * row]! + done;
      const low = start >>> 0;
      const high = (input.iova[2 * row + 1]! + Math.floor(start / 4294967296)) | 0;
      const piece = Math.min(4096 - (low & 4095), size - done, chunkLimit);
      const earliest = Math.max(input.notBefore[row]!, done > 0 ? this.#lastIssue[device]! : 0);
      ticks[Link.earliest] = earliest;
      links.offer(port, piece);
      const issue = ticks[Link.issue]!;
      out.issueTick[row] = issue;
      if (issue >= limit) return false;
      links.commit(port);
      const arrival = ticks[Link.arrival]!;
      const since = Math.max(this.#lastIssue[device]!, earliest);
      const free = Math.max(ticks[Link.window]!, since);
      sums[Part.window]! += free - since;
      sums[Part.link]! += arrival - free;
      this.#lastIssue[device] = issue;
      if (arrival >= this.#queue.nextEffectTick) this.#queue.applyEffects(arrival);
      this.#translatePiece(device, port, slot, (low >>> 12) | (high << 20), high >>> 12, flags, false, row, out);
      const doneTick = ticks[Link.done]!;
      sums[Part.memory]! += doneTick - ticks[Link.ready]!;
      if (doneTick > this.lastDoneTick) this.lastDoneTick = doneTick;
      out.arriveTick[row] = arrival;
      out.readyTick[row] = ticks[Link.ready]!;
      out.doneTick[row] = doneTick;
      this.#progress.add(device, piece, row, out);
    }
    this.#progress.finish(device, row, out);
    return true;
  }
}

function pendingRow(device: number): Error {
  return new InvariantError(`device ${device} began another row before its last one was done`);
}
