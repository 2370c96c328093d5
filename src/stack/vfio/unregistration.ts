/**
 * A device leaves VFIO while user space may still hold it (vfio_unregister_group_dev of Linux drivers/vfio/vfio_main.c,
 * vfio_device_remove_group of group.c).
 */
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import type { VfioRegistry } from './registration.ts';

/**
 * Hides the device, asks its driver to make users let go, waits for every open file, and drops it. With the last device
 * the group leaves its container, although its file may stay open.
 *
 * APPROX: the driver is asked once, not every ten seconds.
 */
export function* unregisterDevice(registry: VfioRegistry, device: VfioDevice): KernelTask<void> {
  registry.hide(device);
  if (device.fileCount > 0) {
    device.driver.request?.(device);
    yield device.filesGone;
  }
  registry.drop(device);
  const { group } = device;
  if (group.driverCount > 0) return;
  if (!group.lock.tryAcquire()) yield group.lock.queue;
  if (group.container !== undefined) yield* group.container.detachGroup(group);
  group.iommuGroup = undefined;
  group.lock.release();
}
