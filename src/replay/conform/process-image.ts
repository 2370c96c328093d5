/** The process a sequence runs in: fresh memory, standard streams, and a region for the structures it passes. */
import { AddressSpace } from '../../stack/kernel/address-space.ts';
import { FileReferences } from '../../stack/kernel/file-references.ts';
import { FileTable } from '../../stack/kernel/file-table.ts';
import { Process } from '../../stack/kernel/process.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import { type ConformMachine, PlainFile } from './machine.ts';

/** Where the test program keeps ioctl structures and arrays; outside every address a transcript maps. */
export const SCRATCH_ADDRESS = 0x7ffc_0000_0000n;
/** [bytes] */
export const SCRATCH_BYTES = 0x10_0000n;

/** Starts a process as the recorded test program: root, every capability, no limit. */
export function startProcess(machine: ConformMachine, name: string): Process {
  const files = new FileTable();
  for (let fd = 0; fd < 3; fd++) files.installAt(fd, new PlainFile(new FileReferences(nothing)));
  const process = new Process(name, new AddressSpace(machine.frames), machine.user, files);
  machine.run(process.memory.map(SCRATCH_ADDRESS, SCRATCH_BYTES));
  return process;
}

/** Ends a process: memory first, then descriptors in ascending order (do_exit). */
export function exitProcess(machine: ConformMachine, process: Process): void {
  machine.run(process.memory.exit());
  machine.run(process.files.closeAll());
}

function* nothing(): KernelTask<void> {}

/** fork(): a copy of the memory, the same open files. */
export function forkProcess(machine: ConformMachine, parent: Process): Process {
  const child = new Process(`${parent.name} child`, parent.memory.fork(), machine.user, parent.files.fork());
  child.memlockLimit = parent.memlockLimit;
  child.canLockMemory = parent.canLockMemory;
  child.canSetResources = parent.canSetResources;
  child.canUseRawIo = parent.canUseRawIo;
  return child;
}
