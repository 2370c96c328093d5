/**
 * A machine whose IOMMU is off, with unsafe no-IOMMU mode on: every vfio-pci device sits in a fake group of its own. The
 * groups are numbered in the order in which the recorded machine bound its devices.
 */
import type { Kernel } from '../../stack/kernel/kernel.ts';
import type { VfioDevice } from '../../stack/vfio/device.ts';
import { MttyDriver } from '../../stack/vfio/mdev-driver.ts';
import { STANDARD_VFIO_BUILD, vfioProfile } from '../../stack/vfio/profile.ts';
import { VfioRegistry } from '../../stack/vfio/registration.ts';
import { VfioPciDriver } from '../../stack/vfio/vfio-pci.ts';
import { resetScopeOf } from './reset-scope.ts';
import { MEDIATED_DEVICE, pciName, TRANSCRIPT_TOPOLOGY } from './topology.ts';
import type { VfioMachine } from './vfio-machine.ts';

/** Order of binding: those behind root ports first. */
const BIND_ORDER = ['edu0', 'nvme0', 'edu3', 'edu4', 'edu1', 'edu2'];

/** The booted machine. */
export class NoIommuMachine implements VfioMachine {
  readonly registry: VfioRegistry;
  readonly vfioDevices = new Map<string, VfioDevice>();

  constructor(kernel: Kernel) {
    const profile = vfioProfile(kernel.profile.version);
    const build = { ...STANDARD_VFIO_BUILD, container: false, iommufdContainer: true, enableUnsafeNoIommu: true };
    let nextGroup = 0;
    this.registry = new VfioRegistry(kernel, profile, build, () => nextGroup++);
    for (const name of BIND_ORDER) {
      const topology = TRANSCRIPT_TOPOLOGY.find((each) => each.name === name);
      if (topology === undefined) continue;
      const driver = new VfioPciDriver(topology.information, profile, build);
      driver.affectedFunctions = () =>
        resetScopeOf(topology, this.vfioDevices, (member) => this.vfioDevices.get(member)?.group.id);
      const parts = { name: pciName(topology), driver, hardware: undefined, iommuGroup: undefined };
      const device = this.registry.registerPhysical(parts, topology.resetKey);
      if (typeof device !== 'number') this.vfioDevices.set(name, device);
    }
    const mediated = this.registry.registerEmulated({
      name: MEDIATED_DEVICE,
      driver: new MttyDriver(),
      hardware: undefined,
      iommuGroup: undefined,
    });
    this.vfioDevices.set(MEDIATED_DEVICE, mediated);
  }
}
