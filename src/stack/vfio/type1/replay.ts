/**
 * Filling a new domain with the mappings a container already has (vfio_iommu_replay of Linux
 * drivers/vfio/vfio_iommu_type1.c), and the probe for fine-grained super pages that comes before it.
 */
import { IommuProt, type PagingDomain } from '../../iommu/ops.ts';
import type { Process } from '../../kernel/process.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { Dma } from './dma.ts';
import type { IovaList } from './iova-list.ts';
import { PinBatch, pinRun, unpinCharged } from './pinning.ts';
import { unmapAndSync } from './translations.ts';
import type { Type1, Type1Domain } from './type1.ts';

const PAGE = 4096n;

/**
 * vfio_test_domain_fgsp: two adjacent pages are mapped and one unmapped. A driver that unmaps exactly one did not merge
 * them. Only the first usable range is tried.
 *
 * APPROX: the pages are two frames of the calling process's machine that nobody else uses.
 */
export function* probeFineGrainedSuperPages(
  process: Process,
  entry: Type1Domain,
  iovaList: IovaList,
): KernelTask<void> {
  const frames = process.memory.frames;
  for (const node of iovaList.nodes) {
    const start = ((node.start + 2n * PAGE - 1n) / (2n * PAGE)) * (2n * PAGE);
    if (start >= node.last || node.last - start < 2n * PAGE) continue;
    const pfn = frames.allocate(2, 2);
    const prot = IommuProt.read | IommuProt.write | IommuProt.cache;
    const error = yield* entry.domain.map(start, BigInt(pfn) * PAGE, 2n * PAGE, prot);
    if (error === 0) {
      const unmapped = yield* unmapAndSync(entry.domain, start, PAGE);
      if (unmapped === PAGE) yield* unmapAndSync(entry.domain, start + PAGE, PAGE);
      else entry.fineGrainedSuperPages = true;
    }
    frames.put(pfn);
    frames.put(pfn + 1);
    return;
  }
}

/**
 * Maps every mapping of the container into `domain`. Mapped ones are copied from the first domain by physical runs;
 * others are pinned now with the caller's memory and limit. A failure takes everything out again. Errors: EFAULT,
 * ENOMEM, driver errno.
 */
export function* replayInto(type1: Type1, process: Process, domain: PagingDomain): KernelTask<number> {
  const done: Dma[] = [];
  for (const dma of type1.dmas) {
    done.push(dma);
    const source = type1.domains[0]?.domain;
    const error =
      dma.iommuMapped && source !== undefined
        ? yield* copyTranslations(dma, source, domain)
        : yield* pinInto(type1, process, dma, domain);
    if (error === 0) continue;
    for (const each of done.reverse()) yield* undo(each, domain);
    return error;
  }
  for (const dma of type1.dmas) dma.iommuMapped = true;
  return 0;
}

function* copyTranslations(dma: Dma, source: PagingDomain, domain: PagingDomain): KernelTask<number> {
  const end = dma.iova + dma.sizeBytes;
  for (let iova = dma.iova; iova < end; ) {
    const physical = source.iovaToPhys(iova);
    if (physical === undefined) {
      iova += PAGE;
      continue;
    }
    const lengthBytes = runBytes(source, iova, physical, end);
    const error = yield* domain.map(iova, physical, lengthBytes, dma.prot | IommuProt.cache);
    if (error !== 0) return error;
    iova += lengthBytes;
  }
  return 0;
}

function* pinInto(type1: Type1, process: Process, dma: Dma, domain: PagingDomain): KernelTask<number> {
  const { costs } = type1.kernel;
  const split = type1.parameters.disableHugePages;
  const batch = new PinBatch(split ? 1 : undefined);
  let error = 0;
  for (let iova = dma.iova; iova < dma.iova + dma.sizeBytes && error === 0; ) {
    const left = Number((dma.iova + dma.sizeBytes - iova) / PAGE);
    const run = pinRun(process, dma, batch, iova, left, split);
    if (typeof run === 'number') {
      error = run;
      break;
    }
    yield costs.pinPage * run.pageCount;
    const lengthBytes = BigInt(run.pageCount) * PAGE;
    error = yield* domain.map(iova, BigInt(run.pfn) * PAGE, lengthBytes, dma.prot | IommuProt.cache);
    if (error !== 0) unpinCharged(dma, iova, run);
    iova += lengthBytes;
  }
  batch.drop(process.memory);
  return error;
}

/** Takes a mapping out of the new domain; pins made for it go too. */
function* undo(dma: Dma, domain: PagingDomain): KernelTask<void> {
  const end = dma.iova + dma.sizeBytes;
  for (let iova = dma.iova; iova < end; ) {
    const physical = domain.iovaToPhys(iova);
    if (physical === undefined) {
      iova += PAGE;
      continue;
    }
    const lengthBytes = runBytes(domain, iova, physical, end);
    yield* unmapAndSync(domain, iova, lengthBytes);
    if (!dma.iommuMapped) {
      unpinCharged(dma, iova, { pfn: Number(physical / PAGE), pageCount: Number(lengthBytes / PAGE) });
    }
    iova += lengthBytes;
  }
}

/** [bytes] Longest physically contiguous piece of `domain` from `iova` on. */
function runBytes(domain: PagingDomain, iova: bigint, physical: bigint, end: bigint): bigint {
  let lengthBytes = PAGE;
  while (iova + lengthBytes < end && domain.iovaToPhys(iova + lengthBytes) === physical + lengthBytes) {
    lengthBytes += PAGE;
  }
  return lengthBytes;
}
