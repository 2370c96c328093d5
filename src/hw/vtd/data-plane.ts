/**
 * The data plane of a unit: DMA rows in, outcomes out, straight-line busy-until arithmetic, O(1) per page piece. A row
 * is cut into pieces at 4 KiB boundaries (and at what the device's window can hold); each piece is offered to the
 * device's window and link, arrives at the unit, is translated, and completes in memory. A row of several pieces may be
 * interrupted between two of them when events are due; the next call with that row goes on where it stopped.
 *
 * This file is the whole of it, for every row. The common case, a row of one piece that meets neither a fault nor an
 * invalidation, also exists compiled ({@link PlainRows}) and gives the same to the bit.
 */
import type { Tick } from '../../units.ts';
import { DeviceLinks, LinkTick } from '../device-link.ts';
import type { PhysicalMemory } from '../memory.ts';
import { type DmaColumns, DmaFlag, DmaOutcome, type ResultColumns } from '../unit.ts';
import type { Bindings } from './binding.ts';
import { TimePart } from './counters.ts';
import type { InvalidationQueue } from './invalidation-queue.ts';
import { STOP_END, STOP_LIMIT, STOP_STALE } from './plain-rows/words.ts';
import { PlainRows } from './plain-rows.ts';
import { RowProgress } from './row-progress.ts';
import { Result } from './translation-result.ts';
import type { Translator } from './translator.ts';
import { WalkTick } from './walk-schedule.ts';

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const Link = LinkTick;
const Walk = WalkTick;
const Outcome = DmaOutcome;
const Flag = DmaFlag;
const Answer = Result;
const Part = TimePart;

/** State of the devices, for whoever handles some of their requests otherwise: the compiled loop, devices with ATS. */
export interface SharedDeviceState {
  readonly links: DeviceLinks;
  readonly progress: RowProgress;
  /** [ps] By device: when it issued its last request. */
  readonly lastIssue: Float64Array;
}

/** Devices, links and translation of one unit. */
export class DataPlane {
  readonly shared: SharedDeviceState;

  readonly #translator: Translator;
  readonly #bindings: Bindings;
  readonly #queue: InvalidationQueue;
  readonly #links: DeviceLinks;
  readonly #progress: RowProgress;
  /** [ps] By device: when its last translation was released, for in-order release. */
  readonly #released: Float64Array;
  readonly #lastIssue: Float64Array;
  readonly #memory: PhysicalMemory;
  readonly #compiled: boolean;
  /** Made for the first DMA: units that only answer single accesses need none. */
  #plain: PlainRows | undefined;
  #begun = false;
  /** [ps] Element 0: see {@link lastDoneTick}. */
  readonly #lastDone = new Float64Array(1);

  /** `compiled`: use {@link PlainRows} where it applies. */
  constructor(
    translator: Translator,
    queue: InvalidationQueue,
    memory: PhysicalMemory,
    deviceCount: number,
    compiled: boolean,
  ) {
    const { config } = translator;
    const { linear } = memory;
    this.#translator = translator;
    this.#bindings = translator.bindings;
    this.#queue = queue;
    this.#memory = memory;
    this.#compiled = compiled;
    this.#links = new DeviceLinks(config.link, deviceCount, config.translation.hitTicks, linear);
    this.#progress = new RowProgress(deviceCount, linear);
    this.#released = new Float64Array(deviceCount);
    this.#lastIssue = linear.float64(deviceCount);
    this.shared = { links: this.#links, progress: this.#progress, lastIssue: this.#lastIssue };
  }

  /** [ps] Completion of the DMA that completed last. */
  get lastDoneTick(): number {
    return Math.max(this.#lastDone[0]!, this.#plain?.lastDoneTick ?? 0);
  }

  /** A DMA completed at `doneTick`. @hot */
  noteDone(doneTick: number): void {
    if (doneTick > this.#lastDone[0]!) this.#lastDone[0] = doneTick;
  }

  /** See {@link IommuUnit.translate}. @hot */
  translate(input: DmaColumns, from: number, to: number, limit: Tick, out: ResultColumns): number {
    const queue = this.#queue;
    const translator = this.#translator;
    if (!this.#begun) this.#begin();
    const plain = translator.enabled ? this.#plain : undefined;
    let row = from;
    while (row < to) {
      if (plain !== undefined) {
        row = plain.run(input, row, to, limit, queue.nextEffectTick, out);
        if (plain.stop === STOP_END || plain.stop === STOP_LIMIT) break;
        if (plain.stop === STOP_STALE) {
          translator.settle();
          continue;
        }
      }
      if (!this.#rowInPieces(input, row, limit, out)) break;
      row++;
    }
    translator.times.carry();
    return row;
  }

  #begin(): void {
    this.#begun = true;
    if (this.#compiled) this.#plain = PlainRows.forUnit(this.#translator, this.#memory, this.shared);
  }

  /**
   * Translates and completes a piece that has arrived (`ticks[arrival]`); outcome columns of the row are filled, ticks
   * are left in the link's `ready` and `done`.
   */
  #translatePiece(
    device: number,
    port: number,
    slot: number,
    low: number,
    high: number,
    flags: number,
    row: number,
    out: ResultColumns,
  ): void {
    const translator = this.#translator;
    const links = this.#links;
    const { ticks } = links;
    const { result, ticks: walk } = translator;
    walk[Walk.arrival] = ticks[Link.arrival]!;
    translator.translate(slot, low, high, flags, links.tlpCount(port));
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
    const portTicks = links.memoryPortTicks(port);
    if (portTicks > 0) translator.schedule.readData(ticks[Link.arrival]!, portTicks);
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
      this.#translatePiece(device, port, slot, (low >>> 12) | (high << 20), high >>> 12, flags, row, out);
      const doneTick = ticks[Link.done]!;
      sums[Part.memory]! += doneTick - ticks[Link.ready]!;
      this.noteDone(doneTick);
      out.arriveTick[row] = arrival;
      out.readyTick[row] = ticks[Link.ready]!;
      out.doneTick[row] = doneTick;
      this.#progress.add(device, piece, row, out);
    }
    this.#progress.finish(device, row, out);
    return true;
  }
}
