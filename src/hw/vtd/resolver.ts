/**
 * Resolves bindings: context entry through the context cache, in scalable mode PASID entry through the PASID cache, and
 * what they say about translation (VT-d spec 3.4, 9.3, 9.4, 9.6).
 */
import type { PhysicalMemory } from '../memory.ts';
import type { AddressSpaces } from './address-spaces.ts';
import { NO_PASID_TAG } from './address-spaces.ts';
import { BindingKind, type Bindings } from './binding.ts';
import { cachesNotPresent, type VtdConfig } from './config.ts';
import { ContextCache, slotFromEntry } from './context-cache.ts';
import { Counter, type UnitCounters } from './counters.ts';
import { FaultReason } from './fault-reasons.ts';
import {
  FPD,
  LegacyContext,
  levelsOfAddressWidth,
  PagingType,
  PasidEntry,
  ScalableContext,
  TranslationType,
} from './layout.ts';
import type { NestedTables } from './nested-walker.ts';
import { PasidCache } from './pasid-cache.ts';
import { Cap } from './registers.ts';

/** Finds out what translates a slot's requests. */
export class BindingResolver {
  readonly contexts: ContextCache;
  readonly pasids: PasidCache;
  /** Tables of nested bindings, by slot. */
  readonly nestedTables = new Map<number, NestedTables>();
  /** Root table latched by SRTP, and its mode. */
  rootPfn = 0;
  scalable = false;
  /** Fault of the last {@link resolve}, 0 = bound. */
  fault: number = FaultReason.none;
  /** Whether everything the last binding came from is cached, so that it may be kept. */
  cached = false;
  /** [ps] From when what the last {@link resolve} found cached can be used: others may still be reading it. */
  readyTick = 0;

  readonly #memory: PhysicalMemory;
  readonly #spaces: AddressSpaces;
  readonly #bindings: Bindings;
  readonly #counters: UnitCounters;
  readonly #cachesContexts: boolean;
  readonly #cachesPasids: boolean;
  readonly #spacesExhausted: () => void;
  /** SAGAW: bit AW set = tables of that width. */
  readonly #widths: number;
  /** Highest FSPM. */
  readonly #maxFirstMode: number;
  /** Reads of the last {@link resolve} after those of its context entry. */
  #pasidReads = 0;

  constructor(
    config: VtdConfig,
    memory: PhysicalMemory,
    spaces: AddressSpaces,
    bindings: Bindings,
    counters: UnitCounters,
    spacesExhausted: () => void,
  ) {
    this.#memory = memory;
    this.#spaces = spaces;
    this.#bindings = bindings;
    this.#counters = counters;
    this.#cachesContexts = config.contextCache !== undefined;
    this.#cachesPasids = config.pasidCache !== undefined;
    this.#spacesExhausted = spacesExhausted;
    this.#widths = Cap.sagaw(config.cap[0]);
    this.#maxFirstMode = Cap.fs5Level(config.cap[1]) ? 1 : 0;
    const keepsAbsence = cachesNotPresent(config);
    this.contexts = new ContextCache(config.contextCache, memory, config.faultCodes, keepsAbsence);
    this.pasids = new PasidCache(config.pasidCache, memory, config.faultCodes, keepsAbsence);
  }

  /** Fills in the binding of a slot; returns the memory reads made. {@link fault} says whether it worked. */
  resolve(slot: number): number {
    if (this.#spaces.full) this.#spacesExhausted();
    const bindings = this.#bindings;
    const requester = bindings.requester(slot);
    const sourceId = bindings.sourceIds[requester]!;
    const counts = this.#counters.values;
    const { contexts } = this;
    bindings.faultsHidden[slot] = 0;
    counts[Counter.ctxt_cache_lookup]!++;
    let reads = 0;
    this.readyTick = 0;
    this.#pasidReads = 0;
    if (contexts.lookup(sourceId)) {
      counts[Counter.ctxt_cache_hit]!++;
      this.readyTick = contexts.readyTick;
    } else {
      contexts.read(sourceId, requester, this.rootPfn, this.scalable);
      reads = contexts.reads;
      if (contexts.replacedRequester >= 0) bindings.dropRequester(contexts.replacedRequester);
    }
    if (contexts.fault !== FaultReason.none) {
      counts[Counter.iommu_mrds]! += reads;
      bindings.faultsHidden[slot] = contexts.faultHidden ? 1 : 0;
      this.fault = contexts.fault;
      return reads;
    }
    this.cached = this.#cachesContexts;
    reads += this.scalable ? this.#bindScalable(slot, sourceId) : this.#bindLegacy(slot);
    counts[Counter.iommu_mrds]! += reads;
    return reads;
  }

  /** The entries of the last {@link resolve} have been read at `atTick`, the PASID entry last; [ps] `readTicks` a read. */
  entriesRead(atTick: number, readTicks: number): void {
    this.contexts.validFrom(atTick - this.#pasidReads * readTicks);
    this.pasids.validFrom(atTick);
  }

  /**
   * Counts what a miss whose binding is remembered asks of the caches: a binding is remembered only while its entries are
   * cached, so every look-up hits. APPROX: their age in the caches stays that of the last {@link resolve}.
   */
  countHit(): void {
    const counts = this.#counters.values;
    counts[Counter.ctxt_cache_lookup]!++;
    counts[Counter.ctxt_cache_hit]!++;
    if (!this.scalable) return;
    counts[Counter.pasid_cache_lookup]!++;
    counts[Counter.pasid_cache_hit]!++;
  }

  /** Fills in the binding of a slot as {@link resolve} would, without touching caches or counters. */
  peek(slot: number): void {
    const sourceId = this.#bindings.sourceIds[this.#bindings.requester(slot)]!;
    const { contexts } = this;
    if (!contexts.peek(sourceId)) contexts.fetch(sourceId, this.rootPfn, this.scalable);
    this.fault = contexts.fault;
    if (this.fault !== FaultReason.none) return;
    if (!this.scalable) {
      this.#bindLegacy(slot);
      return;
    }
    const pasid = this.#effectivePasid(slot);
    if (pasid < 0) return;
    if (!this.pasids.peek(sourceId, pasid)) this.pasids.fetch(pasid, contexts.words);
    this.fault = this.pasids.fault;
    if (this.fault !== FaultReason.none) return;
    this.#bindPasidEntry(slot, pasid);
  }

  #bindLegacy(slot: number): number {
    const { words } = this.contexts;
    const bindings = this.#bindings;
    bindings.faultsHidden[slot] = (words[0]! & FPD) !== 0 ? 1 : 0;
    if (bindings.pasid(slot) !== 0) {
      this.fault = FaultReason.pasidInLegacyMode;
      return 0;
    }
    const type = (words[0]! >>> LegacyContext.ttShift) & LegacyContext.ttMask;
    bindings.deviceTlb[slot] = type === TranslationType.devIotlb ? 1 : 0;
    bindings.pageRequests[slot] = 0;
    const domainId = (words[2]! >>> LegacyContext.didShift) & LegacyContext.didMask;
    const width = words[2]! & LegacyContext.awMask;
    this.fault = FaultReason.none;
    if (type > TranslationType.passThrough || !this.#hasWidth(width)) {
      this.fault = FaultReason.contextInvalid;
      return 0;
    }
    this.#bind(
      slot,
      type === TranslationType.passThrough ? BindingKind.passThrough : BindingKind.secondStage,
      domainId,
    );
    bindings.rootSlot[slot] = slotFromEntry(this.#memory, words[0]!, words[1]!);
    bindings.rootLevel[slot] = levelsOfAddressWidth(width);
    bindings.accessDirty[slot] = 0;
    return 0;
  }

  #bindScalable(slot: number, sourceId: number): number {
    const bindings = this.#bindings;
    const pasid = this.#effectivePasid(slot);
    if (pasid < 0) return 0;
    const counts = this.#counters.values;
    const { pasids } = this;
    counts[Counter.pasid_cache_lookup]!++;
    let reads = 0;
    if (pasids.lookup(sourceId, pasid)) {
      counts[Counter.pasid_cache_hit]!++;
      this.readyTick = Math.max(this.readyTick, pasids.readyTick);
    } else {
      pasids.read(sourceId, pasid, this.contexts.words);
      reads = pasids.reads;
      this.#pasidReads = reads;
      if (pasids.replacedSource >= 0) this.dropPasid(pasids.replacedSource, pasids.replacedPasid);
    }
    if (pasids.fault !== FaultReason.none) {
      if (pasids.faultHidden) bindings.faultsHidden[slot] = 1;
      this.fault = pasids.fault;
      return reads;
    }
    this.cached &&= this.#cachesPasids;
    this.#bindPasidEntry(slot, pasid);
    return reads;
  }

  /** PASID by which the slot's requests are translated; -1 and a fault when the context entry forbids it. */
  #effectivePasid(slot: number): number {
    const context = this.contexts.words;
    const bindings = this.#bindings;
    const requested = bindings.pasid(slot);
    bindings.faultsHidden[slot] = (context[0]! & FPD) !== 0 ? 1 : 0;
    bindings.deviceTlb[slot] = (context[0]! & ScalableContext.dte) !== 0 ? 1 : 0;
    bindings.pageRequests[slot] = (context[0]! & ScalableContext.pre) !== 0 ? 1 : 0;
    if (requested !== 0 && (context[0]! & ScalableContext.paside) === 0) {
      this.fault = FaultReason.smPasidDisabled;
      return -1;
    }
    const pasid = requested !== 0 ? requested : context[2]! & ScalableContext.ridPasidMask;
    bindings.effectivePasid[slot] = pasid;
    return pasid;
  }

  #bindPasidEntry(slot: number, pasid: number): void {
    const { words } = this.pasids;
    const bindings = this.#bindings;
    const type = (words[0]! >>> PasidEntry.pgttShift) & PasidEntry.pgttMask;
    const domainId = words[2]! & PasidEntry.didMask;
    if ((words[0]! & FPD) !== 0) bindings.faultsHidden[slot] = 1;
    this.fault = FaultReason.none;
    if (type === PagingType.secondStage) {
      const width = (words[0]! >>> PasidEntry.awShift) & PasidEntry.awMask;
      if (!this.#hasWidth(width)) {
        this.fault = FaultReason.smPasidEntryInvalid;
        return;
      }
      this.#bind(slot, BindingKind.secondStage, domainId);
      bindings.rootSlot[slot] = slotFromEntry(this.#memory, words[0]!, words[1]!);
      bindings.rootLevel[slot] = levelsOfAddressWidth(width);
      bindings.accessDirty[slot] = (words[0]! & PasidEntry.ssade) !== 0 ? 1 : 0;
    } else if (type === PagingType.firstStage) {
      const mode = (words[PasidEntry.fsptptrWord]! >>> PasidEntry.fspmShift) & PasidEntry.fspmMask;
      if (mode > this.#maxFirstMode) {
        this.fault = FaultReason.smPasidEntryInvalid;
        return;
      }
      this.#bind(slot, BindingKind.firstStage, domainId, pasid);
      const pointer = PasidEntry.fsptptrWord;
      bindings.rootSlot[slot] = slotFromEntry(this.#memory, words[pointer]!, words[pointer + 1]!);
      bindings.rootLevel[slot] = 4 + mode;
      bindings.accessDirty[slot] = 1;
    } else if (type === PagingType.passThrough) {
      this.#bind(slot, BindingKind.passThrough, domainId, pasid);
    } else if (type === PagingType.nested) {
      this.#bindNested(slot, domainId, pasid);
    } else {
      this.fault = FaultReason.smPasidEntryInvalid;
    }
  }

  /** Both stages: looked up and tagged as a first stage; the first stage's pointer is a second-stage address. */
  #bindNested(slot: number, domainId: number, pasid: number): void {
    const { words } = this.pasids;
    const bindings = this.#bindings;
    const pointer = PasidEntry.fsptptrWord;
    const mode = (words[pointer]! >>> PasidEntry.fspmShift) & PasidEntry.fspmMask;
    const width = (words[0]! >>> PasidEntry.awShift) & PasidEntry.awMask;
    if (mode > this.#maxFirstMode || !this.#hasWidth(width)) {
      this.fault = FaultReason.smPasidEntryInvalid;
      return;
    }
    this.#bind(slot, BindingKind.nested, domainId, pasid);
    this.#spaces.nested.add(bindings.space[slot]!);
    const secondSlot = slotFromEntry(this.#memory, words[0]!, words[1]!);
    bindings.rootSlot[slot] = secondSlot;
    bindings.rootLevel[slot] = 4 + mode;
    bindings.accessDirty[slot] = 1;
    const high = words[pointer + 1]!;
    const firstLow = (high << 20) | (words[pointer]! >>> 12);
    const firstHigh = (high >>> 12) & 0xff;
    bindings.firstPage[slot] = firstHigh * 4294967296 + (firstLow >>> 0);
    this.nestedTables.set(slot, {
      secondSpace: this.#spaces.of(domainId, NO_PASID_TAG),
      secondSlot,
      secondLevels: levelsOfAddressWidth(width),
      accessDirty: (words[0]! & PasidEntry.ssade) !== 0 ? 1 : 0,
      firstLow,
      firstHigh,
      firstLevels: 4 + mode,
    });
  }

  /** Whether the unit walks second-stage tables of the width that an AW field names: 1 .. 3, and in SAGAW. */
  #hasWidth(width: number): boolean {
    return width >= 1 && width <= 3 && ((this.#widths >>> width) & 1) !== 0;
  }

  /** Drops the bindings that came from the PASID entry (source id, PASID). */
  dropPasid(sourceId: number, pasid: number): void {
    const bindings = this.#bindings;
    const requester = bindings.requesterOfSource(sourceId);
    if (requester < 0) return;
    for (const slot of bindings.slotsOf(requester)) {
      if (bindings.effectivePasid[slot] === pasid) bindings.drop(slot);
    }
  }

  #bind(slot: number, kind: number, domainId: number, pasidTag: number = NO_PASID_TAG): void {
    const bindings = this.#bindings;
    bindings.kind[slot] = kind;
    bindings.domainId[slot] = domainId;
    bindings.firstPage[slot] = -1;
    bindings.space[slot] = this.#spaces.of(domainId, pasidTag);
  }
}
