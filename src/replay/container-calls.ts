/**
 * Control rows of containers and groups as system calls of the modelled kernel. A container's context may also be an
 * iommufd: then the calls go to its compatible interface.
 *
 * Rows: `open_container` and `open_group`; `VFIO_SET_IOMMU` with the type in `flags` (0 = type1 v2); maps and unmaps with
 * the flags of their ioctls.
 */
import type { IommufdContext } from '../stack/iommufd/context.ts';
import { setIommu, vfioMapDma, vfioUnmapDma } from '../stack/iommufd/vfio-compat.ts';
import type { Kernel } from '../stack/kernel/kernel.ts';
import type { Process } from '../stack/kernel/process.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import { Container } from '../stack/vfio/container.ts';
import type { BackendKind } from '../stack/vfio/container-backend.ts';
import { ContainerExtension } from '../stack/vfio/container-backend.ts';
import { standardBackends } from '../stack/vfio/container-kinds.ts';
import type { VfioDevice } from '../stack/vfio/device.ts';
import { openThroughGroup } from '../stack/vfio/group-device.ts';
import { openGroup, VfioGroupFile } from '../stack/vfio/group-file.ts';
import type { VfioBuild, VfioProfile } from '../stack/vfio/profile.ts';
import { Type1Backend } from '../stack/vfio/type1/backend.ts';
import { MAP_DMA_BYTES, mapDma } from '../stack/vfio/type1/map-dma.ts';
import { UNMAP_DMA_BYTES, UnmapFlag, unmapDma } from '../stack/vfio/type1/unmap-dma.ts';
import type { CallOutcome } from './control-player.ts';
import type { ControlRow } from './control-row.ts';
import type { Diagnostics } from './diagnostics.ts';
import { UserMappings } from './user-mappings.ts';

const SKIPPED: CallOutcome = { result: 0, skipped: true };

/** An iommufd of the recording that may serve as a container. */
export interface IommufdContainer {
  readonly fd: number;
  readonly context: IommufdContext;
  readonly mappings: UserMappings;
}

/** What the calls work on. */
export interface ContainerCallParts {
  readonly kernel: Kernel;
  readonly process: Process;
  readonly profile: VfioProfile;
  readonly build: VfioBuild;
  readonly deviceOf: (device: number) => VfioDevice | undefined;
  readonly iommufdOf: (context: number) => IommufdContainer | undefined;
  readonly diagnostics: Diagnostics;
}

/** A container of the recording. */
interface OpenContainer {
  readonly fd: number;
  readonly container: Container;
  readonly mappings: UserMappings;
}

/** Container and group calls of one world. */
export class ContainerCalls {
  readonly #parts: ContainerCallParts;
  readonly #kinds: readonly BackendKind[];
  readonly #containers = new Map<number, OpenContainer>();
  /** Descriptor of the open group by device index: every device of a group names it. */
  readonly #groups = new Map<number, number>();
  /** Descriptors of devices opened through their group, newest last. */
  readonly #devices = new Map<number, number[]>();

  constructor(parts: ContainerCallParts) {
    this.#parts = parts;
    this.#kinds = standardBackends(parts.kernel, parts.profile, parts.build);
  }

  /** Carries out a row; undefined when it is no call on a container or group. */
  *perform(row: ControlRow): KernelTask<CallOutcome | undefined> {
    switch (row.op) {
      case 'open_container':
        return this.#openContainer(row);
      case 'open_group':
        return yield* this.#openGroup(row);
      case 'VFIO_GROUP_SET_CONTAINER':
        return yield* this.#setContainer(row);
      case 'VFIO_GROUP_UNSET_CONTAINER': {
        const group = this.#groupFile(row.device);
        return group === undefined ? this.#skip('group_not_open') : { result: yield* group.unsetContainer() };
      }
      case 'VFIO_GROUP_GET_DEVICE_FD':
        return yield* this.#getDeviceFd(row);
      case 'VFIO_SET_IOMMU':
        return yield* this.#setIommu(row);
      case 'VFIO_IOMMU_MAP_DMA':
        return yield* this.#map(row);
      case 'VFIO_IOMMU_UNMAP_DMA':
        return yield* this.#unmap(row);
      default:
        return undefined;
    }
  }

  /** Closes what `row` names if it was opened here: a device, then its group; or a container. */
  *close(row: ControlRow): KernelTask<CallOutcome | undefined> {
    const { files } = this.#parts.process;
    const device = this.#devices.get(row.device)?.pop();
    if (device !== undefined) return { result: yield* files.close(device) };
    const group = this.#groups.get(row.device);
    if (group !== undefined) {
      this.#groups.delete(row.device);
      return { result: yield* files.close(group) };
    }
    const container = this.#containers.get(row.context);
    if (container === undefined) return undefined;
    this.#containers.delete(row.context);
    return { result: yield* files.close(container.fd) };
  }

  #openContainer(row: ControlRow): CallOutcome {
    const container = new Container(this.#parts.kernel, this.#kinds);
    const fd = this.#parts.process.files.install(container);
    if (fd >= 0) this.#containers.set(row.context, { fd, container, mappings: new UserMappings() });
    return { result: fd };
  }

  *#openGroup(row: ControlRow): KernelTask<CallOutcome> {
    const { kernel, process, deviceOf } = this.#parts;
    const device = deviceOf(row.device);
    if (device === undefined) return this.#skip('device_without_vfio');
    const file = yield* openGroup(kernel, device.group, process);
    if (typeof file === 'number') return { result: file };
    const fd = process.files.install(file);
    if (fd >= 0) this.#groups.set(row.device, fd);
    return { result: fd };
  }

  *#setContainer(row: ControlRow): KernelTask<CallOutcome> {
    const { process, iommufdOf } = this.#parts;
    const group = this.#groupFile(row.device);
    if (group === undefined) return this.#skip('group_not_open');
    const open = this.#containers.get(row.context) ?? iommufdOf(row.context);
    if (open === undefined) return this.#skip('unknown_context');
    open.mappings.place(row.object, row.frames, process.memory);
    return { result: yield* group.setContainer(process, open.fd) };
  }

  *#getDeviceFd(row: ControlRow): KernelTask<CallOutcome> {
    const { process, deviceOf } = this.#parts;
    const device = deviceOf(row.device);
    const group = this.#groupFile(row.device);
    if (device === undefined || group === undefined) return this.#skip('group_not_open');
    const file = yield* openThroughGroup(group.group, device, process);
    if (typeof file === 'number') return { result: file };
    const fd = process.files.install(file);
    const open = this.#devices.get(row.device);
    if (open === undefined) this.#devices.set(row.device, [fd]);
    else open.push(fd);
    return { result: fd };
  }

  *#setIommu(row: ControlRow): KernelTask<CallOutcome> {
    const { process, iommufdOf } = this.#parts;
    const type = row.flags === 0 ? ContainerExtension.type1v2 : row.flags;
    const open = this.#containers.get(row.context);
    if (open !== undefined) {
      open.mappings.place(row.object, row.frames, process.memory);
      return { result: yield* open.container.setIommu(process, type) };
    }
    const iommufd = iommufdOf(row.context);
    if (iommufd === undefined) return this.#skip('unknown_context');
    return { result: yield* setIommu(iommufd.context, process, type) };
  }

  *#map(row: ControlRow): KernelTask<CallOutcome> {
    const { process, iommufdOf } = this.#parts;
    const { flags, iova, userAddress: vaddr, length: lengthBytes } = row;
    const command = { argsz: MAP_DMA_BYTES, flags, vaddr, iova, lengthBytes };
    const open = this.#containers.get(row.context);
    const backend = open?.container.backend;
    if (open !== undefined && backend instanceof Type1Backend) {
      yield* open.mappings.add(row, process.memory);
      return { result: yield* mapDma(backend.type1, process, command) };
    }
    const iommufd = iommufdOf(row.context);
    if (iommufd === undefined) return this.#skip('unknown_context');
    yield* iommufd.mappings.add(row, process.memory);
    return { result: yield* vfioMapDma(iommufd.context, process, command) };
  }

  *#unmap(row: ControlRow): KernelTask<CallOutcome> {
    const { process, iommufdOf } = this.#parts;
    const flags = row.flags & ~UnmapFlag.getDirtyBitmap;
    const command = { argsz: UNMAP_DMA_BYTES, flags, iova: row.iova, lengthBytes: row.length };
    const open = this.#containers.get(row.context);
    const backend = open?.container.backend;
    if (open !== undefined && backend instanceof Type1Backend) {
      const result = yield* unmapDma(backend.type1, process, { ...command, readBitmap: () => undefined });
      if (result === 0) open.mappings.remove(row);
      return { result };
    }
    const iommufd = iommufdOf(row.context);
    if (iommufd === undefined) return this.#skip('unknown_context');
    const result = yield* vfioUnmapDma(iommufd.context, command);
    if (result === 0) iommufd.mappings.remove(row);
    return { result };
  }

  #groupFile(device: number): VfioGroupFile | undefined {
    const fd = this.#groups.get(device) ?? this.#groupOfSibling(device);
    return fd === undefined ? undefined : this.#parts.process.files.getAs(fd, VfioGroupFile);
  }

  /** The group may have been opened in the name of another of its devices. */
  #groupOfSibling(device: number): number | undefined {
    const group = this.#parts.deviceOf(device)?.group;
    for (const [other, fd] of this.#groups) if (this.#parts.deviceOf(other)?.group === group) return fd;
    return undefined;
  }

  #skip(code: string): CallOutcome {
    this.#parts.diagnostics.count(code);
    return SKIPPED;
  }
}
