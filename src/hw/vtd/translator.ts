/**
 * Translation of one request: everything behind an IOTLB hit, and hits that are not plain. Follows the order of the
 * hardware: binding (context and PASID caches), IOTLB, paging-structure caches, walk, fill.
 *
 * Time is busy-until algebra in one pass: a miss takes the walker that is free first, reads the tables as they are when
 * the request arrives, and inserts its translation at once with the tick from which it is valid. A request that finds an
 * entry of the future joins the walk. Whatever invalidation comes first drops the entry, so a walk that was under way
 * leaves nothing behind. Context and PASID caches are consulted on IOTLB misses only, as counters of real units show.
 *
 * In caching mode (CAP.CM, VT-d spec 6.1) a walk that finds nothing mapped fills the IOTLB too, with an entry without
 * permissions: requests fault on it, without a walk, until software invalidates the page after mapping it. First-stage
 * walks leave none. APPROX: of 4 KiB, whatever the level the walk ended at; none of nested walks, and none in the
 * paging-structure caches.
 */
import { NO_PASID } from '../../address.ts';
import type { PhysicalMemory } from '../memory.ts';
import { DmaFlag, DmaOutcome } from '../unit.ts';
import { AddressSpaces } from './address-spaces.ts';
import { BindingKind, type Bindings } from './binding.ts';
import { BindingWalk } from './binding-walk.ts';
import { cachesNotPresent, type TranslationTiming, type VtdConfig } from './config.ts';
import { Counter, TimePart, TimeSums, type UnitCounters } from './counters.ts';
import { FaultReason } from './fault-reasons.ts';
import type { FaultRecorder } from './faults.ts';
import { Iotlb, packValue1, VALUE_PROT_SHIFT } from './iotlb.ts';
import { NestedWalker } from './nested-walker.ts';
import { PagingCaches } from './paging-caches.ts';
import { RequestFaults } from './request-faults.ts';
import { BindingResolver } from './resolver.ts';
import { answerEntry, answerLeaf, RESULT_WORDS, Result } from './translation-result.ts';
import { WalkSchedule, WalkTick } from './walk-schedule.ts';
import { leafLevels, PROT_READ, PROT_WRITE, Walker } from './walker.ts';

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const Walk = WalkTick;
const Outcome = DmaOutcome;
const Count = Counter;
const Part = TimePart;
const Flag = DmaFlag;
const Reason = FaultReason;
const Kind = BindingKind;
const PROT_SHIFT = VALUE_PROT_SHIFT;

/** Permissions before the first table. */
export const ROOT_PROT = PROT_READ | PROT_WRITE;

/** The translation path of one unit. */
export class Translator {
  readonly spaces: AddressSpaces;
  readonly bindings: Bindings;
  readonly iotlb: Iotlb;
  readonly ssPaging: PagingCaches;
  readonly fsPaging: PagingCaches;
  readonly resolver: BindingResolver;
  readonly walker: Walker;
  readonly nested: NestedWalker;
  readonly schedule: WalkSchedule;
  readonly faults: RequestFaults;
  readonly counters: UnitCounters;
  readonly times: TimeSums;
  readonly config: VtdConfig;
  /** Outcome of the last {@link translate}, by {@link Result}. */
  readonly result = new Int32Array(RESULT_WORDS);
  /** [ps] By {@link WalkTick}: `arrival` goes in, `ready` comes out. */
  readonly ticks: Float64Array;
  /** Global enable (GSTS.TES). */
  enabled = false;
  /** TLPs that came with a translated address and were let in. */
  translatedTlps = 0;

  readonly #timing: TranslationTiming;
  readonly #binding: BindingWalk;
  readonly #cachesNotPresent: boolean;

  constructor(
    config: VtdConfig,
    memory: PhysicalMemory,
    bindings: Bindings,
    counters: UnitCounters,
    faults: FaultRecorder,
  ) {
    this.config = config;
    this.#cachesNotPresent = cachesNotPresent(config);
    this.bindings = bindings;
    this.counters = counters;
    this.#timing = config.translation;
    const { linear } = memory;
    this.spaces = new AddressSpaces(linear);
    this.times = new TimeSums(linear);
    this.iotlb = new Iotlb(config.iotlb, this.spaces, config.iotlbRules, linear);
    this.ssPaging = new PagingCaches(config.pagingCaches, this.spaces, linear);
    this.fsPaging = new PagingCaches(config.pagingCaches, this.spaces, linear);
    this.resolver = new BindingResolver(config, memory, this.spaces, bindings, counters, () => this.#flushAll());
    this.walker = new Walker(memory, config.faultCodes, leafLevels(config.cap));
    this.nested = new NestedWalker(memory, this);
    this.schedule = new WalkSchedule(config.translation, config.link.readPortDelayTicks, counters, this.times, linear);
    this.ticks = this.schedule.ticks;
    this.faults = new RequestFaults(this, faults);
    const { walkReadTicks } = config.translation;
    this.#binding = new BindingWalk(bindings, this.resolver, this.schedule, this.times, this.result, walkReadTicks);
  }

  /**
   * Translates the page (`low`, `high` = page number words) for a slot. `ticks[arrival]` is when the request's first TLP
   * reached the unit, `tlps` how many it has. Answers in {@link result}, `ticks[ready]`. @hot
   */
  translate(slot: number, low: number, high: number, flags: number, tlps: number): void {
    const { result, ticks } = this;
    result[Result.reads] = 0;
    result[Result.fault] = 0;
    result[Result.pageShift] = 0;
    result[Result.pfnLow] = low;
    result[Result.pfnHigh] = high;
    ticks[Walk.from] = ticks[Walk.arrival]!;
    ticks[Walk.ready] = ticks[Walk.arrival]!;
    const counts = this.counters.values;
    if (!this.enabled) {
      this.#passThrough(tlps);
      return;
    }
    if ((flags & Flag.translated) !== 0) {
      this.#translated(slot, low, high, flags, tlps);
      return;
    }
    if (this.isInterrupt(slot, low, high, flags)) {
      counts[Count['model.interrupt_writes']]! += tlps;
      this.#passThrough(tlps);
      return;
    }
    counts[Count.iommu_requests]! += tlps;
    counts[Count.iotlb_lookup]! += tlps;
    counts[Count.iotlb_hit]! += tlps - 1;
    if (this.config.iotlbRules.tag === 'source') this.#translateBySource(slot, low, high, flags, tlps);
    else this.#translateByDomain(slot, low, high, flags, tlps);
  }

  #translateByDomain(slot: number, low: number, high: number, flags: number, tlps: number): void {
    const { bindings } = this;
    const contextReads = this.#binding.begin(slot);
    const remembered = !this.#binding.resolved;
    if (this.#binding.resolved && this.resolver.fault !== Reason.none) {
      this.#contextFault(slot, low, high, flags, contextReads);
      return;
    }
    if ((flags & Flag.translationRequest) !== 0 && bindings.deviceTlb[slot] === 0) {
      this.#refuseDevice(slot, low, high, flags, contextReads);
      return;
    }
    if (bindings.kind[slot] === Kind.passThrough) {
      this.#binding.endAlone(slot, contextReads);
      this.#passThroughBound(tlps);
      return;
    }
    const pages = bindings.tableHigh(slot, low, high);
    if (pages < 0) {
      this.#binding.endAlone(slot, contextReads);
      this.faults.raise(slot, low, high, flags, this.faults.width(slot), true);
      return;
    }
    const entry = this.iotlb.lookup(bindings.space[slot]!, low, pages);
    if (entry >= 0) {
      if (this.permits(entry, flags)) {
        this.#binding.endAlone(slot, contextReads);
        this.#useEntry(entry, low, tlps);
        return;
      }
      if (this.isAbsence(entry)) {
        this.#binding.endAlone(slot, contextReads);
        this.#faultByEntry(slot, entry, low, high, flags, tlps);
        return;
      }
      // A write to a page cached as clean, or a missing permission: the tables decide.
      this.iotlb.cache.drop(entry);
    }
    if (remembered) this.resolver.countHit();
    this.#miss(slot, low, pages, high, flags, contextReads, tlps);
  }

  /**
   * A translated request (VT-d spec 4.2.3): its context and PASID entries must be there and let device TLBs in; then its
   * address is used as it is.
   */
  #translated(slot: number, low: number, high: number, flags: number, tlps: number): void {
    const { bindings, ticks } = this;
    const contextReads = this.#binding.begin(slot);
    if (this.#binding.resolved && this.resolver.fault !== Reason.none) {
      this.#contextFault(slot, low, high, flags, contextReads);
      return;
    }
    if (bindings.deviceTlb[slot] === 0) {
      this.#refuseDevice(slot, low, high, flags, contextReads);
      return;
    }
    this.#binding.endAlone(slot, contextReads);
    const { hitTicks } = this.#timing;
    ticks[Walk.ready]! += hitTicks;
    this.times.low[Part.iotlbHit]! += hitTicks;
    this.result[Result.outcome] = Outcome.passThrough;
    this.translatedTlps += tlps;
  }

  #refuseDevice(slot: number, low: number, high: number, flags: number, contextReads: number): void {
    this.#binding.endAlone(slot, contextReads);
    const reason = this.resolver.scalable ? Reason.smDeviceTlbDisabled : Reason.deviceTlbDisabled;
    this.faults.raise(slot, low, high, flags, reason, false);
  }

  /** Requester-tagged IOTLB: looked up before the context, as QEMU does; binding resolved on a miss. */
  #translateBySource(slot: number, low: number, high: number, flags: number, tlps: number): void {
    const { bindings } = this;
    const tagged = this.spaces.of(slot, -1);
    const entry = this.iotlb.lookup(tagged, low, high & 0x1fff);
    if (entry >= 0) {
      this.#useEntry(entry, low, tlps);
      return;
    }
    const contextReads = this.resolver.resolve(slot);
    if (this.resolver.fault !== Reason.none) {
      this.#contextFault(slot, low, high, flags, contextReads);
      return;
    }
    bindings.space[slot] = tagged;
    if (bindings.kind[slot] === Kind.passThrough) {
      this.#passThroughBound(tlps);
      return;
    }
    const pages = bindings.tableHigh(slot, low, high);
    if (pages < 0) this.faults.raise(slot, low, high, flags, this.faults.width(slot), true);
    else this.#miss(slot, low, pages, high, flags, contextReads, tlps);
  }

  /** Answers from an IOTLB entry that may become valid only later; `ticks[ready]` is when it is looked up. */
  #useEntry(entry: number, low: number, tlps: number): void {
    const { ticks, result } = this;
    const counts = this.counters.values;
    const { hitTicks } = this.#timing;
    const from = ticks[Walk.ready]!;
    const validFrom = this.iotlb.cache.readyTick[entry]!;
    counts[Count.iotlb_hit]!++;
    this.times.low[Part.iotlbHit]! += hitTicks;
    if (validFrom > from) {
      counts[Count['model.iotlb_relookup']]! += tlps;
      counts[Count['model.merged_misses']]!++;
      this.times.low[Part.walkQueue]! += validFrom - from;
      ticks[Walk.ready] = validFrom + hitTicks;
      result[Result.outcome] = Outcome.mergedMiss;
    } else {
      ticks[Walk.ready] = from + hitTicks;
      result[Result.outcome] = Outcome.hit;
    }
    answerEntry(result, this.iotlb, entry, low);
  }

  /** A cached entry says that nothing is mapped. */
  #faultByEntry(slot: number, entry: number, low: number, high: number, flags: number, tlps: number): void {
    this.#useEntry(entry, low, tlps);
    const { result } = this;
    result[Result.pageShift] = 0;
    result[Result.pfnLow] = low;
    result[Result.pfnHigh] = high;
    this.faults.raise(slot, low, high, flags, this.faults.absence(flags), true);
  }

  #miss(
    slot: number,
    low: number,
    pages: number,
    high: number,
    flags: number,
    contextReads: number,
    tlps: number,
  ): void {
    const { bindings, ticks, walker } = this;
    const counts = this.counters.values;
    const schedule = this.schedule;
    const space = bindings.space[slot]!;
    const kind = bindings.kind[slot]!;
    const first = kind !== Kind.secondStage;
    const paging = first ? this.fsPaging : this.ssPaging;
    schedule.beginInRegion(space, low, pages);

    // Deepest cached table.
    const rootLevel = bindings.rootLevel[slot]!;
    counts[first ? Count.fs_nonleaf_lookup : Count.ss_nonleaf_lookup]!++;
    paging.atTick[0] = ticks[Walk.start]!;
    this.ssPaging.atTick[0] = ticks[Walk.start]!;
    let level = paging.deepest(space, low, pages, rootLevel);
    let table = bindings.rootSlot[slot]!;
    let prot = ROOT_PROT;
    if (level > 0) {
      counts[first ? Count.fs_nonleaf_hit : Count.ss_nonleaf_hit]!++;
      table = paging.tableSlot;
      prot = paging.prot;
    } else {
      level = rootLevel;
    }

    // Read the tables, charge the time.
    this.walk(slot, table, level, prot, low, pages, flags);
    const { reads, fault, size } = walker;
    counts[Count.iommu_mrds]! += reads;
    counts[Count['model.page_walks']]!++;
    counts[Count['model.walks_1_read'] + Math.min(reads, 4) - 1]!++;
    counts[Count['model.iotlb_relookup']]! += tlps - 1;
    schedule.end(contextReads, reads);
    this.#binding.end(slot);
    this.result[Result.reads] = contextReads + reads;

    // Fill: each upper level from the end of its own read on, the leaf at the end.
    const readTicks = this.#timing.walkReadTicks;
    const nested = kind === Kind.nested ? this.nested : undefined;
    const known = nested?.endLevel ?? (fault === Reason.none ? size + 1 : level - reads + 1);
    nested?.fillSecondStage(slot, ticks[Walk.bound]!, readTicks);
    for (let at = level; at > known; at--) {
      paging.atTick[0] = ticks[Walk.bound]! + (nested?.pathReads[at] ?? level - at + 1) * readTicks;
      paging.fill(at, space, low, pages, walker.pathSlot[at]!, walker.pathProt[at]!);
    }
    if (fault !== Reason.none) {
      if (this.#cachesNotPresent && kind === Kind.secondStage && walker.notPresent) {
        const absent = this.iotlb.fill(space, 0, low, pages, 0, packValue1(bindings.domainId[slot]!, 0, 0, 0));
        this.iotlb.cache.readyTick[absent] = ticks[Walk.ready]!;
      }
      this.faults.raise(slot, low, high, flags, fault, true);
      return;
    }
    this.result[Result.outcome] = Outcome.miss;
    answerLeaf(this.result, walker, low);
    // APPROX: translations of the upper half of a first-stage address space are not cached.
    if (pages !== high) return;
    const frameLow = this.result[Result.pfnLow]! & ~((1 << (9 * size)) - 1);
    const value1 = packValue1(bindings.domainId[slot]!, size, walker.prot, this.result[Result.pfnHigh]!);
    const entry = this.iotlb.fill(space, size, low, pages, frameLow, value1);
    this.iotlb.cache.readyTick[entry] = ticks[Walk.ready]!;
  }

  /** Walks the slot's tables from `table` at `level` on; the answer is in {@link walker}. @hot */
  walk(slot: number, table: number, level: number, prot: number, low: number, high: number, flags: number): void {
    const { bindings } = this;
    const kind = bindings.kind[slot]!;
    if (kind === Kind.secondStage) {
      const accessDirty = bindings.accessDirty[slot] === 1;
      this.walker.secondStage(table, level, prot, low, high, flags, this.resolver.scalable, accessDirty);
    } else if (kind === Kind.firstStage) this.walker.firstStage(table, level, prot, low, high, flags);
    else this.nested.walk(slot, table, level, prot, low, high, flags);
  }

  /** Reclaims entries of past generations in the caches of translations. */
  settle(): void {
    this.iotlb.cache.settle();
    this.ssPaging.settle();
    this.fsPaging.settle();
  }

  /** VT-d spec 3.14: writes without PASID to 0xFEEx_xxxx are interrupt requests; those with one are translated. @hot */
  isInterrupt(slot: number, low: number, high: number, flags: number): boolean {
    return high === 0 && low >>> 8 === 0xfee && (flags & Flag.write) !== 0 && this.bindings.pasid(slot) === NO_PASID;
  }

  /** Whether an IOTLB entry allows the access. */
  permits(entry: number, flags: number): boolean {
    if (!this.config.iotlbRules.hitChecksPermission) return true;
    const needed = (flags & Flag.write) !== 0 ? PROT_WRITE : PROT_READ;
    return ((this.iotlb.cache.values[(entry << 1) + 1]! >>> PROT_SHIFT) & needed) !== 0;
  }

  /** Whether an IOTLB entry says that nothing is mapped (caching mode). */
  isAbsence(entry: number): boolean {
    const permissions = this.iotlb.cache.values[(entry << 1) + 1]! >>> PROT_SHIFT;
    return this.#cachesNotPresent && (permissions & ROOT_PROT) === 0;
  }

  #contextFault(slot: number, low: number, high: number, flags: number, reads: number): void {
    this.#binding.endAlone(slot, reads);
    this.faults.raise(slot, low, high, flags, this.resolver.fault, false);
  }

  #passThrough(tlps: number): void {
    this.result[Result.outcome] = Outcome.passThrough;
    this.counters.values[Count['model.pass_through']]! += tlps;
  }

  #passThroughBound(tlps: number): void {
    const { hitTicks } = this.#timing;
    this.ticks[Walk.ready]! += hitTicks;
    this.times.low[Part.iotlbHit]! += hitTicks;
    this.counters.values[Count.iotlb_hit]!++;
    this.#passThrough(tlps);
  }

  /** Gives up all tags: every cache empty, every binding to be resolved again. */
  #flushAll(): void {
    this.iotlb.invalidateAll();
    this.ssPaging.invalidateAll();
    this.fsPaging.invalidateAll();
    this.bindings.dropAll();
    this.spaces.reset();
  }
}
