/**
 * PASID cache: PASID-table entries by (source id, PASID), with the entry's domain id as an attribute (VT-d spec 6.2.3),
 * and the walk that fills it: PASID-directory entry, then PASID entry (VT-d spec 3.4.3, 9.5, 9.6). Only present entries
 * are cached, and in caching mode also that there is none (VT-d spec 6.1): without a domain id, so that an invalidation of
 * any domain takes it, as Linux names the new one (pasid_flush_caches).
 *
 * APPROX: hardware reads an entry as four 128-bit pieces, here at one instant: a request sees the entry as it is between
 * two stores of software, torn or not, but no store falls between two pieces of one read.
 */
import { type PhysicalMemory, WORDS_PER_FRAME } from '../memory.ts';
import { type CacheGeometry, SetAssoc } from '../set-assoc.ts';
import { absenceFault, absenceHidden, packAbsence, pfnFromEntry, slotFromEntry } from './context-cache.ts';
import { type FaultCodes, FaultReason } from './fault-reasons.ts';
import { FPD, PASID_DIRECTORY_ENTRY_WORDS, PasidEntry, PRESENT, ScalableContext } from './layout.ts';

const NO_GENERATIONS = { current: new Int32Array(0) };
const ENTRY_WORDS = PasidEntry.words;

/** The PASID cache of one unit. */
export class PasidCache {
  /** The PASID entry found by the last {@link lookup} or {@link read}; 16 words. */
  readonly words = new Int32Array(ENTRY_WORDS);
  /** Memory reads of the last {@link read}; fault reason of what was found or read, and whether it is not to be recorded. */
  reads = 0;
  fault: number = FaultReason.none;
  faultHidden = false;
  /** Source id and PASID of the entry that the last {@link read} replaced; -1 when none. */
  replacedSource = -1;
  replacedPasid = -1;
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
  lookup(sourceId: number, pasid: number): boolean {
    this.#filled = -1;
    const entry = this.#cache?.find(sourceId, pasid, 0) ?? -1;
    this.readyTick = entry < 0 ? 0 : this.#cache!.readyTick[entry]!;
    return this.#take(entry);
  }

  /** What the last {@link read} cached can be used from `atTick` on. */
  validFrom(atTick: number): void {
    if (this.#filled >= 0) this.#cache!.readyTick[this.#filled] = atTick;
    this.#filled = -1;
  }

  /** As {@link lookup}, leaving the recency order alone. */
  peek(sourceId: number, pasid: number): boolean {
    return this.#take(this.#cache?.peek(sourceId, pasid, 0) ?? -1);
  }

  /**
   * Reads directory and PASID entry through the scalable context entry `context` and caches them when present, or
   * in caching mode not.
   */
  read(sourceId: number, pasid: number, context: Int32Array): void {
    this.fetch(pasid, context);
    this.replacedSource = -1;
    this.replacedPasid = -1;
    if (this.#cache === undefined || !this.#isCacheable()) return;
    const entry = this.#cache.fill(sourceId, pasid, 0, sourceId, packAbsence(this.fault, this.faultHidden));
    this.#filled = entry;
    this.#cache.readyTick[entry] = 0;
    if (this.#cache.replacedValue0 >= 0) {
      this.replacedSource = this.#cache.replacedValue0;
      this.replacedPasid = this.#cache.replacedKey1;
    }
    this.#contents.set(this.words, entry * ENTRY_WORDS);
  }

  /** The walk of {@link read} without caching anything. */
  fetch(pasid: number, context: Int32Array): void {
    const memory = this.#memory;
    this.reads = 0;
    this.faultHidden = false;
    this.fault = FaultReason.none;
    const directoryBits = ((context[0]! >>> ScalableContext.pdtsShift) & ScalableContext.pdtsMask) + 7;
    const index = pasid >>> 6;
    if (index >= 2 ** directoryBits) {
      this.fault = FaultReason.smPasidTooLarge;
      return;
    }
    this.reads = 1;
    // A directory may span several frames that follow each other.
    const words = index * PASID_DIRECTORY_ENTRY_WORDS;
    const frame = Math.floor(words / WORDS_PER_FRAME);
    const directorySlot = memory.slotOf(pfnFromEntry(context[0]!, context[1]!) + frame);
    if (directorySlot < 0) {
      this.fault = FaultReason.smDirectoryAccess;
      return;
    }
    const directoryWord = directorySlot * WORDS_PER_FRAME + (words % WORDS_PER_FRAME);
    const directoryLow = memory.words[directoryWord]!;
    this.faultHidden = (directoryLow & FPD) !== 0;
    if ((directoryLow & PRESENT) === 0) {
      this.fault = FaultReason.smDirectoryNotPresent;
      return;
    }
    this.reads = 2;
    const tableSlot = slotFromEntry(memory, directoryLow, memory.words[directoryWord + 1]!);
    if (tableSlot < 0) {
      this.fault = FaultReason.smPasidEntryAccess;
      return;
    }
    const from = tableSlot * WORDS_PER_FRAME + (pasid & 63) * ENTRY_WORDS;
    for (let word = 0; word < ENTRY_WORDS; word++) this.words[word] = memory.words[from + word]!;
    this.faultHidden = (this.words[0]! & FPD) !== 0;
    if ((this.words[0]! & PRESENT) === 0) this.fault = this.#codes.pasidEntryNotPresent;
  }

  /** Drops entries of a domain (`pasid` < 0: of every PASID); calls `dropped(sourceId, pasid)` for each. */
  invalidate(domainId: number, pasid: number, dropped: (sourceId: number, pasid: number) => void): void {
    const cache = this.#cache;
    if (cache === undefined) return;
    for (let entry = 0; entry < cache.entries; entry++) {
      const cachedPasid = cache.tags[entry * 4 + 1]!;
      if (cachedPasid === -1 || (pasid >= 0 && cachedPasid !== pasid)) continue;
      const did = this.#contents[entry * ENTRY_WORDS + 2]! & PasidEntry.didMask;
      const present = cache.values[entry * 2 + 1] === 0;
      if (domainId >= 0 && present && did !== domainId) continue;
      const sourceId = cache.tags[entry * 4]!;
      cache.drop(entry);
      dropped(sourceId, cachedPasid);
    }
  }

  /** What the last {@link fetch} found is kept: an entry, or in caching mode that there is none. */
  #isCacheable(): boolean {
    if (this.fault === FaultReason.none) return true;
    const absent = this.fault === FaultReason.smDirectoryNotPresent || this.fault === this.#codes.pasidEntryNotPresent;
    return absent && this.#cachesNotPresent;
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
