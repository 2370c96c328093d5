/**
 * The DMA API of one kernel-owned device group on its default domain (Linux drivers/iommu/dma-iommu.c): streaming and
 * coherent mappings, unmapped with an invalidation each (strict) or through the flush queue (lazy: a `dma-fq` domain).
 *
 * The IOVA is the recorded one: allocation is charged, not performed. A page that comes back before the flush queue gave
 * it up means that the recorded system had flushed by then (closed pacing compresses time, and the timer with it): the
 * queue is flushed on the spot and the case counted, so that no translation is used that the recording cannot have used.
 */
import { pfnFromAddress } from '../../address.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { KernelTask } from '../kernel/task.ts';
import { FlushQueue, type FlushQueueCounters, type FlushQueueOptions } from './flush-queue.ts';
import { emptyGather, IommuProt, type PagingDomain } from './ops.ts';

/** One physically contiguous piece of a mapping, page aligned. */
export interface PhysicalRun {
  /** [bytes] */
  readonly paddr: bigint;
  /** [bytes] */
  readonly lengthBytes: bigint;
}

/** enum dma_data_direction. */
export const DmaDirection = { bidirectional: 0, toDevice: 1, fromDevice: 2, none: 3 } as const;

/** Permissions of a direction (dma_info_to_prot): the device reads what goes to it and writes what comes from it. */
export function protOfDirection(direction: number): number {
  if (direction === DmaDirection.toDevice) return IommuProt.read | IommuProt.cache;
  if (direction === DmaDirection.fromDevice) return IommuProt.write | IommuProt.cache;
  return direction === DmaDirection.none ? 0 : IommuProt.read | IommuProt.write | IommuProt.cache;
}

/** Counted anomalies of the replay of recorded mappings. */
export interface DmaApiCounters extends FlushQueueCounters {
  /** Unmaps that found less than they were to clear. */
  readonly shortUnmaps: number;
}

/** DMA mappings of one domain. */
export class DmaApi {
  readonly domain: PagingDomain;
  readonly #kernel: Kernel;
  readonly #queue: FlushQueue | undefined;
  /** Pages whose IOVA waits for a flush. */
  readonly #unflushed = new Set<number>();
  #shortUnmaps = 0;

  constructor(kernel: Kernel, domain: PagingDomain, options: Partial<FlushQueueOptions> = {}) {
    this.#kernel = kernel;
    this.domain = domain;
    this.#queue =
      domain.type === 'dma-fq'
        ? new FlushQueue(kernel, domain, { kind: 'per-cpu', timer: 'kernel', ...options }, (iovaPfn, pageCount) => {
            for (let page = iovaPfn; page < iovaPfn + pageCount; page++) this.#unflushed.delete(page);
          })
        : undefined;
  }

  get lazy(): boolean {
    return this.#queue !== undefined;
  }

  /** The queue of a lazy domain. */
  get flushQueue(): FlushQueue | undefined {
    return this.#queue;
  }

  /** Ranges queued and not yet given back; 0 in strict mode. */
  get pendingFlush(): number {
    return this.#queue?.pending ?? 0;
  }

  get counters(): DmaApiCounters {
    const none = { fullFlushes: 0, timerFlushes: 0, forcedFlushes: 0, entriesQueued: 0, entriesFreed: 0 };
    return { ...(this.#queue?.counters ?? none), shortUnmaps: this.#shortUnmaps };
  }

  /** True while the IOVA page is parked in the flush queue: its translation may still be cached. */
  awaitsFlush(iovaPfn: number): boolean {
    return this.#unflushed.has(iovaPfn);
  }

  /**
   * dma_map_page (one run), dma_map_sg or dma_alloc (several, one sync-map over all of them) at a recorded, page-aligned
   * IOVA. Returns 0 or the driver's errno; after an error nothing stays mapped.
   */
  *map(iova: bigint, runs: readonly PhysicalRun[], prot: number): KernelTask<number> {
    const domain = this.domain;
    const deltaTicks = this.#kernel.costs.iovaAlloc;
    if (deltaTicks > 0) yield { deltaTicks, bucket: 'iova' };
    if (this.#queue !== undefined && this.#reusesUnflushed(iova, runs)) yield* this.#queue.force();
    const only = runs.length === 1 ? runs[0] : undefined;
    if (only !== undefined) return yield* domain.map(iova, only.paddr, only.lengthBytes, prot);
    let at = iova;
    for (const run of runs) {
      const error =
        domain.mapRun === undefined
          ? yield* domain.map(at, run.paddr, run.lengthBytes, prot)
          : yield* domain.mapRun(at, run.paddr, run.lengthBytes, prot);
      if (error !== 0) {
        if (at > iova) yield* this.#unmapAndSync(iova, at - iova);
        return error;
      }
      at += run.lengthBytes;
    }
    return domain.syncMap === undefined ? 0 : yield* domain.syncMap(iova, at - iova);
  }

  /** dma_unmap_page, dma_unmap_sg or dma_free on `cpu`: whole pages of one earlier mapping. */
  *unmap(cpu: number, iova: bigint, lengthBytes: bigint): KernelTask<number> {
    if (this.#queue === undefined) {
      yield* this.#unmapAndSync(iova, lengthBytes);
      const deltaTicks = this.#kernel.costs.iovaFree;
      if (deltaTicks > 0) yield { deltaTicks, bucket: 'iova' };
      return 0;
    }
    const gather = emptyGather(true);
    const unmapped = yield* this.domain.unmap(iova, lengthBytes, gather);
    if (unmapped < lengthBytes) this.#shortUnmaps++;
    const iovaPfn = pfnFromAddress(iova);
    const pageCount = pfnFromAddress(lengthBytes);
    for (let page = iovaPfn; page < iovaPfn + pageCount; page++) this.#unflushed.add(page);
    yield* this.#queue.queue(cpu, iovaPfn, pageCount, gather.freelist);
    return 0;
  }

  *#unmapAndSync(iova: bigint, lengthBytes: bigint): KernelTask<void> {
    const gather = emptyGather(false);
    const unmapped = yield* this.domain.unmap(iova, lengthBytes, gather);
    if (unmapped < lengthBytes) this.#shortUnmaps++;
    yield* this.domain.sync(gather);
  }

  #reusesUnflushed(iova: bigint, runs: readonly PhysicalRun[]): boolean {
    if (this.#unflushed.size === 0) return false;
    let page = pfnFromAddress(iova);
    for (const run of runs) {
      const end = page + pfnFromAddress(run.lengthBytes);
      for (; page < end; page++) if (this.#unflushed.has(page)) return true;
    }
    return false;
  }
}
