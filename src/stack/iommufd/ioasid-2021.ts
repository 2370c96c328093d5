/**
 * The /dev/ioasid proposal of May 2021: an I/O address space id gets its domain when the first device attaches, later
 * compatible devices share it, mediated devices attach their parent with a PASID. Never merged; its calls map to IOAS
 * and per-PASID attachment of today.
 */
import type { Pasid } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { AuxDevice, AuxDomains } from '../iommu/aux-domain.ts';
import type { PagingDomain } from '../iommu/ops.ts';
import { emptyGather } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';

/** A recorded mapping, applied to the domain once there is one. */
interface IoasidMapping {
  readonly iova: bigint;
  readonly paddr: bigint;
  readonly lengthBytes: bigint;
  readonly prot: number;
}

interface IoasidAttachment {
  readonly target: AuxDevice;
  /** PASID of a mediated device on its parent; undefined for a whole device. */
  readonly pasid: Pasid | undefined;
}

/** One I/O address space id. */
export class Ioasid {
  readonly #aux: AuxDomains;
  readonly #mappings: IoasidMapping[] = [];
  readonly #attachments: IoasidAttachment[] = [];
  #domain: PagingDomain | undefined;

  constructor(aux: AuxDomains) {
    this.#aux = aux;
  }

  get domain(): PagingDomain | undefined {
    return this.#domain;
  }

  /** Records a mapping and applies it where a domain exists. EEXIST overlap, driver errno. */
  *map(iova: bigint, paddr: bigint, lengthBytes: bigint, prot: number): KernelTask<number> {
    const last = iova + lengthBytes - 1n;
    const overlaps = this.#mappings.some((each) => each.iova <= last && each.iova + each.lengthBytes - 1n >= iova);
    if (overlaps) return -Errno.EEXIST;
    if (this.#domain !== undefined) {
      const error = yield* this.#domain.map(iova, paddr, lengthBytes, prot);
      if (error !== 0) return error;
    }
    this.#mappings.push({ iova, paddr, lengthBytes, prot });
    return 0;
  }

  /** Forgets an exact mapping. ENOENT when it is not there. */
  *unmap(iova: bigint, lengthBytes: bigint): KernelTask<number> {
    const at = this.#mappings.findIndex((each) => each.iova === iova && each.lengthBytes === lengthBytes);
    if (at < 0) return -Errno.ENOENT;
    this.#mappings.splice(at, 1);
    if (this.#domain !== undefined) {
      const gather = emptyGather(false);
      yield* this.#domain.unmap(iova, lengthBytes, gather);
      yield* this.#domain.sync(gather);
    }
    return 0;
  }

  /**
   * Attaches a device, or with `pasid` a mediated device through its parent. The first attach allocates the domain and
   * applies the recorded mappings; a device that does not fit the domain is EINVAL.
   */
  *attach(target: AuxDevice, pasid: Pasid | undefined): KernelTask<number> {
    const created = this.#domain === undefined;
    if (this.#domain === undefined) {
      const error = yield* this.#create(target);
      if (error !== 0) return error;
    }
    const domain = this.#domain as unknown as PagingDomain;
    const error =
      pasid === undefined ? yield* this.#aux.attachWhole(domain, target) : yield* this.#aux.attach(domain, target);
    if (error !== 0) {
      if (created) yield* this.#discard();
      return error;
    }
    this.#attachments.push({ target, pasid });
    return 0;
  }

  /** Detaches; the domain goes with its last device. ENOENT when it is not attached so. */
  *detach(target: AuxDevice, pasid: Pasid | undefined): KernelTask<number> {
    const at = this.#attachments.findIndex((each) => each.target.device === target.device && each.pasid === pasid);
    const domain = this.#domain;
    if (at < 0 || domain === undefined) return -Errno.ENOENT;
    this.#attachments.splice(at, 1);
    if (pasid === undefined) yield* this.#aux.detachWhole(target);
    else yield* this.#aux.detach(domain, target);
    if (this.#attachments.length === 0) yield* this.#discard();
    return 0;
  }

  *#create(target: AuxDevice): KernelTask<number> {
    const domain = yield* target.device.driver.allocPaging(target.device, 'user', 0, undefined);
    if (typeof domain === 'number') return domain;
    this.#domain = domain;
    for (const { iova, paddr, lengthBytes, prot } of this.#mappings) {
      const error = yield* domain.map(iova, paddr, lengthBytes, prot);
      if (error === 0) continue;
      yield* this.#discard();
      return error;
    }
    return 0;
  }

  *#discard(): KernelTask<void> {
    const domain = this.#domain;
    if (domain === undefined) return;
    this.#domain = undefined;
    const gather = emptyGather(false);
    for (const { iova, lengthBytes } of this.#mappings) yield* domain.unmap(iova, lengthBytes, gather);
    yield* domain.sync(gather);
    yield* domain.free();
  }
}
