/**
 * The invalidation queue: a ring of descriptors in modelled memory (VT-d spec 6.5.2). A tail write starts the unit:
 * after the doorbell and the first fetch it executes descriptors in order, one at a time; a wait descriptor completes
 * when everything before it has, when the DMA that those descriptors drain has reached memory, and when endpoints have
 * answered the invalidations of their TLBs; then the status word is written. A wait with FN holds back all later
 * descriptors until it is complete.
 *
 * An invalidation takes effect at its execution tick. DMA is replayed ahead of events up to the next one, so effects are
 * queued with their ticks ({@link nextEffectTick}) and carried out either by the first request that arrives at or after
 * that tick, or by the queue's own event, whichever comes first.
 *
 * APPROX: descriptors execute in order although the specification lets those between two waits execute in any order.
 * Costs come from the profile; descriptors are read from memory when their execution begins.
 */
import type { Pfn } from '../../address.ts';
import { assert } from '../../assert.ts';
import { Histogram } from '../../stats/histogram.ts';
import type { Timeline } from '../../timeline.ts';
import { NEVER, type Tick } from '../../units.ts';
import { type PhysicalMemory, WORDS_PER_FRAME } from '../memory.ts';
import type { QueueTiming } from './config.ts';
import { isBadDescriptor } from './descriptor-check.ts';
import type { DeviceInvalidations } from './device-invalidations.ts';
import { type DescriptorKind, descriptorKind, type InvalidationExecutor } from './invalidation.ts';
import { DESCRIPTOR_WORDS_128, DESCRIPTOR_WORDS_256, Descriptor } from './layout.ts';
import type { PageRequests } from './page-requests.ts';
import { FaultStatus, IQA_DW, IQA_QS_MASK } from './registers.ts';

/** [bytes] */
const DESCRIPTOR_BYTES_128 = DESCRIPTOR_WORDS_128 * 4;

/** `timed`: as described. `deferred`: waits complete at once and effects are left to whoever replays a recording. */
export type QueueMode = 'timed' | 'deferred';

/** Statistics of the queue, mergeable plain data. */
export interface QueueStatistics {
  readonly descriptors: Readonly<Record<string, number>>;
  /** Tail writes. */
  readonly submissions: number;
  /** [ps] Tail write to status write visible, per wait descriptor. */
  readonly waitLatency: Histogram;
  /** [descriptors] Most pending at once. */
  readonly peakOccupancy: number;
}

interface PendingEffect {
  readonly tick: Tick;
  readonly words: readonly [number, number, number, number];
}

/** What goes to endpoints from here: invalidations of their TLBs, answers to their page requests. */
export interface EndpointMessages {
  readonly invalidations: DeviceInvalidations;
  readonly pages: PageRequests;
}

/** A wait descriptor that has executed and waits for endpoints. */
interface ParkedWait {
  readonly words: readonly [number, number, number, number];
  readonly index: number;
  /** Invalidations below this number must be answered. */
  readonly below: number;
  /** [ps] Not complete before. */
  readonly notBefore: number;
  readonly fenced: boolean;
}

interface Submission {
  /** Queue index after the submission's last descriptor. */
  readonly endIndex: number;
  readonly doorbellTick: Tick;
}

/** Invalidation queue of one unit. */
export class InvalidationQueue {
  /** [ps] Tick of the earliest effect not carried out yet; NEVER when there is none. */
  nextEffectTick: number = NEVER;
  /** FSTS bits of the queue (IQE, ITE). */
  status = 0;
  /** Source id of the endpoint that did not answer (ITESID). */
  silentSource = 0;
  /** Called when IQE or ITE turns on: software sees it in FSTS. */
  onError: ((atTick: Tick) => void) | undefined;
  /** Invalidation completion: bit 0 of ICS. */
  completion = 0;

  readonly #memory: PhysicalMemory;
  readonly #timeline: Timeline;
  readonly #timing: QueueTiming;
  readonly #executor: InvalidationExecutor;
  readonly #mode: QueueMode;
  readonly #maxAddressMask: number;
  readonly #effects: PendingEffect[] = [];
  readonly #submissions: Submission[] = [];
  readonly #kinds = new Map<DescriptorKind, number>();
  readonly #waitLatency = new Histogram();
  #submissionCount = 0;
  #peakOccupancy = 0;
  #basePfn = 0;
  #slots = 256;
  #descriptorWords: number = DESCRIPTOR_WORDS_128;
  /** Descriptors before the head are executed, those before `#next` are scheduled. */
  #head = 0;
  #next = 0;
  #tail = 0;
  /** A step event is pending or a fence holds the queue. */
  #running = false;
  #enabled = false;
  /** Raised when pending waits are aborted. */
  #epoch = 0;
  /** Waits for endpoints, in order. */
  #parked: ParkedWait[] = [];
  readonly #endpoints: EndpointMessages | undefined;
  /** [ps] Until when effects carried out since the last wait have DMA to drain. */
  #drainTick = 0;

  constructor(
    memory: PhysicalMemory,
    timeline: Timeline,
    timing: QueueTiming,
    executor: InvalidationExecutor,
    mode: QueueMode,
    maxAddressMask: number,
    endpoints?: EndpointMessages,
  ) {
    this.#maxAddressMask = maxAddressMask;
    this.#endpoints = endpoints;
    if (endpoints !== undefined) {
      endpoints.invalidations.onAnswer = (at) => this.#answered(at);
      endpoints.invalidations.onTimeout = (source, at) => this.#timedOut(source, at);
    }
    this.#memory = memory;
    this.#timeline = timeline;
    this.#timing = timing;
    this.#executor = executor;
    this.#mode = mode;
  }

  /** IQA write: base address, size, descriptor width. */
  configure(lo: number, hi: number): void {
    this.#basePfn = (hi & 0xfffff) * 1048576 + (lo >>> 12);
    this.#descriptorWords = (lo & IQA_DW) !== 0 ? DESCRIPTOR_WORDS_256 : DESCRIPTOR_WORDS_128;
    this.#slots = ((1 << (lo & IQA_QS_MASK)) * WORDS_PER_FRAME) / this.#descriptorWords;
    this.#head = 0;
    this.#next = 0;
    this.#tail = 0;
  }

  /** Head register: byte offset of the next descriptor to fetch. */
  get headRegister(): number {
    return this.#head * this.#descriptorWords * 4;
  }

  get tailRegister(): number {
    return this.#tail * this.#descriptorWords * 4;
  }

  /** Tail write: the doorbell. One in the middle of a 256-bit descriptor is an error and moves nothing. */
  ring(tailRegister: number, atTick: Tick): void {
    if (this.#descriptorWords === DESCRIPTOR_WORDS_256 && (tailRegister & DESCRIPTOR_BYTES_128) !== 0) {
      this.#refuse(atTick);
      return;
    }
    this.#tail = Math.floor(tailRegister / (this.#descriptorWords * 4)) % this.#slots;
    this.#submissionCount++;
    const pending = (this.#tail - this.#head + this.#slots) % this.#slots;
    if (pending > this.#peakOccupancy) this.#peakOccupancy = pending;
    if (!this.#enabled) return;
    if (this.#mode === 'deferred') {
      this.#completeWaits(atTick);
      return;
    }
    this.#submissions.push({ endIndex: this.#tail, doorbellTick: atTick });
    this.#start(atTick);
  }

  /** GCMD.QIE: what is in the ring already is fetched. */
  enable(enabled: boolean, atTick: Tick): void {
    const begins = enabled && !this.#enabled;
    this.#enabled = enabled;
    if (!begins) return;
    if (this.#mode === 'deferred') this.#completeWaits(atTick);
    else this.#start(atTick);
  }

  /** Software cleared error bits: the queue goes on at its head once there is none. */
  resume(bits: number, atTick: Tick): void {
    this.status &= ~bits;
    this.#start(atTick);
  }

  /** Carries out the effects due at `atTick` or before. */
  applyEffects(atTick: number): void {
    let done = 0;
    while (done < this.#effects.length && this.#effects[done]!.tick <= atTick) {
      const [w0, w1, w2, w3] = this.#effects[done]!.words;
      const drained = this.#executor.execute(w0, w1, w2, w3);
      if (drained > this.#drainTick) this.#drainTick = drained;
      done++;
    }
    this.#effects.splice(0, done);
    this.nextEffectTick = this.#effects[0]?.tick ?? NEVER;
  }

  statistics(): QueueStatistics {
    return {
      descriptors: Object.fromEntries([...this.#kinds].sort(([a], [b]) => (a < b ? -1 : 1))),
      submissions: this.#submissionCount,
      waitLatency: this.#waitLatency,
      peakOccupancy: this.#peakOccupancy,
    };
  }

  #start(atTick: Tick): void {
    if (this.#running || !this.#enabled || this.status !== 0 || this.#next === this.#tail) return;
    this.#running = true;
    this.#step(atTick + this.#timing.doorbellTicks + this.#timing.fetchTicks);
  }

  /** Executes descriptors from the head on, the first beginning at `beginTick`, up to a wait or the tail. */
  #step(beginTick: number): void {
    let tick = beginTick;
    let bad = false;
    while (this.#next !== this.#tail) {
      const words = this.#descriptorAt(this.#next);
      bad = this.#isBad(words, this.#next);
      if (bad) break;
      const kind = descriptorKind(words[0]);
      this.#count(kind);
      this.#next = (this.#next + 1) % this.#slots;
      if (kind === 'wait') {
        const index = this.#next;
        this.#timeline.schedule(tick as Tick, (at) => this.#wait(words, index, at));
        return;
      }
      tick += this.#timing.executeTicks;
      if (kind === 'device_tlb') this.#endpoints?.invalidations.execute(words, tick as Tick);
      else if (kind === 'page_response') this.#endpoints?.pages.respond(words, tick as Tick);
      this.#effects.push({ tick: tick as Tick, words });
      if (this.nextEffectTick === NEVER) this.nextEffectTick = tick;
    }
    this.#timeline.schedule(tick as Tick, (at) => {
      this.applyEffects(at);
      this.#head = this.#next;
      // VT-d spec 6.5.2.10: the head stays on the bad descriptor, which is fetched again once IQE is cleared.
      if (bad) this.#refuse(at);
      this.#idle(at);
    });
  }

  /** A wait descriptor executes; `index` is the one behind it. */
  #wait(words: readonly [number, number, number, number], index: number, atTick: Tick): void {
    this.applyEffects(atTick);
    // VT-d spec 6.5.2.10: after a time-out, waits are aborted.
    if ((this.status & FaultStatus.ite) !== 0) {
      this.#head = index;
      this.#idle(atTick);
      return;
    }
    this.#head = index;
    let complete = Math.max(atTick, this.#drainTick);
    this.#drainTick = 0;
    const fenced = (words[0] & Descriptor.waitFence) !== 0;
    const endpoints = this.#endpoints;
    if (endpoints !== undefined) {
      if ((words[0] & Descriptor.waitPageRequestDrain) !== 0) {
        complete = Math.max(complete, endpoints.pages.queue.drainTick);
      }
      const below = endpoints.invalidations.nextId;
      if (this.#parked.length > 0 || !endpoints.invalidations.answeredBelow(below)) {
        this.#parked.push({ words, index, below, notBefore: complete, fenced });
        if (!fenced) this.#continue(atTick);
        return;
      }
    }
    this.#complete(words, index, complete);
    if (fenced && complete > atTick) this.#timeline.schedule(complete as Tick, (at) => this.#continue(at));
    else this.#continue(atTick);
  }

  /** A wait is complete at `tick`; its status write follows, unless it is aborted before that. */
  #complete(words: readonly [number, number, number, number], index: number, tick: number): void {
    const epoch = this.#epoch;
    const visible = (tick + this.#timing.statusTicks) as Tick;
    this.#timeline.schedule(visible, (at) => this.#writeStatus(words, index, at, epoch));
  }

  /** An endpoint has answered: waits complete in order, as far as nothing before them is open. */
  #answered(atTick: Tick): void {
    const invalidations = this.#endpoints!.invalidations;
    for (let first = this.#parked[0]; first !== undefined; first = this.#parked[0]) {
      if (!invalidations.answeredBelow(first.below)) return;
      this.#parked.shift();
      const { words, index, fenced } = first;
      const complete = Math.max(atTick, first.notBefore);
      this.#complete(words, index, complete);
      if (fenced) this.#timeline.schedule(complete as Tick, (at) => this.#continue(at));
    }
  }

  /** An endpoint has not answered in time: pending waits are aborted, the queue stops. */
  #timedOut(sourceId: number, atTick: Tick): void {
    const fenced = this.#parked.some((wait) => wait.fenced);
    this.#parked = [];
    this.#epoch++;
    this.#submissions.length = 0;
    this.silentSource = sourceId;
    this.status |= FaultStatus.ite;
    if (fenced) this.#idle(atTick);
    this.onError?.(atTick);
  }

  /** After a wait: more descriptors follow, or the queue runs dry. */
  #continue(atTick: Tick): void {
    if (this.#next === this.#tail || this.status !== 0) this.#idle(atTick);
    else this.#step(atTick);
  }

  #idle(atTick: Tick): void {
    this.#running = false;
    // Descriptors that came while the last ones ran.
    if (this.#next !== this.#tail && this.status === 0) {
      this.#running = true;
      this.#step(atTick + this.#timing.fetchTicks);
    }
  }

  #writeStatus(words: readonly [number, number, number, number], index: number, atTick: Tick, epoch: number): void {
    if (epoch !== this.#epoch) return;
    if ((words[0] & Descriptor.waitInterrupt) !== 0) this.completion |= 1;
    // A wait at the end of a submission completes it and those before; one within (a fence) completes none.
    const ends = this.#submissions.some(({ endIndex }) => endIndex === index);
    while (ends) {
      const first = this.#submissions[0]!;
      this.#submissions.shift();
      this.#waitLatency.record(atTick - first.doorbellTick);
      if (first.endIndex === index) break;
    }
    if ((words[0] & Descriptor.waitStatusWrite) === 0) return;
    const pfn = (words[3] * 1048576 + (words[2] >>> 12)) as Pfn;
    this.#memory.hardwareWrite(pfn, (words[2] & 0xfff) >>> 2, words[1], atTick);
  }

  /** Deferred mode: every wait in the ring is complete, nothing else happens. */
  #completeWaits(atTick: Tick): void {
    while (this.#head !== this.#tail) {
      const words = this.#descriptorAt(this.#head);
      if (this.#isBad(words, this.#head)) {
        this.#refuse(atTick);
        return;
      }
      const kind = descriptorKind(words[0]);
      this.#count(kind);
      this.#head = (this.#head + 1) % this.#slots;
      this.#next = this.#head;
      if (kind !== 'wait' || (words[0] & Descriptor.waitStatusWrite) === 0) continue;
      const pfn = (words[3] * 1048576 + (words[2] >>> 12)) as Pfn;
      this.#memory.hardwareWrite(pfn, (words[2] & 0xfff) >>> 2, words[1], atTick);
    }
  }

  /** IQE: nothing is fetched until software clears it. */
  #refuse(atTick: Tick): void {
    if ((this.status & FaultStatus.iqe) !== 0) return;
    this.status |= FaultStatus.iqe;
    this.onError?.(atTick);
  }

  #isBad(words: readonly number[], index: number): boolean {
    const upper = this.#descriptorWords === DESCRIPTOR_WORDS_256 ? this.#upperHalfAt(index) : 0;
    return isBadDescriptor(words, upper, this.#maxAddressMask);
  }

  #count(kind: DescriptorKind): void {
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
  }

  #descriptorAt(index: number): [number, number, number, number] {
    const from = this.#wordAt(index);
    const { words } = this.#memory;
    return [words[from]! >>> 0, words[from + 1]! >>> 0, words[from + 2]! >>> 0, words[from + 3]! >>> 0];
  }

  /** Bits set in any of the last four words of a 256-bit descriptor. */
  #upperHalfAt(index: number): number {
    const from = this.#wordAt(index) + DESCRIPTOR_WORDS_128;
    const { words } = this.#memory;
    return words[from]! | words[from + 1]! | words[from + 2]! | words[from + 3]!;
  }

  #wordAt(index: number): number {
    const word = index * this.#descriptorWords;
    const slot = this.#memory.slotOf(this.#basePfn + Math.floor(word / WORDS_PER_FRAME));
    assert(slot >= 0, `invalidation queue at frame ${this.#basePfn} is not modelled memory`);
    return slot * WORDS_PER_FRAME + (word % WORDS_PER_FRAME);
  }
}
