/**
 * Low power of vfio-pci devices on the user's demand: VFIO_DEVICE_FEATURE_LOW_POWER_* (Linux
 * drivers/vfio/pci/vfio_pci_core.c). Any call on the device wakes it for its duration; with a wake-up descriptor the
 * first wake ends the state.
 *
 * APPROX: the device is suspended as soon as the state is entered.
 */
import { Errno } from '../../errno.ts';
import { EventFd } from '../kernel/event-fd.ts';
import { checkFeature, type DeviceFeatureCommand, type FeatureCaller, FeatureFlag } from './feature-command.ts';

/** [bytes] struct vfio_device_low_power_entry_with_wakeup. */
const WAKEUP_BYTES = 8;

/** Low-power state of one device. */
export class LowPower {
  #engaged = false;
  #wakeup: EventFd | undefined;

  /** The user has let the device go to sleep; mapped registers fault until it leaves the state. */
  get engaged(): boolean {
    return this.#engaged;
  }

  /** ENTRY: common checks, EINVAL entered already. */
  enter(command: DeviceFeatureCommand): number {
    const checked = checkFeature(command, FeatureFlag.set, 0);
    return checked === 1 ? this.#enter(undefined) : checked;
  }

  /** ENTRY_WITH_WAKEUP: common checks, EFAULT, EINVAL negative descriptor, EBADF, EINVAL no eventfd, entered already. */
  enterWithWakeup(command: DeviceFeatureCommand, caller: FeatureCaller): number {
    const checked = checkFeature(command, FeatureFlag.set, WAKEUP_BYTES);
    if (checked !== 1) return checked;
    const data = command.readData(WAKEUP_BYTES);
    if (data === undefined) return -Errno.EFAULT;
    const fd = new DataView(data.buffer, data.byteOffset, data.byteLength).getInt32(0, true);
    if (fd < 0) return -Errno.EINVAL;
    const file = caller.files.get(fd);
    if (file === undefined) return -Errno.EBADF;
    return file instanceof EventFd ? this.#enter(file) : -Errno.EINVAL;
  }

  /** EXIT: common checks, then always 0. */
  exit(command: DeviceFeatureCommand): number {
    const checked = checkFeature(command, FeatureFlag.set, 0);
    if (checked !== 1) return checked;
    this.leave();
    return 0;
  }

  /** A call on the device, or an event of its own, wakes it (vfio_pci_core_runtime_resume). */
  wake(): void {
    if (this.#wakeup === undefined) return;
    this.#wakeup.signal();
    this.leave();
  }

  /** The state ends: EXIT, or the last close. */
  leave(): void {
    this.#engaged = false;
    this.#wakeup = undefined;
  }

  #enter(wakeup: EventFd | undefined): number {
    if (this.#engaged) return -Errno.EINVAL;
    this.#engaged = true;
    this.#wakeup = wakeup;
    return 0;
  }
}
