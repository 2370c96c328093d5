/**
 * Pinning by page frame numbers of the user's address space, as drivers called it until Linux 5.19 (vfio_pin_pages of
 * drivers/vfio/vfio.c then).
 */
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import { isViable } from './viability.ts';

/** Pages one call may pin (VFIO_PIN_PAGES_MAX_ENTRIES). */
const PAGES_MAX = 512;
const PAGE = 4096n;

/**
 * Pins the pages with those user page numbers and stores their frames; returns how many. Errors in check order: EINVAL no
 * page; E2BIG; EINVAL group with more than one device, no container or backend, not viable; then as type1's.
 */
export function* pinUserPages(
  device: VfioDevice,
  userPfns: readonly number[],
  prot: number,
  pfns: number[],
): KernelTask<number> {
  if (userPfns.length === 0) return -Errno.EINVAL;
  if (userPfns.length > PAGES_MAX) return -Errno.E2BIG;
  const { group } = device;
  const memory = group.container?.backend?.memory;
  if (group.devices.length > 1 || memory === undefined || !isViable(group)) return -Errno.EINVAL;
  const iovas = userPfns.map((pfn) => BigInt(pfn) * PAGE);
  return yield* memory.pinList(group, iovas, prot, pfns);
}
