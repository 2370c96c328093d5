/**
 * Whether a group may be used at all, as it was judged before DMA had owners (vfio_group_viable, vfio_dev_viable of Linux
 * 5.2 .. 5.18, drivers/vfio/vfio.c): every device of the IOMMU group must be harmless or VFIO's own.
 */
import type { VfioGroup } from './group-state.ts';

/** Drivers that never do DMA (vfio_driver_allowed). */
const ALLOWED_DRIVERS: ReadonlySet<string> = new Set(['pci-stub']);
const VFIO_DRIVER_PREFIX = 'vfio';

/** No driver, a stub, a bridge whatever its driver, or a VFIO device. A machine that tells nothing has only such. */
export function isViable(group: VfioGroup): boolean {
  const members = group.members?.() ?? [];
  return members.every(
    ({ driver, isBridge }) =>
      driver === undefined || isBridge || ALLOWED_DRIVERS.has(driver) || driver.startsWith(VFIO_DRIVER_PREFIX),
  );
}
