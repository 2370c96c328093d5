/**
 * An open /dev/iommu: ioctl dispatch with the rules on structure sizes, and mmap. Source: Linux
 * drivers/iommu/iommufd/main.c iommufd_fops_ioctl, include/linux/uaccess.h copy_struct_from_user.
 */
import { Errno } from '../../errno.ts';
import type { FileReferences } from '../kernel/file-references.ts';
import type { OpenFile } from '../kernel/file-table.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { type IoctlSlot, ioctlTable } from './ioctl-table.ts';
import { FIRST_NR, IOMMUFD_TYPE, TEST_NR } from './uapi.ts';
import { decodeStruct, encodeStruct } from './user-struct.ts';
import { compatIoctl } from './vfio-compat-ioctl.ts';

/** The file. Several descriptors may share it. */
export class IommufdFile implements OpenFile {
  readonly context: IommufdContext;
  readonly #table: ReadonlyMap<number, IoctlSlot>;
  readonly #lastNr: number;

  constructor(context: IommufdContext) {
    this.context = context;
    this.#table = ioctlTable(context.profile);
    this.#lastNr = context.profile.testBuild ? TEST_NR : Math.max(...this.#table.keys());
  }

  get file(): FileReferences {
    return this.context.file;
  }

  /** ioctl(fd, request, argument) by `process`: 0 or more, or a negative errno. */
  *ioctl(process: Process, request: number, argument: bigint): KernelTask<number> {
    yield this.context.kernel.costs.ioctl;
    const nr = request & 0xff;
    if (nr < FIRST_NR || nr > this.#lastNr) return yield* compatIoctl(this.context, process, request, argument);
    const head = process.memory.read(argument, 4);
    if (head === undefined) return -Errno.EFAULT;
    const slot = this.#table.get(nr);
    if (slot === undefined || request !== (IOMMUFD_TYPE | nr)) return -Errno.ENOTTY;
    const userBytes = new DataView(head.buffer).getUint32(0, true);
    return yield* this.#run(slot, process, argument, userBytes);
  }

  /**
   * mmap(MAP_SHARED) of a region that an object of the context granted; the mapping holds a user on that object.
   * Errors: EINVAL, ENXIO.
   */
  *mmap(process: Process, address: bigint, lengthBytes: bigint, offsetBytes: bigint): KernelTask<number> {
    const { mmaps } = this.context;
    const region = mmaps.map({ offsetBytes, lengthBytes, shared: true, executable: false });
    if (typeof region === 'number') return region;
    const owner = {
      file: this.file,
      opened: () => void region.owner.users++,
      closed: () => mmaps.unmap(region),
    };
    const rc = yield* process.memory.map(address, lengthBytes, { bytes: region.bytes, owner });
    // The region counts itself while it exists; what the look-up took goes back.
    mmaps.unmap(region);
    return rc;
  }

  *#run(slot: IoctlSlot, process: Process, argument: bigint, userBytes: number): KernelTask<number> {
    const { knownBytes, minBytes, layout } = slot.shape;
    if (userBytes < minBytes) return -Errno.EINVAL;
    const struct = copyStructIn(process, argument, userBytes, knownBytes);
    if (typeof struct === 'number') return struct;
    const values = decodeStruct(layout, struct);
    const rc = yield* slot.run(this.context, process, values);
    const reply = new Uint8Array(struct);
    encodeStruct(layout, values, reply);
    if (reply.some((byte, index) => byte !== struct[index])) {
      const replied = process.memory.write(argument, reply.subarray(0, Math.min(userBytes, knownBytes)));
      if (!replied && rc >= 0) return -Errno.EFAULT;
    }
    return rc;
  }
}

/**
 * The structure as the kernel knows it: a missing tail is zero; -E2BIG when bytes past the known size are set, -EFAULT
 * when something cannot be read.
 */
function copyStructIn(process: Process, argument: bigint, userBytes: number, knownBytes: number): Uint8Array | number {
  const struct = new Uint8Array(knownBytes);
  const given = process.memory.read(argument, Math.min(userBytes, knownBytes));
  if (userBytes > knownBytes) {
    for (let at = knownBytes; at < userBytes; at += 4096) {
      const tail = process.memory.read(argument + BigInt(at), Math.min(4096, userBytes - at));
      if (tail === undefined) return -Errno.EFAULT;
      if (tail.some((byte) => byte !== 0)) return -Errno.E2BIG;
    }
  }
  if (given === undefined) return -Errno.EFAULT;
  struct.set(given);
  return struct;
}
