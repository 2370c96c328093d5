/**
 * Nested translation (VT-d spec 3.8): the first stage's tables lie at addresses of the second stage, so that the place of
 * every first-stage table, and the page that its leaf names, go through a second-stage walk of their own. A walk with
 * nothing cached over m and n levels reads (m + 1) * (n + 1) - 1 words.
 *
 * The result is left in the unit's {@link Walker}, as that of a one-stage walk: a leaf of the smaller page size, with the
 * permissions of both stages. Paging-structure caches of the first stage hold where a table really is; those of the second
 * stage are shared with everything of the domain id.
 *
 * APPROX: a walk does not use what it has itself just read; second-stage faults carry the reason codes of a second-stage
 * walk, whichever of the accesses they stopped; the second stage is walked as untranslated DMA would, so its A and D bits
 * follow SSADE.
 */
import type { PhysicalMemory } from '../memory.ts';
import { WORDS_PER_FRAME } from '../memory.ts';
import { DmaFlag } from '../unit.ts';
import { slotFromEntry } from './context-cache.ts';
import { Counter, type UnitCounters } from './counters.ts';
import { type FaultCodes, FaultReason } from './fault-reasons.ts';
import { FsEntry } from './layout.ts';
import type { PagingCaches } from './paging-caches.ts';
import { leafLevels, PROT_READ, PROT_WRITE, tableIndexOf, Walker } from './walker.ts';

/** In the permissions of a first-stage table: the second stage lets the unit write it (to set A and D). */
const PROT_TABLE_WRITABLE = 4;
/** Most second-stage table pointers one walk can read: 6 second-stage walks of 4 pointers. */
const MAX_FILLS = 24;

/** What a nested slot is translated by. */
export interface NestedTables {
  /** Space of the second stage's paging-structure entries: the domain id without PASID. */
  readonly secondSpace: number;
  /** Slot and level of the second stage's top table. */
  readonly secondSlot: number;
  readonly secondLevels: number;
  /** 1: the second stage keeps accessed and dirty bits. */
  readonly accessDirty: number;
  /** Page number words of the first stage's top table, an address of the second stage. */
  readonly firstLow: number;
  readonly firstHigh: number;
  readonly firstLevels: number;
}

/** What the walker uses of the unit's translation path. */
export interface NestedParts {
  readonly config: { readonly faultCodes: FaultCodes; readonly cap: readonly [number, number] };
  readonly walker: Walker;
  readonly resolver: { readonly nestedTables: ReadonlyMap<number, NestedTables> };
  /** With the walk's start tick in `atTick`. */
  readonly ssPaging: PagingCaches;
  readonly counters: UnitCounters;
}

/** Walks both stages; path and leaf of the last walk are in {@link NestedWalker.result}. */
export class NestedWalker {
  /** The unit's walker: takes the result. */
  readonly result: Walker;
  /** First-stage level at which the last walk ended. */
  endLevel = 0;
  /** By first-stage level: reads of the last walk until the next table was found. */
  readonly pathReads = new Int32Array(8);

  /** By slot. */
  readonly #tables: ReadonlyMap<number, NestedTables>;
  readonly #memory: PhysicalMemory;
  readonly #codes: FaultCodes;
  readonly #second: Walker;
  /** Levels above 1 of the first stage that may hold leaves, as bits. */
  readonly #firstLeaves: number;
  readonly #paging: PagingCaches;
  readonly #counters: UnitCounters;
  #reads = 0;
  #fault: number = FaultReason.none;
  #fills = 0;
  /** Second-stage pointers read: level, page number words, slot, permissions, reads until then. */
  readonly #fillWords = new Int32Array(MAX_FILLS * 6);
  /** Where the last second-stage translation led: page number words at its own page size, and its permissions. */
  #low = 0;
  #high = 0;
  #size = 0;
  #prot = 0;

  constructor(memory: PhysicalMemory, parts: NestedParts) {
    this.#memory = memory;
    this.#codes = parts.config.faultCodes;
    this.result = parts.walker;
    const leaves = leafLevels(parts.config.cap);
    this.#second = new Walker(memory, this.#codes, leaves);
    this.#firstLeaves = leaves.first;
    this.#tables = parts.resolver.nestedTables;
    this.#paging = parts.ssPaging;
    this.#counters = parts.counters;
  }

  /**
   * Translates page (`low`, `high`) from the first-stage table `tableSlot` at `level` on; at the top level the table is
   * looked for first. `prot`: permissions so far. The result's `readOnly` leaves tables and caches alone.
   */
  walk(slot: number, tableSlot: number, level: number, prot: number, low: number, high: number, flags: number): void {
    const tables = this.#tables.get(slot)!;
    const { result } = this;
    const write = (flags & DmaFlag.write) !== 0;
    let table = tableSlot;
    let allowed = prot;
    this.#reads = 0;
    this.#fills = 0;
    this.#fault = FaultReason.none;
    let at = level;
    if (level === tables.firstLevels) {
      allowed &= PROT_READ | PROT_WRITE;
      table = this.#locate(tables, tables.firstLow, tables.firstHigh);
      if ((this.#prot & PROT_WRITE) !== 0) allowed |= PROT_TABLE_WRITABLE;
    }
    while (this.#fault === FaultReason.none) {
      this.#reads++;
      const word = table * WORDS_PER_FRAME + (tableIndexOf(low, high, at) << 1);
      const entry = table < 0 ? 0 : this.#memory.words[word]!;
      if ((entry & FsEntry.write) === 0) allowed &= ~PROT_WRITE;
      const leaf = at === 1 || (entry & FsEntry.pageSize) !== 0;
      const allowedLeaf = at === 1 || ((this.#firstLeaves >>> at) & 1) !== 0;
      this.#fault = this.#check(table, entry, leaf && !allowedLeaf, write, allowed);
      if (this.#fault !== FaultReason.none) break;
      const entryHigh = this.#memory.words[word + 1]!;
      if (leaf) {
        this.#leaf(tables, word, entry, entryHigh, at - 1, low, allowed, flags);
        break;
      }
      table = this.#locate(tables, (entryHigh << 20) | (entry >>> 12), (entryHigh >>> 12) & 0xff);
      if (this.#fault !== FaultReason.none) break;
      allowed = (allowed & ~PROT_TABLE_WRITABLE) | ((this.#prot & PROT_WRITE) !== 0 ? PROT_TABLE_WRITABLE : 0);
      result.pathSlot[at] = table;
      result.pathProt[at] = allowed;
      this.pathReads[at] = this.#reads;
      at--;
    }
    this.endLevel = at;
    result.fault = this.#fault;
    result.reads = this.#reads;
  }

  /** Puts the second-stage pointers of the last walk into their caches, each from the end of its read on. */
  fillSecondStage(slot: number, startTick: number, readTicks: number): void {
    const { secondSpace } = this.#tables.get(slot)!;
    const words = this.#fillWords;
    for (let at = 0; at < this.#fills * 6; at += 6) {
      this.#paging.atTick[0] = startTick + words[at + 5]! * readTicks;
      this.#paging.fill(words[at]!, secondSpace, words[at + 1]!, words[at + 2]!, words[at + 3]!, words[at + 4]!);
    }
  }

  #check(table: number, entry: number, reserved: boolean, write: boolean, allowed: number): number {
    if (table < 0) return FaultReason.fsTableAccess;
    if ((entry & FsEntry.present) === 0) return FaultReason.fsNotPresent;
    if (reserved) return FaultReason.fsReserved;
    if ((entry & FsEntry.user) === 0) return FaultReason.fsUser;
    return write && (allowed & PROT_WRITE) === 0 ? FaultReason.fsWrite : FaultReason.none;
  }

  /** The page behind a first-stage leaf of `firstSize`, and the leaf's accessed and dirty bits. */
  #leaf(
    tables: NestedTables,
    word: number,
    entry: number,
    entryHigh: number,
    firstSize: number,
    low: number,
    allowed: number,
    flags: number,
  ): void {
    const { result } = this;
    const inside = (1 << (9 * firstSize)) - 1;
    const leafLow = (((entryHigh << 20) | (entry >>> 12)) & ~inside) | (low & inside);
    this.#translate(tables, leafLow, (entryHigh >>> 12) & 0xff, flags);
    if (this.#fault !== FaultReason.none) return;
    const updated = entry | FsEntry.accessed | ((flags & DmaFlag.write) !== 0 ? FsEntry.dirty : 0);
    if (updated !== entry) {
      if ((allowed & PROT_TABLE_WRITABLE) === 0) {
        this.#fault = this.#codes.scalableSsWrite;
        return;
      }
      if (!result.readOnly) this.#memory.words[word] = updated;
    }
    const clean = (updated & FsEntry.dirty) === 0 ? PROT_WRITE : 0;
    result.size = Math.min(firstSize, this.#size);
    result.prot = allowed & this.#prot & (PROT_READ | PROT_WRITE) & ~clean;
    result.leafLow = this.#low << 12;
    result.leafHigh = (this.#low >>> 20) | (this.#high << 12);
  }

  /** Slot of the first-stage table at a page of the second stage, -1 when there is no memory; or a fault. */
  #locate(tables: NestedTables, low: number, high: number): number {
    this.#translate(tables, low, high, 0);
    return slotFromEntry(this.#memory, this.#low << 12, (this.#low >>> 20) | (this.#high << 12));
  }

  /** Second stage of page (`low`, `high`). */
  #translate(tables: NestedTables, low: number, high: number, flags: number): void {
    const second = this.#second;
    const bits = 9 * tables.secondLevels - 32;
    if (bits < 0 ? high !== 0 || low >>> (32 + bits) !== 0 : high >>> bits !== 0) {
      this.#fault = this.#codes.scalableSsBeyondWidth;
      return;
    }
    let level = tables.secondLevels;
    let table = tables.secondSlot;
    let prot = PROT_READ | PROT_WRITE;
    second.readOnly = this.result.readOnly;
    if (!second.readOnly) {
      const counts = this.#counters.values;
      const known = this.#paging.deepest(tables.secondSpace, low, high, level);
      counts[Counter.ss_nonleaf_lookup]!++;
      if (known > 0) {
        counts[Counter.ss_nonleaf_hit]!++;
        level = known;
        table = this.#paging.tableSlot;
        prot = this.#paging.prot;
      }
    }
    second.secondStage(table, level, prot, low, high, flags, true, tables.accessDirty === 1);
    const ended = second.fault === FaultReason.none ? second.size + 1 : level - second.reads + 1;
    for (let at = level; at > ended; at--) this.#noteFill(at, low, high, this.#reads + level - at + 1);
    this.#reads += second.reads;
    this.#fault = second.fault;
    if (second.fault !== FaultReason.none) return;
    const inside = (1 << (9 * second.size)) - 1;
    this.#low = (((second.leafHigh << 20) | (second.leafLow >>> 12)) & ~inside) | (low & inside);
    this.#high = (second.leafHigh >>> 12) & 0xff;
    this.#size = second.size;
    this.#prot = second.prot;
  }

  #noteFill(level: number, low: number, high: number, reads: number): void {
    const words = this.#fillWords;
    const at = this.#fills++ * 6;
    words[at] = level;
    words[at + 1] = low;
    words[at + 2] = high;
    words[at + 3] = this.#second.pathSlot[level]!;
    words[at + 4] = this.#second.pathProt[level]!;
    words[at + 5] = reads;
  }
}
