/**
 * Putting a mapping's pages into every domain of a container and taking them out again (vfio_iommu_map, vfio_unmap_unpin
 * and their helpers of Linux drivers/vfio/vfio_iommu_type1.c).
 */
import { emptyGather, IommuProt, type IotlbGather, type PagingDomain } from '../../iommu/ops.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { Dma } from './dma.ts';
import { lockAccount, PinBatch, type PinnedRun, pinRun, unpinCharged, unpinRun } from './pinning.ts';
import type { Type1, Type1Domain } from './type1.ts';

/** Runs unmapped before the IOTLB is synced and their pages are unpinned (VFIO_IOMMU_TLB_SYNC_MAX). */
const SYNC_RUNS = 512;
const PAGE = 4096n;

/** iommu_unmap: the translations go and the IOTLB is flushed. */
export function* unmapAndSync(domain: PagingDomain, iova: bigint, lengthBytes: bigint): KernelTask<bigint> {
  const gather = emptyGather(false);
  const unmapped = yield* domain.unmap(iova, lengthBytes, gather);
  yield* domain.sync(gather);
  return unmapped;
}

/** vfio_iommu_map: one run into all domains in list order; a failure takes it out of the earlier ones, last first. */
function* mapRun(type1: Type1, iova: bigint, pfn: number, lengthBytes: bigint, prot: number): KernelTask<number> {
  const { domains } = type1;
  for (const [index, { domain }] of domains.entries()) {
    const error = yield* domain.map(iova, BigInt(pfn) * PAGE, lengthBytes, prot | IommuProt.cache);
    if (error === 0) continue;
    for (let undo = index - 1; undo >= 0; undo--) {
      yield* unmapAndSync((domains[undo] as Type1Domain).domain, iova, lengthBytes);
    }
    return error;
  }
  return 0;
}

/**
 * vfio_pin_map_dma: pins `lengthBytes` and maps them run by run; the mapping's size grows with what is done. A failure
 * leaves the mapping with what succeeded: the caller removes it. Errors: EFAULT, ENOMEM, driver errno.
 */
export function* pinAndMap(type1: Type1, dma: Dma, lengthBytes: bigint): KernelTask<number> {
  const { costs } = type1.kernel;
  const split = type1.parameters.disableHugePages;
  const batch = new PinBatch(split ? 1 : undefined);
  let error = 0;
  while (dma.sizeBytes < lengthBytes && error === 0) {
    const iova = dma.iova + dma.sizeBytes;
    const run = pinRun(dma.owner, dma, batch, iova, Number((lengthBytes - dma.sizeBytes) / PAGE), split);
    if (typeof run === 'number') {
      error = run;
      break;
    }
    const runBytes = BigInt(run.pageCount) * PAGE;
    yield costs.pinPage * run.pageCount;
    error = yield* mapRun(type1, iova, run.pfn, runBytes, dma.prot);
    if (error === 0) dma.sizeBytes += runBytes;
    else unpinCharged(dma, iova, run);
  }
  batch.drop(dma.owner.memory);
  dma.iommuMapped = true;
  return error;
}

/** Runs taken out of the first domain, waiting for the flush that lets their pages go. */
interface PendingUnpins {
  readonly gather: IotlbGather;
  readonly runs: PinnedRun[];
}

/** vfio_sync_unpin: flush, then unpin; pages to be uncharged. */
function* syncUnpin(type1: Type1, dma: Dma, domain: PagingDomain, pending: PendingUnpins): KernelTask<number> {
  yield* domain.sync(pending.gather);
  let unlocked = 0;
  for (const { pfn, pageCount } of pending.runs) {
    unlocked += unpinRun(dma, pfn, pageCount);
    yield type1.kernel.costs.unpinPage * pageCount;
  }
  pending.runs.length = 0;
  return unlocked;
}

/** [bytes] Longest physically contiguous piece from `iova` on; single pages where super pages are fine-grained. */
function contiguousBytes(entry: Type1Domain, iova: bigint, physical: bigint, end: bigint): bigint {
  let lengthBytes = PAGE;
  if (entry.fineGrainedSuperPages) return lengthBytes;
  while (iova + lengthBytes < end && entry.domain.iovaToPhys(iova + lengthBytes) === physical + lengthBytes) {
    lengthBytes += PAGE;
  }
  return lengthBytes;
}

/**
 * vfio_unmap_unpin: out of every domain but the first at once, out of the first run by run, with pages unpinned only
 * after a flush. Returns the pages to be uncharged.
 */
export function* unmapAndUnpin(type1: Type1, dma: Dma): KernelTask<number> {
  const [first, ...others] = type1.domains;
  if (dma.sizeBytes === 0n || first === undefined) return 0;
  for (const { domain } of others) yield* unmapAndSync(domain, dma.iova, dma.sizeBytes);
  const end = dma.iova + dma.sizeBytes;
  const pending: PendingUnpins = { gather: emptyGather(false), runs: [] };
  let unlocked = 0;
  for (let iova = dma.iova; iova < end; ) {
    const physical = first.domain.iovaToPhys(iova);
    if (physical === undefined) {
      iova += PAGE;
      continue;
    }
    const lengthBytes = contiguousBytes(first, iova, physical, end);
    const unmapped = yield* first.domain.unmap(iova, lengthBytes, pending.gather);
    if (unmapped === 0n) break;
    pending.runs.push({ pfn: Number(physical / PAGE), pageCount: Number(unmapped / PAGE) });
    if (pending.runs.length >= SYNC_RUNS) unlocked += yield* syncUnpin(type1, dma, first.domain, pending);
    iova += unmapped;
  }
  dma.iommuMapped = false;
  if (pending.runs.length > 0) unlocked += yield* syncUnpin(type1, dma, first.domain, pending);
  return unlocked;
}

/** vfio_remove_dma: the mapping goes with its translations, pins and charge. */
export function* removeDma(type1: Type1, dma: Dma): KernelTask<void> {
  lockAccount(dma, -(yield* unmapAndUnpin(type1, dma)));
  type1.dmas.remove(dma);
  if (dma.vaddrInvalid) type1.vaddrInvalidCount--;
  type1.dmaAvailable++;
}

/** vfio_iommu_unmap_unpin_all. */
export function* removeAllDmas(type1: Type1): KernelTask<void> {
  for (let dma = type1.dmas.first; dma !== undefined; dma = type1.dmas.first) yield* removeDma(type1, dma);
}

/**
 * vfio_iommu_unmap_unpin_reaccount: the last IOMMU group leaves emulated ones behind. Mappings stay without
 * translations; pages that emulated devices pinned are charged on their own now.
 */
export function* unmapKeepingDmas(type1: Type1): KernelTask<void> {
  for (const dma of type1.dmas) {
    const unlocked = yield* unmapAndUnpin(type1, dma);
    let locked = 0;
    for (const pin of dma.pins.values()) if (!pin.reserved) locked++;
    lockAccount(dma, locked - unlocked);
  }
}
