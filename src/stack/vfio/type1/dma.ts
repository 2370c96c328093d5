/** One mapping of a type1 container (struct vfio_dma of Linux drivers/vfio/vfio_iommu_type1.c). */
import { pfnFromAddress } from '../../../address.ts';
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
  /** [4 KiB pages] Page of {@link iova}: exact, and quicker to compare. */
  readonly iovaPage: number;
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
    this.iovaPage = pfnFromAddress(iova);
    this.vaddr = vaddr;
    this.prot = prot;
    this.owner = owner;
    this.lockCapable = owner.canLockMemory;
  }
}
