/**
 * What a container delegates to: type1, or the stub for devices without IOMMU (struct vfio_iommu_driver_ops of Linux
 * drivers/vfio/vfio.h).
 */
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import type { VfioGroup } from './group-state.ts';

/** VFIO_CHECK_EXTENSION and VFIO_SET_IOMMU numbers (include/uapi/linux/vfio.h). */
export const ContainerExtension = {
  type1: 1,
  type1v2: 3,
  dmaCoherent: 4,
  nesting: 6,
  noIommu: 8,
  unmapAll: 9,
  updateVaddr: 10,
} as const;

/** An instance in a container. */
export interface ContainerBackend {
  /** VFIO_CHECK_EXTENSION: positive = has it. */
  checkExtension(extension: number): number;
  attachGroup(process: Process, group: VfioGroup): KernelTask<number>;
  detachGroup(group: VfioGroup): KernelTask<void>;
  /** ioctl on the container that the container does not know: 0 or more, or errno. */
  ioctl(process: Process, request: number, argument: bigint): KernelTask<number>;
  /** A device of a member group was opened for the first time; closed for the last time. */
  registerDevice(device: VfioDevice): void;
  unregisterDevice(device: VfioDevice): void;
  /** Pinning and CPU access for drivers; absent = ENOTTY. */
  readonly memory?: ContainerMemory;
}

/** Access to mapped memory by drivers of emulated devices. */
export interface ContainerMemory {
  /** Pages pinned, their frames in `pfns`; or errno. */
  pin(group: VfioGroup, iova: bigint, pageCount: number, prot: number, pfns: number[]): KernelTask<number>;
  /** The same for single pages (until 5.19). */
  pinList(group: VfioGroup, iovas: readonly bigint[], prot: number, pfns: number[]): KernelTask<number>;
  unpin(iova: bigint, pageCount: number): KernelTask<void>;
  readWrite(caller: Process | undefined, iova: bigint, data: Uint8Array, write: boolean): KernelTask<number>;
}

/** A backend that containers may choose. */
export interface BackendKind {
  readonly servesNoIommu: boolean;
  /** VFIO_CHECK_EXTENSION before there is an instance. */
  checkExtension(extension: number): number;
  /** A new instance, or errno. */
  open(process: Process, type: number): ContainerBackend | number;
}
