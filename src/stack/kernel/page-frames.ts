/**
 * Data pages of the machine's memory (struct page): which frames are used and pinned, and their bytes. Table pages
 * are not here; they live in the hardware model's memory.
 *
 * Frames made here start at {@link FIRST_FRAME}, above what recordings contain, so that recorded and modelled frames
 * never collide.
 */

import { PAGE_SIZE } from '../../address.ts';
import { assert } from '../../assert.ts';

/** First frame handed out: 512 GiB. ASSUMPTION: no recorded machine has memory there. */
const FIRST_FRAME = 2 ** 27;
/** One past the last frame: table pages begin here (ARCHITECTURE.md D1). */
const FRAME_LIMIT = 2 ** 28;
/** log2 of the frames per block of counters. */
const BLOCK_SHIFT = 12;
const BLOCK_MASK = (1 << BLOCK_SHIFT) - 1;

/** Counters of used frames and bytes of written ones. Frames are numbered upwards and never reused. */
export class PageFrames {
  readonly #users: Int32Array[] = [];
  readonly #pins: Int32Array[] = [];
  readonly #bytes = new Map<number, Uint8Array>();
  readonly #deviceRanges: { readonly first: number; readonly last: number }[] = [];
  #next = FIRST_FRAME;

  /**
   * Hands out `pageCount` physically contiguous frames [4 KiB pages], aligned to `alignment` frames, each with one
   * user. Returns the first.
   */
  allocate(pageCount: number, alignment = 1): number {
    const first = Math.ceil(this.#next / alignment) * alignment;
    this.#next = first + pageCount;
    assert(this.#next <= FRAME_LIMIT, 'modelled memory is exhausted');
    for (let pfn = first; pfn < this.#next; pfn++) this.#add(this.#users, pfn, 1);
    return first;
  }

  /** Makes frames known as device memory (a BAR), which has no struct page: it is never pinned or counted. */
  addDeviceMemory(first: number, pageCount: number): void {
    this.#deviceRanges.push({ first, last: first + pageCount - 1 });
  }

  /** True for device memory (is_invalid_reserved_pfn). */
  isDeviceMemory(pfn: number): boolean {
    return this.#deviceRanges.some((range) => pfn >= range.first && pfn <= range.last);
  }

  /** Leaves the next frame unused, so that what is allocated next is not contiguous with what was before. */
  breakRun(): void {
    this.#next++;
  }

  /** Takes a further user of a frame: a mapping or a pin. */
  get(pfn: number): void {
    this.#add(this.#users, pfn, 1);
  }

  /** Drops a user; the bytes go with the last one. */
  put(pfn: number): void {
    if (this.#add(this.#users, pfn, -1) <= 0 && this.#bytes.size > 0) this.#bytes.delete(pfn);
  }

  /** Pins a frame for DMA (FOLL_PIN). @hot */
  pin(pfn: number): void {
    this.#add(this.#users, pfn, 1);
    this.#add(this.#pins, pfn, 1);
  }

  /** Drops a pin. @hot */
  unpin(pfn: number): void {
    const left = this.#add(this.#pins, pfn, -1);
    assert(left >= 0, `frame ${pfn} unpinned more often than pinned`);
    this.put(pfn);
  }

  /** Number of pins of a frame. */
  pinCount(pfn: number): number {
    return this.#pins[pfn >>> BLOCK_SHIFT]?.[pfn & BLOCK_MASK] ?? 0;
  }

  /** The frame's bytes for writing; made of zeros on first use. */
  bytes(pfn: number): Uint8Array {
    let page = this.#bytes.get(pfn);
    if (page === undefined) {
      page = new Uint8Array(PAGE_SIZE);
      this.#bytes.set(pfn, page);
    }
    return page;
  }

  /** The frame's bytes for reading; undefined when it was never written and reads as zeros. */
  peek(pfn: number): Uint8Array | undefined {
    return this.#bytes.get(pfn);
  }

  #add(counters: Int32Array[], pfn: number, delta: number): number {
    const index = pfn >>> BLOCK_SHIFT;
    let block = counters[index];
    if (block === undefined) {
      block = new Int32Array(1 << BLOCK_SHIFT);
      counters[index] = block;
    }
    const value = (block[pfn & BLOCK_MASK] as number) + delta;
    block[pfn & BLOCK_MASK] = value;
    return value;
  }
}
