/**
 * Slots of a group: one page table each, shared by the group's devices (iommufd_hw_pagetable_attach, _detach and
 * iommufd_device_do_replace of Linux drivers/iommu/iommufd/device.c). A failure leaves slots, handles and references as
 * they were, except for what the comments name.
 */
import type { Pasid } from '../../address.ts';
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import { coreAttach, coreDetach, coreReplace } from './core-attach.ts';
import type { IommufdDevice } from './device.ts';
import { type Hwpt, pagingOf } from './hwpt.ts';
import type { AttachSlot } from './igroup.ts';

/** Reserved regions apply to the RID only. */
function appliesRegions(pasid: Pasid): boolean {
  return pasid === 0;
}

/** Checks on a slot that has a page table already; `undefined` = go on. */
function checkOccupied(device: IommufdDevice, slot: AttachSlot, hwpt: Hwpt): number {
  if (device.context.profile.pasidAttach) {
    if (slot.devices.has(device)) return -Errno.EBUSY;
    return slot.hwpt === hwpt ? 0 : -Errno.EINVAL;
  }
  if (slot.hwpt !== hwpt) return -Errno.EINVAL;
  // APPROX: Linux 6.12 would corrupt its device list here; no caller in the kernel does it.
  return slot.devices.has(device) ? -Errno.EBUSY : 0;
}

function enforceRegions(device: IommufdDevice, hwpt: Hwpt): number {
  const regions = device.device.driver.reservedRegions(device.device);
  const error = pagingOf(hwpt).ioas.enforceDeviceReserved(device.device, regions);
  if (error === 0) {
    const swMsi = regions.find((region) => region.type === 'sw-msi');
    if (swMsi !== undefined) device.igroup.swMsiStart ??= swMsi.start;
  }
  return error;
}

function dropRegions(devices: Iterable<IommufdDevice>, hwpt: Hwpt): void {
  const ioas = pagingOf(hwpt).ioas;
  for (const device of devices) ioas.removeReserved(device.device);
}

function* attachLocked(device: IommufdDevice, pasid: Pasid, hwpt: Hwpt): KernelTask<number> {
  const igroup = device.igroup;
  const slot = igroup.slots.get(pasid);
  if (slot !== undefined) {
    const refused = checkOccupied(device, slot, hwpt);
    if (refused !== 0) return refused;
  }
  if (appliesRegions(pasid)) {
    const error = enforceRegions(device, hwpt);
    if (error !== 0) return error;
  }
  if (slot !== undefined) {
    slot.devices.add(device);
  } else {
    const error = yield* coreAttach(device, pasid, hwpt);
    if (error !== 0) {
      if (appliesRegions(pasid)) dropRegions([device], hwpt);
      return error;
    }
    igroup.slots.set(pasid, { hwpt, devices: new Set([device]) });
  }
  hwpt.users++;
  return 0;
}

/**
 * Attaches `device` to a given page table at `pasid` (0 = RID). Only the first device of a slot touches the hardware.
 * Errors in check order: EBUSY device already in the slot (Linux 6.15), EINVAL slot holds another page table, region
 * errno, VF and PASID rules EINVAL, core errno.
 */
export function* attachToSlot(device: IommufdDevice, pasid: Pasid, hwpt: Hwpt): KernelTask<number> {
  const lock = device.igroup.lock;
  if (!lock.tryAcquire()) yield lock.queue;
  const error = yield* attachLocked(device, pasid, hwpt);
  lock.release();
  return error;
}

/** Regions of every device of the slot in the new IOAS; none when the IOAS stays the same. */
function enforceSlotRegions(slot: AttachSlot, hwpt: Hwpt): number {
  if (pagingOf(slot.hwpt).ioas === pagingOf(hwpt).ioas) return 0;
  for (const member of slot.devices) {
    const regions = member.device.driver.reservedRegions(member.device);
    const error = pagingOf(hwpt).ioas.enforceDeviceReserved(member.device, regions);
    if (error !== 0) {
      dropRegions(slot.devices, hwpt);
      return error;
    }
  }
  return 0;
}

function* replaceLocked(device: IommufdDevice, pasid: Pasid, hwpt: Hwpt): KernelTask<Hwpt | number> {
  const slot = device.igroup.slots.get(pasid);
  if (slot === undefined || !slot.devices.has(device)) return -Errno.EINVAL;
  const old = slot.hwpt;
  if (old === hwpt) return 0;
  if (appliesRegions(pasid)) {
    const error = enforceSlotRegions(slot, hwpt);
    if (error !== 0) return error;
  }
  const error = yield* coreReplace(device, pasid, hwpt, old);
  if (error !== 0) {
    // Also when both page tables share the IOAS and nothing was added: the devices' regions then leave an IOAS they are
    // still attached to (as the kernel's error path does).
    if (appliesRegions(pasid)) dropRegions(slot.devices, hwpt);
    return error;
  }
  if (appliesRegions(pasid) && pagingOf(old).ioas !== pagingOf(hwpt).ioas) dropRegions(slot.devices, old);
  slot.hwpt = hwpt;
  const moved = slot.devices.size;
  hwpt.users += moved;
  // One reference on the old page table stays for the caller, who drops it without locks.
  old.users -= moved - 1;
  return old;
}

/**
 * Moves the slot of `device` to another page table. Returns the old one, whose last reference the caller must put; 0
 * when it was there already; else a negative errno: EINVAL (slot empty, device not in it, PASID rules), region errno,
 * core errno. One call moves every device of the slot.
 */
export function* replaceInSlot(device: IommufdDevice, pasid: Pasid, hwpt: Hwpt): KernelTask<Hwpt | number> {
  const lock = device.igroup.lock;
  if (!lock.tryAcquire()) yield lock.queue;
  const result = yield* replaceLocked(device, pasid, hwpt);
  lock.release();
  return result;
}

/** Takes `device` out of its slot; returns the page table whose reference the caller must put, undefined if none. */
export function* detachFromSlot(device: IommufdDevice, pasid: Pasid): KernelTask<Hwpt | undefined> {
  const { lock, slots } = device.igroup;
  if (!lock.tryAcquire()) yield lock.queue;
  const slot = slots.get(pasid);
  if (slot !== undefined) {
    const present = slot.devices.delete(device);
    assert(present, `${device.device.name} is not attached at PASID ${pasid}`);
    if (slot.devices.size === 0) {
      yield* coreDetach(device, pasid, slot.hwpt);
      slots.delete(pasid);
    }
    if (appliesRegions(pasid)) dropRegions([device], slot.hwpt);
  }
  lock.release();
  return slot?.hwpt;
}
