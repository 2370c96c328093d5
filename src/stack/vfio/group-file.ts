/**
 * The group node: open, GET_STATUS, SET_CONTAINER, UNSET_CONTAINER, GET_DEVICE_FD and close (Linux drivers/vfio/group.c).
 * Checks run in the order of the kernel; the first that fails decides.
 */
import { Errno } from '../../errno.ts';
import { IommufdFile } from '../iommufd/iommufd-file.ts';
import { createCompatIoas, setNoIommuMode } from '../iommufd/vfio-compat.ts';
import { FileReferences } from '../kernel/file-references.ts';
import type { OpenFile } from '../kernel/file-table.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import { Container } from './container.ts';
import type { VfioDevice } from './device.ts';
import { openThroughGroup } from './group-device.ts';
import type { VfioGroup } from './group-state.ts';
import { isViable } from './viability.ts';

/** _IO(';', n) of include/uapi/linux/vfio.h. */
const Request = { getStatus: 0x3b67, setContainer: 0x3b68, unsetContainer: 0x3b69, getDeviceFd: 0x3b6a } as const;
/** VFIO_GROUP_FLAGS_*. */
const StatusFlag = { viable: 1, containerSet: 2 } as const;
/** [bytes] struct vfio_group_status. */
const STATUS_BYTES = 8;
/** [bytes] Room for a device's name (PAGE_SIZE). */
const NAME_BYTES = 4096;

/**
 * Opens the node. Errors in check order: ENODEV no device left; EPERM no IOMMU without CAP_SYS_RAWIO; EBUSY a device of
 * the group is bound through its own node, or the group is open.
 */
export function* openGroup(kernel: Kernel, group: VfioGroup, process: Process): KernelTask<VfioGroupFile | number> {
  if (!group.lock.tryAcquire()) yield group.lock.queue;
  const error = checkOpen(group, process);
  let file: VfioGroupFile | undefined;
  if (error === 0) {
    file = new VfioGroupFile(kernel, group);
    group.openedFile = file;
  }
  group.lock.release();
  return file ?? error;
}

function checkOpen(group: VfioGroup, process: Process): number {
  if (group.driverCount === 0) return -Errno.ENODEV;
  if (group.type === 'no-iommu' && !process.canUseRawIo) return -Errno.EPERM;
  return group.cdevOpenCount > 0 || group.openedFile !== undefined ? -Errno.EBUSY : 0;
}

/** The one open file of a group. */
export class VfioGroupFile implements OpenFile {
  readonly group: VfioGroup;
  readonly file: FileReferences;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel, group: VfioGroup) {
    this.#kernel = kernel;
    this.group = group;
    this.file = new FileReferences(() => this.#release());
  }

  /** ioctl(2): 0 or more, or errno; ENOTTY for numbers it does not know. */
  *ioctl(process: Process, request: number, argument: bigint): KernelTask<number> {
    yield this.#kernel.costs.ioctl;
    switch (request) {
      case Request.getStatus:
        return yield* this.#getStatus(process, argument);
      case Request.setContainer: {
        const fd = process.memory.read(argument, 4);
        if (fd === undefined) return -Errno.EFAULT;
        return yield* this.setContainer(process, new DataView(fd.buffer).getInt32(0, true));
      }
      case Request.unsetContainer:
        return yield* this.unsetContainer();
      case Request.getDeviceFd:
        return yield* this.#getDeviceFd(process, argument);
      default:
        return -Errno.ENOTTY;
    }
  }

  /** EFAULT; EINVAL argsz; ENODEV no device left. With an iommufd, viable says nothing about ownership. */
  *#getStatus(process: Process, address: bigint): KernelTask<number> {
    const { group } = this;
    const bytes = process.memory.read(address, STATUS_BYTES);
    if (bytes === undefined) return -Errno.EFAULT;
    const view = new DataView(bytes.buffer);
    if (view.getUint32(0, true) < STATUS_BYTES) return -Errno.EINVAL;
    yield* this.#acquire();
    const gone = group.driverCount === 0;
    const flags = statusFlags(group);
    group.lock.release();
    if (gone) return -Errno.ENODEV;
    view.setUint32(4, flags, true);
    return process.memory.write(address, bytes) ? 0 : -Errno.EFAULT;
  }

  /**
   * VFIO_GROUP_SET_CONTAINER. Errors: EBADF; EINVAL set already; ENODEV; container errno; iommufd: EINVAL, ENOMEM; EBADFD
   * another kind of file.
   */
  *setContainer(process: Process, fd: number): KernelTask<number> {
    const file = process.files.get(fd);
    if (file === undefined && this.group.profile.ownership) return -Errno.EBADF;
    yield* this.#acquire();
    const error = this.group.profile.ownership
      ? yield* this.#setContainerLocked(process, file as OpenFile)
      : yield* this.#setLegacyContainer(process, file);
    this.group.lock.release();
    return error;
  }

  /** Before 5.19: EINVAL set already; EPERM no IOMMU without CAP_SYS_RAWIO; EBADF; EINVAL no container; EPERM mix; backend. */
  *#setLegacyContainer(process: Process, file: OpenFile | undefined): KernelTask<number> {
    const { group } = this;
    if (group.containerUsers !== 0) return -Errno.EINVAL;
    if (group.type === 'no-iommu' && !process.canUseRawIo) return -Errno.EPERM;
    if (file === undefined) return -Errno.EBADF;
    return file instanceof Container ? yield* file.attachGroup(process, group) : -Errno.EINVAL;
  }

  *#setContainerLocked(process: Process, file: OpenFile): KernelTask<number> {
    const { group } = this;
    if (hasAddressSpace(group)) return -Errno.EINVAL;
    if (group.driverCount === 0) return -Errno.ENODEV;
    if (file instanceof Container) return yield* file.attachGroup(process, group);
    if (!(file instanceof IommufdFile)) return -Errno.EBADFD;
    // Nothing is owned or attached until a device is opened.
    const { context } = file;
    const error = group.type === 'no-iommu' ? setNoIommuMode(context) : createCompatIoas(context);
    if (error !== 0) return error;
    context.file.get();
    group.iommufd = context;
    return 0;
  }

  /**
   * VFIO_GROUP_UNSET_CONTAINER. Errors: EINVAL none set; EBUSY container with open devices. An iommufd lets go at once:
   * open devices keep working.
   */
  *unsetContainer(): KernelTask<number> {
    const { group } = this;
    yield* this.#acquire();
    let error = 0;
    if (!hasAddressSpace(group)) error = -Errno.EINVAL;
    else if (group.container !== undefined && group.containerUsers !== 1) error = -Errno.EBUSY;
    else yield* leave(group);
    group.lock.release();
    return error;
  }

  /** EFAULT, EINVAL string; match errno; ENODEV; EMFILE; errno of {@link openThroughGroup}. The descriptor. */
  *#getDeviceFd(process: Process, address: bigint): KernelTask<number> {
    const name = readString(process, address);
    if (typeof name === 'number') return name;
    const refused = this.group.profile.ownership ? 0 : checkLegacyUse(this.group, process);
    if (refused !== 0) return refused;
    const device = findDevice(this.group, name);
    if (typeof device === 'number') return device;
    if (process.files.isFull) return -Errno.EMFILE;
    const file = yield* openThroughGroup(this.group, device, process);
    return typeof file === 'number' ? file : process.files.install(file);
  }

  /** The last descriptor is gone; devices open through a container have held the file until now. */
  *#release(): KernelTask<void> {
    const { group } = this;
    yield* this.#acquire();
    yield* leave(group);
    group.openedFile = undefined;
    group.lock.release();
  }

  *#acquire(): KernelTask<void> {
    if (!this.group.lock.tryAcquire()) yield this.group.lock.queue;
  }
}

/** Flags of GET_STATUS. Before 5.19 the two bits were independent. */
function statusFlags(group: VfioGroup): number {
  if (!group.profile.ownership) {
    const containerSet = group.container !== undefined ? StatusFlag.containerSet : 0;
    return containerSet | (isViable(group) ? StatusFlag.viable : 0);
  }
  if (hasAddressSpace(group)) return StatusFlag.viable | StatusFlag.containerSet;
  return group.iommuGroup === undefined || group.iommuGroup.ownerCount === 0 ? StatusFlag.viable : 0;
}

/** Before 5.19, ahead of the name: EINVAL no container, no backend or not viable; EPERM. */
function checkLegacyUse(group: VfioGroup, process: Process): number {
  if (group.container?.backend === undefined || !isViable(group)) return -Errno.EINVAL;
  return group.type === 'no-iommu' && !process.canUseRawIo ? -Errno.EPERM : 0;
}

/** vfio_group_has_iommu. */
function hasAddressSpace(group: VfioGroup): boolean {
  return group.container !== undefined || group.iommufd !== undefined;
}

function* leave(group: VfioGroup): KernelTask<void> {
  if (group.container !== undefined) yield* group.container.detachGroup(group);
  const context = group.iommufd;
  group.iommufd = undefined;
  if (context !== undefined) yield* context.file.put();
}

/** vfio_device_get_from_name: newest first; a driver's negative answer ends the search. */
function findDevice(group: VfioGroup, name: string): VfioDevice | number {
  for (const device of group.devices) {
    const match = device.driver.matchName?.(device, name) ?? (name === device.name ? 1 : 0);
    if (match < 0) return match;
    if (match > 0) return device.registered ? device : -Errno.ENODEV;
  }
  return -Errno.ENODEV;
}

/** strndup_user: the text before the first zero byte; EFAULT, EINVAL when there is none within a page's length. */
function readString(process: Process, address: bigint): string | number {
  const bytes: number[] = [];
  while (bytes.length < NAME_BYTES) {
    const byte = process.memory.read(address + BigInt(bytes.length), 1)?.[0];
    if (byte === undefined) return -Errno.EFAULT;
    if (byte === 0) return String.fromCharCode(...bytes);
    bytes.push(byte);
  }
  return -Errno.EINVAL;
}
