/**
 * Modelled physical memory: the pages that hold table entries, descriptors and status words. Software (a modelled
 * driver) and hardware (a modelled IOMMU) meet here and at the registers, and nowhere else.
 *
 * One growable Int32Array holds all frames, 1024 words each. Frames are numbered densely from
 * {@link TABLE_FRAME_BASE}, so the walker's step from an entry to the next table is one array index. Data pages of
 * the trace lie below that number and have no contents: a DMA is an address, not bytes. The exception are data pages in
 * which user space keeps tables of its own for the hardware to walk: these are adopted ({@link PhysicalMemory.adopt}).
 *
 * A 64-bit entry is two consecutive words, low word first. Software that must not be seen half-way writes the word
 * with the present bit last; a walk between two writes sees exactly what is there.
 */
import type { Pfn } from '../address.ts';
import { assert } from '../assert.ts';
import type { Tick } from '../units.ts';
import { LinearMemory } from './linear-memory.ts';

/** First page frame number of modelled memory: 1 TiB. Recorded data pages must lie below. */
export const TABLE_FRAME_BASE = 0x1000_0000;
/** [words] u32 words of one frame. */
export const WORDS_PER_FRAME = 1024;

/** Told once about the next hardware write to a word. */
export type WordWatcher = (value: number, atTick: Tick) => void;

const INITIAL_FRAMES = 64;

/** Memory of one machine. */
export class PhysicalMemory {
  /**
   * All words; frame `slot` occupies `[slot * 1024, slot * 1024 + 1024)`. The array is replaced when memory grows:
   * hold it in a local only while nothing can allocate.
   */
  words: Int32Array;
  /** What {@link words} is part of: state of the units may live beside it. */
  readonly linear = new LinearMemory();

  #frameCount = 0;
  #liveFrames = 0;
  readonly #free: number[] = [];
  /** Slots of adopted data pages, by page frame. */
  readonly #adopted = new Map<number, number>();
  /** Watchers by word index. Looked up on hardware writes only, never on a walk. */
  readonly #watchers = new Map<number, WordWatcher[]>();

  constructor() {
    this.words = this.linear.int32(INITIAL_FRAMES * WORDS_PER_FRAME);
  }

  /** [frames] Frames in use. */
  get liveFrames(): number {
    return this.#liveFrames;
  }

  /** [frames] Frames ever handed out: slots are below this. */
  get frameCount(): number {
    return this.#frameCount;
  }

  /** A zeroed frame. The frame freed last is reused first. */
  allocFrame(): Pfn {
    const reused = this.#free.pop();
    if (reused === undefined) return this.allocContiguous(1);
    this.words.fill(0, reused * WORDS_PER_FRAME, (reused + 1) * WORDS_PER_FRAME);
    this.#liveFrames++;
    return (TABLE_FRAME_BASE + reused) as Pfn;
  }

  /** The first of `count` zeroed frames that follow each other: descriptor rings, PASID directories. */
  allocContiguous(count: number): Pfn {
    assert(Number.isInteger(count) && count > 0, `bad frame count ${count}`);
    const slot = this.#frameCount;
    this.#frameCount += count;
    this.#liveFrames += count;
    const needed = this.#frameCount * WORDS_PER_FRAME;
    if (needed > this.words.length) {
      this.words = this.linear.extended(this.words, Math.max(needed, this.words.length * 2));
    }
    return (TABLE_FRAME_BASE + slot) as Pfn;
  }

  /** Returns one frame; its contents stay as they are until it is handed out again, as in a real machine. */
  freeFrame(pfn: Pfn): void {
    const slot = this.slotOf(pfn);
    assert(slot >= 0, `frame ${pfn} is not modelled memory`);
    this.#liveFrames--;
    this.#free.push(slot);
  }

  /** Gives a data page contents, zeros at first; nothing happens to a page that has some. It keeps its frame number. */
  adopt(pfn: number): void {
    if (this.slotOf(pfn) < 0) this.#adopted.set(pfn, this.allocFrame() - TABLE_FRAME_BASE);
  }

  /** Slot of a frame, or -1 when `pfn` is not a frame of modelled memory. */
  slotOf(pfn: number): number {
    const slot = pfn - TABLE_FRAME_BASE;
    if (slot >= 0) return slot < this.#frameCount ? slot : -1;
    return this.#adopted.size > 0 ? (this.#adopted.get(pfn) ?? -1) : -1;
  }

  /** u32 word `word` (0 .. 1023) of a frame. */
  readWord(pfn: Pfn, word: number): number {
    return (this.words[this.#index(pfn, word)] as number) >>> 0;
  }

  /** Software write of one u32 word. */
  writeWord(pfn: Pfn, word: number, value: number): void {
    this.words[this.#index(pfn, word)] = value;
  }

  /** Software write of a naturally aligned 64-bit value at words `word` and `word + 1`, seen as one write. */
  writeQword(pfn: Pfn, word: number, lo: number, hi: number): void {
    const index = this.#index(pfn, word);
    this.words[index] = lo;
    this.words[index + 1] = hi;
  }

  /** Hardware write of one u32 word; wakes the watchers of that word in the order in which they registered. */
  hardwareWrite(pfn: Pfn, word: number, value: number, atTick: Tick): void {
    const index = this.#index(pfn, word);
    this.words[index] = value;
    const watchers = this.#watchers.get(index);
    if (watchers === undefined) return;
    this.#watchers.delete(index);
    for (const watcher of watchers) watcher(value >>> 0, atTick);
  }

  /**
   * Calls `watcher` once, at the next hardware write to the word. A driver waits for a wait descriptor's status write
   * with this; it must look at the word first, since a write that has already happened wakes nobody.
   */
  watch(pfn: Pfn, word: number, watcher: WordWatcher): void {
    const index = this.#index(pfn, word);
    const watchers = this.#watchers.get(index);
    if (watchers === undefined) this.#watchers.set(index, [watcher]);
    else watchers.push(watcher);
  }

  #index(pfn: number, word: number): number {
    const slot = this.slotOf(pfn);
    assert(slot >= 0, `frame ${pfn} is not modelled memory`);
    assert(word >= 0 && word < WORDS_PER_FRAME, `word ${word} is outside a frame`);
    return slot * WORDS_PER_FRAME + word;
  }
}
