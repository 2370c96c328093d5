/**
 * Fault queue: I/O page faults of attachments to its page tables, read and answered by user space (struct
 * iommufd_fault). Source: Linux drivers/iommu/iommufd/eventq.c (fault.c before 6.15).
 */
import { Errno } from '../../errno.ts';
import type { AttachHandle, PageRequestGroup, PageResponseCode } from '../iommu/ops.ts';
import type { FileTable } from '../kernel/file-table.ts';
import type { KernelTask } from '../kernel/task.ts';
import { DeviceAttachHandle } from './attach-handle.ts';
import type { IommufdContext } from './context.ts';
import { type EventSource, openEventFile } from './event-file.ts';

/** [bytes] struct iommu_hwpt_pgfault: flags, dev_id, pasid, grpid, perm, reserved, addr u64, length, cookie. */
const FAULT_BYTES = 40;
const FaultFlag = { pasidValid: 1, lastPage: 2 } as const;
/** [bytes] struct iommu_hwpt_page_response: cookie, code. */
const RESPONSE_BYTES = 8;
/** IOMMUFD_PAGE_RESP_*. */
const RESPONSE_CODES: readonly PageResponseCode[] = ['success', 'invalid'];

/** A fault queue. */
export class Fault implements EventSource {
  readonly type = 'fault';
  id = 0;
  users = 1;
  waitCount = 0;
  /** Not read yet, oldest first. */
  readonly #undelivered: PageRequestGroup[] = [];
  /** Read but not answered, by cookie. */
  readonly #unanswered = new Map<number, PageRequestGroup>();

  get readable(): boolean {
    return this.#undelivered.length > 0;
  }

  /** Called when a group becomes readable: whoever polls the file wakes. */
  onReadable: (() => void) | undefined;

  /** Queues a complete group (iommufd_fault_iopf_handler). */
  deliver(group: PageRequestGroup): void {
    this.#undelivered.push(group);
    this.onReadable?.();
  }

  /** The attachment is going: every group of it that user space has not answered gets INVALID. */
  answerAttachment(handle: AttachHandle): void {
    for (let i = 0; i < this.#undelivered.length; ) {
      const group = this.#undelivered[i] as PageRequestGroup;
      if (group.handle === handle) {
        this.#undelivered.splice(i, 1);
        answer(group, 'invalid');
      } else {
        i++;
      }
    }
    for (const [cookie, group] of [...this.#unanswered].sort(([a], [b]) => a - b)) {
      if (group.handle !== handle) continue;
      this.#unanswered.delete(cookie);
      answer(group, 'invalid');
    }
  }

  /** Whole groups, oldest first. ESPIPE odd count, EINVAL when the first group does not fit; empty when none waits. */
  read(countBytes: number): Uint8Array | number {
    if (countBytes % FAULT_BYTES !== 0) return -Errno.ESPIPE;
    const parts: Uint8Array[] = [];
    let doneBytes = 0;
    for (let group = this.#undelivered[0]; group !== undefined; group = this.#undelivered[0]) {
      const groupBytes = group.requests.length * FAULT_BYTES;
      if (doneBytes + groupBytes > countBytes) {
        if (doneBytes === 0) return -Errno.EINVAL;
        break;
      }
      this.#undelivered.shift();
      const cookie = this.#lowestFreeCookie();
      this.#unanswered.set(cookie, group);
      parts.push(encodeGroup(group, cookie));
      doneBytes += groupBytes;
    }
    const out = new Uint8Array(doneBytes);
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  /** Responses in order. ESPIPE odd count, EINVAL unknown code or cookie; those before an error count as written. */
  write(bytes: Uint8Array): number {
    if (bytes.length % RESPONSE_BYTES !== 0) return -Errno.ESPIPE;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length; at += RESPONSE_BYTES) {
      const code = RESPONSE_CODES[view.getUint32(at + 4, true)];
      const cookie = view.getUint32(at, true);
      const group = this.#unanswered.get(cookie);
      if (code === undefined || group === undefined) return at === 0 ? -Errno.EINVAL : at;
      this.#unanswered.delete(cookie);
      answer(group, code);
    }
    return bytes.length;
  }

  *destroy(): KernelTask<void> {
    yield 0;
    for (const group of this.#undelivered) answer(group, 'invalid');
    for (const [, group] of [...this.#unanswered].sort(([a], [b]) => a - b)) answer(group, 'invalid');
    this.#undelivered.length = 0;
    this.#unanswered.clear();
  }

  #lowestFreeCookie(): number {
    let cookie = 1;
    while (this.#unanswered.has(cookie)) cookie++;
    return cookie;
  }
}

function answer(group: PageRequestGroup, code: PageResponseCode): void {
  group.device.driver.respondToPageRequests?.(group, code);
}

function encodeGroup(group: PageRequestGroup, cookie: number): Uint8Array {
  const out = new DataView(new ArrayBuffer(group.requests.length * FAULT_BYTES));
  const deviceId = group.handle instanceof DeviceAttachHandle ? group.handle.device.id : 0;
  group.requests.forEach((request, index) => {
    const at = index * FAULT_BYTES;
    const flags = (request.pasid !== undefined ? FaultFlag.pasidValid : 0) | (request.last ? FaultFlag.lastPage : 0);
    out.setUint32(at, flags, true);
    out.setUint32(at + 4, deviceId, true);
    out.setUint32(at + 8, request.pasid ?? 0, true);
    out.setUint32(at + 12, request.groupId, true);
    out.setUint32(at + 16, request.permission, true);
    out.setBigUint64(at + 24, request.address, true);
    out.setUint32(at + 36, cookie, true);
  });
  return new Uint8Array(out.buffer);
}

/** IOMMU_FAULT_QUEUE_ALLOC. */
export interface FaultQueueAllocCommand {
  readonly flags: number;
  /** Written on success. */
  outFaultId: number;
  outFaultFd: number;
}

/** Makes a fault queue and its file. Errors: EOPNOTSUPP flags, ENOMEM, EMFILE. */
export function* allocFaultQueue(
  context: IommufdContext,
  command: FaultQueueAllocCommand,
  files: FileTable,
): KernelTask<number> {
  if (command.flags !== 0) return -Errno.EOPNOTSUPP;
  yield context.kernel.costs.objectAlloc;
  const fault = new Fault();
  const full = context.objects.reserve(fault);
  if (full !== 0) return full;
  const fd = yield* openEventFile(context, fault, files);
  if (fd < 0) {
    context.objects.abort(fault);
    return fd;
  }
  context.objects.publish(fault);
  command.outFaultId = fault.id;
  command.outFaultFd = fd;
  return 0;
}
