/**
 * Context cache: context entries by source id (VT-d spec 6.2.2), and the walk that fills it: root entry, then context
 * entry (VT-d spec 3.4, 9.1-9.4). Only present entries are cached, and in caching mode also that there is none: under
 * domain id 0, until the source id is invalidated (VT-d spec 6.1).
 */
import { addressLow } from '../../address.ts';
import { assert } from '../../assert.ts';
import { type PhysicalMemory, TABLE_FRAME_BASE, WORDS_PER_FRAME } from '../memory.ts';
import { type CacheGeometry, SetAssoc } from '../set-assoc.ts';
import { type FaultCodes, FaultReason } from './fault-reasons.ts';
import { FPD, LegacyContext, PRESENT, ROOT_ENTRY_WORDS, SCALABLE_ROOT_UPPER_WORD, ScalableContext } from './layout.ts';

const NO_GENERATIONS = { current: new Int32Array(0) };
const ENTRY_WORDS = ScalableContext.words;

/** The context cache of one unit. */
export class ContextCache {
  /** The context entry found by the last {@link lookup} or {@link read}; 8 words, 4 of them used in legacy mode. */
  readonly words = new Int32Array(ENTRY_WORDS);
  /** Memory reads of the last {@link read}; fault reason of what was found or read, and whether it is not to be recorded. */
  reads = 0;
  fault: number = FaultReason.none;
  faultHidden = false;
  /** Requester index of the entry that the last {@link read} replaced, or -1. */
  replacedRequester = -1;
  /** [ps] From when the entry found by the last {@link lookup} can be used: a read of it may be under way. */
  readyTick = 0;

  readonly #cache: SetAssoc | undefined;
  readonly #contents: Int32Array;
  readonly #memory: PhysicalMemory;
  readonly #codes: FaultCodes;
  readonly #cachesNotPresent: boolean;
  /** Entry that the last {@link read} filled, or -1. */
  #filled = -1;

  constructor(
    geometry: CacheGeometry | undefined,
    memory: PhysicalMemory,
    codes: FaultCodes,
    cachesNotPresent: boolean,
  ) {
    this.#cachesNotPresent = cachesNotPresent;
    this.#cache = geometry && new SetAssoc(geometry, NO_GENERATIONS);
    this.#contents = new Int32Array((geometry?.entries ?? 0) * ENTRY_WORDS);
    this.#memory = memory;
    this.#codes = codes;
  }

  /** Finds a cached entry into {@link words}; false when there is none. */
  lookup(sourceId: number): boolean {
    this.#filled = -1;
    const entry = this.#cache?.find(sourceId, 0, 0) ?? -1;
    this.readyTick = entry < 0 ? 0 : this.#cache!.readyTick[entry]!;
    return this.#take(entry);
  }

  /** What the last {@link read} cached can be used from `atTick` on. */
  validFrom(atTick: number): void {
    if (this.#filled >= 0) this.#cache!.readyTick[this.#filled] = atTick;
    this.#filled = -1;
  }

  /** As {@link lookup}, leaving the recency order alone. */
  peek(sourceId: number): boolean {
    return this.#take(this.#cache?.peek(sourceId, 0, 0) ?? -1);
  }

  /**
   * Reads root and context entry of a source id from the table at `rootPfn` into {@link words} and caches them when
   * present, or in caching mode not. `requester` is remembered with the entry.
   */
  read(sourceId: number, requester: number, rootPfn: number, scalable: boolean): void {
    this.fetch(sourceId, rootPfn, scalable);
    this.replacedRequester = -1;
    if (this.#cache === undefined || !this.#isCacheable()) return;
    const entry = this.#cache.fill(sourceId, 0, 0, requester, packAbsence(this.fault, this.faultHidden));
    this.replacedRequester = this.#cache.replacedValue0;
    this.#filled = entry;
    this.#cache.readyTick[entry] = 0;
    this.#contents.set(this.words, entry * ENTRY_WORDS);
  }

  /** The walk of {@link read} without caching anything. */
  fetch(sourceId: number, rootPfn: number, scalable: boolean): void {
    const memory = this.#memory;
    this.reads = 1;
    this.faultHidden = false;
    this.fault = FaultReason.none;
    const rootSlot = memory.slotOf(rootPfn);
    if (rootSlot < 0) {
      this.fault = scalable ? FaultReason.smRootAccess : FaultReason.rootAccess;
      return;
    }
    const bus = sourceId >>> 8;
    const devfn = sourceId & 0xff;
    const upper = scalable && devfn >= 128 ? SCALABLE_ROOT_UPPER_WORD : 0;
    const rootWord = rootSlot * WORDS_PER_FRAME + bus * ROOT_ENTRY_WORDS + upper;
    const rootLow = memory.words[rootWord]!;
    if ((rootLow & PRESENT) === 0) {
      this.fault = scalable ? FaultReason.smRootNotPresent : FaultReason.rootNotPresent;
      this.words.fill(0);
      return;
    }
    this.reads = 2;
    const contextSlot = slotFromEntry(memory, rootLow, memory.words[rootWord + 1]!);
    if (contextSlot < 0) {
      this.fault = scalable ? FaultReason.smContextAccess : FaultReason.contextAccess;
      return;
    }
    const count = scalable ? ScalableContext.words : LegacyContext.words;
    const index = scalable ? devfn & 127 : devfn;
    const from = contextSlot * WORDS_PER_FRAME + index * count;
    for (let word = 0; word < ENTRY_WORDS; word++) this.words[word] = word < count ? memory.words[from + word]! : 0;
    this.faultHidden = (this.words[0]! & FPD) !== 0;
    if ((this.words[0]! & PRESENT) === 0) {
      this.fault = scalable ? this.#codes.scalableContextNotPresent : FaultReason.contextNotPresent;
    }
  }

  /** Drops the entry of a source id; true when it was cached. */
  invalidate(sourceId: number): boolean {
    return this.#cache?.remove(sourceId, 0, 0) ?? false;
  }

  /** Drops everything. */
  invalidateAll(): void {
    const cache = this.#cache;
    if (cache === undefined) return;
    for (let entry = 0; entry < cache.entries; entry++) if (cache.tags[entry * 4 + 1] !== -1) cache.drop(entry);
  }

  /** Domain id of a cached legacy entry, 0 of one that says there is none; or -1. */
  cachedDomain(sourceId: number): number {
    const entry = this.#cache?.peek(sourceId, 0, 0) ?? -1;
    if (entry < 0) return -1;
    if (this.#cache!.values[entry * 2 + 1] !== 0) return 0;
    return (this.#contents[entry * ENTRY_WORDS + 2]! >>> LegacyContext.didShift) & LegacyContext.didMask;
  }

  /** Caches an entry that was not read from memory: start state of a recording. */
  seed(sourceId: number, requester: number, words: readonly number[]): void {
    this.invalidate(sourceId);
    if (this.#cache === undefined) return;
    const entry = this.#cache.fill(sourceId, 0, 0, requester, 0);
    this.#cache.readyTick[entry] = 0;
    this.#contents.set(words, entry * ENTRY_WORDS);
  }

  /** What the last {@link fetch} found is kept: an entry, or in caching mode that there is none. */
  #isCacheable(): boolean {
    switch (this.fault) {
      case FaultReason.none:
        return true;
      case FaultReason.rootNotPresent:
      case FaultReason.smRootNotPresent:
      case FaultReason.contextNotPresent:
      case this.#codes.scalableContextNotPresent:
        return this.#cachesNotPresent;
      default:
        return false;
    }
  }

  #take(entry: number): boolean {
    if (entry < 0) return false;
    const absence = this.#cache!.values[entry * 2 + 1]!;
    this.fault = absenceFault(absence);
    this.faultHidden = absenceHidden(absence);
    for (let word = 0; word < ENTRY_WORDS; word++) this.words[word] = this.#contents[entry * ENTRY_WORDS + word]!;
    return true;
  }
}

/** value1 of an entry that says there is none: the fault it is answered with, and whether that is recorded. */
const ABSENCE_FAULT = 0xff;
const ABSENCE_HIDDEN = 0x100;

/** value1 of an entry; 0 for one that is present. */
export function packAbsence(fault: number, hidden: boolean): number {
  return fault === FaultReason.none ? 0 : fault | (hidden ? ABSENCE_HIDDEN : 0);
}

/** Fault that a cached entry is answered with, 0 = it is present. */
export function absenceFault(value1: number): number {
  return value1 & ABSENCE_FAULT;
}

/** Whether that fault is not to be recorded. */
export function absenceHidden(value1: number): boolean {
  return (value1 & ABSENCE_HIDDEN) !== 0;
}

/** Slot of the table that an entry's address field points to, or -1 when it is not modelled memory. */
export function slotFromEntry(memory: PhysicalMemory, low: number, high: number): number {
  return memory.slotOf(pfnFromEntry(low, high));
}

/** Page number in an entry's address field (bits 51:12). */
export function pfnFromEntry(low: number, high: number): number {
  return (high & 0xfffff) * 1048576 + (low >>> 12);
}

/** Checks at load time that table frames are representable in entries. */
assert(addressLow(TABLE_FRAME_BASE) === 0, 'table frames start on a 4 GiB boundary');
