/** The operations of PCI hot resets: structures in the process's memory, then the ioctl on a device file. */
import { Errno } from '../../errno.ts';
import { checkAccess, VfioDeviceFile } from '../../stack/vfio/device-file.ts';
import { getHotResetInfo, hotReset } from '../../stack/vfio/hot-reset.ts';
import type { ConformMachine, Operation, StepContext, StepOutcome } from './machine.ts';
import { hex } from './machine.ts';
import { SCRATCH_ADDRESS } from './process-image.ts';
import { TRANSCRIPT_TOPOLOGY } from './topology.ts';

/** [bytes] Header of both structures, one dependent device, one descriptor. */
const HEADER_BYTES = 12;
const DEVICE_BYTES = 8;
const FD_BYTES = 4;
/** [bytes] What the test program gives GET_PCI_HOT_RESET_INFO. */
const INFO_ROOM = 1024;
/** VFIO_PCI_HOT_RESET_FLAG_DEV_ID. */
const FLAG_DEVICE_ID = 1;

/** A device file with access, or the outcome without one. */
function deviceFile({ process, args }: StepContext): VfioDeviceFile | StepOutcome {
  const file = process.files.get(args.i32('fd'));
  if (file === undefined) return { rc: -Errno.EBADF };
  if (!(file instanceof VfioDeviceFile)) return { rc: -Errno.ENOTTY };
  const refused = checkAccess(file);
  return refused === 0 ? file : { rc: refused };
}

const getInfo: Operation = (step) => {
  const file = deviceFile(step);
  if (!(file instanceof VfioDeviceFile)) return file;
  const { machine, process, args } = step;
  const sent = new DataView(new ArrayBuffer(INFO_ROOM));
  sent.setUint32(0, args.u32('size', INFO_ROOM), true);
  process.memory.write(SCRATCH_ADDRESS, new Uint8Array(sent.buffer));
  const rc = machine.run(getHotResetInfo(file.device, process, SCRATCH_ADDRESS));
  const reply = new DataView((process.memory.read(SCRATCH_ADDRESS, INFO_ROOM) ?? new Uint8Array(INFO_ROOM)).buffer);
  const count = reply.getUint32(8, true);
  if (rc < 0 && count === 0) return { rc };
  const flags = reply.getUint32(4, true);
  const out: Record<string, unknown> = { flags: hex(flags), count };
  if (rc >= 0) out['devices'] = Array.from({ length: count }, (_, index) => dependentDevice(reply, index, flags));
  return { rc, out };
};

function dependentDevice(reply: DataView, index: number, flags: number): Record<string, unknown> {
  const at = HEADER_BYTES + index * DEVICE_BYTES;
  const bus = reply.getUint8(at + 6);
  const devfn = reply.getUint8(at + 7);
  const known = TRANSCRIPT_TOPOLOGY.find((each) => each.bus === bus && ((each.device << 3) | each.fn) === devfn);
  const id = reply.getInt32(at, true);
  return { dev: known?.name, [(flags & FLAG_DEVICE_ID) !== 0 ? 'devid' : 'group']: id };
}

const reset: Operation = (step) => {
  const file = deviceFile(step);
  if (!(file instanceof VfioDeviceFile)) return file;
  const { machine, process, args } = step;
  const fds = args.list('fds');
  const lengthBytes = HEADER_BYTES + fds.length * FD_BYTES;
  const view = new DataView(new ArrayBuffer(lengthBytes));
  view.setUint32(0, args.u32('size', lengthBytes), true);
  view.setUint32(4, args.u32('flags'), true);
  view.setUint32(8, fds.length, true);
  for (const [index, fd] of fds.entries()) {
    view.setInt32(HEADER_BYTES + index * FD_BYTES, Number(BigInt.asIntN(32, fd)), true);
  }
  process.memory.write(SCRATCH_ADDRESS, new Uint8Array(view.buffer));
  return { rc: machine.run(hotReset(file.device, process, SCRATCH_ADDRESS)) };
};

/** Adds the operations. */
export function installVfioReset(machine: ConformMachine): void {
  machine.operations.set('VFIO_DEVICE_GET_PCI_HOT_RESET_INFO', getInfo);
  machine.operations.set('VFIO_DEVICE_PCI_HOT_RESET', reset);
}
