/**
 * One call surface over the ways Linux has had, or was proposed to have, to give a PASID of a device a page table. Which
 * one a kernel has is data of its profile (`behaviours.pasidModel`).
 *
 * | model | an id names | the PASID comes from |
 * |---|---|---|
 * | slots, rfc-2023 | a HWPT or an IOAS of the device's context | the caller |
 * | aux-5.10 | an unmanaged domain | the domain: the caller's only says "not the whole device" |
 * | ioasid-2021 | an address-space id | the caller, for a mediated device on its parent |
 */
import { NO_PASID, type Pasid } from '../../address.ts';
import { assert, unreachable } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import type { AuxDevice, AuxDomains } from '../iommu/aux-domain.ts';
import type { PagingDomain } from '../iommu/ops.ts';
import type { KernelProfile } from '../kernel/profile.ts';
import type { KernelTask } from '../kernel/task.ts';
import { attachDevice, detachDevice, replaceDevice } from './auto-domain.ts';
import type { IommufdDevice } from './device.ts';
import type { Ioasid } from './ioasid-2021.ts';
import { RfcPasidTable } from './rfc-pasid.ts';

/** Attach, replace and detach for one device; results are 0 or a negative errno. */
export interface PasidCalls {
  attach(pasid: Pasid, id: number): KernelTask<number>;
  replace(pasid: Pasid, id: number): KernelTask<number>;
  detach(pasid: Pasid): KernelTask<number>;
}

/** What the calls work on; each model uses its part. */
export interface PasidWorld {
  /** The device as bound to an iommufd. */
  readonly bound?: IommufdDevice;
  /** The device under auxiliary domains. */
  readonly aux?: { readonly domains: AuxDomains; readonly target: AuxDevice };
  /** Unmanaged domains and address-space ids by number. */
  readonly domainOf?: (id: number) => PagingDomain | undefined;
  readonly ioasidOf?: (id: number) => Ioasid | undefined;
}

/** The calls of a kernel for the device of `world`. */
export function pasidCalls(profile: KernelProfile, world: PasidWorld): PasidCalls {
  const model = profile.behaviours.pasidModel;
  switch (model) {
    case 'none':
      return { attach: notSupported, replace: notSupported, detach: notSupported };
    case 'slots':
      return slotCalls(boundOf(world));
    case 'rfc-2023':
      return rfcCalls(new RfcPasidTable(boundOf(world)));
    case 'aux-5.10':
      return auxCalls(world);
    case 'ioasid-2021':
      return ioasidCalls(world);
    default:
      return unreachable(model);
  }
}

function boundOf(world: PasidWorld): IommufdDevice {
  assert(world.bound !== undefined, 'this kernel attaches devices that are bound to an iommufd');
  return world.bound;
}

function auxOf(world: PasidWorld): NonNullable<PasidWorld['aux']> {
  assert(world.aux !== undefined, 'this kernel attaches devices of the auxiliary-domain machine');
  return world.aux;
}

function slotCalls(device: IommufdDevice): PasidCalls {
  return {
    *attach(pasid, id) {
      return (yield* attachDevice(device, pasid, id)).error;
    },
    *replace(pasid, id) {
      return (yield* replaceDevice(device, pasid, id)).error;
    },
    *detach(pasid) {
      yield* detachDevice(device, pasid);
      return 0;
    },
  };
}

function rfcCalls(table: RfcPasidTable): PasidCalls {
  return {
    *attach(pasid, id) {
      return (yield* table.attach(pasid, id)).error;
    },
    *replace(pasid, id) {
      return (yield* table.replace(pasid, id)).error;
    },
    *detach(pasid) {
      yield* table.detach(pasid);
      return 0;
    },
  };
}

/** There was no replace: a caller detached and attached. ENOENT for an unknown domain. */
function auxCalls(world: PasidWorld): PasidCalls {
  const { domains, target } = auxOf(world);
  const attached = new Map<Pasid, PagingDomain>();
  return {
    *attach(pasid, id) {
      const domain = world.domainOf?.(id);
      if (domain === undefined) return -Errno.ENOENT;
      const whole = pasid === NO_PASID;
      const error = whole ? yield* domains.attachWhole(domain, target) : yield* domains.attach(domain, target);
      if (error === 0) attached.set(pasid, domain);
      return error;
    },
    replace: notSupported,
    *detach(pasid) {
      const domain = attached.get(pasid);
      if (domain === undefined) return 0;
      attached.delete(pasid);
      if (pasid === NO_PASID) yield* domains.detachWhole(target);
      else yield* domains.detach(domain, target);
      return 0;
    },
  };
}

function ioasidCalls(world: PasidWorld): PasidCalls {
  const { target } = auxOf(world);
  const attached = new Map<Pasid, Ioasid>();
  const pasidOf = (pasid: Pasid): Pasid | undefined => (pasid === NO_PASID ? undefined : pasid);
  return {
    *attach(pasid, id) {
      const ioasid = world.ioasidOf?.(id);
      if (ioasid === undefined) return -Errno.ENOENT;
      const error = yield* ioasid.attach(target, pasidOf(pasid));
      if (error === 0) attached.set(pasid, ioasid);
      return error;
    },
    replace: notSupported,
    *detach(pasid) {
      const ioasid = attached.get(pasid);
      if (ioasid === undefined) return -Errno.ENOENT;
      attached.delete(pasid);
      return yield* ioasid.detach(target, pasidOf(pasid));
    },
  };
}

function* notSupported(): KernelTask<number> {
  yield 0;
  return -Errno.EOPNOTSUPP;
}
