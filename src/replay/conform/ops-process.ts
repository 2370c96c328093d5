/** Operations on the process itself: files, memory, limits. */
import { Errno } from '../../errno.ts';
import { IommufdFile } from '../../stack/iommufd/iommufd-file.ts';
import { FileReferences } from '../../stack/kernel/file-references.ts';
import { MemoryFile } from '../../stack/kernel/memory-file.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import { type ConformMachine, type ConformModule, hex, type Operation, PlainFile } from './machine.ts';

/** [bytes] /proc/self/exe and a fresh temporary file: both on tmpfs on the recorded machines. */
const EXECUTABLE_BYTES = 0x10_0000n;
const TEMPORARY_FILE_BYTES = 0x1_0000n;

const open: Operation = ({ machine, process, args }) => {
  const path = args.text('path');
  const opener = path !== undefined ? machine.paths.get(path) : machine.deviceNodes.get(args.text('via') ?? '');
  if (opener === undefined) return { rc: -Errno.ENOENT };
  const file = machine.run(opener(process, args));
  if (typeof file === 'number') return { rc: file };
  const fd = process.files.install(file);
  if (fd < 0) machine.run(file.file.put());
  return fd < 0 ? { rc: fd } : { rc: 0, values: [fd] };
};

const close: Operation = ({ machine, process, args }) => ({ rc: machine.run(process.files.close(args.i32('fd'))) });

const dup: Operation = ({ process, args }) => {
  const fd = process.files.duplicate(args.i32('fd'));
  return fd < 0 ? { rc: fd } : { rc: 0, values: [fd] };
};

const read: Operation = ({ process, args }) => {
  const file = process.files.get(args.i32('fd'));
  if (file === undefined) return { rc: -Errno.EBADF };
  return { rc: file.read === undefined ? -Errno.EINVAL : file.read(args.u32('length')) };
};

const mmap: Operation = ({ machine, process, args }) => {
  const address = args.u64('addr');
  const protection = args.text('prot') ?? 'rw';
  const rc = machine.run(
    process.memory.map(address, args.u64('length'), {
      readable: protection.includes('r') && protection !== 'none',
      writable: protection.includes('w') && protection !== 'none',
      huge: args.has('huge'),
    }),
  );
  return { rc, values: [address] };
};

const mmapFd: Operation = ({ machine, process, args }) => {
  const file = process.files.get(args.i32('fd'));
  const address = args.u64('addr');
  const lengthBytes = args.u64('length');
  const offsetBytes = args.u64('offset');
  if (file === undefined) return { rc: -Errno.EBADF };
  if (file instanceof MemoryFile) {
    const filePage = Number(offsetBytes >> 12n);
    return { rc: machine.run(process.memory.map(address, lengthBytes, { file, filePage })), values: [address] };
  }
  if (!(file instanceof IommufdFile)) return { rc: -Errno.ENODEV };
  return { rc: machine.run(file.mmap(process, address, lengthBytes, offsetBytes)), values: [address] };
};

const munmap: Operation = ({ machine, process, args }) => ({
  rc: machine.run(process.memory.unmap(args.u64('va'), args.u64('length'))),
});

const fill: Operation = ({ process, args }) => {
  const bytes = new Uint8Array(Number(args.u64('length'))).fill(args.u32('val'));
  return { rc: process.memory.write(args.u64('va'), bytes) ? 0 : -Errno.EFAULT };
};

const peek: Operation = ({ process, args }) => {
  const bytes = process.memory.read(args.u64('va'), args.u32('length'));
  if (bytes === undefined) return { rc: -Errno.EFAULT };
  return { rc: 0, out: { bytes: Buffer.from(bytes).toString('hex') } };
};

const peek64: Operation = ({ process, args }) => {
  const bytes = process.memory.read(args.u64('va'), 8);
  if (bytes === undefined) return { rc: -Errno.EFAULT };
  const value = new DataView(bytes.buffer).getBigUint64(0, true);
  return { rc: 0, out: { value: hex(value) }, values: [value] };
};

const poke32: Operation = ({ process, args }) => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, args.u32('val'), true);
  return { rc: process.memory.write(args.u64('va'), bytes) ? 0 : -Errno.EFAULT };
};

const setBits: Operation = ({ process, args }) => {
  const address = args.u64('va');
  for (let bit = args.u64('from'); bit < args.u64('to'); bit += args.u64('step', 1n)) {
    const byte = process.memory.read(address + (bit >> 3n), 1);
    if (byte === undefined) return { rc: -Errno.EFAULT };
    process.memory.write(address + (bit >> 3n), Uint8Array.of((byte[0] as number) | (1 << Number(bit & 7n))));
  }
  return { rc: 0 };
};

const same: Operation = ({ process, args }) => {
  const lengthBytes = args.u32('length');
  const a = process.memory.read(args.u64('a'), lengthBytes);
  const b = process.memory.read(args.u64('b'), lengthBytes);
  if (a === undefined || b === undefined) return { rc: -Errno.EFAULT };
  return { rc: 0, out: { same: Buffer.from(a).equals(b) } };
};

const rlimitMemlock: Operation = ({ process, args }) => {
  process.memlockLimit = Number(args.u64('bytes') >> 12n);
  return { rc: 0 };
};

const dropIpcLock: Operation = ({ process }) => {
  process.canLockMemory = false;
  process.canSetResources = false;
  return { rc: 0 };
};

const lockedVm: Operation = ({ process }) => ({
  rc: 0,
  out: { VmLck_kB: process.memory.lockedVm * 4, VmPin_kB: process.memory.pinnedVm * 4 },
});

const memfd: Operation = ({ machine, process, args }) => {
  const kind = args.has('huge') ? 'hugetlb' : 'shmem';
  const fd = process.files.install(new MemoryFile(kind, args.u64('length'), machine.frames));
  return fd < 0 ? { rc: fd } : { rc: 0, values: [fd] };
};

const tmpfile: Operation = ({ machine, process }) => {
  const fd = process.files.install(new MemoryFile('shmem', TEMPORARY_FILE_BYTES, machine.frames));
  return fd < 0 ? { rc: fd } : { rc: 0, values: [fd] };
};

const ftruncate: Operation = ({ process, args }) => {
  const file = process.files.get(args.i32('fd'));
  if (file === undefined) return { rc: -Errno.EBADF };
  if (!(file instanceof MemoryFile)) return { rc: -Errno.EINVAL };
  file.truncate(args.u64('length'));
  return { rc: 0 };
};

const inChild: Operation = (context) => {
  context.runInChild(context.args.u32('steps'));
  return { rc: 0 };
};

const OPERATIONS: Readonly<Record<string, Operation>> = {
  open,
  close,
  dup,
  read,
  mmap,
  mmap_fd: mmapFd,
  munmap,
  fill,
  peek,
  peek64,
  poke32,
  setbits: setBits,
  same,
  rlimit_memlock: rlimitMemlock,
  drop_ipc_lock: dropIpcLock,
  locked_vm: lockedVm,
  memfd,
  tmpfile,
  ftruncate,
  in_child: inChild,
};

/** The module of process operations. */
export const PROCESS_MODULE: ConformModule = {
  install(machine: ConformMachine): void {
    for (const [name, operation] of Object.entries(OPERATIONS)) machine.operations.set(name, operation);
    machine.paths.set('/dev/zero', openPlain);
    machine.paths.set('/proc/self/exe', function* () {
      yield 0;
      return new MemoryFile('shmem', EXECUTABLE_BYTES, machine.frames);
    });
  },
};

function* openPlain(): KernelTask<PlainFile> {
  yield 0;
  return new PlainFile(new FileReferences(nothing));
}

function* nothing(): KernelTask<void> {}
