/**
 * Translation of one request: everything behind an IOTLB hit, and hits that are not plain. Follows the order of the
 * hardware: binding (context and PASID caches), IOTLB, paging-structure caches, walk, fill.
 *
 * Time is busy-until algebra in one pass: a miss takes the walker that is free first, reads the tables as they are when
 * the request arrives, and inserts its translation at once with the tick from which it is valid. A request that finds an
 * entry of the future joins the walk. Whatever invalidation comes first drops the entry, so a walk that was under way
 * leaves nothing behind. Context and PASID caches are consulted on IOTLB misses only, as counters of real units show.
 */

import { NEVER } from '../../units.ts';
import type { PhysicalMemory } from '../memory.ts';
import { ServerPool } from '../server.ts';
import { SetAssoc } from '../set-assoc.ts';
import { DmaFlag, DmaOutcome } from '../unit.ts';
import { AddressSpaces } from './address-spaces.ts';
import { BindingKind, type Bindings } from './binding.ts';
import type { VtdConfig } from './config.ts';
import { Counter, TimePart, TimeSums, type UnitCounters } from './counters.ts';
import { FaultReason } from './fault-reasons.ts';
import type { FaultRecorder } from './faults.ts';
import { Iotlb, packValue1, VALUE_PFN_HIGH, VALUE_PROT_SHIFT, VALUE_SIZE_SHIFT } from './iotlb.ts';
import { PagingCaches } from './paging-caches.ts';
import { BindingResolver } from './resolver.ts';
import { PROT_READ, PROT_WRITE, Walker } from './walker.ts';

/** Indices of {@link Translator.result}. */
export const Result = { outcome: 0, fault: 1, reads: 2, pageShift: 3, pfnLow: 4, pfnHigh: 5 } as const;

const ROOT_PROT = PROT_READ | PROT_WRITE;
const REGION_SHIFT = 9;

/** The translation path of one unit. */
export class Translator {
  readonly spaces = new AddressSpaces();
  readonly bindings: Bindings;
  readonly iotlb: Iotlb;
  readonly ssPaging: PagingCaches;
  readonly fsPaging: PagingCaches;
  readonly resolver: BindingResolver;
  readonly counters: UnitCounters;
  readonly times = new TimeSums();
  /** Outcome of the last {@link translate}, by {@link Result}. */
  readonly result = new Int32Array(6);
  /** [ps] Element 0: when the last translation was ready. */
  readonly readyTick = new Float64Array(1);
  /** Global enable (GSTS.TES). */
  enabled = false;

  readonly #config: VtdConfig;
  readonly #walker: Walker;
  readonly #walkers: ServerPool;
  /** Walks under way by 2 MiB region; `readyTick` is when the region is free. */
  readonly #regions: SetAssoc | undefined;
  readonly #faults: FaultRecorder;
  /** The binding just resolved may be kept: its entries are cached. */
  #keepBinding = false;

  constructor(
    config: VtdConfig,
    memory: PhysicalMemory,
    bindings: Bindings,
    counters: UnitCounters,
    faults: FaultRecorder,
  ) {
    this.#config = config;
    this.bindings = bindings;
    this.counters = counters;
    this.#faults = faults;
    this.iotlb = new Iotlb(config.iotlb, this.spaces, config.iotlbRules);
    this.ssPaging = new PagingCaches(config.pagingCaches, this.spaces);
    this.fsPaging = new PagingCaches(config.pagingCaches, this.spaces);
    this.resolver = new BindingResolver(config, memory, this.spaces, bindings, counters, () => this.#flushAll());
    this.#walker = new Walker(memory, config.faultCodes);
    this.#walkers = new ServerPool(config.translation.walkers);
    this.#regions = config.translation.serialiseRegion
      ? new SetAssoc({ entries: 64, ways: 0, policy: 'lru', indexing: 'hash' }, { current: new Int32Array(0) })
      : undefined;
  }

  /**
   * Translates the page (`low`, `high` = page number words) for a slot. `arrival` is when the request's first TLP
   * reached the unit, `tlps` how many it has. Leaves the answer in {@link result} and {@link readyTick}. @hot
   */
  translate(slot: number, low: number, high: number, flags: number, arrival: number, tlps: number): void {
    const result = this.result;
    result[Result.reads] = 0;
    result[Result.fault] = 0;
    result[Result.pageShift] = 0;
    result[Result.pfnLow] = low;
    result[Result.pfnHigh] = high;
    this.readyTick[0] = arrival;
    if (!this.enabled || (flags & DmaFlag.translated) !== 0) {
      this.#passThrough(tlps);
      return;
    }
    if (high === 0 && low >>> 8 === 0xfee && (flags & DmaFlag.write) !== 0) {
      // VT-d spec 3.14: writes to 0xFEEx_xxxx are interrupt requests.
      this.counters.values[Counter['model.interrupt_writes']]! += tlps;
      this.#passThrough(tlps);
      return;
    }
    const counts = this.counters.values;
    counts[Counter.iommu_requests]! += tlps;
    counts[Counter.iotlb_lookup]! += tlps;
    counts[Counter.iotlb_hit]! += tlps - 1;
    if (this.#config.iotlbRules.tag === 'source') this.#translateBySource(slot, low, high, flags, arrival, tlps);
    else this.#translateByDomain(slot, low, high, flags, arrival, tlps);
  }

  /** Answers as {@link translate} would, into {@link result}, without any effect on caches, counters or tables. */
  probe(slot: number, low: number, high: number, flags: number): void {
    const { bindings, result } = this;
    result.fill(0);
    result[Result.pfnLow] = low;
    result[Result.pfnHigh] = high;
    result[Result.outcome] = DmaOutcome.passThrough;
    if (!this.enabled || (flags & DmaFlag.translated) !== 0) return;
    const bySource = this.#config.iotlbRules.tag === 'source';
    if (bySource && this.#probeEntry(this.spaces.of(slot, -1), low, high & 0x1fff, flags)) return;
    if (bySource || bindings.readyTick[slot] === NEVER) {
      this.resolver.peek(slot);
      if (this.resolver.fault !== FaultReason.none) {
        this.#probedFault(this.resolver.fault);
        return;
      }
    }
    if (bindings.kind[slot] === BindingKind.passThrough) return;
    const pages = this.#canonical(slot, low, high);
    if (pages < 0) {
      this.#probedFault(this.#widthFault(slot));
      return;
    }
    if (!bySource && this.#probeEntry(bindings.space[slot]!, low, pages, flags)) return;
    const walker = this.#walker;
    walker.readOnly = true;
    this.#walk(slot, bindings.rootSlot[slot]!, bindings.rootLevel[slot]!, ROOT_PROT, low, pages, flags);
    walker.readOnly = false;
    if (walker.fault !== FaultReason.none) {
      this.#probedFault(walker.fault);
      return;
    }
    result[Result.outcome] = DmaOutcome.miss;
    this.#answerLeaf(low);
  }

  #probeEntry(space: number, low: number, high: number, flags: number): boolean {
    const entry = this.iotlb.peek(space, low, high);
    if (entry < 0 || !this.#permits(entry, flags)) return false;
    const { values } = this.iotlb.cache;
    const value1 = values[(entry << 1) + 1]!;
    this.result[Result.outcome] = DmaOutcome.hit;
    this.#answer((value1 >>> VALUE_SIZE_SHIFT) & 3, values[entry << 1]!, value1 & VALUE_PFN_HIGH, low);
    return true;
  }

  #probedFault(reason: number): void {
    this.result[Result.outcome] = DmaOutcome.fault;
    this.result[Result.fault] = reason;
  }

  /** Free walkers, nothing under way. */
  resetServers(): void {
    this.#walkers.reset();
    this.#regions?.clear();
  }

  #translateByDomain(slot: number, low: number, high: number, flags: number, arrival: number, tlps: number): void {
    const { bindings } = this;
    let contextReads = 0;
    let from = arrival;
    const bound = bindings.readyTick[slot]!;
    if (arrival < bound) {
      if (bound === NEVER) {
        contextReads = this.resolver.resolve(slot);
        if (this.resolver.fault !== FaultReason.none) {
          this.#contextFault(slot, low, high, flags, arrival, contextReads);
          return;
        }
        this.#keepBinding = this.resolver.cached;
      } else {
        // Another request is fetching the entries: join it.
        from = bound;
        this.times.low[TimePart.walkQueue]! += bound - arrival;
      }
    }
    if (bindings.kind[slot] === BindingKind.passThrough) {
      this.#finishContext(slot, from, contextReads, flags);
      this.#passThroughBound(this.readyTick[0]!, tlps);
      return;
    }
    const pages = this.#canonical(slot, low, high);
    if (pages < 0) {
      this.#finishContext(slot, from, contextReads, flags);
      this.#fault(slot, low, high, flags, this.#widthFault(slot));
      return;
    }
    const entry = this.iotlb.lookup(bindings.space[slot]!, low, pages);
    if (entry >= 0) {
      if (this.#permits(entry, flags)) {
        this.#finishContext(slot, from, contextReads, flags);
        this.#useEntry(entry, low, this.readyTick[0]!, tlps);
        return;
      }
      // A write to a page cached as clean, or a missing permission: the tables decide.
      this.iotlb.cache.drop(entry);
    }
    this.#miss(slot, low, pages, high, flags, from, contextReads, tlps);
  }

  /** Requester-tagged IOTLB: looked up before the context, as QEMU does; binding resolved on a miss. */
  #translateBySource(slot: number, low: number, high: number, flags: number, arrival: number, tlps: number): void {
    const { bindings } = this;
    const tagged = this.spaces.of(slot, -1);
    const entry = this.iotlb.lookup(tagged, low, high & 0x1fff);
    if (entry >= 0) {
      this.#useEntry(entry, low, arrival, tlps);
      return;
    }
    const contextReads = this.resolver.resolve(slot);
    if (this.resolver.fault !== FaultReason.none) {
      this.#contextFault(slot, low, high, flags, arrival, contextReads);
      return;
    }
    bindings.space[slot] = tagged;
    if (bindings.kind[slot] === BindingKind.passThrough) {
      this.#passThroughBound(arrival, tlps);
      return;
    }
    const pages = this.#canonical(slot, low, high);
    if (pages < 0) {
      this.#fault(slot, low, high, flags, this.#widthFault(slot));
      return;
    }
    this.#miss(slot, low, pages, high, flags, arrival, contextReads, tlps);
  }

  #useEntry(entry: number, low: number, from: number, tlps: number): void {
    const counts = this.counters.values;
    const validFrom = this.iotlb.cache.readyTick[entry]!;
    const merged = validFrom > from;
    const { hitTicks } = this.#config.translation;
    counts[Counter.iotlb_hit]!++;
    if (merged) {
      counts[Counter['model.iotlb_relookup']]! += tlps;
      counts[Counter['model.merged_misses']]!++;
      this.times.low[TimePart.walkQueue]! += validFrom - from;
    }
    this.times.low[TimePart.iotlbHit]! += hitTicks;
    this.readyTick[0] = (merged ? validFrom : from) + hitTicks;
    this.result[Result.outcome] = merged ? DmaOutcome.mergedMiss : DmaOutcome.hit;
    const value1 = this.iotlb.cache.values[(entry << 1) + 1]!;
    const size = (value1 >>> VALUE_SIZE_SHIFT) & 3;
    this.#answer(size, this.iotlb.cache.values[entry << 1]!, value1 & VALUE_PFN_HIGH, low);
  }

  #miss(
    slot: number,
    low: number,
    pages: number,
    high: number,
    flags: number,
    from: number,
    contextReads: number,
    tlps: number,
  ): void {
    const { bindings } = this;
    const timing = this.#config.translation;
    const counts = this.counters.values;
    const space = bindings.space[slot]!;
    const first = bindings.kind[slot] === BindingKind.firstStage;
    const paging = first ? this.fsPaging : this.ssPaging;

    const server = this.#walkers.earliest();
    let start = this.#startAt(server, from);
    let region = -1;
    if (this.#regions !== undefined) {
      region = this.#regionOf(space, low, pages);
      const free = this.#regions.readyTick[region]!;
      if (free > start) start = free;
    }

    // Deepest cached table.
    const rootLevel = bindings.rootLevel[slot]!;
    counts[first ? Counter.fs_nonleaf_lookup : Counter.ss_nonleaf_lookup]!++;
    let level = paging.deepest(space, low, pages, rootLevel, start);
    let table = bindings.rootSlot[slot]!;
    let prot = ROOT_PROT;
    if (level > 0) {
      counts[first ? Counter.fs_nonleaf_hit : Counter.ss_nonleaf_hit]!++;
      table = paging.tableSlot;
      prot = paging.prot;
    } else {
      level = rootLevel;
    }

    // Read the tables.
    const walker = this.#walker;
    this.#walk(slot, table, level, prot, low, pages, flags);
    const { reads, fault } = walker;
    counts[Counter.iommu_mrds]! += reads;
    counts[Counter['model.page_walks']]!++;
    counts[Counter['model.walks_1_read'] + Math.min(reads, 4) - 1]!++;

    // Time.
    const contextTicks = contextReads * timing.walkReadTicks;
    const pageTicks = timing.walkFixedTicks + reads * timing.walkReadTicks;
    const ready = start + contextTicks + pageTicks;
    const extra = (flags & DmaFlag.write) !== 0 ? timing.busyExtraWriteTicks : timing.busyExtraReadTicks;
    const busy = contextTicks + pageTicks + extra;
    this.#walkers.busyUntil[server] = start + busy;
    if (this.#regions !== undefined) this.#regions.readyTick[region] = start + busy;
    this.readyTick[0] = ready;
    counts[Counter.pw_occupancy]! += busy;
    const { low: sums } = this.times;
    sums[TimePart.walkQueue]! += start - from;
    sums[TimePart.contextWalk]! += contextTicks;
    sums[TimePart.pageWalk]! += pageTicks;
    this.#bound(slot, start + timing.walkFixedTicks + contextTicks);
    this.result[Result.reads] = contextReads + reads;
    if (tlps > 1) counts[Counter['model.iotlb_relookup']]! += tlps - 1;

    // Fill: each upper level from the end of its own read on, the leaf at the end.
    const known = fault === FaultReason.none ? walker.size + 1 : level - reads + 1;
    for (let at = level; at > known; at--) {
      const done = start + timing.walkFixedTicks + contextTicks + (level - at + 1) * timing.walkReadTicks;
      paging.fill(at, space, low, pages, walker.pathSlot[at]!, walker.pathProt[at]!, done);
    }
    if (fault !== FaultReason.none) {
      this.#fault(slot, low, high, flags, fault);
      return;
    }
    this.result[Result.outcome] = DmaOutcome.miss;
    this.#answerLeaf(low);
    const { size } = walker;
    const frameLow = this.result[Result.pfnLow]! & ~((1 << (9 * size)) - 1);
    const value1 = packValue1(bindings.domainId[slot]!, size, walker.prot, this.result[Result.pfnHigh]!);
    // APPROX: translations of the upper half of a first-stage address space are not cached.
    if (pages === high) this.iotlb.fill(space, size, low, pages, frameLow, value1, ready);
  }

  #walk(slot: number, table: number, level: number, prot: number, low: number, high: number, flags: number): void {
    const { bindings } = this;
    if (bindings.kind[slot] === BindingKind.firstStage) {
      this.#walker.firstStage(table, level, prot, low, high, flags);
      return;
    }
    const accessDirty = bindings.accessDirty[slot] === 1;
    this.#walker.secondStage(table, level, prot, low, high, flags, this.resolver.scalable, accessDirty);
  }

  /** Answers with the leaf that the walker found. */
  #answerLeaf(low: number): void {
    const { size, leafLow, leafHigh } = this.#walker;
    const frameLow = ((leafHigh << 20) | (leafLow >>> 12)) & ~((1 << (9 * size)) - 1);
    this.#answer(size, frameLow, (leafHigh >>> 12) & VALUE_PFN_HIGH, low);
  }

  #answer(size: number, frameLow: number, frameHigh: number, low: number): void {
    const result = this.result;
    result[Result.pageShift] = 12 + 9 * size;
    result[Result.pfnLow] = frameLow | (low & ((1 << (9 * size)) - 1));
    result[Result.pfnHigh] = frameHigh;
  }

  #permits(entry: number, flags: number): boolean {
    if (!this.#config.iotlbRules.hitChecksPermission) return true;
    const needed = (flags & DmaFlag.write) !== 0 ? PROT_WRITE : PROT_READ;
    return ((this.iotlb.cache.values[(entry << 1) + 1]! >>> VALUE_PROT_SHIFT) & needed) !== 0;
  }

  /** High word of the page number as far as the tables index it, or -1 when the address is too wide. */
  #canonical(slot: number, low: number, high: number): number {
    const bits = 9 * this.bindings.rootLevel[slot]! - 32;
    if (bits < 0) return high === 0 && low >>> (32 + bits) === 0 ? 0 : -1;
    if (this.bindings.kind[slot] !== BindingKind.firstStage) return high >>> bits === 0 ? high : -1;
    const top = high >> (bits - 1);
    if (top === 0) return high;
    return top === 0xfffff >> (bits - 1) ? high & ((1 << bits) - 1) : -1;
  }

  #widthFault(slot: number): number {
    if (this.bindings.kind[slot] === BindingKind.firstStage) return FaultReason.fsNotCanonical;
    return this.resolver.scalable ? this.#config.faultCodes.scalableSsBeyondWidth : FaultReason.addressBeyondWidth;
  }

  /** When a walk that is wanted at `from` can start on `server`. */
  #startAt(server: number, from: number): number {
    const free = this.#walkers.busyUntil[server]!;
    if (free <= from) return from;
    this.counters.values[Counter.iommu_mem_blocked]! += free - from;
    return free;
  }

  /** Entry of the 2 MiB region in {@link #regions}. */
  #regionOf(space: number, low: number, high: number): number {
    const regions = this.#regions!;
    const key0 = (low >>> REGION_SHIFT) | (high << (32 - REGION_SHIFT));
    const entry = regions.find(key0, space, 0);
    return entry >= 0 ? entry : regions.fill(key0, space, 0, 0, 0, 0);
  }

  /** Charges a context walk that no page walk follows; leaves when it ended in {@link readyTick}. */
  #finishContext(slot: number, from: number, contextReads: number, flags: number): void {
    let ready = from;
    if (contextReads > 0) {
      const timing = this.#config.translation;
      const server = this.#walkers.earliest();
      const start = this.#startAt(server, from);
      const ticks = timing.walkFixedTicks + contextReads * timing.walkReadTicks;
      const extra = (flags & DmaFlag.write) !== 0 ? timing.busyExtraWriteTicks : timing.busyExtraReadTicks;
      this.#walkers.busyUntil[server] = start + ticks + extra;
      this.counters.values[Counter.pw_occupancy]! += ticks + extra;
      this.times.low[TimePart.walkQueue]! += start - from;
      this.times.low[TimePart.contextWalk]! += ticks;
      this.result[Result.reads] = contextReads;
      ready = start + ticks;
    }
    this.readyTick[0] = ready;
    this.#bound(slot, ready);
  }

  /** The binding resolved for this request can be used by others from `atTick` on, if its entries were cached. */
  #bound(slot: number, atTick: number): void {
    if (!this.#keepBinding) return;
    this.#keepBinding = false;
    this.bindings.readyTick[slot] = atTick;
  }

  #contextFault(slot: number, low: number, high: number, flags: number, arrival: number, reads: number): void {
    this.#keepBinding = false;
    this.#finishContext(slot, arrival, reads, flags);
    this.#fault(slot, low, high, flags, this.resolver.fault, false);
  }

  #fault(slot: number, low: number, high: number, flags: number, reason: number, walked = true): void {
    this.result[Result.outcome] = DmaOutcome.fault;
    this.result[Result.fault] = reason;
    this.counters.values[Counter['model.faults']]!++;
    if (this.bindings.faultsHidden[slot] === 1) return;
    const { bindings } = this;
    const sourceId = bindings.sourceIds[bindings.requester(slot)]!;
    const write = (flags & DmaFlag.write) !== 0;
    const pasid = bindings.pasid(slot);
    const carriesRid = walked && this.resolver.scalable && this.#config.faultCodes.walkFaultsCarryRidPasid;
    this.#faults.report(sourceId, pasid, pasid > 0 || carriesRid, reason, write, low, high, this.readyTick[0]!);
  }

  #passThrough(tlps: number): void {
    this.result[Result.outcome] = DmaOutcome.passThrough;
    this.counters.values[Counter['model.pass_through']]! += tlps;
  }

  #passThroughBound(from: number, tlps: number): void {
    const { hitTicks } = this.#config.translation;
    this.readyTick[0] = from + hitTicks;
    this.times.low[TimePart.iotlbHit]! += hitTicks;
    this.counters.values[Counter.iotlb_hit]!++;
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
