/**
 * The page request queue: a ring in memory into which the unit writes the page requests of devices, for software to read
 * (VT-d spec 7.4, 7.5). The event is raised when PRS.PPR turns on. A request that finds the ring full sets PRS.PRO and is
 * discarded, as are all later ones until software clears it; the unit itself answers a discarded last-of-group request
 * with success, so that the device asks again.
 */
import type { Pfn } from '../../address.ts';
import { assert } from '../../assert.ts';
import type { Tick } from '../../units.ts';
import { type PhysicalMemory, TABLE_FRAME_BASE, WORDS_PER_FRAME } from '../memory.ts';
import { PageRequestEntry } from './layout.ts';
import { PageRequestStatus, PQA_PQS_MASK } from './registers.ts';

/** [bytes] */
const ENTRY_BYTES = PageRequestEntry.words * 4;
/** [bytes] */
const PAGE_BYTES = WORDS_PER_FRAME * 4;

/** One page request message. */
export interface PageRequestMessage {
  readonly sourceId: number;
  /** undefined = without PASID. */
  readonly pasid: number | undefined;
  readonly group: number;
  readonly last: boolean;
  readonly write: boolean;
  /** Words of the page number. */
  readonly low: number;
  readonly high: number;
}

/** The queue of one unit. */
export class PageRequestQueue {
  /** {@link PageRequestStatus} bits. */
  status = 0;
  /** Called when PPR turns on: the page request event interrupt. */
  onEvent: ((atTick: Tick) => void) | undefined;
  /** Requests written to the ring, and discarded. */
  posted = 0;
  discarded = 0;
  /** [ps] When the last request sent so far is in the ring: what a page-request drain waits for. */
  drainTick = 0;

  readonly #memory: PhysicalMemory;
  #base = 0 as Pfn;
  /** [bytes] 0 until software has programmed the ring. */
  #sizeBytes = 0;
  #headBytes = 0;
  #tailBytes = 0;

  constructor(memory: PhysicalMemory) {
    this.#memory = memory;
  }

  /** PQA write: base address and size; head and tail go to the start. */
  configure(lo: number, hi: number): void {
    const base = (hi & 0xfffff) * 1048576 + (lo >>> 12);
    this.#base = base as Pfn;
    this.#sizeBytes = base < TABLE_FRAME_BASE ? 0 : PAGE_BYTES << (lo & PQA_PQS_MASK);
    this.#headBytes = 0;
    this.#tailBytes = 0;
  }

  /** True once software has given it memory. */
  get enabled(): boolean {
    return this.#sizeBytes > 0;
  }

  get headRegister(): number {
    return this.#headBytes;
  }

  get tailRegister(): number {
    return this.#tailBytes;
  }

  /** PQH write. */
  set headRegister(bytes: number) {
    this.#headBytes = this.#sizeBytes === 0 ? 0 : bytes % this.#sizeBytes;
  }

  /** PRS write: ones clear. */
  clearStatus(bits: number): void {
    this.status &= ~bits;
  }

  /** A request is written to the ring at `atTick`; false when it was discarded. */
  post(request: PageRequestMessage, atTick: Tick): boolean {
    assert(this.enabled, 'a page request without a queue');
    const next = (this.#tailBytes + ENTRY_BYTES) % this.#sizeBytes;
    if (next === this.#headBytes) this.status |= PageRequestStatus.pro;
    const overflowed = (this.status & PageRequestStatus.pro) !== 0;
    if (overflowed) {
      this.discarded++;
    } else {
      this.#write(request);
      this.#tailBytes = next;
      this.posted++;
    }
    const raised = (this.status & PageRequestStatus.ppr) === 0;
    this.status |= PageRequestStatus.ppr;
    if (raised) this.onEvent?.(atTick);
    return !overflowed;
  }

  #write({ sourceId, pasid, group, last, write, low, high }: PageRequestMessage): void {
    const E = PageRequestEntry;
    const frame = (this.#base + Math.floor(this.#tailBytes / PAGE_BYTES)) as Pfn;
    const at = (this.#tailBytes % PAGE_BYTES) >>> 2;
    const memory = this.#memory;
    memory.writeQword(
      frame,
      at,
      (E.type | (pasid === undefined ? 0 : E.pasidPresent) | (sourceId << E.sourceShift)) >>> 0,
      (pasid ?? 0) & E.pasidMask,
    );
    const access = write ? E.write : E.read;
    const word2 = (low << 12) | access | (last ? E.last : 0) | ((group & E.groupMask) << E.groupShift);
    memory.writeQword(frame, at + 2, word2 >>> 0, ((high << 12) | (low >>> 20)) >>> 0);
    memory.writeQword(frame, at + 4, 0, 0);
    memory.writeQword(frame, at + 6, 0, 0);
  }
}
