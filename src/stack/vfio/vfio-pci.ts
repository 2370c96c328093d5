/** The vfio-pci driver: physical devices bound to iommufd, bus mastering, VF tokens (Linux drivers/vfio/pci). */
import { Errno } from '../../errno.ts';
import type { PageTableChange } from '../iommufd/auto-domain.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice, VfioDriver, VfioPasidOps } from './device.ts';
import type { DeviceInformation } from './device-info.ts';
import { bindEmulated, unbindEmulated } from './emulated.ts';
import type { AffectedFunction } from './hot-reset.ts';
import {
  attachPhysical,
  attachPhysicalPasid,
  bindPhysical,
  detachPhysical,
  detachPhysicalPasid,
  unbindPhysical,
} from './iommufd-glue.ts';
import { LowPower } from './low-power.ts';
import type { VfioBuild, VfioProfile } from './profile.ts';
import { parseDeviceString, type TokenState } from './vf-token.ts';

/** One vfio-pci device's driver instance. */
export class VfioPciDriver implements VfioDriver {
  readonly name = 'vfio-pci';
  readonly information: DeviceInformation;
  readonly pasid?: VfioPasidOps;
  readonly lowPower = new LowPower();
  readonly #profile: VfioProfile;
  readonly #build: VfioBuild;
  /** Bus master bit of the command register: DMA reaches the IOMMU only while set. */
  busMaster = false;
  /** What a slot or bus reset would affect; set by whoever knows the topology, absent where neither is possible. */
  affectedFunctions: (() => readonly AffectedFunction[] | undefined) | undefined;
  /** Present on a PF with SR-IOV enabled through vfio-pci. */
  ownTokens: TokenState | undefined;
  /** Present on a VF whose PF is driven by vfio-pci. */
  pfTokens: TokenState | undefined;

  constructor(information: DeviceInformation, profile: VfioProfile, build: VfioBuild) {
    this.information = information;
    this.#profile = profile;
    this.#build = build;
    if (profile.pasid) this.pasid = { attach: attachPhysicalPasid, detach: detachPhysicalPasid };
  }

  bindIommufd(device: VfioDevice, context: Parameters<VfioDriver['bindIommufd']>[1]): KernelTask<number> {
    if (this.#bindsAccess(device)) return bindEmulated(device, context);
    return bindPhysical(device, context, this.#build.iommufdUnsafeInterrupts);
  }

  unbindIommufd(device: VfioDevice): KernelTask<void> {
    return this.#bindsAccess(device) ? unbindEmulated(device) : unbindPhysical(device);
  }

  attachIoas(device: VfioDevice, pageTableId: number): ReturnType<VfioDriver['attachIoas']> {
    return this.#bindsAccess(device) ? attachNothing(pageTableId) : attachPhysical(device, pageTableId);
  }

  detachIoas(device: VfioDevice): KernelTask<void> {
    return this.#bindsAccess(device) ? detachNothing() : detachPhysical(device);
  }

  /** v11 of the device-node series: without IOMMU there is only an access, to have an id. */
  #bindsAccess(device: VfioDevice): boolean {
    return device.isNoIommu && this.#profile.noIommuAccess;
  }

  /** vfio_pci_core_enable: bus mastering goes off before the state snapshot and stays off until the user sets it. */
  *openDevice(): KernelTask<number> {
    yield 0;
    this.busMaster = false;
    if (this.pfTokens !== undefined) this.pfTokens.users++;
    return 0;
  }

  /** vfio_pci_core_disable. */
  *closeDevice(): KernelTask<void> {
    yield 0;
    this.busMaster = false;
    this.lowPower.leave();
    if (this.pfTokens !== undefined) this.pfTokens.users--;
  }

  resetScope(): readonly AffectedFunction[] | undefined {
    return this.affectedFunctions?.();
  }

  /** vfio_pci_core_match: the PCI name, perhaps with a token. */
  matchName(device: VfioDevice, text: string): number {
    const given = parseDeviceString(device.name, text);
    if (given === undefined) return 0;
    if (typeof given === 'number') return given;
    const refused = this.matchToken(device, given.token);
    return refused === 0 ? 1 : refused;
  }

  /** vfio_pci_validate_vf_token: EACCES wrong or missing, EINVAL given where none belongs. */
  matchToken(_device: VfioDevice, token: Uint8Array | undefined): number {
    if (this.pfTokens !== undefined) return sameToken(token, this.pfTokens.token) ? 0 : -Errno.EACCES;
    const own = this.ownTokens;
    if (own === undefined) return token === undefined ? 0 : -Errno.EINVAL;
    if (own.users > 0) return sameToken(token, own.token) ? 0 : -Errno.EACCES;
    if (token !== undefined) own.token = token.slice();
    return 0;
  }
}

function sameToken(given: Uint8Array | undefined, expected: Uint8Array): boolean {
  return given !== undefined && given.length === expected.length && given.every((byte, at) => byte === expected[at]);
}

function* attachNothing(pageTableId: number): KernelTask<PageTableChange> {
  yield 0;
  return { error: 0, pageTableId };
}

function* detachNothing(): KernelTask<void> {
  yield 0;
}
