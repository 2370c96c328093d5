/**
 * Resetting a whole slot or bus: what it would affect and who may do it (VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
 * VFIO_DEVICE_PCI_HOT_RESET, Linux drivers/vfio/pci/vfio_pci_core.c). No attachment, mapping or binding changes; the
 * command register is as before afterwards.
 */
import { Errno } from '../../errno.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import { VfioGroupFile } from './group-file.ts';
import type { VfioGroup } from './group-state.ts';

/** A function that a reset takes along. */
export interface AffectedFunction {
  readonly segment: number;
  readonly bus: number;
  /** Device << 3 | function. */
  readonly devfn: number;
  /** Number of its IOMMU group; undefined outside any group. */
  readonly groupId: number | undefined;
  /** Registered with VFIO. */
  readonly device: VfioDevice | undefined;
}

/** VFIO_PCI_HOT_RESET_FLAG_*. */
const InfoFlag = { deviceId: 1, deviceIdOwned: 2 } as const;
/** VFIO_PCI_DEVID_OWNED, VFIO_PCI_DEVID_NOT_OWNED. */
const OWNED = 0;
const NOT_OWNED = -1;
/** [bytes] Header of both structures, and one dependent device. */
const HEADER_BYTES = 12;
const DEVICE_BYTES = 8;
const FD_BYTES = 4;

/**
 * vfio_iommufd_get_dev_id as user space sees it: the id in `context`; 0 for an unbound device whose group is owned
 * through another one; -1 for everything else, emulated devices included.
 */
function deviceIdIn(device: VfioDevice, context: IommufdContext | undefined): number {
  if (context === undefined) return NOT_OWNED;
  if (device.iommufdDevice?.context === context) return device.iommufdDevice.id;
  const { iommuGroup } = device.group;
  return iommuGroup !== undefined && context.groups.has(iommuGroup) ? OWNED : NOT_OWNED;
}

function contextOf(device: VfioDevice): IommufdContext | undefined {
  return device.iommufdDevice?.context ?? device.iommufdAccess?.context;
}

/**
 * GET_PCI_HOT_RESET_INFO with the structure at `address`. Errors in check order: EFAULT; EINVAL argsz; ENODEV no slot or
 * bus reset; ENOSPC with the count told; EPERM a function without group (group path); EFAULT.
 */
export function* getHotResetInfo(device: VfioDevice, process: Process, address: bigint): KernelTask<number> {
  const header = process.memory.read(address, HEADER_BYTES);
  if (header === undefined) return -Errno.EFAULT;
  const view = new DataView(header.buffer);
  const argsz = view.getUint32(0, true);
  if (argsz < HEADER_BYTES) return -Errno.EINVAL;
  const affected = device.driver.resetScope?.();
  if (affected === undefined) return -Errno.ENODEV;
  view.setUint32(4, 0, true);
  view.setUint32(8, affected.length, true);
  if (affected.length * DEVICE_BYTES > argsz - HEADER_BYTES) {
    return process.memory.write(address, header) ? -Errno.ENOSPC : -Errno.EFAULT;
  }
  const { set } = device;
  if (!set.lock.tryAcquire()) yield set.lock.queue;
  const list = new Uint8Array(affected.length * DEVICE_BYTES);
  const flags = device.cdevOpened ? listByDevice(device, affected, list) : listByGroup(affected, list);
  set.lock.release();
  if (flags < 0) {
    view.setUint32(8, 0, true);
    return process.memory.write(address, header) ? flags : -Errno.EFAULT;
  }
  view.setUint32(4, flags, true);
  const written = process.memory.write(address + BigInt(HEADER_BYTES), list) && process.memory.write(address, header);
  return written ? 0 : -Errno.EFAULT;
}

/** Entries with device ids, and the flags that say whether all are owned. */
function listByDevice(device: VfioDevice, affected: readonly AffectedFunction[], list: Uint8Array): number {
  const context = contextOf(device);
  let flags: number = InfoFlag.deviceId | InfoFlag.deviceIdOwned;
  for (const [index, each] of affected.entries()) {
    const member = each.device !== undefined && device.set.devices.includes(each.device) ? each.device : undefined;
    const id = member === undefined ? NOT_OWNED : deviceIdIn(member, context);
    if (id === NOT_OWNED) flags &= ~InfoFlag.deviceIdOwned;
    writeEntry(list, index, id, each);
  }
  return flags;
}

/** Entries with group numbers; -EPERM for a function outside any group. */
function listByGroup(affected: readonly AffectedFunction[], list: Uint8Array): number {
  for (const [index, each] of affected.entries()) {
    if (each.groupId === undefined) return -Errno.EPERM;
    writeEntry(list, index, each.groupId, each);
  }
  return 0;
}

function writeEntry(list: Uint8Array, index: number, id: number, { segment, bus, devfn }: AffectedFunction): void {
  const view = new DataView(list.buffer);
  const at = index * DEVICE_BYTES;
  view.setInt32(at, id, true);
  view.setUint16(at + 4, segment, true);
  view.setUint8(at + 6, bus);
  view.setUint8(at + 7, devfn);
}

/**
 * PCI_HOT_RESET with the structure at `address`. Errors in check order: EFAULT; EINVAL argsz or flags; EINVAL descriptors
 * given on the device-node path or missing on the group path; ENODEV; EINVAL more descriptors than functions, EFAULT,
 * EBADF, EINVAL not a group; EINVAL a function is no member of the set, or a member is not owned.
 */
export function* hotReset(device: VfioDevice, process: Process, address: bigint): KernelTask<number> {
  const header = process.memory.read(address, HEADER_BYTES);
  if (header === undefined) return -Errno.EFAULT;
  const view = new DataView(header.buffer);
  if (view.getUint32(0, true) < HEADER_BYTES || view.getUint32(4, true) !== 0) return -Errno.EINVAL;
  const count = view.getUint32(8, true);
  if ((count !== 0) === device.cdevOpened) return -Errno.EINVAL;
  const affected = device.driver.resetScope?.();
  if (affected === undefined) return -Errno.ENODEV;
  if (count === 0) {
    const context = contextOf(device);
    return yield* resetSet(device, affected, (member) => deviceIdIn(member, context) !== NOT_OWNED);
  }
  if (count > affected.length) return -Errno.EINVAL;
  const groups = readGroups(process, address + BigInt(HEADER_BYTES), count);
  if (typeof groups === 'number') return groups;
  return yield* resetSet(device, affected, (member) => groups.has(member.group));
}

/** Groups named by an array of descriptors. Only group files prove ownership; device files are refused. */
function readGroups(process: Process, address: bigint, count: number): Set<VfioGroup> | number {
  const bytes = process.memory.read(address, count * FD_BYTES);
  if (bytes === undefined) return -Errno.EFAULT;
  const view = new DataView(bytes.buffer);
  const groups = new Set<VfioGroup>();
  for (let index = 0; index < count; index++) {
    const file = process.files.get(view.getInt32(index * FD_BYTES, true));
    if (file === undefined) return -Errno.EBADF;
    if (!(file instanceof VfioGroupFile)) return -Errno.EINVAL;
    groups.add(file.group);
  }
  return groups;
}

/** vfio_pci_dev_set_hot_reset: every function is a VFIO device of the set, and the caller owns every member. */
function* resetSet(
  device: VfioDevice,
  affected: readonly AffectedFunction[],
  isOwned: (member: VfioDevice) => boolean,
): KernelTask<number> {
  const { set } = device;
  if (!set.lock.tryAcquire()) yield set.lock.queue;
  const inSet = affected.every((each) => each.device !== undefined && set.devices.includes(each.device));
  const error = inSet && set.devices.every(isOwned) ? 0 : -Errno.EINVAL;
  set.lock.release();
  return error;
}
