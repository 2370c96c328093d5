/**
 * VFIO_DEVICE_SET_IRQS of PCI devices (vfio_set_irqs_validate_and_prepare of Linux drivers/vfio/vfio_main.c). Interrupts
 * carry no DMA of their own here.
 *
 * APPROX: eventfds are checked, not kept, so that EBUSY for a slot in use does not occur.
 */
import { Errno } from '../../errno.ts';
import { EventFd } from '../kernel/event-fd.ts';
import type { Process } from '../kernel/process.ts';
import { type DeviceInformation, getIrqInfo, PCI_IRQ_COUNT } from './device-info.ts';

/** VFIO_IRQ_SET_*. */
const IrqSetFlag = { none: 1, bool: 2, eventfd: 4, mask: 8, unmask: 16, trigger: 32 } as const;
const DATA_MASK = IrqSetFlag.none | IrqSetFlag.bool | IrqSetFlag.eventfd;
const ACTION_MASK = IrqSetFlag.mask | IrqSetFlag.unmask | IrqSetFlag.trigger;
/** [bytes] struct vfio_irq_set without data; argsz that getIrqInfo accepts. */
const HEADER_BYTES = 20;
const IRQ_INFO_BYTES = 16;
const U32_MAX = 0xffff_ffff;

/**
 * The call with the structure at `address`. Errors in check order: EFAULT; EINVAL argsz, index, count, flags; EINVAL range
 * past the interrupts, unknown data, room for the data; EFAULT data; EBADF, EINVAL eventfd.
 */
export function setIrqs(information: DeviceInformation, process: Process, address: bigint): number {
  const header = process.memory.read(address, HEADER_BYTES);
  if (header === undefined) return -Errno.EFAULT;
  const [argsz, flags, index, start, count] = words(header) as [number, number, number, number, number];
  if (argsz < HEADER_BYTES || index >= PCI_IRQ_COUNT || count >= U32_MAX - start) return -Errno.EINVAL;
  if ((flags & ~(DATA_MASK | ACTION_MASK)) !== 0) return -Errno.EINVAL;
  const irq = getIrqInfo(information, IRQ_INFO_BYTES, index);
  const available = typeof irq === 'number' ? 0 : irq.count;
  if (start >= available || start + count > available) return -Errno.EINVAL;
  const itemBytes = dataBytes(flags & DATA_MASK);
  if (itemBytes === undefined || argsz - HEADER_BYTES < count * itemBytes) return -Errno.EINVAL;
  const data = process.memory.read(address + BigInt(HEADER_BYTES), count * itemBytes);
  if (data === undefined) return -Errno.EFAULT;
  return (flags & IrqSetFlag.eventfd) === 0 ? 0 : checkEventFds(words(data), process);
}

/** [bytes] Data by interrupt; undefined for a combination that means nothing. */
function dataBytes(type: number): number | undefined {
  if (type === IrqSetFlag.none) return 0;
  if (type === IrqSetFlag.bool) return 1;
  return type === IrqSetFlag.eventfd ? 4 : undefined;
}

/** -1 takes an eventfd away. */
function checkEventFds(fds: readonly number[], process: Process): number {
  for (const each of fds) {
    const fd = each | 0;
    if (fd < 0) continue;
    const file = process.files.get(fd);
    if (file === undefined) return -Errno.EBADF;
    if (!(file instanceof EventFd)) return -Errno.EINVAL;
  }
  return 0;
}

function words(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length >> 2 }, (_, at) => view.getUint32(4 * at, true));
}
