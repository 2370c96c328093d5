/**
 * One VT-d remapping unit: registers, invalidation queue, fault recording, and the data plane of the devices behind it.
 *
 * The data plane is straight-line busy-until arithmetic, O(1) per page piece of a DMA. A row is cut into pieces at 4 KiB
 * boundaries (and at what the device's window can hold); each piece is offered to the device's window and link,
 * arrives at the unit, is translated, and completes in memory. A row that spans pages may be interrupted between two
 * pieces when events are due; the next call with that row goes on where it stopped.
 */
import type { Pasid, SourceId } from '../../address.ts';
import { assert } from '../../assert.ts';
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import { DeviceLinks, LinkTick } from '../device-link.ts';
import type { PhysicalMemory } from '../memory.ts';
import { type CounterSnapshot, type DmaColumns, DmaOutcome, type IommuUnit, type ResultColumns } from '../unit.ts';
import { Bindings } from './binding.ts';
import type { VtdConfig } from './config.ts';
import { Counter, TimePart, type TimeSums, UnitCounters } from './counters.ts';
import { FaultRecorder } from './faults.ts';
import { InvalidationExecutor } from './invalidation.ts';
import { InvalidationQueue, type QueueMode, type QueueStatistics } from './invalidation-queue.ts';
import { MAX_PAGE_HIGH, packValue1, VALUE_PFN_HIGH, VALUE_PROT_SHIFT, VALUE_SIZE_SHIFT } from './iotlb.ts';
import { probe } from './prober.ts';
import { RegisterFile } from './register-file.ts';
import { RowProgress } from './row-progress.ts';
import { Result, Translator } from './translator.ts';
import { WalkTick } from './walk-schedule.ts';

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const Link = LinkTick;
const Walk = WalkTick;
const Outcome = DmaOutcome;
const Answer = Result;
const PAGE_HIGH_LIMIT = MAX_PAGE_HIGH;
const PROT_SHIFT = VALUE_PROT_SHIFT;
const SIZE_SHIFT = VALUE_SIZE_SHIFT;
const PFN_HIGH = VALUE_PFN_HIGH;

/** What a unit needs besides its profile. */
export interface VtdUnitOptions {
  readonly name: string;
  readonly config: VtdConfig;
  readonly memory: PhysicalMemory;
  readonly timeline: Timeline;
  /** Requester id of every device of the machine, by device index; devices of other units never issue here. */
  readonly deviceSourceIds: readonly SourceId[];
  readonly queueMode?: QueueMode;
}

/** Answer of {@link VtdUnit.access} and {@link VtdUnit.probe}. */
export interface AccessResult {
  /** {@link DmaOutcome}. */
  readonly outcome: number;
  /** Fault reason, 0 = none. */
  readonly fault: number;
  /** [4 KiB pages] Page behind the address; the address's own page when it was not translated. */
  readonly pfn: number;
  /** log2 of the page size; 0 when not translated. */
  readonly pageShift: number;
}

/** An IOMMU unit after Intel VT-d. */
export class VtdUnit implements IommuUnit {
  readonly name: string;

  readonly #config: VtdConfig;
  readonly #bindings: Bindings;
  readonly #counters = new UnitCounters();
  readonly #faults: FaultRecorder;
  readonly #translator: Translator;
  readonly #executor: InvalidationExecutor;
  readonly #queue: InvalidationQueue;
  readonly #registers: RegisterFile;
  readonly #links: DeviceLinks;
  readonly #progress: RowProgress;
  /** [ps] By device: when its last translation was released, for in-order release. */
  readonly #released: Float64Array;
  /** [ps] By device: issue of its last request. */
  readonly #lastIssue: Float64Array;
  #lastDoneTick = 0;

  constructor(options: VtdUnitOptions) {
    const mode = options.queueMode ?? 'timed';
    const config = mode === 'deferred' ? withoutTime(options.config) : options.config;
    const deviceCount = options.deviceSourceIds.length;
    this.name = options.name;
    this.#config = config;
    this.#bindings = new Bindings(options.deviceSourceIds);
    this.#faults = new FaultRecorder(((config.cap[1] >>> 8) & 0xff) + 1, this.#counters);
    this.#translator = new Translator(config, options.memory, this.#bindings, this.#counters, this.#faults);
    this.#executor = new InvalidationExecutor(this.#translator);
    this.#queue = new InvalidationQueue(options.memory, options.timeline, config.queue, this.#executor, mode);
    this.#registers = new RegisterFile(config.cap, config.ecap, this.#translator, this.#queue, this.#faults);
    this.#links = new DeviceLinks(config.link, deviceCount, config.translation.hitTicks);
    this.#progress = new RowProgress(deviceCount);
    this.#released = new Float64Array(deviceCount);
    this.#lastIssue = new Float64Array(deviceCount);
  }

  translate(input: DmaColumns, from: number, to: number, limit: Tick, out: ResultColumns): number {
    const { notBefore, device: devices, pasid: pasids, iova, bytes: sizes, flags: flagColumn } = input;
    const { issueTick, arriveTick, readyTick, doneTick, outcome, fault, walkReads, pageShift, pfn } = out;
    const links = this.#links;
    const { ticks } = links;
    const queue = this.#queue;
    const translator = this.#translator;
    const { iotlb, spaces } = translator;
    const { cache } = iotlb;
    const bindings = this.#bindings;
    const { requesterOf } = bindings;
    const bytesDone = this.#progress.bytesDone;
    const { hitTicks, releaseInOrder } = this.#config.translation;
    const maxReadChunkBytes = links.maxReadChunkBytes | 0;
    const maxWriteChunkBytes = links.maxWriteChunkBytes | 0;
    const translation = translator.ticks;
    const slowResult = translator.result;
    const released = this.#released;
    const lastIssue = this.#lastIssue;
    let hits = 0;
    let hitTlps = 0;
    let windowTicks = 0;
    let linkTicks = 0;
    let memoryTicks = 0;
    let lastDone = this.#lastDoneTick;
    let i = from;
    for (; i < to; i++) {
      const device = devices[i]!;
      const flags = flagColumn[i]!;
      // Int32 throughout: a u32 that may not fit would make these doubles.
      const size = sizes[i]! | 0;
      const port = (device << 1) | (flags & 1);
      const chunkLimit = (flags & 1) === 0 ? maxReadChunkBytes : maxWriteChunkBytes;
      let earliest = notBefore[i]!;
      let low = iova[2 * i]! | 0;
      let high = iova[2 * i + 1]! | 0;
      let left = size;
      const before = bytesDone[device]!;
      if (before !== 0) {
        const start = (low + before) | 0;
        if (start >>> 0 < low >>> 0) high = (high + 1) | 0;
        low = start;
        left = (left - before) | 0;
      }
      let interrupted = false;
      for (;;) {
        const offset = low & 4095;
        let piece = 4096 - offset;
        if (piece > left) piece = left;
        if (piece > chunkLimit) piece = chunkLimit;
        ticks[Link.earliest] = earliest;
        links.offer(port, piece);
        const issue = ticks[Link.issue]!;
        issueTick[i] = issue;
        if (issue >= limit) {
          interrupted = true;
          break;
        }
        links.commit(port);
        const arrival = ticks[Link.arrival]!;
        // Time as the device's next request: before that, it was the requests in front of it that waited.
        let free = ticks[Link.window]!;
        let since = lastIssue[device]!;
        if (since < earliest) since = earliest;
        if (free > since) windowTicks += free - since;
        else free = since;
        linkTicks += arrival - free;
        lastIssue[device] = issue;
        if (arrival >= queue.nextEffectTick) queue.applyEffects(arrival);

        // Translation: a plain hit here, everything else in the translator.
        const pageLow = (low >>> 12) | (high << 20);
        const pageHigh = high >>> 12;
        const requester = requesterOf[device]!;
        const pasid = pasids[i]!;
        const slot = pasid === 0 ? requester : bindings.slotOf(requester, pasid);
        let ready = 0;
        let entry = -1;
        if (arrival >= bindings.readyTick[slot]! && flags < 2 && pageHigh <= PAGE_HIGH_LIMIT) {
          entry = iotlb.lookup(bindings.space[slot]!, pageLow, pageHigh);
        }
        let plain = false;
        if (entry >= 0) {
          const value1 = cache.values[(entry << 1) + 1]!;
          plain = cache.readyTick[entry]! <= arrival && ((value1 >>> PROT_SHIFT) & (1 + (flags & 1))) !== 0;
          if (plain) {
            const pageBits = 9 * ((value1 >>> SIZE_SHIFT) & 3);
            ready = arrival + hitTicks;
            hits++;
            hitTlps += links.tlpCount(port);
            outcome[i] = Outcome.hit;
            fault[i] = 0;
            walkReads[i] = 0;
            pageShift[i] = 12 + pageBits;
            pfn[2 * i] = cache.values[entry << 1]! | (pageLow & ((1 << pageBits) - 1));
            pfn[2 * i + 1] = value1 & PFN_HIGH;
          }
        }
        if (!plain) {
          translation[Walk.arrival] = arrival;
          translator.translate(slot, pageLow, pageHigh, flags, links.tlpCount(port));
          ready = translation[Walk.ready]!;
          outcome[i] = slowResult[Answer.outcome]!;
          fault[i] = slowResult[Answer.fault]!;
          walkReads[i] = slowResult[Answer.reads]!;
          pageShift[i] = slowResult[Answer.pageShift]!;
          pfn[2 * i] = slowResult[Answer.pfnLow]!;
          pfn[2 * i + 1] = slowResult[Answer.pfnHigh]!;
        }
        if (releaseInOrder) {
          const previous = released[device]!;
          if (previous > ready) {
            translator.times.low[TimePart.walkQueue]! += previous - ready;
            ready = previous;
          }
          released[device] = ready;
        }

        // Completion.
        ticks[Link.ready] = ready;
        if (!plain && outcome[i] === Outcome.fault) {
          links.abort(port);
        } else {
          links.complete(port);
          const space = bindings.space[slot]!;
          const { lastUse } = spaces;
          const memory = ticks[Link.memory]!;
          if (memory > lastUse[space]!) lastUse[space] = memory;
        }
        const done = ticks[Link.done]!;
        memoryTicks += done - ready;
        if (done > lastDone) lastDone = done;
        arriveTick[i] = arrival;
        readyTick[i] = ready;
        doneTick[i] = done;
        if (piece === size) break;

        // The row spans pages.
        this.#progress.add(device, piece, i, out);
        left = (left - piece) | 0;
        if (left === 0) {
          this.#progress.finish(device, i, out);
          break;
        }
        const next = (low + piece) | 0;
        if (next >>> 0 < low >>> 0) high = (high + 1) | 0;
        low = next;
        earliest = issue;
      }
      if (interrupted) break;
    }
    const counts = this.#counters.values;
    counts[Counter.iommu_requests]! += hitTlps;
    counts[Counter.iotlb_lookup]! += hitTlps;
    counts[Counter.iotlb_hit]! += hitTlps;
    const { times } = translator;
    times.low[TimePart.window]! += windowTicks;
    times.low[TimePart.link]! += linkTicks;
    times.low[TimePart.iotlbHit]! += hits * hitTicks;
    times.low[TimePart.memory]! += memoryTicks;
    times.carry();
    this.#lastDoneTick = lastDone;
    return i;
  }

  mmioWrite(register: number, lo: number, hi: number, atTick: Tick): void {
    this.#registers.write(register, lo, hi, atTick);
  }

  mmioRead(register: number): number {
    return this.#registers.read(register);
  }

  counters(): CounterSnapshot {
    const { clockTicks } = this.#config.translation;
    const { cache } = this.#translator.iotlb;
    cache.settle();
    return {
      iommu_clocks: Math.floor(this.#lastDoneTick / clockTicks),
      ...this.#counters.snapshot(clockTicks),
      'model.iotlb_evicted_capacity': cache.evictedByCapacity,
      'model.iotlb_evicted_conflict': cache.evictedByConflict,
      'model.iotlb_invalidated': cache.evictedByInvalidation,
      'model.iotlb_resets': cache.resets,
      'model.spaces_exhausted': this.#translator.spaces.exhausted,
    };
  }

  /** Where the time of all DMA went, in sums over page pieces. */
  get times(): TimeSums {
    return this.#translator.times;
  }

  /** What the invalidation queue did. */
  queueStatistics(): QueueStatistics {
    return this.#queue.statistics();
  }

  /** Registers the handler of the fault event interrupt; called when the pending bit turns on. */
  onFaultEvent(handler: (atTick: Tick) => void): void {
    this.#faults.onEvent = handler;
  }

  /** Caches with their current contents, for analyses: valid translations, evictions by cause. */
  get translator(): Translator {
    return this.#translator;
  }

  /**
   * Translates one request outside of time (deferred mode), with all effects on caches and tables. `sourceId` must
   * belong to a device of the machine.
   */
  access(sourceId: SourceId, pasid: Pasid, iovaPfn: number, flags: number): AccessResult {
    this.#translator.ticks[Walk.arrival] = 0;
    this.#translator.translate(this.#slot(sourceId, pasid), iovaPfn | 0, highWord(iovaPfn), flags, 1);
    return this.#answer();
  }

  /** What {@link access} would answer now; changes nothing. */
  probe(sourceId: SourceId, pasid: Pasid, iovaPfn: number, flags: number): AccessResult {
    probe(this.#translator, this.#slot(sourceId, pasid), iovaPfn | 0, highWord(iovaPfn), flags);
    return this.#answer();
  }

  /**
   * Permission of the cached translation of a page (bit 0 read, bit 1 write), or -1 when none is cached. Where hits do
   * not check permission (recorder profiles), whoever models memory has to: such an access fails without a fault.
   */
  cachedPermission(sourceId: SourceId, pasid: Pasid, iovaPfn: number): number {
    const { iotlb } = this.#translator;
    const entry = iotlb.peek(this.#bindings.space[this.#slot(sourceId, pasid)]!, iovaPfn | 0, highWord(iovaPfn));
    return entry < 0 ? -1 : (iotlb.cache.values[(entry << 1) + 1]! >>> PROT_SHIFT) & 3;
  }

  /** Carries out one descriptor now (deferred mode): its first four u32 words. */
  executeDescriptor(w0: number, w1: number, w2: number, w3: number): void {
    this.#executor.execute(w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0);
  }

  /** Puts a translation into the IOTLB: start state of a recording. Requester-tagged IOTLBs only. */
  seedIotlb(sourceId: SourceId, domainId: number, iovaPfn: number, pageShift: number, pfn: number, prot: number): void {
    assert(this.#config.iotlbRules.tag === 'source', 'only a recorder profile can be seeded');
    const size = (pageShift - 12) / 9;
    const space = this.#translator.spaces.of(this.#slot(sourceId, 0 as Pasid), -1);
    const value1 = packValue1(domainId, size, prot, highWord(pfn));
    const high = highWord(iovaPfn);
    const { iotlb } = this.#translator;
    const known = iotlb.peek(space, iovaPfn | 0, high);
    if (known >= 0) iotlb.cache.drop(known);
    const entry = iotlb.fill(space, size, iovaPfn | 0, high, pfn | 0, value1);
    iotlb.cache.readyTick[entry] = 0;
  }

  /** Puts a context entry (u32 words as in memory) into the context cache: start state of a recording. */
  seedContext(sourceId: SourceId, words: readonly number[]): void {
    const requester = this.#bindings.requesterOfSource(sourceId);
    assert(requester >= 0, `source id ${sourceId} is not a device of the machine`);
    this.#translator.resolver.contexts.seed(sourceId, requester, words);
    this.#bindings.dropRequester(requester);
  }

  /** Empties the IOTLB. */
  resetIotlb(): void {
    this.#translator.iotlb.cache.clear();
  }

  #slot(sourceId: SourceId, pasid: Pasid): number {
    const requester = this.#bindings.requesterOfSource(sourceId);
    assert(requester >= 0, `source id ${sourceId} is not a device of the machine`);
    return this.#bindings.slotOf(requester, pasid);
  }

  #answer(): AccessResult {
    const { result } = this.#translator;
    return {
      outcome: result[Answer.outcome]!,
      fault: result[Answer.fault]!,
      pfn: (result[Answer.pfnHigh]! >>> 0) * 4294967296 + (result[Answer.pfnLow]! >>> 0),
      pageShift: result[Answer.pageShift]!,
    };
  }
}

/** A profile whose translation takes no time, so that fills are valid at once. */
function withoutTime(config: VtdConfig): VtdConfig {
  const translation = {
    ...config.translation,
    hitTicks: 0,
    walkFixedTicks: 0,
    walkReadTicks: 0,
    busyExtraReadTicks: 0,
    busyExtraWriteTicks: 0,
  };
  return { ...config, translation };
}

function highWord(pageNumber: number): number {
  return Math.floor(pageNumber / 4294967296);
}
