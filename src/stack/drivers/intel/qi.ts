/**
 * Software side of one invalidation queue (qi_submit_sync of Linux drivers/iommu/intel/dmar.c): a ring of 256
 * descriptors in memory, a wait descriptor after each batch, one tail write, then polling the status word.
 *
 * 1. queue lock with interrupts off; until count + 2 slots are free, drop it and try again
 * 2. copy the descriptors, append the wait descriptor with its status word set to "in use"
 * 3. advance the tail register
 * 4. drop the lock, poll the status word
 * 5. release the slots whose submissions are complete, in ring order
 * 6. after a time-out of a device TLB (ITE) the unit has aborted its waits: submit again, unless the device is gone
 *
 * APPROX: the real poller takes the queue lock again between two polls; here the lock is free while waiting.
 */
import { addressHigh, addressLow, type Pfn } from '../../../address.ts';
import { InvariantError } from '../../../assert.ts';
import { Errno } from '../../../errno.ts';
import { type PhysicalMemory, TABLE_FRAME_BASE, WORDS_PER_FRAME } from '../../../hw/memory.ts';
import { DESCRIPTOR_WORDS_128, DESCRIPTOR_WORDS_256, Descriptor, DescriptorType } from '../../../hw/vtd/layout.ts';
import { FaultStatus, FSTS_REG, IQA_DW, IQA_REG, IQERCD_REG, IQH_REG, IQT_REG } from '../../../hw/vtd/registers.ts';
import type { Tick } from '../../../units.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { Mutex } from '../../kernel/locks.ts';
import type { Condition, KernelTask } from '../../kernel/task.ts';
import type { UnitRegisters } from './capabilities.ts';
import { BATCH_STRIDE, type DescriptorBatch } from './descriptors.ts';

/** Slots of the ring, whatever the descriptor width (QI_LENGTH). */
export const QUEUE_SLOTS = 256;
/** Values of a status word (QI_IN_USE, QI_DONE). */
const STATUS_IN_USE = 1;
const STATUS_DONE = 2;
const STATUS_ABORT = 3;

/** One submission as an observer sees it. Valid during the call only. */
export interface Submission {
  readonly unit: string;
  /** Descriptors, without the wait descriptor. */
  readonly count: number;
  /** Eight u32 words a descriptor. */
  readonly words: Uint32Array;
  /** [ps] When the tail was written. */
  readonly atTick: Tick;
}

/** Called for every submission, in the order of the tail writes of all units. */
export type SubmissionObserver = (submission: Submission) => void;

/** The queue of one unit. */
export class InvalidationQueue {
  readonly #kernel: Kernel;
  readonly #memory: PhysicalMemory;
  readonly #registers: UnitRegisters;
  readonly #unit: string;
  readonly #observer: SubmissionObserver | undefined;
  readonly #lock: Mutex;
  readonly #ringFrame: Pfn;
  readonly #status: Pfn;
  readonly #descriptorWords: number;
  readonly #tailShift: number;
  /** True when the device with that requester id was pulled out. */
  readonly #isGone: (sourceId: number) => boolean;
  /** Who did not answer an invalidation last. */
  #silentSource = 0;
  /** Next free slot, and the oldest slot not yet released. */
  #head = 0;
  #tail = 0;
  #freeSlots = QUEUE_SLOTS;
  /** Slots of each submission not yet released: wait slot -> count, by slot; 0 = none. */
  readonly #submissionSlots = new Uint16Array(QUEUE_SLOTS);
  readonly #slotWaiters: ((atTick: Tick) => void)[] = [];
  readonly #slotsFree: Condition = {
    ready: false,
    bucket: 'wait',
    park: (resume) => void this.#slotWaiters.push(resume),
  };

  constructor(
    kernel: Kernel,
    memory: PhysicalMemory,
    registers: UnitRegisters,
    unit: string,
    wideDescriptors: boolean,
    observer: SubmissionObserver | undefined,
    isGone: (sourceId: number) => boolean = () => false,
  ) {
    this.#isGone = isGone;
    registers.onQueueError?.((atTick) => this.#onError(atTick));
    this.#kernel = kernel;
    this.#memory = memory;
    this.#registers = registers;
    this.#unit = unit;
    this.#observer = observer;
    this.#lock = new Mutex(kernel.timeline, `${unit} queue`);
    this.#descriptorWords = wideDescriptors ? DESCRIPTOR_WORDS_256 : DESCRIPTOR_WORDS_128;
    this.#tailShift = wideDescriptors ? 5 : 4;
    this.#ringFrame = memory.allocContiguous(wideDescriptors ? 2 : 1);
    this.#status = memory.allocFrame();
  }

  /** Programs IQA and IQT (dmar_enable_qi); the caller sets QIE. QS = 1 with 256-bit descriptors. */
  program(): void {
    const wide = this.#descriptorWords === DESCRIPTOR_WORDS_256;
    const now = this.#kernel.now;
    this.#registers.mmioWrite(IQT_REG, 0, 0, now);
    const low = addressLow(this.#ringFrame) | (wide ? IQA_DW | 1 : 0);
    this.#registers.mmioWrite(IQA_REG, low >>> 0, addressHigh(this.#ringFrame), now);
  }

  /**
   * Submits `batch` with one wait descriptor, waits for it and empties the batch. An empty batch does nothing. Errors:
   * ETIMEDOUT when a device TLB did not answer because its device is gone; everything else in the batch is done.
   */
  *submit(batch: DescriptorBatch, drainPageRequests = false): KernelTask<number> {
    if (batch.count === 0) return 0;
    for (;;) {
      const waitSlot = yield* this.#ring(batch, drainPageRequests);
      const status = (this.#status - TABLE_FRAME_BASE) * WORDS_PER_FRAME + waitSlot;
      if (this.#memory.words[status] === STATUS_IN_USE) yield new StatusWait(this.#memory, this.#status, waitSlot);
      const outcome = this.#memory.words[status];
      this.#release();
      if (outcome === STATUS_DONE || (outcome === STATUS_ABORT && this.#namesGone(batch))) {
        batch.clear();
        return outcome === STATUS_DONE ? 0 : -Errno.ETIMEDOUT;
      }
      if (outcome !== STATUS_ABORT) {
        throw new InvariantError(`${this.#unit}: status word of slot ${waitSlot} is not done`);
      }
    }
  }

  /** Writes the batch and its wait descriptor into the ring and rings the doorbell; the wait descriptor's slot. */
  *#ring(batch: DescriptorBatch, drainPageRequests: boolean): KernelTask<number> {
    const count = batch.count;
    const lock = this.#lock;
    if (!lock.tryAcquire()) yield lock.queue;
    while (this.#freeSlots < count + 2) {
      lock.release();
      yield this.#slotsFree;
      if (!lock.tryAcquire()) yield lock.queue;
    }
    const first = this.#head;
    for (let index = 0; index < count; index++) {
      this.#writeSlot((first + index) % QUEUE_SLOTS, batch.words, index * BATCH_STRIDE);
    }
    const waitSlot = (first + count) % QUEUE_SLOTS;
    this.#writeWait(waitSlot, drainPageRequests);
    this.#head = (waitSlot + 1) % QUEUE_SLOTS;
    this.#freeSlots -= count + 1;
    this.#submissionSlots[waitSlot] = count + 1;
    const costs = this.#kernel.costs;
    const cost = costs.qiSubmit + count * costs.qiDescriptor + costs.mmioWrite;
    if (cost > 0) yield { deltaTicks: cost, bucket: 'submit' };
    const atTick = this.#kernel.now;
    this.#observer?.({ unit: this.#unit, count, words: batch.words.subarray(0, count * BATCH_STRIDE), atTick });
    this.#registers.mmioWrite(IQT_REG, this.#head << this.#tailShift, 0, atTick);
    lock.release();
    return waitSlot;
  }

  /**
   * The queue stopped with ITE: takes note of who was silent, lets the queue go on, and marks the waits that the unit had
   * fetched as aborted (qi_check_fault). A descriptor that the unit refuses (IQE) is a defect of this driver.
   *
   * APPROX: every poller learns it at once; a submission that names a silent device that is gone gives up, all others
   * are made again. In the kernel whoever reads ITE first decides.
   */
  #onError(atTick: Tick): void {
    const registers = this.#registers;
    const errors = registers.mmioRead(FSTS_REG);
    if ((errors & FaultStatus.iqe) !== 0) {
      const slot = registers.mmioRead(IQH_REG) >>> this.#tailShift;
      throw new InvariantError(`${this.#unit}: the unit refused the descriptor in slot ${slot} (FSTS.IQE)`);
    }
    if ((errors & FaultStatus.ite) === 0) return;
    this.#silentSource = registers.mmioRead(IQERCD_REG + 4) & 0xffff;
    const fetchedEnd = registers.mmioRead(IQH_REG) >>> this.#tailShift;
    const memory = this.#memory;
    const status = (this.#status - TABLE_FRAME_BASE) * WORDS_PER_FRAME;
    for (let slot = this.#tail; slot !== fetchedEnd; slot = (slot + 1) % QUEUE_SLOTS) {
      const aborted = this.#submissionSlots[slot] !== 0 && memory.words[status + slot] === STATUS_IN_USE;
      // Its poller sees the word change, whoever wrote it.
      if (aborted) memory.hardwareWrite(this.#status, slot, STATUS_ABORT, atTick);
    }
    registers.mmioWrite(FSTS_REG, FaultStatus.ite, 0, atTick);
  }

  /** True when the batch has a device-TLB descriptor for the device that was silent, and that device is gone. */
  #namesGone(batch: DescriptorBatch): boolean {
    if (!this.#isGone(this.#silentSource)) return false;
    for (let index = 0; index < batch.count; index++) {
      const word0 = batch.words[index * BATCH_STRIDE] as number;
      const word1 = batch.words[index * BATCH_STRIDE + 1] as number;
      const type = word0 & 0xf;
      if (type === DescriptorType.deviceTlb && (word1 & 0xffff) === this.#silentSource) return true;
      if (type === DescriptorType.pasidDeviceTlb && word0 >>> 16 === this.#silentSource) return true;
    }
    return false;
  }

  #writeSlot(slot: number, words: Uint32Array, at: number): void {
    const size = this.#descriptorWords;
    let target = (this.#ringFrame - TABLE_FRAME_BASE) * WORDS_PER_FRAME + slot * size;
    const memory = this.#memory.words;
    for (let word = 0; word < size; word++) memory[target++] = words[at + word] as number;
  }

  #writeWait(slot: number, drainPageRequests: boolean): void {
    const size = this.#descriptorWords;
    const memory = this.#memory.words;
    memory[(this.#status - TABLE_FRAME_BASE) * WORDS_PER_FRAME + slot] = STATUS_IN_USE;
    const target = (this.#ringFrame - TABLE_FRAME_BASE) * WORDS_PER_FRAME + slot * size;
    const drain = drainPageRequests ? Descriptor.waitPageRequestDrain : 0;
    memory[target] = DescriptorType.wait | Descriptor.waitStatusWrite | drain;
    memory[target + 1] = STATUS_DONE;
    memory[target + 2] = addressLow(this.#status) + slot * 4;
    memory[target + 3] = addressHigh(this.#status);
    memory.fill(0, target + 4, target + size);
  }

  /** Frees slots from the oldest submission on, as far as submissions are complete (reclaim_free_desc). */
  #release(): void {
    const memory = this.#memory.words;
    const status = (this.#status - TABLE_FRAME_BASE) * WORDS_PER_FRAME;
    const used = this.#submissionSlots;
    let freed = false;
    for (let scan = this.#tail; scan !== this.#head; ) {
      // The wait slot is the last of its submission: find it from the oldest slot on.
      let waitSlot = scan;
      while (used[waitSlot] === 0) waitSlot = (waitSlot + 1) % QUEUE_SLOTS;
      if (memory[status + waitSlot] === STATUS_IN_USE) break;
      this.#freeSlots += used[waitSlot] as number;
      used[waitSlot] = 0;
      scan = (waitSlot + 1) % QUEUE_SLOTS;
      this.#tail = scan;
      freed = true;
    }
    if (!freed) return;
    const waiters = this.#slotWaiters.splice(0);
    for (const resume of waiters) resume(this.#kernel.now);
  }
}

/** Parks until the hardware writes a status word. */
class StatusWait implements Condition {
  readonly ready = false;
  readonly bucket = 'wait';
  readonly #memory: PhysicalMemory;
  readonly #frame: Pfn;
  readonly #slot: number;

  constructor(memory: PhysicalMemory, frame: Pfn, slot: number) {
    this.#memory = memory;
    this.#frame = frame;
    this.#slot = slot;
  }

  park(resume: (atTick: Tick) => void): void {
    this.#memory.watch(this.#frame, this.#slot, (_value, atTick) => resume(atTick));
  }
}
