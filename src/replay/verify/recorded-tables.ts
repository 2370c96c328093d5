/**
 * Mappings as the recording itself tells them, by plain bookkeeping: the dump before the window, then every recorded
 * map and unmap. No driver and no table take part, so it is an independent witness for the table check.
 */
import { pfnFromAddress, U64_MAX } from '../../address.ts';
import type { BundleReader } from '../../trace/reader.ts';
import { NONE_U32 } from '../../trace/schema/column-type.ts';
import type { ControlRow } from '../control-row.ts';

/** IOVA page to physical page. */
export type PageMap = Map<number, number>;

/** Bookkeeping over a whole recording. */
export class RecordedTables {
  /** DMA-API mappings by device. */
  readonly #devices = new Map<number, PageMap>();
  /** User mappings by context and IOAS. */
  readonly #spaces = new Map<string, PageMap>();
  /** IOAS behind a page table, by context and id. */
  readonly #ioasOf = new Map<string, number>();
  /** Space a device was attached to last. */
  readonly #attached = new Map<number, string>();

  constructor(bundle: BundleReader) {
    for (const row of bundle.optionalStream('initial')?.rows() ?? []) {
      const pages = this.ofDevice(row.device);
      for (let page = 0; page < row.pageCount; page++) pages.set(Number(row.iovaPfn) + page, Number(row.pfn) + page);
    }
  }

  /** Mappings of a kernel-owned device. */
  ofDevice(device: number): PageMap {
    return pagesOf(this.#devices, device);
  }

  /** Mappings of the address space a device was attached to last; undefined when it never was. */
  ofAttached(device: number): PageMap | undefined {
    const key = this.#attached.get(device);
    return key === undefined ? undefined : pagesOf(this.#spaces, key);
  }

  /** Takes in one recorded call; failed calls change nothing. */
  apply(row: ControlRow): void {
    if (row.recordedResult < 0) return;
    switch (row.op) {
      case 'dma_map':
      case 'dma_alloc':
        addFrames(this.ofDevice(row.device), row);
        return;
      case 'dma_unmap':
      case 'dma_free':
        removeRange(this.ofDevice(row.device), row.iova, row.length);
        return;
      case 'IOMMU_IOAS_MAP':
      case 'IOMMU_IOAS_COPY':
        addFrames(pagesOf(this.#spaces, this.#spaceKey(row.context, row.object)), row);
        return;
      case 'IOMMU_IOAS_UNMAP':
        removeRange(pagesOf(this.#spaces, this.#spaceKey(row.context, row.object)), row.iova, row.length);
        return;
      case 'IOMMU_HWPT_ALLOC':
        this.#bindTable(row, row.object);
        addFrames(pagesOf(this.#spaces, this.#spaceKey(row.context, row.object)), row);
        return;
      case 'VFIO_DEVICE_ATTACH_IOMMUFD_PT': {
        const key = this.#spaceKey(row.context, row.target);
        this.#bindTable(row, row.target);
        addFrames(pagesOf(this.#spaces, key), row);
        this.#attached.set(row.device, key);
        return;
      }
      default:
    }
  }

  #bindTable(row: ControlRow, target: number): void {
    if (row.recordedObject === NONE_U32) return;
    this.#ioasOf.set(`${row.context} ${row.recordedObject}`, this.#ioasOf.get(`${row.context} ${target}`) ?? target);
  }

  #spaceKey(context: number, id: number): string {
    return `${context} ${this.#ioasOf.get(`${context} ${id}`) ?? id}`;
  }
}

function pagesOf<K>(maps: Map<K, PageMap>, key: K): PageMap {
  let pages = maps.get(key);
  if (pages === undefined) {
    pages = new Map();
    maps.set(key, pages);
  }
  return pages;
}

function addFrames(pages: PageMap, row: ControlRow): void {
  for (const { iovaPfn, pfn, pageCount } of row.frames) {
    for (let page = 0; page < pageCount; page++) pages.set(iovaPfn + page, pfn + page);
  }
}

function removeRange(pages: PageMap, iova: bigint, length: bigint): void {
  if (length === U64_MAX) {
    pages.clear();
    return;
  }
  const first = pfnFromAddress(iova);
  const last = pfnFromAddress(iova + length - 1n);
  for (let page = first; page <= last; page++) pages.delete(page);
}
