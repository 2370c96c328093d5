/**
 * A dma-buf whose exporter offers its physical pages to iommufd: device memory, not RAM. Source: Linux
 * drivers/dma-buf/dma-buf.c, drivers/vfio/pci/vfio_pci_dmabuf.c.
 */
import { FileReferences } from './file-references.ts';
import type { OpenFile } from './file-table.ts';
import type { KernelTask } from './task.ts';

/** Who must drop its mappings when the exporter moves or revokes the buffer (dma_buf_attachment). */
export interface DmaBufImporter {
  revoke(): KernelTask<void>;
}

/** An exported buffer. */
export class DmaBuf implements OpenFile {
  readonly file: FileReferences;
  /** [bytes] */
  readonly sizeBytes: bigint;
  /** First frame of the buffer; it is physically contiguous. APPROX: one range per buffer. */
  readonly firstPfn: number;
  /** False for exporters that cannot tell physical addresses: import fails with EOPNOTSUPP. */
  readonly importable: boolean;
  readonly importers = new Set<DmaBufImporter>();
  #revoked = false;

  constructor(sizeBytes: bigint, firstPfn: number, importable: boolean, onRelease?: () => KernelTask<void>) {
    this.sizeBytes = sizeBytes;
    this.firstPfn = firstPfn;
    this.importable = importable;
    this.file = new FileReferences(onRelease ?? (() => released()));
  }

  /** True while the exporter keeps the buffer from being used: import fails with ENODEV. */
  get revoked(): boolean {
    return this.#revoked;
  }

  /** Takes the buffer away from every importer. */
  *revoke(): KernelTask<void> {
    if (this.#revoked) return;
    this.#revoked = true;
    for (const importer of [...this.importers]) yield* importer.revoke();
  }

  /** Makes it usable again; importers that lost it do not get it back by themselves. */
  restore(): void {
    this.#revoked = false;
  }
}

function* released(): KernelTask<void> {}
