/**
 * Hardware queue: guest memory that the physical IOMMU reads as a queue of a vIOMMU (struct iommufd_hw_queue, Linux
 * 6.17). While it lives its pages are pinned and their areas cannot be unmapped. Source: Linux
 * drivers/iommu/iommufd/viommu.c.
 */
import { PAGE_SIZE, U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import { type Access, attachAccess, createAccess, destroyAccess } from './access.ts';
import { pinPages, unpinPages } from './access-pages.ts';
import type { Area } from './area.ts';
import type { IommufdContext } from './context.ts';
import type { IommufdObject } from './object-table.ts';
import { Viommu } from './viommu.ts';

const PAGE = BigInt(PAGE_SIZE);

/** A pinned and locked range of the nest parent's IOAS. */
interface PinnedRange {
  readonly access: Access;
  readonly start: bigint;
  readonly lengthBytes: bigint;
  readonly areas: readonly Area[];
  /** Physical address of the queue's first byte. */
  readonly physicalAddress: bigint;
}

/** A hardware queue. Holds users on its vIOMMU and on the queue it depends on. */
export class HwQueue implements IommufdObject {
  readonly type = 'hw-queue';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly viommu: Viommu;
  readonly index: number;
  range: PinnedRange | undefined;
  /** Set once the driver has taken it. */
  initialised = false;
  dependsOn: IommufdObject | undefined;

  constructor(viommu: Viommu, index: number) {
    this.viommu = viommu;
    this.index = index;
    viommu.users++;
  }

  *destroy(): KernelTask<void> {
    if (this.initialised) {
      this.viommu.hwQueues.delete(this.index);
      this.viommu.state.destroyHwQueue?.(this.index);
    }
    if (this.dependsOn !== undefined) this.dependsOn.users--;
    if (this.range !== undefined) yield* releaseRange(this.range);
    this.viommu.users--;
  }
}

function* releaseRange(range: PinnedRange): KernelTask<void> {
  for (const area of range.areas) area.lockCount--;
  yield* unpinPages(range.access, range.start, range.lengthBytes);
  yield* destroyAccess(range.access);
}

/** Pins the pages behind the queue through an access of its own. ENOENT hole, EPERM, EFAULT not contiguous, ENOMEM. */
function* pinRange(viommu: Viommu, command: HwQueueAllocCommand): KernelTask<PinnedRange | number> {
  const access = yield* createAccess(viommu.context, { needsPinPages: true, internal: true });
  if (typeof access === 'number') return access;
  const { ioas } = viommu.parentHwpt;
  const start = command.baseAddress - (command.baseAddress % PAGE);
  const end = ((command.baseAddress + command.lengthBytes - 1n) / PAGE + 1n) * PAGE;
  const lengthBytes = end - start;
  const attached = yield* attachAccess(access, ioas.id);
  const pfns = attached === 0 ? yield* pinPages(access, start, lengthBytes, false) : attached;
  if (typeof pfns === 'number') {
    yield* destroyAccess(access);
    return pfns;
  }
  const first = pfns[0] as number;
  if (pfns.some((pfn, at) => pfn !== first + at)) {
    yield* unpinPages(access, start, lengthBytes);
    yield* destroyAccess(access);
    return -Errno.EFAULT;
  }
  const areas = [...ioas.areas.within(start, end - 1n)];
  for (const area of areas) area.lockCount++;
  const physicalAddress = BigInt(first) * PAGE + (command.baseAddress - start);
  return { access, start, lengthBytes, areas, physicalAddress };
}

/** IOMMU_HW_QUEUE_ALLOC. */
export interface HwQueueAllocCommand {
  readonly flags: number;
  readonly viommuId: number;
  readonly type: number;
  readonly index: number;
  /** Address in the nest parent's IOAS. */
  readonly baseAddress: bigint;
  readonly lengthBytes: bigint;
  /** Written on success. */
  outHwQueueId: number;
}

function* buildQueue(queue: HwQueue, command: HwQueueAllocCommand): KernelTask<number> {
  const { viommu } = queue;
  const { state } = viommu;
  const range = yield* pinRange(viommu, command);
  if (typeof range === 'number') return range;
  queue.range = range;
  const { type, index, baseAddress, lengthBytes } = command;
  const error = state.initHwQueue?.(type, index, baseAddress, lengthBytes, range.physicalAddress) ?? -Errno.EOPNOTSUPP;
  if (error !== 0) return error;
  const earlier = state.hwQueueDependsOn?.(type, index);
  const dependsOn = earlier === undefined ? undefined : viommu.hwQueues.get(earlier);
  if (dependsOn !== undefined) {
    dependsOn.users++;
    queue.dependsOn = dependsOn;
  }
  viommu.hwQueues.set(index, queue);
  queue.initialised = true;
  return 0;
}

function* makeQueue(viommu: Viommu, command: HwQueueAllocCommand): KernelTask<number> {
  if (viommu.state.supportsHwQueue?.(command.type) !== true) return -Errno.EOPNOTSUPP;
  const { objects } = viommu.context;
  yield viommu.context.kernel.costs.objectAlloc;
  const queue = new HwQueue(viommu, command.index);
  const full = objects.reserve(queue);
  if (full !== 0) {
    yield* queue.destroy();
    return full;
  }
  const error = yield* buildQueue(queue, command);
  if (error !== 0) {
    yield* objects.abortAndDestroy(queue);
    return error;
  }
  objects.publish(queue);
  command.outHwQueueId = queue.id;
  return 0;
}

/**
 * iommufd_hw_queue_alloc_ioctl. Errors in check order: EOPNOTSUPP flags or type 0; EINVAL length 0; EOVERFLOW; ENOENT
 * vIOMMU; EOPNOTSUPP no such queues; pin errno, EFAULT not physically contiguous; the driver's index rules.
 */
export function* allocHwQueue(context: IommufdContext, command: HwQueueAllocCommand): KernelTask<number> {
  if (command.flags !== 0 || command.type === 0) return -Errno.EOPNOTSUPP;
  if (command.lengthBytes === 0n) return -Errno.EINVAL;
  if (command.baseAddress + command.lengthBytes - 1n > U64_MAX) return -Errno.EOVERFLOW;
  const viommu = context.objects.acquire(command.viommuId, Viommu);
  if (viommu === undefined) return -Errno.ENOENT;
  const error = yield* makeQueue(viommu, command);
  context.objects.release(viommu);
  return error;
}
