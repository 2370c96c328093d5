/**
 * Virtual event queue: what happens in the physical IOMMU on behalf of a guest's, for user space to read (struct
 * iommufd_veventq, Linux 6.15). Source: Linux drivers/iommu/iommufd/{eventq,driver}.c.
 */
import { Errno } from '../../errno.ts';
import type { FileTable } from '../kernel/file-table.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { type EventSource, openEventFile } from './event-file.ts';
import { Viommu } from './viommu.ts';

/** [bytes] struct iommufd_vevent_header: flags, sequence. */
const HEADER_BYTES = 8;
/** IOMMU_VEVENTQ_FLAG_LOST_EVENTS: events were dropped, no data follows. */
const LOST_EVENTS = 1;
/** Largest queue depth (recent kernels). */
const MAX_DEPTH = 1 << 19;

interface Vevent {
  readonly sequence: number;
  /** Undefined for the trailing header that says events were lost. */
  readonly data: Uint8Array | undefined;
}

/** A virtual event queue. Holds a user on its vIOMMU. */
export class VeventQueue implements EventSource {
  readonly type = 'veventq';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly viommu: Viommu;
  readonly driverType: number;
  readonly depth: number;
  /** Events waiting, without the one that stands for lost ones. */
  readonly #events: Vevent[] = [];
  #lost: Vevent | undefined;
  #sequence = -1;
  #linked = false;

  constructor(viommu: Viommu, type: number, depth: number) {
    this.viommu = viommu;
    this.driverType = type;
    this.depth = depth;
    viommu.users++;
  }

  get readable(): boolean {
    return this.#events.length > 0 || this.#lost !== undefined;
  }

  /** Makes it the vIOMMU's queue of its type. */
  link(): void {
    this.viommu.veventqs.set(this.driverType, this);
    this.#linked = true;
  }

  /** Queues an event, or counts it as lost when the queue is full. The sequence counts lost ones too. */
  report(data: Uint8Array): number {
    this.#sequence = (this.#sequence + 1) & 0x7fff_ffff;
    if (this.#events.length === this.depth) {
      this.#lost = { sequence: this.#sequence, data: undefined };
      return 0;
    }
    // A normal event makes the pending loss part of the gap in the sequence.
    this.#lost = undefined;
    this.#events.push({ sequence: this.#sequence, data });
    return 0;
  }

  /** Whole events. EINVAL when the count is below a header or the first event does not fit. */
  read(countBytes: number): Uint8Array | number {
    if (countBytes < HEADER_BYTES) return -Errno.EINVAL;
    const parts: number[] = [];
    for (let event = this.#next(); event !== undefined; event = this.#next()) {
      const eventBytes = HEADER_BYTES + (event.data?.length ?? 0);
      if (parts.length + eventBytes > countBytes) {
        if (parts.length === 0) return -Errno.EINVAL;
        break;
      }
      if (event === this.#lost) this.#lost = undefined;
      else this.#events.shift();
      const header = new DataView(new ArrayBuffer(HEADER_BYTES));
      header.setUint32(0, event.data === undefined ? LOST_EVENTS : 0, true);
      header.setUint32(4, event.sequence, true);
      parts.push(...new Uint8Array(header.buffer), ...(event.data ?? []));
    }
    return Uint8Array.from(parts);
  }

  /** Event queues are read only. */
  write(_bytes: Uint8Array): number {
    return -Errno.EINVAL;
  }

  *destroy(): KernelTask<void> {
    yield 0;
    if (this.#linked) this.viommu.veventqs.delete(this.driverType);
    this.viommu.users--;
  }

  #next(): Vevent | undefined {
    return this.#events[0] ?? this.#lost;
  }
}

/** IOMMU_VEVENTQ_ALLOC. */
export interface VeventqAllocCommand {
  readonly flags: number;
  readonly reserved: number;
  readonly viommuId: number;
  readonly type: number;
  readonly depth: number;
  /** Written on success. */
  outVeventqId: number;
  outVeventqFd: number;
}

function* makeQueue(viommu: Viommu, command: VeventqAllocCommand, files: FileTable): KernelTask<number> {
  if (viommu.veventqs.has(command.type)) return -Errno.EEXIST;
  const { context } = viommu;
  yield context.kernel.costs.objectAlloc;
  const queue = new VeventQueue(viommu, command.type, command.depth);
  const full = context.objects.reserve(queue);
  if (full !== 0) {
    yield* queue.destroy();
    return full;
  }
  const fd = yield* openEventFile(context, queue, files);
  if (fd < 0) {
    yield* context.objects.abortAndDestroy(queue);
    return fd;
  }
  queue.link();
  context.objects.publish(queue);
  command.outVeventqId = queue.id;
  command.outVeventqFd = fd;
  return 0;
}

/**
 * iommufd_veventq_alloc. Errors in check order: EOPNOTSUPP flags, reserved or type 0; EINVAL depth; ENOENT vIOMMU;
 * EEXIST queue of this type; EMFILE.
 */
export function* allocVeventq(
  context: IommufdContext,
  command: VeventqAllocCommand,
  files: FileTable,
): KernelTask<number> {
  if (command.flags !== 0 || command.reserved !== 0 || command.type === 0) return -Errno.EOPNOTSUPP;
  const tooDeep = context.profile.hwQueue && command.depth > MAX_DEPTH;
  if (command.depth === 0 || tooDeep) return -Errno.EINVAL;
  const viommu = context.objects.acquire(command.viommuId, Viommu);
  if (viommu === undefined) return -Errno.ENOENT;
  const error = yield* makeQueue(viommu, command, files);
  context.objects.release(viommu);
  return error;
}
