/**
 * Software side of one unit's page request queue (Linux drivers/iommu/intel/prq.c): a ring of 64 KiB that the unit fills,
 * an interrupt, and a thread that reads requests and hands each to the fault handling of its device.
 *
 * 1. interrupt: the thread wakes
 * 2. clear PPR, so that later requests interrupt again; read head and tail
 * 3. report each request between them, then move the head
 * 4. after an overflow with an empty ring: forget partial groups, clear PRO
 */
import { addressHigh, addressLow, type Pfn, type SourceId } from '../../../address.ts';
import { type PhysicalMemory, WORDS_PER_FRAME } from '../../../hw/memory.ts';
import { PageRequestEntry } from '../../../hw/vtd/layout.ts';
import { PageRequestStatus, PQA_REG, PQH_REG, PQT_REG, PRS_REG } from '../../../hw/vtd/registers.ts';
import type { Tick } from '../../../units.ts';
import { type PageRequest, PageRequestPermission } from '../../iommu/ops.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Condition, KernelTask } from '../../kernel/task.ts';
import type { UnitRegisters } from './capabilities.ts';

/** log2 of the ring in pages (PRQ_ORDER). */
const RING_ORDER = 4;
/** [bytes] */
const ENTRY_BYTES = PageRequestEntry.words * 4;
/** [bytes] */
const RING_BYTES = 4096 << RING_ORDER;

/** Takes one request of the device with that requester id. */
export type PageRequestSink = (sourceId: number, request: PageRequest) => void;

/** Page requests of one unit. */
export class PageRequestReader {
  /** Requests of devices that nobody has switched on are dropped. */
  report: PageRequestSink = () => {};
  /** Partial groups of every device are forgotten. */
  discardPartial: () => void = () => {};

  readonly #kernel: Kernel;
  readonly #memory: PhysicalMemory;
  readonly #registers: UnitRegisters;
  readonly #ring: Pfn;
  #running = false;
  readonly #waiters: ((atTick: Tick) => void)[] = [];
  /** The next time that the thread has emptied the ring. */
  readonly #served: Condition = {
    ready: false,
    bucket: 'wait',
    park: (resume) => void this.#waiters.push(resume),
  };

  constructor(kernel: Kernel, memory: PhysicalMemory, registers: UnitRegisters) {
    this.#kernel = kernel;
    this.#memory = memory;
    this.#registers = registers;
    this.#ring = memory.allocContiguous(1 << RING_ORDER);
    registers.onPageRequestEvent?.((atTick) => this.#interrupt(atTick));
  }

  /** Gives the ring to the unit (intel_iommu_enable_prq). */
  enable(): void {
    const low = addressLow(this.#ring) | RING_ORDER;
    this.#registers.mmioWrite(PQA_REG, low >>> 0, addressHigh(this.#ring), this.#kernel.now);
  }

  /** Waits until the ring holds no request of the device's PASID (0 = requests without). */
  *waitForRequests(sourceId: SourceId, pasid: number): KernelTask<void> {
    while (this.#holds(sourceId, pasid)) yield this.#served;
  }

  /** True after an overflow that the thread has not dealt with; {@link waitServed} ends it. */
  get overflowed(): boolean {
    return (this.#registers.mmioRead(PRS_REG) & PageRequestStatus.pro) !== 0;
  }

  /** Waits for the thread's next pass. */
  *waitServed(): KernelTask<void> {
    yield this.#served;
  }

  #interrupt(atTick: Tick): void {
    if (this.#running) return;
    this.#running = true;
    this.#kernel.scheduler.start(this.#serve(), { atTick });
  }

  *#serve(): KernelTask<void> {
    const registers = this.#registers;
    const { costs } = this.#kernel;
    if (costs.interrupt > 0) yield costs.interrupt;
    do {
      registers.mmioWrite(PRS_REG, PageRequestStatus.ppr, 0, this.#kernel.now);
      const tail = registers.mmioRead(PQT_REG);
      let head = registers.mmioRead(PQH_REG);
      while (head !== tail) {
        if (costs.pageRequest > 0) yield costs.pageRequest;
        const { sourceId, request } = this.#entry(head);
        head = (head + ENTRY_BYTES) % RING_BYTES;
        this.report(sourceId, request);
      }
      registers.mmioWrite(PQH_REG, tail, 0, this.#kernel.now);
      if (this.overflowed && registers.mmioRead(PQT_REG) === tail) {
        this.discardPartial();
        registers.mmioWrite(PRS_REG, PageRequestStatus.pro, 0, this.#kernel.now);
      }
      for (const resume of this.#waiters.splice(0)) resume(this.#kernel.now);
    } while ((registers.mmioRead(PRS_REG) & PageRequestStatus.ppr) !== 0);
    this.#running = false;
  }

  #holds(sourceId: number, pasid: number): boolean {
    const tail = this.#registers.mmioRead(PQT_REG);
    for (let at = this.#registers.mmioRead(PQH_REG); at !== tail; at = (at + ENTRY_BYTES) % RING_BYTES) {
      const entry = this.#entry(at);
      if (entry.sourceId === sourceId && (entry.request.pasid ?? 0) === pasid) return true;
    }
    return false;
  }

  #entry(atBytes: number): { readonly sourceId: number; readonly request: PageRequest } {
    const E = PageRequestEntry;
    const first = atBytes >>> 2;
    const word = (index: number): number => {
      const at = first + index;
      return this.#memory.readWord((this.#ring + Math.floor(at / WORDS_PER_FRAME)) as Pfn, at % WORDS_PER_FRAME);
    };
    const w0 = word(0);
    const w2 = word(2);
    const permission =
      ((w2 & E.read) !== 0 ? PageRequestPermission.read : 0) | ((w2 & E.write) !== 0 ? PageRequestPermission.write : 0);
    return {
      sourceId: w0 >>> E.sourceShift,
      request: {
        pasid: (w0 & E.pasidPresent) !== 0 ? ((word(1) & E.pasidMask) as PageRequest['pasid']) : undefined,
        groupId: (w2 >>> E.groupShift) & E.groupMask,
        last: (w2 & E.last) !== 0,
        permission,
        address: (BigInt(word(3)) << 32n) | BigInt((w2 & 0xffff_f000) >>> 0),
      },
    };
  }
}
