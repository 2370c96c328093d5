/**
 * Regions that user space may mmap through the iommufd (ictx->mt_mmap): each is granted by an object and holds a user
 * on it per mapping. Source: Linux drivers/iommu/iommufd/{main,driver}.c.
 */
import { PAGE_SIZE } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { IommufdObject } from './object-table.ts';

/** One granted region. */
export interface MmapRegion {
  readonly owner: IommufdObject;
  /** [bytes] Offset user space passes to mmap. */
  readonly offsetBytes: number;
  /** [bytes] */
  readonly lengthBytes: number;
  readonly bytes: Uint8Array;
}

/** A request to map the file. */
export interface MmapRequest {
  /** [bytes] */
  readonly offsetBytes: bigint;
  /** [bytes] */
  readonly lengthBytes: bigint;
  readonly shared: boolean;
  readonly executable: boolean;
}

/** Granted regions of one context; offsets are the lowest free from one page on. */
export class MmapTable {
  readonly #regions: MmapRegion[] = [];

  /** Grants `bytes` on behalf of `owner` and returns the [bytes] offset. */
  grant(owner: IommufdObject, lengthBytes: number, bytes: Uint8Array): number {
    let offsetBytes = PAGE_SIZE;
    let index = 0;
    for (; index < this.#regions.length; index++) {
      const region = this.#regions[index] as MmapRegion;
      if (offsetBytes + lengthBytes <= region.offsetBytes) break;
      offsetBytes = region.offsetBytes + region.lengthBytes;
    }
    this.#regions.splice(index, 0, { owner, offsetBytes, lengthBytes, bytes });
    return offsetBytes;
  }

  /** Drops every region of `owner`. */
  revoke(owner: IommufdObject): void {
    for (let index = this.#regions.length - 1; index >= 0; index--) {
      if (this.#regions[index]?.owner === owner) this.#regions.splice(index, 1);
    }
  }

  /**
   * Maps a granted region and takes a user on its owner. Errors: EINVAL (length not in pages, private), EPERM
   * (executable), ENXIO (not exactly a granted region). Pair with {@link unmap}.
   */
  map(request: MmapRequest): MmapRegion | number {
    if (request.lengthBytes === 0n || request.lengthBytes % BigInt(PAGE_SIZE) !== 0n) return -Errno.EINVAL;
    if (!request.shared) return -Errno.EINVAL;
    if (request.executable) return -Errno.EPERM;
    const region = this.#regions.find((candidate) => BigInt(candidate.offsetBytes) === request.offsetBytes);
    if (region === undefined || BigInt(region.lengthBytes) !== request.lengthBytes) return -Errno.ENXIO;
    region.owner.users++;
    return region;
  }

  /** The mapping is gone (vm close). */
  unmap(region: MmapRegion): void {
    region.owner.users--;
  }
}
