/** First open and last close of a device under an iommufd (vfio_df_open, vfio_df_close of drivers/vfio/vfio_main.c). */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDeviceFile } from './device-file.ts';

/**
 * Opens the device through its node: it must not be open at all. Binds, then runs open_device; a failure undoes the
 * bind. Sets the file's device id. The caller holds the device-set lock and has set the file's iommufd.
 */
export function* openFirst(file: VfioDeviceFile): KernelTask<number> {
  const { device } = file;
  if (device.openCount !== 0) return -Errno.EINVAL;
  const context = file.iommufd;
  assert(context !== undefined, `${device.name} opened without an iommufd`);
  device.openCount++;
  const id = yield* device.driver.bindIommufd(device, context);
  let error = Math.min(id, 0);
  if (error === 0 && device.driver.openDevice !== undefined) {
    error = yield* device.driver.openDevice(device);
    if (error !== 0) yield* device.driver.unbindIommufd(device);
  }
  if (error !== 0) device.openCount--;
  else file.deviceId = id;
  return error;
}

/** Closes what {@link openFirst} opened: close_device (stops DMA), then unbind (detaches). */
export function* releaseLast(file: VfioDeviceFile): KernelTask<void> {
  const { device } = file;
  assert(device.openCount === 1, `${device.name} closed with ${device.openCount} openers`);
  if (device.driver.closeDevice !== undefined) yield* device.driver.closeDevice(device);
  yield* device.driver.unbindIommufd(device);
  device.openCount--;
  file.deviceId = 0;
}
