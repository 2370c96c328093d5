/**
 * One radix page table in modelled memory, as the driver builds it: 512 entries of 64 bits a table page, leaves of
 * 4 KiB and, where allowed, 2 MiB and 1 GiB (Linux __domain_mapping and dma_pte_clear_level; generic_pt/iommu_pt.h).
 *
 * Page numbers are plain numbers, entries are word pairs. No time passes here: the caller charges for what the work
 * counters say was written, allocated and freed.
 */
import type { Pfn } from '../../../address.ts';
import { assert } from '../../../assert.ts';
import { type PhysicalMemory, TABLE_FRAME_BASE, WORDS_PER_FRAME } from '../../../hw/memory.ts';
import { ADDRESS_HIGH_MASK } from '../../../hw/vtd/layout.ts';
import type { EntryFormat } from './entry-format.ts';

/** [4 KiB pages] What one entry of a table at level 1..5 covers, by level. */
export const LEVEL_SPAN = [0, 1, 512, 262144, 134217728, 68719476736] as const;

/** [4 KiB pages] What one table page of a level covers. */
function tableSpan(level: number): number {
  return (LEVEL_SPAN[level] as number) * 512;
}

/** Work done since the counters were last reset. */
export interface TableWork {
  leavesWritten: number;
  leavesCleared: number;
  /** Entries written or cleared, leaves included: each is a cache-line flush on a non-coherent unit. */
  entriesTouched: number;
  tablesAllocated: number;
  /** Leaves found present where a leaf was to be written; they were kept. */
  conflicts: number;
}

/** A leaf as {@link PageTable.lookup} finds it. */
export interface Leaf {
  /** [4 KiB pages] Physical page of the *asked* page. */
  readonly pfn: number;
  /** 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB. */
  readonly level: number;
  /** Low word of the entry. */
  readonly bits: number;
}

/** Called for each leaf of a range: first page, pages, and the index of its low word in memory. */
export type LeafVisitor = (iovaPfn: number, pageCount: number, wordIndex: number) => void;

/** A page table of one domain. */
export class PageTable {
  readonly root: Pfn;
  readonly levels: number;
  readonly format: EntryFormat;
  /** Highest level at which leaves may be written: 1, 2 or 3. */
  readonly maxLeafLevel: number;
  readonly work: TableWork = {
    leavesWritten: 0,
    leavesCleared: 0,
    entriesTouched: 0,
    tablesAllocated: 0,
    conflicts: 0,
  };
  readonly #memory: PhysicalMemory;
  /** Table pages unhooked by the map under way because a superpage took their place. */
  readonly #replaced: number[] = [];
  #stopOnConflict = false;

  constructor(memory: PhysicalMemory, levels: number, format: EntryFormat, maxLeafLevel: number) {
    this.#memory = memory;
    this.levels = levels;
    this.format = format;
    this.maxLeafLevel = maxLeafLevel;
    this.root = memory.allocFrame();
  }

  /**
   * Maps `pageCount` pages. Returns how many were dealt with from the start: fewer than asked only when
   * `stopOnConflict` met a present leaf (or a table still in use under a superpage). Without it present leaves stay.
   * Table pages that a superpage replaced are appended to `replaced`.
   */
  map(
    iovaPfn: number,
    pfn: number,
    pageCount: number,
    leafBits: number,
    stopOnConflict: boolean,
    replaced: number[],
  ): number {
    this.#stopOnConflict = stopOnConflict;
    const done = this.#mapRange(this.levels, this.root - TABLE_FRAME_BASE, iovaPfn, pfn, pageCount, leafBits);
    if (this.#replaced.length > 0) replaced.push(...this.#replaced.splice(0));
    return done;
  }

  #mapRange(level: number, slot: number, iovaPfn: number, pfn: number, pageCount: number, leafBits: number): number {
    if (level === 1) return this.#mapLeaves(slot, iovaPfn, pfn, pageCount, leafBits);
    const span = LEVEL_SPAN[level] as number;
    const base = slot * WORDS_PER_FRAME;
    let done = 0;
    while (done < pageCount) {
      const at = iovaPfn + done;
      const left = pageCount - done;
      const word = base + (Math.floor(at / span) % 512) * 2;
      const inside = at % span;
      const low = this.#memory.words[word] as number;
      const present = (low & this.format.presentMask) !== 0;
      const isLeaf = present && (low & this.format.pageSize) !== 0;
      const fitsLeaf = level <= this.maxLeafLevel && inside === 0 && left >= span && (pfn + done) % span === 0;
      const step = Math.min(left, span - inside);
      if (isLeaf) {
        this.work.conflicts++;
        if (this.#stopOnConflict) return done;
        done += step;
        continue;
      }
      if (fitsLeaf && (!present || this.#unhook(word, level))) {
        this.#write(word, pfn + done, leafBits | this.format.pageSize);
        this.work.leavesWritten++;
        done += span;
        continue;
      }
      if (fitsLeaf && this.#stopOnConflict) {
        this.work.conflicts++;
        return done;
      }
      const child = present ? this.#tableOf(word) : this.#allocate(word);
      const mapped = this.#mapRange(level - 1, child, at, pfn + done, step, leafBits);
      done += mapped;
      if (mapped < step) return done;
    }
    return done;
  }

  /** @hot */
  #mapLeaves(slot: number, iovaPfn: number, pfn: number, pageCount: number, leafBits: number): number {
    const words = this.#memory.words;
    const presentMask = this.format.presentMask;
    let word = slot * WORDS_PER_FRAME + (iovaPfn % 512) * 2;
    let written = 0;
    for (let index = 0; index < pageCount; index++, word += 2) {
      if (((words[word] as number) & presentMask) !== 0) {
        this.work.conflicts++;
        if (this.#stopOnConflict) {
          pageCount = index;
          break;
        }
        continue;
      }
      const target = pfn + index;
      words[word + 1] = Math.floor(target / 1048576);
      words[word] = (target % 1048576) * 4096 + leafBits;
      written++;
    }
    this.work.leavesWritten += written;
    this.work.entriesTouched += written;
    return pageCount;
  }

  /**
   * Takes the table below `word` out so that a superpage can go there. With `stopOnConflict` only when it is empty
   * (generic_pt frees an empty table, else the slot counts as in use); without it whatever it maps is dropped.
   */
  #unhook(word: number, level: number): boolean {
    const child = this.#tableOf(word);
    if (this.#stopOnConflict && !this.#isEmpty(child, level - 1)) return false;
    this.#collectTables(child, level - 1, this.#replaced);
    return true;
  }

  #isEmpty(slot: number, level: number): boolean {
    const base = slot * WORDS_PER_FRAME;
    for (let word = base; word < base + WORDS_PER_FRAME; word += 2) {
      const low = this.#memory.words[word] as number;
      if ((low & this.format.presentMask) === 0) continue;
      if (level === 1 || (low & this.format.pageSize) !== 0) return false;
      if (!this.#isEmpty(this.#tableOf(word), level - 1)) return false;
    }
    return true;
  }

  /**
   * Clears every leaf in [firstPfn, lastPfn] (dma_pte_clear_level): a superpage that the range covers only in part is
   * left; callers widen the range first. Tables the range covers entirely are unhooked and appended to `freelist`.
   */
  clear(firstPfn: number, lastPfn: number, freelist: number[]): void {
    this.#clearRange(this.levels, this.root - TABLE_FRAME_BASE, 0, firstPfn, lastPfn, freelist);
  }

  #clearRange(
    level: number,
    slot: number,
    tableStart: number,
    firstPfn: number,
    lastPfn: number,
    freelist: number[],
  ): void {
    const span = LEVEL_SPAN[level] as number;
    const base = slot * WORDS_PER_FRAME;
    const from = Math.max(firstPfn, tableStart);
    const to = Math.min(lastPfn, tableStart + tableSpan(level) - 1);
    const words = this.#memory.words;
    const format = this.format;
    let index = Math.floor((from - tableStart) / span);
    for (let start = tableStart + index * span; start <= to; start += span, index++) {
      const word = base + index * 2;
      const low = words[word] as number;
      if ((low & format.presentMask) === 0) continue;
      const isLeaf = level === 1 || (low & format.pageSize) !== 0;
      if (from <= start && start + span - 1 <= to) {
        if (isLeaf) this.work.leavesCleared++;
        else this.#collectTables(this.#tableOf(word), level - 1, freelist);
        words[word] = 0;
        words[word + 1] = 0;
        this.work.entriesTouched++;
      } else if (!isLeaf) {
        this.#clearRange(level - 1, this.#tableOf(word), start, from, to, freelist);
      }
    }
  }

  /** Appends the frames of a table and of all tables below it, and counts their leaves as cleared. */
  #collectTables(slot: number, level: number, freelist: number[]): void {
    const base = slot * WORDS_PER_FRAME;
    const words = this.#memory.words;
    for (let word = base; word < base + WORDS_PER_FRAME; word += 2) {
      const low = words[word] as number;
      if ((low & this.format.presentMask) === 0) continue;
      if (level === 1 || (low & this.format.pageSize) !== 0) this.work.leavesCleared++;
      else this.#collectTables(this.#tableOf(word), level - 1, freelist);
    }
    freelist.push(slot + TABLE_FRAME_BASE);
  }

  /**
   * [4 KiB pages] How far, from `iovaPfn` on, leaves follow each other without a hole: up to `pageCount`, more when the
   * last leaf is a superpage that reaches further. 0 when the first page is not mapped, or lies inside a superpage that
   * starts before it: the walk of generic_pt's unmap_range, which neither skips holes nor splits.
   */
  mappedExtent(iovaPfn: number, pageCount: number): number {
    let at = iovaPfn;
    while (at < iovaPfn + pageCount) {
      const found = this.#find(at);
      if (found.level === 0) break;
      const span = LEVEL_SPAN[found.level] as number;
      if (at % span !== 0) break;
      at += span;
    }
    return at - iovaPfn;
  }

  /**
   * [4 KiB pages] Span of the entry at which a walk for `iovaPfn` stops: the leaf's, or that of the empty entry
   * (pfn_to_dma_pte without a target level).
   */
  stopSpan(iovaPfn: number): number {
    let slot = this.root - TABLE_FRAME_BASE;
    for (let level = this.levels; ; level--) {
      const word = slot * WORDS_PER_FRAME + (Math.floor(iovaPfn / (LEVEL_SPAN[level] as number)) % 512) * 2;
      const low = this.#memory.words[word] as number;
      const isTable = level > 1 && (low & this.format.presentMask) !== 0 && (low & this.format.pageSize) === 0;
      if (!isTable) return LEVEL_SPAN[level] as number;
      slot = this.#tableOf(word);
    }
  }

  /** The leaf that maps `iovaPfn`, or undefined. */
  lookup(iovaPfn: number): Leaf | undefined {
    const { word, level } = this.#find(iovaPfn);
    if (level === 0) return undefined;
    const low = this.#memory.words[word] as number;
    return { pfn: this.#pfnOf(word) + (iovaPfn % (LEVEL_SPAN[level] as number)), level, bits: low & 0xfff };
  }

  #find(iovaPfn: number): { readonly word: number; readonly level: number } {
    let slot = this.root - TABLE_FRAME_BASE;
    for (let level = this.levels; level > 0; level--) {
      const word = slot * WORDS_PER_FRAME + (Math.floor(iovaPfn / (LEVEL_SPAN[level] as number)) % 512) * 2;
      const low = this.#memory.words[word] as number;
      if ((low & this.format.presentMask) === 0) break;
      if (level === 1 || (low & this.format.pageSize) !== 0) return { word, level };
      slot = this.#tableOf(word);
    }
    return { word: 0, level: 0 };
  }

  /** Calls `visit` for every leaf that overlaps [firstPfn, lastPfn], in address order. */
  forEachLeaf(firstPfn: number, lastPfn: number, visit: LeafVisitor): void {
    this.#visitRange(this.levels, this.root - TABLE_FRAME_BASE, 0, firstPfn, lastPfn, visit);
  }

  #visitRange(
    level: number,
    slot: number,
    tableStart: number,
    firstPfn: number,
    lastPfn: number,
    visit: LeafVisitor,
  ): void {
    const span = LEVEL_SPAN[level] as number;
    const from = Math.max(firstPfn, tableStart);
    const to = Math.min(lastPfn, tableStart + tableSpan(level) - 1);
    let index = Math.floor((from - tableStart) / span);
    for (let start = tableStart + index * span; start <= to; start += span, index++) {
      const word = slot * WORDS_PER_FRAME + index * 2;
      const low = this.#memory.words[word] as number;
      if ((low & this.format.presentMask) === 0) continue;
      if (level === 1 || (low & this.format.pageSize) !== 0) visit(start, span, word);
      else this.#visitRange(level - 1, this.#tableOf(word), start, from, to, visit);
    }
  }

  /** Tests the dirty bit of a leaf at `wordIndex` (from {@link forEachLeaf}) and clears it when asked. */
  testDirty(wordIndex: number, clear: boolean): boolean {
    const low = this.#memory.words[wordIndex] as number;
    const dirty = (low & this.format.dirty) !== 0;
    if (dirty && clear) this.#memory.words[wordIndex] = low & ~this.format.dirty;
    return dirty;
  }

  /** Returns table pages that {@link clear} or {@link map} unhooked. */
  release(frames: readonly number[]): void {
    for (const frame of frames) this.#memory.freeFrame(frame as Pfn);
  }

  /** Returns every table page, the root included; how many there were. */
  free(): number {
    const frames: number[] = [];
    this.#collectTables(this.root - TABLE_FRAME_BASE, this.levels, frames);
    this.release(frames);
    return frames.length;
  }

  #allocate(word: number): number {
    const frame = this.#memory.allocFrame();
    this.work.tablesAllocated++;
    this.#write(word, frame, this.format.tableBits);
    return frame - TABLE_FRAME_BASE;
  }

  #write(word: number, pfn: number, bits: number): void {
    const words = this.#memory.words;
    // High word first: the low word holds the present bit.
    words[word + 1] = Math.floor(pfn / 1048576);
    words[word] = (pfn % 1048576) * 4096 + bits;
    this.work.entriesTouched++;
  }

  #pfnOf(word: number): number {
    const words = this.#memory.words;
    return ((words[word + 1] as number) & ADDRESS_HIGH_MASK) * 1048576 + ((words[word] as number) >>> 12);
  }

  #tableOf(word: number): number {
    const slot = this.#pfnOf(word) - TABLE_FRAME_BASE;
    assert(slot >= 0, 'table pointer outside modelled memory');
    return slot;
  }
}
