/**
 * The mock's paging domain (struct mock_iommu_domain): leaves in a map instead of tables, so that the core's calls can
 * be checked translation by translation. No modelled time passes.
 */
import { assert } from '../../../assert.ts';
import { Errno } from '../../../errno.ts';
import { gatherRange } from '../../iommu/gather.ts';
import { type DirtyOps, discardDirty, type IommuDriver, type IotlbGather, type PagingDomain } from '../../iommu/ops.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { MOCK_APERTURE_LAST, MOCK_APERTURE_START, MOCK_IO_PAGE_SIZE } from './constants.ts';

/** The mock is not a machine: nothing it does takes modelled time. */
const NO_TIME = 0;

/** One leaf: a page of any supported size. */
interface MockLeaf {
  readonly iova: bigint;
  readonly sizeBytes: bigint;
  readonly paddr: bigint;
  readonly prot: number;
  dirty: boolean;
}

/** Page sizes and abilities a mock domain is allocated with. */
export interface MockDomainOptions {
  /** Bit k set: pages of 2^k bytes are reported to the core. */
  readonly pageSizeBitmap: bigint;
  /** [bytes] Largest leaf. */
  readonly largestLeaf: bigint;
  readonly nestParent: boolean;
  readonly dirtyTracking: boolean;
}

/** A mock paging domain. */
export class MockPagingDomain implements PagingDomain {
  readonly type = 'paging';
  readonly driver: IommuDriver;
  readonly minPageSize: bigint;
  readonly pageSizeBitmap: bigint;
  readonly apertureStart = MOCK_APERTURE_START;
  readonly apertureEnd = MOCK_APERTURE_LAST;
  readonly nestParent: boolean;
  readonly dirty: DirtyOps | undefined;
  faultCapable = false;
  /** Translation of every MOCK_IO_PAGE_SIZE unit; the units of one leaf share the object. */
  readonly #leaves = new Map<bigint, MockLeaf>();
  readonly #largestLeaf: bigint;
  #tracking = false;
  #freed = false;

  constructor(driver: IommuDriver, options: MockDomainOptions) {
    this.driver = driver;
    this.pageSizeBitmap = options.pageSizeBitmap;
    this.minPageSize = options.pageSizeBitmap & -options.pageSizeBitmap;
    this.nestParent = options.nestParent;
    this.#largestLeaf = options.largestLeaf;
    this.dirty = options.dirtyTracking
      ? {
          setTracking: (enable) => this.#setTracking(enable),
          readAndClear: (iova, length, noClear, gather, record) =>
            this.#readAndClear(iova, length, noClear, gather, record),
        }
      : undefined;
  }

  *map(iova: bigint, paddr: bigint, lengthBytes: bigint, prot: number): KernelTask<number> {
    yield NO_TIME;
    if (((iova | paddr | lengthBytes) & (MOCK_IO_PAGE_SIZE - 1n)) !== 0n) return -Errno.EINVAL;
    if (iova < this.apertureStart || iova + lengthBytes - 1n > this.apertureEnd) return -Errno.ERANGE;
    for (let at = 0n; at < lengthBytes; ) {
      const leaf = this.#leafAt(iova + at, paddr + at, lengthBytes - at, prot);
      for (let unit = leaf.iova; unit < leaf.iova + leaf.sizeBytes; unit += MOCK_IO_PAGE_SIZE) {
        assert(!this.#leaves.has(unit / MOCK_IO_PAGE_SIZE), `mock: 0x${unit.toString(16)} mapped twice`);
        this.#leaves.set(unit / MOCK_IO_PAGE_SIZE, leaf);
      }
      at += leaf.sizeBytes;
    }
    return 0;
  }

  *unmap(iova: bigint, lengthBytes: bigint, gather: IotlbGather): KernelTask<bigint> {
    yield NO_TIME;
    let unmapped = 0n;
    while (unmapped < lengthBytes) {
      const leaf = this.#leaves.get((iova + unmapped) / MOCK_IO_PAGE_SIZE);
      if (leaf === undefined) break;
      for (let unit = leaf.iova; unit < leaf.iova + leaf.sizeBytes; unit += MOCK_IO_PAGE_SIZE) {
        this.#leaves.delete(unit / MOCK_IO_PAGE_SIZE);
      }
      unmapped = leaf.iova + leaf.sizeBytes - iova;
    }
    if (unmapped > 0n) gatherRange(gather, iova, unmapped);
    return unmapped;
  }

  *sync(_gather: IotlbGather): KernelTask<number> {
    yield NO_TIME;
    return 0;
  }

  *flushAll(): KernelTask<number> {
    yield NO_TIME;
    return 0;
  }

  iovaToPhys(iova: bigint): bigint | undefined {
    const leaf = this.#leaves.get(iova / MOCK_IO_PAGE_SIZE);
    return leaf === undefined ? undefined : leaf.paddr + (iova - leaf.iova);
  }

  /** The mock never offers to enforce coherency. */
  enforceCacheCoherency(): boolean {
    return false;
  }

  *free(): KernelTask<number> {
    yield NO_TIME;
    assert(!this.#freed && this.#leaves.size === 0, 'mock: domain freed twice or with mappings');
    this.#freed = true;
    return 0;
  }

  /** Marks the leaf under `iova` dirty, as a device write would; false when nothing is mapped or tracking is off. */
  markDirty(iova: bigint): boolean {
    const leaf = this.#leaves.get(iova / MOCK_IO_PAGE_SIZE);
    if (leaf === undefined || !this.#tracking) return false;
    leaf.dirty = true;
    return true;
  }

  /** True while dirty tracking is on. */
  get tracksDirty(): boolean {
    return this.#tracking;
  }

  #leafAt(iova: bigint, paddr: bigint, leftBytes: bigint, prot: number): MockLeaf {
    let sizeBytes = this.#largestLeaf;
    while (sizeBytes > MOCK_IO_PAGE_SIZE && (sizeBytes > leftBytes || ((iova | paddr) & (sizeBytes - 1n)) !== 0n)) {
      sizeBytes /= 2n;
    }
    return { iova, sizeBytes, paddr, prot, dirty: false };
  }

  *#setTracking(enable: boolean): KernelTask<number> {
    yield NO_TIME;
    this.#tracking = enable;
    return 0;
  }

  *#readAndClear(
    iova: bigint,
    lengthBytes: bigint,
    noClear: boolean,
    gather: IotlbGather,
    record: (iova: bigint, lengthBytes: bigint) => void,
  ): KernelTask<number> {
    yield NO_TIME;
    if (!this.#tracking && record !== discardDirty) return -Errno.EINVAL;
    for (let at = iova; at < iova + lengthBytes; ) {
      const leaf = this.#leaves.get(at / MOCK_IO_PAGE_SIZE);
      if (leaf === undefined) {
        at += MOCK_IO_PAGE_SIZE;
        continue;
      }
      if (leaf.dirty) {
        record(leaf.iova, leaf.sizeBytes);
        if (!noClear) {
          leaf.dirty = false;
          gatherRange(gather, leaf.iova, leaf.sizeBytes);
        }
      }
      at = leaf.iova + leaf.sizeBytes;
    }
    return 0;
  }
}
