/**
 * Deferred invalidation of DMA-API domains (iommu_dma_init_fq, queue_iova, fq_flush_timeout of Linux
 * drivers/iommu/dma-iommu.c). Unmapped ranges wait in a ring; one flush of the whole domain covers all that were queued
 * before it began, and only then are their IOVAs (and table pages) given back.
 *
 * A ring of n slots holds n - 1 entries. An entry remembers how many flushes had *started* when it was queued; it may go
 * once more flushes than that have *finished*.
 */
import type { Kernel } from '../kernel/kernel.ts';
import { Mutex } from '../kernel/locks.ts';
import type { KernelTask } from '../kernel/task.ts';
import { emptyGather, type PagingDomain } from './ops.ts';

/** Per-CPU rings with a short timer, or one long ring with a long timer (the variant for slow flushes). */
export type FlushQueueKind = 'per-cpu' | 'single';

/** How a flush queue is set up. */
export interface FlushQueueOptions {
  readonly kind: FlushQueueKind;
  /**
   * `kernel`: the timer expires by the model's clock. `caller`: only {@link FlushQueue.expireTimer} expires it, for a
   * replay that follows a recorder whose timers came late.
   */
  readonly timer: 'kernel' | 'caller';
}

/** What happened in a queue so far. */
export interface FlushQueueCounters {
  /** Flushes because a ring was full, because the timer fired, and because an IOVA was wanted back too early. */
  readonly fullFlushes: number;
  readonly timerFlushes: number;
  readonly forcedFlushes: number;
  readonly entriesQueued: number;
  readonly entriesFreed: number;
}

interface QueuedRange {
  readonly iovaPfn: number;
  readonly pageCount: number;
  readonly startedFlushes: number;
  readonly freelist: readonly number[];
}

interface Ring {
  readonly lock: Mutex;
  readonly entries: QueuedRange[];
}

/** The flush queue of one domain. */
export class FlushQueue {
  readonly #kernel: Kernel;
  readonly #domain: PagingDomain;
  readonly #options: FlushQueueOptions;
  readonly #slots: number;
  readonly #timeoutTicks: number;
  readonly #onFreed: (iovaPfn: number, pageCount: number) => void;
  readonly #rings = new Map<number, Ring>();
  #timerArmed = false;
  #startedFlushes = 0;
  #finishedFlushes = 0;
  readonly #counters = { fullFlushes: 0, timerFlushes: 0, forcedFlushes: 0, entriesQueued: 0, entriesFreed: 0 };

  /** `onFreed` is told each range whose IOVA may be used again. */
  constructor(
    kernel: Kernel,
    domain: PagingDomain,
    options: FlushQueueOptions,
    onFreed: (iovaPfn: number, pageCount: number) => void,
  ) {
    const { behaviours, costs } = kernel.profile;
    this.#kernel = kernel;
    this.#domain = domain;
    this.#options = options;
    const single = options.kind === 'single';
    this.#slots = single ? behaviours.singleFlushQueueEntries : behaviours.flushQueueEntries;
    this.#timeoutTicks = single ? costs.singleFlushQueueTimeout : costs.flushQueueTimeout;
    this.#onFreed = onFreed;
  }

  get counters(): FlushQueueCounters {
    return this.#counters;
  }

  /** Entries waiting in all rings. */
  get pending(): number {
    let count = 0;
    for (const ring of this.#rings.values()) count += ring.entries.length;
    return count;
  }

  /** Parks an unmapped range on the ring of `cpu` (queue_iova). */
  *queue(cpu: number, iovaPfn: number, pageCount: number, freelist: readonly number[]): KernelTask<void> {
    const ring = this.#ringOf(cpu);
    if (!ring.lock.tryAcquire()) yield ring.lock.queue;
    const deltaTicks = this.#kernel.costs.flushQueueAdd;
    if (deltaTicks > 0) yield { deltaTicks, bucket: 'iova' };
    yield* this.#freeFinished(ring);
    if (ring.entries.length === this.#slots - 1) {
      this.#counters.fullFlushes++;
      yield* this.#flush();
      yield* this.#freeFinished(ring);
    }
    ring.entries.push({ iovaPfn, pageCount, startedFlushes: this.#startedFlushes, freelist });
    this.#counters.entriesQueued++;
    ring.lock.release();
    if (this.#timerArmed) return;
    this.#timerArmed = true;
    if (this.#options.timer === 'kernel') this.#kernel.startTimer(this.#timeoutTicks, () => this.expireTimer());
  }

  /** True from the first entry after a timer flush until the timer expires. */
  get timerArmed(): boolean {
    return this.#timerArmed;
  }

  /** Flushes now and frees whatever that allows: an IOVA is wanted that still waits. */
  *force(): KernelTask<void> {
    this.#counters.forcedFlushes++;
    yield* this.#flush();
    yield* this.#freeAll();
  }

  /** What the timer does when it expires (fq_flush_timeout). */
  *expireTimer(): KernelTask<void> {
    this.#timerArmed = false;
    this.#counters.timerFlushes++;
    yield* this.#flush();
    yield* this.#freeAll();
  }

  *#flush(): KernelTask<void> {
    this.#startedFlushes++;
    yield* this.#domain.flushAll();
    this.#finishedFlushes++;
  }

  *#freeAll(): KernelTask<void> {
    const cpus = [...this.#rings.keys()].sort((a, b) => a - b);
    for (const cpu of cpus) {
      const ring = this.#rings.get(cpu) as Ring;
      if (!ring.lock.tryAcquire()) yield ring.lock.queue;
      yield* this.#freeFinished(ring);
      ring.lock.release();
    }
  }

  /** Gives back, from the oldest on, what a finished flush covers (fq_ring_free_locked). */
  *#freeFinished(ring: Ring): KernelTask<void> {
    const entries = ring.entries;
    let freed = 0;
    while (freed < entries.length && (entries[freed] as QueuedRange).startedFlushes < this.#finishedFlushes) freed++;
    if (freed === 0) return;
    for (const entry of entries.splice(0, freed)) {
      this.#onFreed(entry.iovaPfn, entry.pageCount);
      if (entry.freelist.length === 0) continue;
      const gather = emptyGather(true);
      gather.freelist.push(...entry.freelist);
      yield* this.#domain.sync(gather);
    }
    this.#counters.entriesFreed += freed;
    const deltaTicks = freed * this.#kernel.costs.iovaFree;
    if (deltaTicks > 0) yield { deltaTicks, bucket: 'iova' };
  }

  #ringOf(cpu: number): Ring {
    const key = this.#options.kind === 'single' ? 0 : cpu;
    let ring = this.#rings.get(key);
    if (ring === undefined) {
      ring = { lock: new Mutex(this.#kernel.timeline, 'flush queue'), entries: [] };
      this.#rings.set(key, ring);
    }
    return ring;
  }
}
