/**
 * Auxiliary domains (Linux 5.2 .. 5.17, drivers/iommu/intel/iommu.c and iommu.c of that time): further domains on one
 * device, each reached by a PASID that the domain owns. Superseded by per-PASID attachment; kept to replay the group
 * rules that were argued about then.
 */
import type { Pasid } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import { attachGroup, detachGroup } from './attach.ts';
import type { IommuGroup } from './group.ts';
import type { IommuDevice, IommuDomain, PagingDomain } from './ops.ts';

/** What the platform offers a device; the feature needs all of it. */
export interface AuxCapability {
  /** The unit runs in scalable mode and has PASIDs. */
  readonly scalableWithPasid: boolean;
  /** The device has the PCI PASID capability and it can be enabled. */
  readonly pasidUsable: boolean;
  /** The device advertises scalable I/O virtualisation (SIOV DVSEC). */
  readonly siov: boolean;
}

/** A device with its state as far as auxiliary domains go. */
export interface AuxDevice {
  readonly device: IommuDevice;
  readonly group: IommuGroup;
  readonly capability: AuxCapability;
}

/** One domain attached to one device, counted since 5.11: several subdevices may share the pair. */
interface AuxAttachment {
  readonly domain: IommuDomain;
  users: number;
}

/** Default PASID of a domain and how many devices use it. */
interface DomainPasid {
  readonly pasid: Pasid;
  devices: number;
}

/** Auxiliary attachments of one machine. */
export class AuxDomains {
  readonly #enabled = new Set<IommuDevice>();
  readonly #attachments = new Map<IommuDevice, AuxAttachment[]>();
  readonly #pasids = new Map<IommuDomain, DomainPasid>();
  readonly #pasidLimit: number;

  /** `pasidLimit` is one more than the largest PASID that can be handed out (ioasid allocator). */
  constructor(pasidLimit: number) {
    this.#pasidLimit = pasidLimit;
  }

  /** iommu_dev_has_feature(IOMMU_DEV_FEAT_AUX). */
  hasFeature(target: AuxDevice): boolean {
    const { scalableWithPasid, pasidUsable, siov } = target.capability;
    return scalableWithPasid && pasidUsable && siov;
  }

  /** iommu_dev_enable_feature: EINVAL not scalable or no PASIDs, ENODEV the PASID capability cannot be enabled. */
  enableFeature(target: AuxDevice): number {
    if (!target.capability.scalableWithPasid) return -Errno.EINVAL;
    if (!target.capability.pasidUsable) return -Errno.ENODEV;
    this.#enabled.add(target.device);
    return 0;
  }

  /** iommu_dev_disable_feature. */
  disableFeature(target: AuxDevice): number {
    this.#enabled.delete(target.device);
    return 0;
  }

  /** iommu_dev_feature_enabled. */
  featureEnabled(device: IommuDevice): boolean {
    return this.#enabled.has(device);
  }

  /**
   * iommu_aux_attach_device: EPERM feature off or no unmanaged domain, ENODEV no PASID left, EINVAL domain incompatible,
   * EBUSY PASID entry taken. A further attach of the same pair is only counted.
   */
  *attach(domain: PagingDomain, target: AuxDevice): KernelTask<number> {
    const { device } = target;
    if (!this.featureEnabled(device) || domain.type !== 'paging') return -Errno.EPERM;
    const list = this.#attachments.get(device) ?? [];
    const known = list.find((attachment) => attachment.domain === domain);
    if (known !== undefined) {
      known.users++;
      return 0;
    }
    const pasid = this.#takePasid(domain);
    if (pasid === undefined) return -Errno.ENODEV;
    const error = yield* device.driver.setPasid(device, pasid, domain, undefined);
    if (error !== 0) {
      this.#dropPasid(domain);
      return error;
    }
    list.push({ domain, users: 1 });
    this.#attachments.set(device, list);
    return 0;
  }

  /** iommu_aux_detach_device: the last detach of a pair tears the entry down, the last device frees the PASID. */
  *detach(domain: PagingDomain, target: AuxDevice): KernelTask<void> {
    const { device } = target;
    const list = this.#attachments.get(device) ?? [];
    const known = list.find((attachment) => attachment.domain === domain);
    const pasid = this.#pasids.get(domain)?.pasid;
    if (known === undefined || pasid === undefined) return;
    known.users--;
    if (known.users > 0) return;
    list.splice(list.indexOf(known), 1);
    yield* device.driver.setPasid(device, pasid, device.driver.blockedDomain, domain);
    this.#dropPasid(domain);
  }

  /** iommu_aux_get_pasid: EINVAL for a domain that is attached nowhere. */
  pasidOf(domain: IommuDomain): number {
    return this.#pasids.get(domain)?.pasid ?? -Errno.EINVAL;
  }

  /** Whole-device attach (iommu_attach_device of then): EINVAL group not a singleton, EPERM while the feature is on. */
  *attachWhole(domain: PagingDomain, target: AuxDevice): KernelTask<number> {
    if (target.group.devices.length !== 1) return -Errno.EINVAL;
    if (this.featureEnabled(target.device)) return -Errno.EPERM;
    return yield* attachGroup(target.group, domain);
  }

  /** iommu_detach_device. */
  *detachWhole(target: AuxDevice): KernelTask<void> {
    if (target.group.devices.length === 1) yield* detachGroup(target.group);
  }

  #takePasid(domain: IommuDomain): Pasid | undefined {
    const known = this.#pasids.get(domain);
    if (known !== undefined) {
      known.devices++;
      return known.pasid;
    }
    const used = new Set([...this.#pasids.values()].map((each) => each.pasid as number));
    let pasid = 1;
    while (used.has(pasid)) pasid++;
    if (pasid >= this.#pasidLimit) return undefined;
    this.#pasids.set(domain, { pasid: pasid as Pasid, devices: 1 });
    return pasid as Pasid;
  }

  #dropPasid(domain: IommuDomain): void {
    const known = this.#pasids.get(domain);
    if (known === undefined) return;
    known.devices--;
    if (known.devices === 0) this.#pasids.delete(domain);
  }
}
