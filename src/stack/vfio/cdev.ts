/**
 * The device node: open, VFIO_DEVICE_BIND_IOMMUFD, ATTACH_IOMMUFD_PT, DETACH_IOMMUFD_PT and close (Linux
 * drivers/vfio/{device_cdev,vfio_main}.c). Checks run in the order of the kernel; the first that fails decides.
 */
import type { Pasid } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { WITH_PASID } from '../../vfio-flags.ts';
import type { PageTableChange } from '../iommufd/auto-domain.ts';
import { IommufdFile } from '../iommufd/iommufd-file.ts';
import type { FileTable } from '../kernel/file-table.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import { VfioDeviceFile } from './device-file.ts';
import { openFirst, releaseLast } from './device-open.ts';
import type { VfioProfile } from './profile.ts';

/** VFIO_DEVICE_BIND_FLAG_TOKEN. */
const BIND_TOKEN = 1;

/** [bytes] Smallest structures, and the parts with a PASID. */
const BIND_BYTES = 16;
const ATTACH_BYTES = 12;
const ATTACH_PASID_BYTES = 16;
const DETACH_BYTES = 8;
const DETACH_PASID_BYTES = 12;

/** Opens the node: always allowed while registered; only BIND competes. */
export function openCdev(device: VfioDevice): VfioDeviceFile | number {
  if (!device.registered) return -Errno.ENODEV;
  return new VfioDeviceFile(device, undefined, closeCdev);
}

/** VFIO_DEVICE_BIND_IOMMUFD. */
export interface BindIommufdCommand {
  /** [bytes] */
  readonly argsz: number;
  readonly flags: number;
  readonly iommufd: number;
  /** CAP_SYS_RAWIO of the caller; absent = has it. Looked at where devices without IOMMU bind to an access. */
  readonly canUseRawIo?: boolean;
  /** The 16 bytes behind the token pointer; undefined when they cannot be read. */
  readonly token: Uint8Array | undefined;
  /** Bytes past the structure this kernel knows are not all zero. */
  readonly hasUnknownTail: boolean;
  /** Writes the device id back; 0 or -EFAULT. */
  readonly copyOut: (deviceId: number) => number;
}

function checkBindArguments(profile: VfioProfile, command: BindIommufdCommand): number {
  if (command.argsz < BIND_BYTES) return -Errno.EINVAL;
  if (profile.token && command.hasUnknownTail) return -Errno.E2BIG;
  const known = profile.token ? BIND_TOKEN : 0;
  return (command.flags & ~known) !== 0 || command.iommufd < 0 ? -Errno.EINVAL : 0;
}

/** vfio_df_check_token: devices without tokens accept only its absence. */
function checkToken(device: VfioDevice, profile: VfioProfile, command: BindIommufdCommand): number {
  if (!profile.token) return 0;
  const given = (command.flags & BIND_TOKEN) !== 0;
  const { driver } = device;
  if (driver.matchToken === undefined) return given ? -Errno.EINVAL : 0;
  if (given && command.token === undefined) return -Errno.EFAULT;
  return driver.matchToken(device, given ? command.token : undefined);
}

/** The device-set part of BIND, after the group has been asked. */
function* bindLocked(
  file: VfioDeviceFile,
  profile: VfioProfile,
  command: BindIommufdCommand,
  files: FileTable,
): KernelTask<number> {
  const { device } = file;
  if (file.accessGranted) return -Errno.EINVAL;
  const refused = checkToken(device, profile, command);
  if (refused !== 0) return refused;
  const open = files.get(command.iommufd);
  if (open === undefined) return -Errno.EBADF;
  if (!(open instanceof IommufdFile)) return -Errno.EBADFD;
  open.file.get();
  device.vm = file.vm;
  file.iommufd = open.context;
  let error = yield* openFirst(file);
  if (error === 0) {
    error = command.copyOut(file.deviceId);
    if (error !== 0) yield* releaseLast(file);
  }
  if (error !== 0) {
    file.iommufd = undefined;
    device.vm = undefined;
    yield* open.file.put();
    return error;
  }
  device.cdevOpened = true;
  // Published last: nobody may see access granted with an earlier step missing.
  file.accessGranted = true;
  return 0;
}

/**
 * BIND. Errors in check order: EINVAL size, flags or negative fd (E2BIG unknown tail); EINVAL file made by a group; (EPERM
 * no IOMMU without CAP_SYS_RAWIO: v11 of the series;) EBUSY group file open; EINVAL bound already; token EINVAL/EFAULT/EACCES; EBADF, EBADFD; EINVAL open elsewhere; bind and
 * open_device errno; EFAULT.
 */
export function* bindIommufd(
  file: VfioDeviceFile,
  profile: VfioProfile,
  command: BindIommufdCommand,
  files: FileTable,
): KernelTask<number> {
  const refused = checkBindArguments(profile, command);
  if (refused !== 0) return refused;
  if (file.group !== undefined) return -Errno.EINVAL;
  const { group, set } = file.device;
  if (profile.noIommuAccess && file.device.isNoIommu && command.canUseRawIo === false) return -Errno.EPERM;
  if (!group.lock.tryAcquire()) yield group.lock.queue;
  const groupBusy = group.openedFile !== undefined;
  if (!groupBusy) group.cdevOpenCount++;
  group.lock.release();
  if (groupBusy) return -Errno.EBUSY;
  if (!set.lock.tryAcquire()) yield set.lock.queue;
  const error = yield* bindLocked(file, profile, command, files);
  set.lock.release();
  if (error !== 0) group.cdevOpenCount--;
  return error;
}

/** VFIO_DEVICE_ATTACH_IOMMUFD_PT. */
export interface AttachPtCommand {
  /** [bytes] */
  readonly argsz: number;
  readonly flags: number;
  readonly ptId: number;
  readonly pasid: number;
  /** Writes the page table id back; 0 or -EFAULT. */
  readonly copyOut: (ptId: number) => number;
}

/** VFIO_DEVICE_DETACH_IOMMUFD_PT. */
export interface DetachPtCommand {
  /** [bytes] */
  readonly argsz: number;
  readonly flags: number;
  readonly pasid: number;
}

/** Size and flag rules; the PASID part exists only where the kernel and the driver know it. */
function checkPtArguments(
  file: VfioDeviceFile,
  profile: VfioProfile,
  command: AttachPtCommand | DetachPtCommand,
  minBytes: number,
  pasidBytes: number,
): number {
  if (command.argsz < minBytes) return -Errno.EINVAL;
  const known = profile.pasid ? WITH_PASID : 0;
  if ((command.flags & ~known) !== 0) return -Errno.EINVAL;
  if ((command.flags & WITH_PASID) === 0) return 0;
  if (file.device.driver.pasid === undefined) return -Errno.EOPNOTSUPP;
  return command.argsz < pasidBytes ? -Errno.EINVAL : 0;
}

/**
 * ATTACH, or replace when VFIO remembers an attachment. Errors in check order: EINVAL size or flags, EOPNOTSUPP driver
 * without PASIDs, EINVAL size of the PASID part, iommufd errno, EFAULT (then the RID is detached, even when a PASID was
 * being attached, and the old attachment does not come back).
 */
export function* attachPt(file: VfioDeviceFile, profile: VfioProfile, command: AttachPtCommand): KernelTask<number> {
  const refused = checkPtArguments(file, profile, command, ATTACH_BYTES, ATTACH_PASID_BYTES);
  if (refused !== 0) return refused;
  const { device } = file;
  const { driver, set } = device;
  const withPasid = (command.flags & WITH_PASID) !== 0 ? driver.pasid : undefined;
  if (!set.lock.tryAcquire()) yield set.lock.queue;
  const change: PageTableChange =
    withPasid !== undefined
      ? yield* withPasid.attach(device, command.pasid as Pasid, command.ptId)
      : yield* driver.attachIoas(device, command.ptId);
  let error = change.error;
  if (error === 0) {
    error = command.copyOut(change.pageTableId);
    if (error !== 0) yield* driver.detachIoas(device);
  }
  set.lock.release();
  return error;
}

/** DETACH: 0 even when nothing is attached. Errors: EINVAL, EOPNOTSUPP as {@link attachPt}. */
export function* detachPt(file: VfioDeviceFile, profile: VfioProfile, command: DetachPtCommand): KernelTask<number> {
  const refused = checkPtArguments(file, profile, command, DETACH_BYTES, DETACH_PASID_BYTES);
  if (refused !== 0) return refused;
  const { device } = file;
  const { driver, set } = device;
  if (!set.lock.tryAcquire()) yield set.lock.queue;
  if ((command.flags & WITH_PASID) !== 0) yield* driver.pasid?.detach(device, command.pasid as Pasid) ?? none();
  else yield* driver.detachIoas(device);
  set.lock.release();
  return 0;
}

function* none(): KernelTask<void> {
  yield 0;
}

/** Last close: the device is closed before it loses its translation, then unbound. A file never bound does nothing. */
export function* closeCdev(file: VfioDeviceFile): KernelTask<void> {
  if (!file.accessGranted) return;
  const { device } = file;
  const { set, group } = device;
  if (!set.lock.tryAcquire()) yield set.lock.queue;
  yield* releaseLast(file);
  device.vm = undefined;
  device.cdevOpened = false;
  const context = file.iommufd;
  file.iommufd = undefined;
  set.lock.release();
  if (context !== undefined) yield* context.file.put();
  group.cdevOpenCount--;
}
