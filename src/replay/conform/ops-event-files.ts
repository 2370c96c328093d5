/** Reads and writes of the event files of iommufd: fault queues and virtual event queues. */
import { Errno } from '../../errno.ts';
import { EventFile } from '../../stack/iommufd/event-file.ts';
import { hex, type Operation } from './machine.ts';

/** [bytes] Buffer of the recorded test program. */
const READ_BYTES = 4096;
/** [bytes] struct iommufd_vevent_header; the self-test event adds a u32. */
const HEADER_BYTES = 8;
const LOST_EVENTS = 1;
/** [bytes] struct iommu_hwpt_pgfault. */
const FAULT_BYTES = 40;

/** Waits for events, reads once and decodes; EAGAIN when none comes. */
export const veventRead: Operation = ({ process, args }) => {
  const file = process.files.get(args.i32('fd'));
  if (file === undefined) return { rc: -Errno.EBADF };
  if (!(file instanceof EventFile) || !file.source.readable) return { rc: -Errno.EAGAIN, out: { poll: 0 } };
  const bytes = file.source.read(args.u32('length', READ_BYTES));
  if (typeof bytes === 'number') return { rc: bytes, out: { poll: 1 } };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const events: Record<string, unknown>[] = [];
  for (let at = 0; at < bytes.length; at += HEADER_BYTES) {
    const flags = view.getUint32(at, true);
    const sequence = view.getUint32(at + 4, true);
    if ((flags & LOST_EVENTS) !== 0) {
      events.push({ flags, sequence });
      continue;
    }
    events.push({ flags, sequence, virt_id: hex(view.getUint32(at + HEADER_BYTES, true)) });
    at += 4;
  }
  return { rc: 0, out: { poll: 1, bytes: bytes.length, events } };
};

/** Reads and decodes page faults. */
export const faultRead: Operation = ({ process, args }) => {
  const file = process.files.getAs(args.i32('fd'), EventFile);
  if (file === undefined) return { rc: -Errno.EBADF };
  const bytes = file.source.read(args.u32('length', FAULT_BYTES));
  if (typeof bytes === 'number') return { rc: bytes };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const faults: Record<string, unknown>[] = [];
  const cookies: number[] = [];
  for (let at = 0; at + FAULT_BYTES <= bytes.length; at += FAULT_BYTES) {
    const cookie = view.getUint32(at + 36, true);
    cookies.push(cookie);
    faults.push({
      flags: view.getUint32(at, true),
      dev: view.getUint32(at + 4, true),
      pasid: view.getUint32(at + 8, true),
      grpid: view.getUint32(at + 12, true),
      perm: view.getUint32(at + 16, true),
      addr: hex(view.getBigUint64(at + 24, true)),
      cookie,
    });
  }
  return { rc: bytes.length, out: { faults }, values: cookies };
};

/** Answers one page fault group. */
export const faultWrite: Operation = ({ process, args }) => {
  const file = process.files.getAs(args.i32('fd'), EventFile);
  if (file === undefined) return { rc: -Errno.EBADF };
  const response = new DataView(new ArrayBuffer(8));
  response.setUint32(0, args.u32('cookie'), true);
  response.setUint32(4, args.u32('code'), true);
  return { rc: file.source.write(new Uint8Array(response.buffer)) };
};
