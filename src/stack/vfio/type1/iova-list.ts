/**
 * The IOVAs a type1 container accepts: the apertures of its domains without the reserved regions of its groups (struct
 * vfio_iova list of Linux drivers/vfio/vfio_iommu_type1.c). Nodes are closed ranges in ascending order.
 */
import { Errno } from '../../../errno.ts';
import type { ReservedRegion } from '../../iommu/ops.ts';

/** A closed range of IOVAs [bytes]. */
export interface IovaNode {
  start: bigint;
  last: bigint;
}

/** A mapping exists in the `lengthBytes` from `start` on. */
export type MappingIn = (start: bigint, lengthBytes: bigint) => boolean;

/** An ordered list of usable ranges; empty until the first IOMMU group arrives. */
export class IovaList {
  #nodes: IovaNode[] = [];

  /** In ascending order. */
  get nodes(): readonly Readonly<IovaNode>[] {
    return this.#nodes;
  }

  /** vfio_iommu_iova_get_copy: attach and detach work on a copy and swap it in when they have succeeded. */
  copy(): IovaList {
    const copy = new IovaList();
    copy.#nodes = this.#nodes.map((node) => ({ ...node }));
    return copy;
  }

  /** vfio_iommu_iova_dma_valid: inside one node; an empty list allows everything. */
  allows(start: bigint, last: bigint): boolean {
    return this.#nodes.length === 0 || this.#nodes.some((node) => start >= node.start && last <= node.last);
  }

  /** vfio_iommu_aper_conflict: the aperture misses the list, or would cut off a mapping. */
  conflicts(start: bigint, last: bigint, hasMapping: MappingIn): boolean {
    const first = this.#nodes[0];
    const end = this.#nodes.at(-1);
    if (first === undefined || end === undefined) return false;
    if (start > end.last || last < first.start) return true;
    if (start > first.start && hasMapping(first.start, start - first.start)) return true;
    return last < end.last && hasMapping(last + 1n, end.last - last);
  }

  /**
   * vfio_iommu_aper_resize: narrows the list to the aperture. The walk from the front stops at the first node it can
   * shorten, and deletes a node that ends exactly at `start`.
   */
  resize(start: bigint, last: bigint): void {
    if (this.#nodes.length === 0) {
      this.#nodes.push({ start, last });
      return;
    }
    while (this.#nodes.length > 0) {
      const node = this.#nodes[0] as IovaNode;
      if (start < node.start) break;
      if (start < node.last) {
        node.start = start;
        break;
      }
      this.#nodes.shift();
    }
    this.#nodes = this.#nodes.filter((node) => last > node.start);
    for (const node of this.#nodes) if (last < node.last) node.last = last;
  }

  /** vfio_iommu_aper_expand: a domain has gone, the outer ends follow the apertures that remain. */
  expand(start: bigint, last: bigint): void {
    const first = this.#nodes[0];
    const end = this.#nodes.at(-1);
    if (first === undefined || end === undefined) return;
    first.start = start;
    end.last = last;
  }

  /** vfio_iommu_resv_exclude: cuts regions out; -EINVAL when nothing is left. */
  exclude(regions: Iterable<ReservedRegion>): number {
    for (const { start, last, type } of regions) {
      if (type === 'direct-relaxable') continue;
      this.#nodes = this.#nodes.flatMap((node) => {
        if (start > node.last || last < node.start) return [node];
        const parts: IovaNode[] = [];
        if (start > node.start) parts.push({ start: node.start, last: start - 1n });
        if (last < node.last) parts.push({ start: last + 1n, last: node.last });
        return parts;
      });
    }
    return this.#nodes.length === 0 ? -Errno.EINVAL : 0;
  }

  /** vfio_iommu_resv_refresh: one range over the present extent, minus the regions; -EINVAL when nothing is left. */
  refresh(regions: Iterable<ReservedRegion>): number {
    const first = this.#nodes[0];
    const end = this.#nodes.at(-1);
    if (first === undefined || end === undefined) return -Errno.EINVAL;
    this.#nodes = [{ start: first.start, last: end.last }];
    return this.exclude(regions);
  }
}
