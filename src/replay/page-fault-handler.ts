/**
 * User space that answers I/O page faults: a thread that polls a fault queue's file, backs each page asked for with
 * memory, maps it into the IOAS behind the page table, and answers the group. What a virtual machine monitor or a
 * user-space driver with demand paging does; its own work is a cost of the kernel profile.
 *
 * APPROX: it maps whole blocks, each at a user address of its own, and never takes one back by itself.
 */
import { Errno } from '../errno.ts';
import { MAX_PAGE_REQUEST_WINDOW } from '../hw/vtd/config.ts';
import type { IommufdContext } from '../stack/iommufd/context.ts';
import type { Fault } from '../stack/iommufd/fault.ts';
import { ioasMap } from '../stack/iommufd/ioas-commands.ts';
import { MapFlag } from '../stack/iommufd/uapi.ts';
import type { Kernel } from '../stack/kernel/kernel.ts';
import type { Process } from '../stack/kernel/process.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import type { Diagnostics } from './diagnostics.ts';

/** [bytes] struct iommu_hwpt_pgfault and struct iommu_hwpt_page_response. */
const FAULT_BYTES = 40;
const RESPONSE_BYTES = 8;
/** [bytes] What one read takes: any group, since one that does not fit is never handed out. */
const READ_BYTES = MAX_PAGE_REQUEST_WINDOW * FAULT_BYTES;
/** IOMMU_PGFAULT_FLAGS_LAST_PAGE. */
const LAST_PAGE = 2;
/** IOMMUFD_PAGE_RESP_*. */
const RESPONSE_SUCCESS = 0;
const RESPONSE_INVALID = 1;
const MAP_FLAGS = MapFlag.fixedIova | MapFlag.writeable | MapFlag.readable;

/** [bytes] Memory of handlers that no recording places: the upper half of 47-bit user space. ASSUMPTION. */
const HEAP_BASE = 2n ** 46n;

/** Blocks for the handlers of one process, each its own, in the order they are asked for. */
export class HandlerHeap {
  #next = HEAP_BASE;

  /** User address of a new block of `bytes`, a power of two, aligned to its size. */
  take(bytes: bigint): bigint {
    const address = (this.#next + bytes - 1n) & ~(bytes - 1n);
    this.#next = address + bytes;
    return address;
  }
}

/** Where a handler's memory lies; page tables that share a queue share the memory. */
export interface HandlerMemory {
  /** [bytes] User address of what backs IOVA 0; undefined = not known, blocks come from the heap. */
  readonly userBase: bigint | undefined;
  readonly heap: HandlerHeap;
  /** [bytes] Mapped for one fault; a power of two of at least a page. */
  readonly blockBytes: bigint;
}

/** One handler of one fault queue. */
export class PageFaultHandler {
  readonly #kernel: Kernel;
  readonly #process: Process;
  readonly #context: IommufdContext;
  readonly #fault: Fault;
  readonly #memory: HandlerMemory;
  readonly #diagnostics: Diagnostics;
  /** Model id of the IOAS that a device (by object id) is attached to with a PASID. */
  readonly #ioasOf: (deviceId: number, pasid: number) => number;
  /** User address by IOVA of blocks from the heap. */
  readonly #blocks = new Map<bigint, bigint>();
  #running = false;

  constructor(
    kernel: Kernel,
    process: Process,
    context: IommufdContext,
    fault: Fault,
    memory: HandlerMemory,
    ioasOf: (deviceId: number, pasid: number) => number,
    diagnostics: Diagnostics,
  ) {
    this.#ioasOf = ioasOf;
    this.#kernel = kernel;
    this.#process = process;
    this.#context = context;
    this.#fault = fault;
    this.#memory = memory;
    this.#diagnostics = diagnostics;
    fault.onReadable = () => this.#wake();
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    this.#kernel.scheduler.start(this.#serve());
  }

  *#serve(): KernelTask<void> {
    const { costs } = this.#kernel;
    yield costs.userWake;
    while (this.#fault.readable) {
      yield costs.ioctl;
      const bytes = this.#fault.read(READ_BYTES);
      if (typeof bytes === 'number') {
        this.#diagnostics.count('fault_read_failed');
        break;
      }
      yield* this.#answer(bytes);
    }
    this.#running = false;
  }

  /** Maps what the faults of one read ask for and answers each group. */
  *#answer(bytes: Uint8Array): KernelTask<void> {
    const { costs } = this.#kernel;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let failed = false;
    for (let at = 0; at < bytes.length; at += FAULT_BYTES) {
      const ioasId = this.#ioasOf(view.getUint32(at + 4, true), view.getUint32(at + 8, true));
      const error = yield* this.#back(ioasId, view.getBigUint64(at + 24, true));
      if (error !== 0) failed = true;
      if ((view.getUint32(at, true) & LAST_PAGE) === 0) continue;
      const response = new DataView(new ArrayBuffer(RESPONSE_BYTES));
      response.setUint32(0, view.getUint32(at + 36, true), true);
      response.setUint32(4, failed ? RESPONSE_INVALID : RESPONSE_SUCCESS, true);
      failed = false;
      yield costs.ioctl;
      // A detach may have answered the group in the meantime.
      const written = this.#fault.write(new Uint8Array(response.buffer));
      if (written < 0) this.#diagnostics.count('fault_answered_before');
    }
  }

  /** Memory behind the block of an IOVA, mapped. 0 or a negative errno. */
  *#back(ioasId: number, iova: bigint): KernelTask<number> {
    const { blockBytes } = this.#memory;
    const start = iova & ~(blockBytes - 1n);
    const userVa = this.#addressOf(start);
    yield this.#kernel.costs.userFault;
    const { memory } = this.#process;
    if (memory.frameAt(userVa, true) === undefined) {
      const error = yield* memory.map(userVa, blockBytes);
      if (error !== 0) return error;
    }
    yield this.#kernel.costs.ioctl;
    const command = { flags: MAP_FLAGS, reserved: 0, ioasId, userVa, lengthBytes: blockBytes, iova: start };
    const error = yield* ioasMap(this.#context, this.#process, command);
    // Somebody else's fault has brought the block in.
    return error === -Errno.EEXIST ? 0 : error;
  }

  /** User address of the block at an IOVA. */
  #addressOf(start: bigint): bigint {
    const { blockBytes, heap, userBase } = this.#memory;
    if (userBase !== undefined) return userBase + start;
    let address = this.#blocks.get(start);
    if (address === undefined) {
      address = heap.take(blockBytes);
      this.#blocks.set(start, address);
    }
    return address;
  }
}
