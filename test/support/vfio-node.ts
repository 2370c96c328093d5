/** A vfio-pci device in front of a self-test device, its node and the ioctls on it with plain arguments. */
import { MockDeviceFlag } from '../../src/stack/drivers/mock/constants.ts';
import type { MockDevice } from '../../src/stack/drivers/mock/mock-device.ts';
import { IommufdFile } from '../../src/stack/iommufd/iommufd-file.ts';
import { FileTable } from '../../src/stack/kernel/file-table.ts';
import type { KernelVersion } from '../../src/stack/kernel/profile.ts';
import { attachPt, bindIommufd, detachPt, openCdev } from '../../src/stack/vfio/cdev.ts';
import type { VfioDevice } from '../../src/stack/vfio/device.ts';
import type { VfioDeviceFile } from '../../src/stack/vfio/device-file.ts';
import { STANDARD_VFIO_BUILD, type VfioProfile, vfioProfile } from '../../src/stack/vfio/profile.ts';
import { VfioRegistry } from '../../src/stack/vfio/registration.ts';
import { VfioPciDriver } from '../../src/stack/vfio/vfio-pci.ts';
import { MockMachine } from './mock-machine.ts';

const FUNCTION = { resettable: true, isPcie: true, hasVga: false, regions: [], irqs: [] };

/** Machine, registry and descriptor table of one test. */
export class VfioBench {
  readonly machine: MockMachine;
  readonly profile: VfioProfile;
  readonly registry: VfioRegistry;
  readonly files = new FileTable();

  constructor(version: KernelVersion = 'L73') {
    this.machine = new MockMachine(version);
    this.profile = vfioProfile(version);
    this.registry = new VfioRegistry(this.machine.kernel, this.profile, STANDARD_VFIO_BUILD, () => 100);
  }

  /** Registered devices of one group, one for each flags word. */
  devices(...flags: number[]): VfioDevice[] {
    const { group, devices } = this.machine.group(...flags);
    return devices.map((hardware: MockDevice) => {
      const driver = new VfioPciDriver(FUNCTION, this.profile, STANDARD_VFIO_BUILD);
      const made = this.registry.registerPhysical({ name: hardware.name, driver, hardware, iommuGroup: group });
      if (typeof made === 'number') throw new Error(`registration failed with ${made}`);
      return made;
    });
  }

  /** One device with PASIDs, alone in its group. */
  device(): VfioDevice {
    return this.devices(MockDeviceFlag.pasid)[0] as VfioDevice;
  }

  /** Descriptor of a new /dev/iommu. */
  openIommufd(): number {
    return this.files.install(new IommufdFile(this.machine.newContext()));
  }

  /** The file of an open node, installed. */
  open(device: VfioDevice): { readonly fd: number; readonly file: VfioDeviceFile } {
    const file = openCdev(device);
    if (typeof file === 'number') throw new Error(`open failed with ${file}`);
    return { fd: this.files.install(file), file };
  }

  bind(file: VfioDeviceFile, iommufd: number, options: Partial<Parameters<typeof bindIommufd>[2]> = {}): number {
    const command = {
      argsz: 24,
      flags: 0,
      iommufd,
      token: undefined,
      hasUnknownTail: false,
      copyOut: () => 0,
      ...options,
    };
    return this.machine.kernel.run(bindIommufd(file, this.profile, command, this.files));
  }

  /** The page table in use, or errno. `pasid` sets the PASID flag. */
  attach(file: VfioDeviceFile, ptId: number, pasid?: number, copyOut?: (ptId: number) => number): number {
    let used = 0;
    const command = {
      argsz: 16,
      flags: pasid === undefined ? 0 : 1,
      ptId,
      pasid: pasid ?? 0,
      copyOut:
        copyOut ??
        ((id: number) => {
          used = id;
          return 0;
        }),
    };
    const error = this.machine.kernel.run(attachPt(file, this.profile, command));
    return error === 0 ? used : error;
  }

  detach(file: VfioDeviceFile, pasid?: number): number {
    const command = { argsz: 12, flags: pasid === undefined ? 0 : 1, pasid: pasid ?? 0 };
    return this.machine.kernel.run(detachPt(file, this.profile, command));
  }

  close(fd: number): void {
    this.machine.kernel.run(this.files.close(fd));
  }
}
