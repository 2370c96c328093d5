/**
 * One mapping of a type1 container (struct vfio_dma) and the ordered set of them (Linux
 * drivers/vfio/vfio_iommu_type1.c).
 */
import type { Process } from '../../kernel/process.ts';

/** A page pinned from outside the mapping, for an emulated device (struct vfio_pfn). */
export interface ExternalPin {
  /** [4 KiB pages] */
  readonly pfn: number;
  /** A device page: neither pinned nor accounted. */
  readonly reserved: boolean;
  users: number;
}

/** A mapping. */
export class Dma {
  readonly iova: bigint;
  vaddr: bigint;
  /** [bytes] Grows while pages are pinned, so that a failure undoes what was done. */
  sizeBytes = 0n;
  /** IommuProt read and write bits. */
  readonly prot: number;
  /** Pages are pinned and every domain maps them. */
  iommuMapped = false;
  /** The mapper may lock memory without limit (CAP_IPC_LOCK). */
  lockCapable: boolean;
  /** The user address was given up by UNMAP_DMA with the VADDR flag. */
  vaddrInvalid = false;
  /** Whose memory this is and who is charged. */
  owner: Process;
  /** [4 KiB pages] Charged to the owner. */
  lockedPages = 0;
  /** Pages pinned from outside by IOVA. */
  readonly pins = new Map<bigint, ExternalPin>();
  /** Dirty bits, one per page of the container's granularity; present while tracking is on. */
  bitmap: Uint8Array | undefined;

  constructor(iova: bigint, vaddr: bigint, prot: number, owner: Process) {
    this.iova = iova;
    this.vaddr = vaddr;
    this.prot = prot;
    this.owner = owner;
    this.lockCapable = owner.canLockMemory;
  }
}

const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);

/** Mappings by IOVA; disjoint. */
export class DmaSet {
  readonly #sorted: Dma[] = [];
  /** Ends are compared inclusively (Linux 6.18); before, a mapping up to the last byte ends at 0 and is never found. */
  readonly #inclusive: boolean;

  constructor(inclusive: boolean) {
    this.#inclusive = inclusive;
  }

  get count(): number {
    return this.#sorted.length;
  }

  /** In ascending order. Do not add or remove while iterating. */
  [Symbol.iterator](): IterableIterator<Dma> {
    return this.#sorted[Symbol.iterator]();
  }

  add(dma: Dma): void {
    this.#sorted.splice(this.#position(dma.iova), 0, dma);
  }

  remove(dma: Dma): void {
    const at = this.#position(dma.iova);
    if (this.#sorted[at] === dma) this.#sorted.splice(at, 1);
  }

  /** Some mapping that overlaps the `lengthBytes` from `start` on (vfio_find_dma). */
  find(start: bigint, lengthBytes: bigint): Dma | undefined {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const dma = this.#sorted[middle] as Dma;
      if (this.#endsBefore(start, lengthBytes, dma)) high = middle;
      else if (this.#startsBehind(start, dma)) low = middle + 1;
      else return dma;
    }
    return undefined;
  }

  /**
   * Mappings that reach into the `lengthBytes` from `start` on, in ascending order (vfio_find_dma_first_node and
   * rb_next).
   */
  inRange(start: bigint, lengthBytes: bigint): Dma[] {
    const last = start + lengthBytes - 1n;
    let at = this.#position(start);
    const before = this.#sorted[at - 1];
    if (before !== undefined && !this.#startsBehind(start, before)) at--;
    const found: Dma[] = [];
    for (let dma = this.#sorted[at]; dma !== undefined && dma.iova <= last; dma = this.#sorted[++at]) {
      if (!this.#startsBehind(start, dma)) found.push(dma);
    }
    return found;
  }

  /** First mapping. */
  get first(): Dma | undefined {
    return this.#sorted[0];
  }

  #endsBefore(start: bigint, lengthBytes: bigint, dma: Dma): boolean {
    if (this.#inclusive) return start + (lengthBytes > 0n ? lengthBytes - 1n : 0n) < dma.iova;
    return wrap(start + lengthBytes) <= dma.iova;
  }

  #startsBehind(start: bigint, dma: Dma): boolean {
    if (this.#inclusive) return start > dma.iova + dma.sizeBytes - 1n;
    return start >= wrap(dma.iova + dma.sizeBytes);
  }

  /** Index of the first mapping at or after `iova`. */
  #position(iova: bigint): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] as Dma).iova < iova) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
