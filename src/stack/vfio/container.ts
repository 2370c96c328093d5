/**
 * A container: groups that share one backend, and through it one set of mappings (struct vfio_container of Linux
 * drivers/vfio/container.c). It lives while its file or a group uses it, which needs no counting here: an empty one
 * holds nothing.
 */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { claimGroupOwner, releaseGroupOwner } from '../iommu/dma-owner.ts';
import type { IommuGroup } from '../iommu/group.ts';
import { FileReferences } from '../kernel/file-references.ts';
import type { OpenFile } from '../kernel/file-table.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Mutex } from '../kernel/locks.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { BackendKind, ContainerBackend } from './container-backend.ts';
import type { VfioGroup } from './group-state.ts';

/** _IO(';', n) of include/uapi/linux/vfio.h. */
const Request = { getApiVersion: 0x3b64, checkExtension: 0x3b65, setIommu: 0x3b66 } as const;
const API_VERSION = 0;

/** An open /dev/vfio/vfio. Opening it needs no privilege. */
export class Container implements OpenFile {
  readonly file = new FileReferences(nothing);
  /** Newest first. */
  readonly groups: VfioGroup[] = [];
  backend: ContainerBackend | undefined;
  /** Its groups have no IOMMU. */
  noIommu = false;
  readonly #kernel: Kernel;
  readonly #kinds: readonly BackendKind[];
  /** Groups of different kinds can be told apart (CONFIG_VFIO_NOIOMMU). */
  readonly #noIommuBuilt: boolean;
  /** group_lock. */
  readonly #lock: Mutex;

  /** `kinds` in the order the kernel asks them: last registered first. */
  constructor(kernel: Kernel, kinds: readonly BackendKind[]) {
    this.#kernel = kernel;
    this.#kinds = kinds;
    this.#noIommuBuilt = kinds.some((kind) => kind.servesNoIommu);
    this.#lock = new Mutex(kernel.timeline, 'vfio container');
  }

  /** ioctl(2): 0 or more, or errno. Without a backend, everything it does not know itself is EINVAL. */
  *ioctl(process: Process, request: number, argument: bigint): KernelTask<number> {
    yield this.#kernel.costs.ioctl;
    switch (request) {
      case Request.getApiVersion:
        return API_VERSION;
      case Request.checkExtension:
        return yield* this.checkExtension(Number(argument));
      case Request.setIommu:
        return yield* this.setIommu(process, Number(argument));
      default:
        return this.backend === undefined ? -Errno.EINVAL : yield* this.backend.ioctl(process, request, argument);
    }
  }

  /** VFIO_CHECK_EXTENSION: the backend's answer, or the first positive one of those that could become it. */
  *checkExtension(extension: number): KernelTask<number> {
    yield* this.#acquire();
    let answer = 0;
    if (this.backend !== undefined) {
      answer = this.backend.checkExtension(extension);
    } else {
      for (const kind of this.#kinds) {
        if (this.groups.length > 0 && !this.#allows(kind)) continue;
        answer = kind.checkExtension(extension);
        if (answer > 0) break;
      }
    }
    this.#lock.release();
    return answer;
  }

  /**
   * VFIO_SET_IOMMU: the first backend that has the type and takes all groups. Errors: EINVAL no group or chosen already;
   * ENODEV no backend has the type; else the last errno met.
   */
  *setIommu(process: Process, type: number): KernelTask<number> {
    yield* this.#acquire();
    let result: number = -Errno.ENODEV;
    if (this.groups.length === 0 || this.backend !== undefined) {
      result = -Errno.EINVAL;
    } else {
      for (const kind of this.#kinds) {
        if (!this.#allows(kind) || kind.checkExtension(type) <= 0) continue;
        const opened = kind.open(process, type);
        if (typeof opened === 'number') {
          result = opened;
          continue;
        }
        result = yield* attachAll(opened, process, this.groups);
        if (result !== 0) continue;
        this.backend = opened;
        break;
      }
    }
    this.#lock.release();
    return result;
  }

  /**
   * vfio_container_attach_group, from VFIO_GROUP_SET_CONTAINER; the caller holds the group's lock. Errors in check order:
   * EPERM no IOMMU without CAP_SYS_RAWIO; EPERM mix of groups with and without IOMMU; EPERM, EBUSY, EINVAL ownership;
   * backend errno.
   */
  *attachGroup(process: Process, group: VfioGroup): KernelTask<number> {
    const noIommu = group.type === 'no-iommu';
    if (noIommu && !process.canUseRawIo) return -Errno.EPERM;
    yield* this.#acquire();
    const error = yield* this.#attachLocked(process, group, noIommu);
    this.#lock.release();
    return error;
  }

  *#attachLocked(process: Process, group: VfioGroup, noIommu: boolean): KernelTask<number> {
    if (this.groups.length > 0 && this.noIommu !== noIommu) return -Errno.EPERM;
    const owned = ownedGroup(group);
    if (owned !== undefined) {
      const refused = yield* claimGroupOwner(owned, group);
      if (refused !== 0) return refused;
    }
    if (this.backend !== undefined) {
      const error = yield* this.backend.attachGroup(process, group);
      if (error !== 0) {
        if (owned !== undefined) yield* releaseGroupOwner(owned);
        return error;
      }
    }
    group.container = this;
    group.containerUsers = 1;
    this.noIommu = noIommu;
    this.groups.unshift(group);
    return 0;
  }

  /** vfio_group_detach_container: an empty container forgets its backend and can start again. */
  *detachGroup(group: VfioGroup): KernelTask<void> {
    assert(group.containerUsers === 1, `group ${group.id} leaves its container with open devices`);
    yield* this.#acquire();
    if (this.backend !== undefined) yield* this.backend.detachGroup(group);
    const owned = ownedGroup(group);
    if (owned !== undefined) yield* releaseGroupOwner(owned);
    group.container = undefined;
    group.containerUsers = 0;
    this.groups.splice(this.groups.indexOf(group), 1);
    if (this.groups.length === 0) this.backend = undefined;
    this.#lock.release();
  }

  /** vfio_iommu_driver_allowed. */
  #allows(kind: BackendKind): boolean {
    return !this.#noIommuBuilt || kind.servesNoIommu === this.noIommu;
  }

  *#acquire(): KernelTask<void> {
    if (!this.#lock.tryAcquire()) yield this.#lock.queue;
  }
}

/** The IOMMU group whose DMA the container owns; before 5.19 it owned none. */
function ownedGroup(group: VfioGroup): IommuGroup | undefined {
  return group.type === 'iommu' && group.profile.ownership ? group.iommuGroup : undefined;
}

/** All groups into a new backend, newest first; a failure takes those done out again, last first. */
function* attachAll(backend: ContainerBackend, process: Process, groups: readonly VfioGroup[]): KernelTask<number> {
  for (const [index, group] of groups.entries()) {
    const error = yield* backend.attachGroup(process, group);
    if (error === 0) continue;
    for (const done of groups.slice(0, index).reverse()) yield* backend.detachGroup(done);
    return error;
  }
  return 0;
}

function* nothing(): KernelTask<void> {}
