/**
 * Moves areas in and out of domains: pin, map, charge and back. Source: Linux drivers/iommu/iommufd/pages.c
 * (iopt_area_fill_domain, iopt_area_fill_domains, iopt_area_unfill_domain, iopt_area_unfill_domains).
 */
import { assert } from '../../assert.ts';
import { emptyGather, IommuProt, type PagingDomain } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { Area } from './area.ts';
import type { PageSource } from './page-source.ts';
import { PfnReader } from './pfn-batch.ts';

/** Maps a new area into every domain of its IOAS (iopt_area_fill_domains). 0 or errno; then all domains are as before. */
export function* fillDomains(
  area: Area,
  pages: PageSource,
  domains: readonly PagingDomain[],
  smallPages: boolean,
): KernelTask<number> {
  const storage = domains[0];
  if (storage === undefined) return 0;
  yield* pages.lock();
  const reader = new PfnReader(pages, area.firstIndex, area.lastIndex);
  let failedDomain = domains.length;
  let rc = reader.next();
  while (rc === 0 && !reader.done) {
    yield reader.takeCost();
    for (let i = 0; i < domains.length && rc === 0; i++) {
      rc = yield* mapBatch(area, pages, domains[i] as PagingDomain, reader, smallPages);
      if (rc !== 0) failedDomain = i;
    }
    if (rc === 0) rc = reader.next();
  }
  if (rc === 0) rc = pages.charge();
  if (rc === 0) {
    area.storageDomain = storage;
    pages.domainAreas.push(area);
    if (pages.backing.kind === 'dmabuf') for (const domain of domains) noteDeviceMapping(pages, area, domain);
  } else {
    // Domains before the failing one hold the batch at hand, the failing one and those after it only earlier batches.
    for (let i = 0; i < domains.length; i++) {
      const end = i < failedDomain && failedDomain < domains.length ? reader.batchEnd : reader.batchStart;
      if (end > area.firstIndex) yield* unmapPages(area, pages, domains[i] as PagingDomain, area.firstIndex, end - 1);
    }
    reader.releasePins();
  }
  pages.unlock();
  return rc;
}

/**
 * Maps an existing area into one more domain (iopt_area_fill_domain). The caller holds the page source's lock. 0 or
 * errno, undone.
 */
export function* fillDomain(
  area: Area,
  pages: PageSource,
  domain: PagingDomain,
  smallPages: boolean,
): KernelTask<number> {
  const reader = new PfnReader(pages, area.firstIndex, area.lastIndex);
  let rc = reader.next();
  while (rc === 0 && !reader.done) {
    yield reader.takeCost();
    rc = yield* mapBatch(area, pages, domain, reader, smallPages);
    if (rc === 0) rc = reader.next();
  }
  if (rc === 0) rc = pages.charge();
  if (rc === 0) {
    if (pages.backing.kind === 'dmabuf') noteDeviceMapping(pages, area, domain);
    return 0;
  }
  if (reader.batchStart > area.firstIndex) {
    yield* unmapPages(area, pages, domain, area.firstIndex, reader.batchStart - 1);
  }
  reader.releasePins();
  return rc;
}

/**
 * Unmaps an area from the domain that stored its frames and unpins what nothing else covers
 * (iopt_area_unfill_domain). The area is no longer in the page source's domain ranges.
 *
 * An unmap never stops inside a physically contiguous run, for the map installed it as one.
 */
export function* unfillDomain(area: Area, pages: PageSource, domain: PagingDomain): KernelTask<void> {
  const last = area.lastIndex;
  let unmappedEnd = area.firstIndex;
  for (let index = area.firstIndex; index <= last; ) {
    const spanLast = pages.spanEnd(index, last);
    if (pages.isCovered(index)) {
      index = spanLast + 1;
      continue;
    }
    while (index <= spanLast) {
      let batchLast = spanLast;
      if (unmappedEnd <= spanLast) {
        batchLast = runsEnd(pages, Math.max(index, unmappedEnd), spanLast);
        const cut = batchLast === spanLast ? contiguousEnd(pages, batchLast, last) : batchLast;
        yield* unmapPages(area, pages, domain, unmappedEnd, cut);
        unmappedEnd = cut + 1;
      }
      pages.unpinPages(index, batchLast);
      yield (batchLast - index + 1) * pages.kernel.costs.unpinPage;
      index = batchLast + 1;
    }
  }
  if (unmappedEnd <= last) yield* unmapPages(area, pages, domain, unmappedEnd, last);
  pages.charge();
}

/** Takes an area out of every domain (iopt_area_unfill_domains): all others first, the storage domain with the pins. */
export function* unfillDomains(area: Area, pages: PageSource, domains: readonly PagingDomain[]): KernelTask<void> {
  yield* pages.lock();
  const storage = area.storageDomain;
  if (storage !== undefined) {
    if (domains.length > 1) {
      for (const domain of domains) {
        if (domain !== storage) yield* unmapPages(area, pages, domain, area.firstIndex, area.lastIndex);
      }
    }
    forgetDomainArea(pages, area);
    yield* unfillDomain(area, pages, storage);
    area.storageDomain = undefined;
  }
  pages.unlock();
}

/** Takes the area out of the ranges that keep pages pinned for domains. */
export function forgetDomainArea(pages: PageSource, area: Area): void {
  const areas = pages.domainAreas;
  const at = areas.indexOf(area);
  assert(at >= 0, 'area is not held by a domain');
  areas[at] = areas[areas.length - 1] as Area;
  areas.pop();
}

/** Unmaps pages [first, last] of an area with one core call. The domain must unmap exactly that. */
export function* unmapPages(
  area: Area,
  pages: PageSource,
  domain: PagingDomain,
  first: number,
  last: number,
): KernelTask<void> {
  if (pages.backing.kind === 'dmabuf') {
    if (pages.revoked) return;
    forgetDeviceMapping(pages, area, domain);
  }
  const iova = area.iovaOfPage(first);
  const lengthBytes = area.lastIovaOfPage(last) - iova + 1n;
  const gather = emptyGather(false);
  const unmapped = yield* domain.unmap(iova, lengthBytes, gather);
  assert(unmapped === lengthBytes, `unmap of ${lengthBytes} bytes at ${iova.toString(16)} removed ${unmapped}`);
  yield* domain.sync(gather);
}

/** The exporter of device memory must be able to find the mapping (iopt_dmabuf_track_domain). */
function noteDeviceMapping(pages: PageSource, area: Area, domain: PagingDomain): void {
  if (!pages.revoked) pages.deviceMappings.push({ area, domain });
}

function forgetDeviceMapping(pages: PageSource, area: Area, domain: PagingDomain): void {
  const at = pages.deviceMappings.findIndex((each) => each.area === area && each.domain === domain);
  if (at >= 0) pages.deviceMappings.splice(at, 1);
}

/** Maps the batch at hand: one core call per run, or per page when large pages are off (batch_to_domain). */
function* mapBatch(
  area: Area,
  pages: PageSource,
  domain: PagingDomain,
  batch: PfnReader,
  smallPages: boolean,
): KernelTask<number> {
  if (pages.revoked) return 0;
  let index = batch.batchStart;
  for (let run = 0; run < batch.runPfns.length; run++) {
    const pfn = batch.runPfns[run] as number;
    const count = batch.runPages[run] as number;
    const step = smallPages ? 1 : count;
    for (let done = 0; done < count; done += step) {
      const page = index + done;
      const iova = area.iovaOfPage(page);
      const offset = page === area.firstIndex ? area.pageOffset : 0;
      const lengthBytes = area.lastIovaOfPage(page + step - 1) - iova + 1n;
      const rc = yield* domain.map(iova, BigInt(pfn + done) * 4096n + BigInt(offset), lengthBytes, area.prot);
      if (rc !== 0) {
        if (page > batch.batchStart) yield* unmapPages(area, pages, domain, batch.batchStart, page - 1);
        return rc;
      }
    }
    index += count;
  }
  return 0;
}

/** Last page of as many whole runs from `index` on as a batch holds; at most `last`. @hot */
function runsEnd(pages: PageSource, index: number, last: number): number {
  const mostRuns = pages.kernel.profile.behaviours.unmapBatchRuns;
  let runs = 1;
  let pfn = pages.pfn(index);
  for (let page = index + 1; page <= last; page++) {
    const next = pages.pfn(page);
    if (next !== pfn + 1 && ++runs > mostRuns) return page - 1;
    pfn = next;
  }
  return last;
}

/** Last page that continues the run of `index`; at most `last`. @hot */
function contiguousEnd(pages: PageSource, index: number, last: number): number {
  let page = index;
  while (page < last && pages.pfn(page + 1) === pages.pfn(page) + 1) page++;
  return page;
}

/** IommuProt bits of an area: always coherent; device memory is mapped as MMIO without the cache attribute. */
export function areaProt(readable: boolean, writable: boolean, deviceMemory: boolean): number {
  const access = (readable ? IommuProt.read : 0) | (writable ? IommuProt.write : 0);
  return access | (deviceMemory ? IommuProt.mmio : IommuProt.cache);
}
