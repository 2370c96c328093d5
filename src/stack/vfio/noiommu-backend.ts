/** The backend of containers with devices without IOMMU: it maps nothing (vfio_noiommu_ops, Linux drivers/vfio). */
import { Errno } from '../../errno.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import { type BackendKind, type ContainerBackend, ContainerExtension } from './container-backend.ts';

/** The kind; `enabled` = the parameter enable_unsafe_noiommu_mode. */
export function noIommuBackend(enabled: boolean): BackendKind {
  const checkExtension = (extension: number): number => (enabled && extension === ContainerExtension.noIommu ? 1 : 0);
  return {
    servesNoIommu: true,
    checkExtension,
    open(process: Process, type: number): ContainerBackend | number {
      if (type !== ContainerExtension.noIommu) return -Errno.EINVAL;
      return process.canUseRawIo ? new NoIommuBackend(checkExtension) : -Errno.EPERM;
    },
  };
}

class NoIommuBackend implements ContainerBackend {
  readonly checkExtension: (extension: number) => number;

  constructor(checkExtension: (extension: number) => number) {
    this.checkExtension = checkExtension;
  }

  *attachGroup(): KernelTask<number> {
    yield 0;
    return 0;
  }

  *detachGroup(): KernelTask<void> {
    yield 0;
  }

  *ioctl(): KernelTask<number> {
    yield 0;
    return -Errno.ENOTTY;
  }

  registerDevice(): void {}

  unregisterDevice(): void {}
}
