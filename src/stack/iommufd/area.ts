/**
 * One mapped range of an IOAS: which pages of a page source lie at which IOVA (struct iopt_area). Source: Linux
 * drivers/iommu/iommufd/io_pagetable.h.
 */
import type { PagingDomain } from '../iommu/ops.ts';
import type { PageSource } from './page-source.ts';

/** An area. Everything but its state is fixed when it is inserted. */
export class Area {
  /** [bytes] First and last IOVA. */
  readonly start: bigint;
  readonly last: bigint;
  /** Page numbers in the page source. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** [bytes] Where the area starts in its first page. */
  readonly pageOffset: number;
  /** IommuProt bits. */
  readonly prot: number;
  /** The page source; undefined while the area is being created or removed. */
  pages: PageSource | undefined;
  /** The domain the page numbers can be read back from; undefined while no domain holds them. */
  storageDomain: PagingDomain | undefined;
  /** Pins by accesses. */
  accessCount = 0;
  /** Hardware queues that need the area: unmap is EBUSY. */
  lockCount = 0;
  /** Set when an unmap waits for pins to go: no new ones. */
  preventAccess = false;

  /** An area of `lengthBytes` at `start`, beginning `startByte` bytes into its page source. */
  constructor(start: bigint, lengthBytes: bigint, startByte: bigint, prot: number) {
    this.start = start;
    this.last = start + lengthBytes - 1n;
    this.firstIndex = Number(startByte >> 12n);
    this.lastIndex = Number((startByte + lengthBytes - 1n) >> 12n);
    this.pageOffset = Number(startByte & 4095n);
    this.prot = prot;
  }

  get lengthBytes(): bigint {
    return this.last - this.start + 1n;
  }

  /** [bytes] Offset of the area's first byte in its page source. */
  get startByte(): bigint {
    return BigInt(this.firstIndex) * 4096n + BigInt(this.pageOffset);
  }

  /** [bytes] IOVA of the first byte of a page that belongs to the area. @hot */
  iovaOfPage(index: number): bigint {
    if (index === this.firstIndex) return this.start;
    return this.start - BigInt(this.pageOffset) + BigInt(index - this.firstIndex) * 4096n;
  }

  /** [bytes] IOVA of the last byte of a page that belongs to the area. @hot */
  lastIovaOfPage(index: number): bigint {
    if (index === this.lastIndex) return this.last;
    return this.start - BigInt(this.pageOffset) + BigInt(index - this.firstIndex) * 4096n + 4095n;
  }

  /** Page of the source behind an IOVA of the area. */
  pageOf(iova: bigint): number {
    return this.firstIndex + Number((iova - this.start + BigInt(this.pageOffset)) >> 12n);
  }
}
