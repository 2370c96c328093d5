/** An open file of a device, through its node or through the group (struct vfio_device_file). */
import { Errno } from '../../errno.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import { FileReferences } from '../kernel/file-references.ts';
import type { OpenFile } from '../kernel/file-table.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import type { VfioGroup } from './group-state.ts';

/** An open device file. */
export class VfioDeviceFile implements OpenFile {
  readonly file: FileReferences;
  readonly device: VfioDevice;
  /** Set only for files made through a group. */
  readonly group: VfioGroup | undefined;
  /** Set once, as the last step of a successful open or bind; never cleared. */
  accessGranted = false;
  /** The iommufd this file is bound to. */
  iommufd: IommufdContext | undefined;
  /** Object id of the device in {@link iommufd}; 0 = none. */
  deviceId = 0;
  /** VM set by KVM for this file. */
  vm: object | undefined;

  /** `release` runs when the last descriptor is closed. */
  constructor(
    device: VfioDevice,
    group: VfioGroup | undefined,
    release: (file: VfioDeviceFile) => KernelTask<unknown>,
  ) {
    this.device = device;
    this.group = group;
    this.file = new FileReferences(() => this.#release(release));
    device.fileCount++;
  }

  /** A file that was made for an open that failed. */
  discard(): void {
    this.device.putFile();
  }

  *#release(release: (file: VfioDeviceFile) => KernelTask<unknown>): KernelTask<void> {
    yield* release(this);
    this.device.putFile();
  }
}

/** Every call on a device file but BIND needs access, and wakes the device: 0 or -EINVAL. */
export function checkAccess(file: VfioDeviceFile): number {
  if (!file.accessGranted) return -Errno.EINVAL;
  file.device.driver.lowPower?.wake();
  return 0;
}
