/**
 * Opening and closing devices through their group (vfio_df_group_open, vfio_df_group_close of Linux
 * drivers/vfio/group.c). Any number of files of one device may be open this way; only the first opens the device.
 */
import { Errno } from '../../errno.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import { VfioDeviceFile } from './device-file.ts';
import type { VfioGroup } from './group-state.ts';

/** A file for a device of the group, open and with access; or errno. */
export function* openThroughGroup(
  group: VfioGroup,
  device: VfioDevice,
  process: Process,
): KernelTask<VfioDeviceFile | number> {
  const file = new VfioDeviceFile(device, group, closeThroughGroup);
  if (!group.lock.tryAcquire()) yield group.lock.queue;
  let error: number = -Errno.EINVAL;
  if (group.container !== undefined || group.iommufd !== undefined) {
    if (!device.set.lock.tryAcquire()) yield device.set.lock.queue;
    error = yield* openLocked(group, file, process);
    device.set.lock.release();
  }
  group.lock.release();
  if (error === 0) return file;
  file.discard();
  return error;
}

/**
 * Errors in check order: EPERM no IOMMU without CAP_SYS_RAWIO, or with mappings possible; first open: bind errno, or
 * EINVAL container without backend, EPERM; open_device errno; ENODEV no compatible IOAS, attach errno.
 */
function* openLocked(group: VfioGroup, file: VfioDeviceFile, process: Process): KernelTask<number> {
  const { device } = file;
  const first = device.openCount === 0;
  if (first) device.vm = group.vm;
  file.iommufd = group.iommufd;
  let error = 0;
  if (file.iommufd !== undefined && device.isNoIommu && first) {
    // A compatible IOAS says that the user expects translation.
    if (!process.canUseRawIo || file.iommufd.vfioIoas !== undefined) error = -Errno.EPERM;
  }
  if (error === 0) {
    device.openCount++;
    if (first) error = yield* openDevice(file, process);
    if (error !== 0) device.openCount--;
  }
  if (error === 0 && first && file.iommufd !== undefined) {
    error = yield* attachCompat(file);
    if (error !== 0) {
      yield* closeDevice(file);
      device.openCount--;
    }
  }
  if (error !== 0) {
    file.iommufd = undefined;
    if (device.openCount === 0) device.vm = undefined;
    return error;
  }
  // Published last: nobody may see access granted with an earlier step missing.
  file.accessGranted = true;
  return 0;
}

/** vfio_df_device_first_open: the I/O address space first, then the device itself. */
function* openDevice(file: VfioDeviceFile, process: Process): KernelTask<number> {
  const { device } = file;
  const error = file.iommufd !== undefined ? yield* bindDevice(file) : useContainer(device, process);
  if (error !== 0) return error;
  const opened = device.driver.openDevice === undefined ? 0 : yield* device.driver.openDevice(device);
  // The caller's own descriptor holds the group file: this cannot be its last reference.
  if (opened !== 0) yield* dropGroupFile(yield* leaveAddressSpace(file));
  return opened;
}

/** vfio_df_iommufd_bind: a device without IOMMU binds to nothing on this path. */
function* bindDevice(file: VfioDeviceFile): KernelTask<number> {
  const { device, iommufd } = file;
  if (iommufd === undefined || device.isNoIommu) return 0;
  const id = yield* device.driver.bindIommufd(device, iommufd);
  if (id < 0) return id;
  file.deviceId = id;
  return 0;
}

/** vfio_iommufd_compat_attach_ioas: ENODEV without compatible IOAS. */
function* attachCompat(file: VfioDeviceFile): KernelTask<number> {
  const { device, iommufd } = file;
  if (iommufd === undefined || device.isNoIommu) return 0;
  if (iommufd.vfioIoas === undefined) return -Errno.ENODEV;
  return (yield* device.driver.attachIoas(device, iommufd.vfioIoas.id)).error;
}

/** vfio_device_group_use_iommu: the open device keeps the group, and its file, in the container. */
function useContainer(device: VfioDevice, process: Process): number {
  const { group } = device;
  const backend = group.container?.backend;
  if (backend === undefined) return -Errno.EINVAL;
  if (group.type === 'no-iommu' && !process.canUseRawIo) return -Errno.EPERM;
  group.openedFile?.file.get();
  group.containerUsers++;
  backend.registerDevice(device);
  return 0;
}

/** Undoes bind or use; the group if a reference on its file is to be dropped once no lock is held. */
function* leaveAddressSpace(file: VfioDeviceFile): KernelTask<VfioGroup | undefined> {
  const { device } = file;
  const { group } = device;
  if (file.iommufd !== undefined) {
    if (!device.isNoIommu) yield* device.driver.unbindIommufd(device);
    file.deviceId = 0;
    return undefined;
  }
  group.container?.backend?.unregisterDevice(device);
  group.containerUsers--;
  return group;
}

/** vfio_df_device_last_close. */
function* closeDevice(file: VfioDeviceFile): KernelTask<VfioGroup | undefined> {
  const { device } = file;
  if (device.driver.closeDevice !== undefined) yield* device.driver.closeDevice(device);
  return yield* leaveAddressSpace(file);
}

/** Release of a file made by {@link openThroughGroup}; the last one closes the device. */
export function* closeThroughGroup(file: VfioDeviceFile): KernelTask<void> {
  if (!file.accessGranted) return;
  const { device } = file;
  const { group, set } = device;
  if (!group.lock.tryAcquire()) yield group.lock.queue;
  if (!set.lock.tryAcquire()) yield set.lock.queue;
  let held: VfioGroup | undefined;
  if (device.openCount === 1) held = yield* closeDevice(file);
  device.openCount--;
  file.iommufd = undefined;
  if (device.openCount === 0) device.vm = undefined;
  set.lock.release();
  group.lock.release();
  yield* dropGroupFile(held);
}

/** Drops the reference an open device held on its group's file (fput). */
function* dropGroupFile(group: VfioGroup | undefined): KernelTask<void> {
  if (group?.openedFile !== undefined) yield* group.openedFile.file.put();
}
