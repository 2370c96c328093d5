/**
 * Attaching groups of mediated devices whose DMA a physical device isolates (Linux 5.2 .. 5.15,
 * drivers/vfio/vfio_iommu_type1.c vfio_iommu_attach_group and vfio_mdev_iommu_device). The merged form and the forms
 * that were argued about on the mailing list are selectable.
 *
 * Of a group's mediated devices all must be isolated by one physical device; otherwise the group counts as one that
 * pins, without translation.
 */
import { Errno } from '../../../errno.ts';
import type { AuxDevice, AuxDomains } from '../../iommu/aux-domain.ts';
import type { PagingDomain } from '../../iommu/ops.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { GroupTarget, MediatedMember } from './group-target.ts';

/**
 * `per-device`: each mediated device by itself, auxiliary where the physical device has that enabled (merged).
 * `aux-group`: one call for the group, always auxiliary (iommu_aux_attach_group, rejected: it breaks devices backed by
 * virtual functions). `stored-device`: one physical device kept for the group, attached once (discussed).
 * `group-lookup`: a group call with a look-up for each device (discussed).
 */
export type MediatedRule = 'per-device' | 'aux-group' | 'stored-device' | 'group-lookup';

/** The rule in force and the machine's auxiliary attachments. */
export interface MediatedRules {
  readonly rule: MediatedRule;
  readonly aux: AuxDomains;
  /** Mediated devices that an attach which failed later left attached: the merged code does not undo them. */
  readonly leftovers: MediatedMember[];
}

/** The target of a group of mediated devices; undefined when they are not all isolated by the same physical device. */
export function mediatedTarget(rules: MediatedRules, members: readonly MediatedMember[]): GroupTarget | undefined {
  const isolating = members[0]?.iommuDevice;
  if (isolating === undefined || members.some((member) => member.iommuDevice?.device !== isolating.device)) {
    return undefined;
  }
  return new MediatedTarget(rules, members, isolating);
}

class MediatedTarget implements GroupTarget {
  readonly hasIsolatedMsi: boolean;
  readonly #rules: MediatedRules;
  readonly #members: readonly MediatedMember[];
  readonly #isolating: AuxDevice;
  /** The group-wide rules know whether the group has a domain. */
  #domain: PagingDomain | undefined;

  constructor(rules: MediatedRules, members: readonly MediatedMember[], isolating: AuxDevice) {
    this.#rules = rules;
    this.#members = members;
    this.#isolating = isolating;
    this.hasIsolatedMsi = isolating.device.isolatedMsi;
  }

  /** iommu_domain_alloc on the physical device's bus: EIO. */
  *allocDomain(): KernelTask<PagingDomain | number> {
    const { device } = this.#isolating;
    const domain = yield* device.driver.allocPaging(device, 'user', 0, undefined);
    return typeof domain === 'number' ? -Errno.EIO : domain;
  }

  *attach(domain: PagingDomain): KernelTask<number> {
    const { rule, aux } = this.#rules;
    if (rule === 'per-device') return yield* this.#attachEach(domain);
    if (rule === 'stored-device') return yield* this.#attachOne(domain, this.#isolating);
    if (this.#domain !== undefined) return -Errno.EBUSY;
    let error = 0;
    if (rule === 'group-lookup') error = yield* this.#attachEach(domain);
    else if (!aux.featureEnabled(this.#isolating.device)) error = -Errno.ENODEV;
    else error = yield* aux.attach(domain, this.#isolating);
    if (error === 0) this.#domain = domain;
    return error;
  }

  *detach(domain: PagingDomain): KernelTask<void> {
    const { rule } = this.#rules;
    this.#domain = undefined;
    if (rule === 'aux-group' || rule === 'stored-device') {
      yield* this.#detachOne(domain, this.#isolating);
      return;
    }
    for (const { iommuDevice } of this.#members) {
      if (iommuDevice !== undefined) yield* this.#detachOne(domain, iommuDevice);
    }
  }

  /** Regions of the mediated group itself: none. */
  reservedRegions(): readonly [] {
    return [];
  }

  /** The walk stops at the first error and leaves the devices before it attached. */
  *#attachEach(domain: PagingDomain): KernelTask<number> {
    for (const [index, { iommuDevice }] of this.#members.entries()) {
      const error = iommuDevice === undefined ? -Errno.EINVAL : yield* this.#attachOne(domain, iommuDevice);
      if (error === 0) continue;
      this.#rules.leftovers.push(...this.#members.slice(0, index));
      return error;
    }
    return 0;
  }

  #attachOne(domain: PagingDomain, target: AuxDevice): KernelTask<number> {
    const { aux } = this.#rules;
    return aux.featureEnabled(target.device) ? aux.attach(domain, target) : aux.attachWhole(domain, target);
  }

  #detachOne(domain: PagingDomain, target: AuxDevice): KernelTask<void> {
    const { aux } = this.#rules;
    return aux.featureEnabled(target.device) ? aux.detach(domain, target) : aux.detachWhole(target);
  }
}
