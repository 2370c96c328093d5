/**
 * The operations on containers and groups: structures in the process's memory, then the ioctl. Argument and output names
 * follow the recorded test program.
 */
import { Errno } from '../../errno.ts';
import { IommufdFile } from '../../stack/iommufd/iommufd-file.ts';
import { encodeStruct, type StructLayout, u32, u64 } from '../../stack/iommufd/user-struct.ts';
import { Container } from '../../stack/vfio/container.ts';
import { standardBackends } from '../../stack/vfio/container-kinds.ts';
import { openGroup, VfioGroupFile } from '../../stack/vfio/group-file.ts';
import { CONTAINER_NODE, groupNode } from '../../stack/vfio/node-names.ts';
import { readIommuInfo } from './iommu-info-reply.ts';
import { type ConformMachine, hex, type Operation, type StepContext, type StepOutcome } from './machine.ts';
import { SCRATCH_ADDRESS } from './process-image.ts';
import type { VfioMachine } from './vfio-machine.ts';

/** _IO(';', n) of include/uapi/linux/vfio.h. */
const Request = {
  getApiVersion: 0x3b64,
  checkExtension: 0x3b65,
  setIommu: 0x3b66,
  groupGetStatus: 0x3b67,
  groupSetContainer: 0x3b68,
  groupUnsetContainer: 0x3b69,
  groupGetDeviceFd: 0x3b6a,
  iommuGetInfo: 0x3b70,
  iommuMapDma: 0x3b71,
  iommuUnmapDma: 0x3b72,
  iommuDirtyPages: 0x3b75,
} as const;

const MAP: StructLayout = { argsz: u32(0), flags: u32(4), va: u64(8), iova: u64(16), length: u64(24) };
const UNMAP: StructLayout = { argsz: u32(0), flags: u32(4), iova: u64(8), length: u64(16) };
const HEADER: StructLayout = { argsz: u32(0), flags: u32(4) };
/** [bytes] Sizes of the structures. */
const MAP_BYTES = 32;
const UNMAP_BYTES = 24;
const HEADER_BYTES = 8;
/** [bytes] What the test program gives GET_INFO. */
const INFO_ROOM = 1024;

/** ioctl(2) on a container or group: EBADF without file, ENOTTY on one that has no such calls. */
function callFile({ machine, process, args }: StepContext, request: number, argument: bigint): number {
  const file = process.files.get(args.i32('fd'));
  if (file === undefined) return -Errno.EBADF;
  if (file instanceof Container || file instanceof VfioGroupFile || file instanceof IommufdFile) {
    return machine.run(file.ioctl(process, request, argument));
  }
  return -Errno.ENOTTY;
}

/** An ioctl whose argument is a number. */
function plain(request: number, argument?: string): Operation {
  return (step) => ({ rc: callFile(step, request, argument === undefined ? 0n : step.args.u64(argument)) });
}

/** Writes a structure of `lengthBytes` to scratch memory, its fields from arguments of the same names. */
function writeStruct({ process, args }: StepContext, layout: StructLayout, lengthBytes: number): DataView {
  const bytes = new Uint8Array(lengthBytes);
  const values: Record<string, bigint> = {};
  for (const name of Object.keys(layout)) if (args.has(name)) values[name] = args.u64(name);
  values['argsz'] = BigInt(args.u32('size', lengthBytes));
  encodeStruct(layout, values, bytes);
  process.memory.write(SCRATCH_ADDRESS, bytes);
  return new DataView(bytes.buffer);
}

/** The structure as it stands now. */
function readBack({ process }: StepContext, lengthBytes: number): DataView {
  const bytes = process.memory.read(SCRATCH_ADDRESS, lengthBytes) ?? new Uint8Array(lengthBytes);
  return new DataView(bytes.buffer);
}

const mapDma: Operation = (step) => {
  writeStruct(step, MAP, MAP_BYTES);
  return { rc: callFile(step, Request.iommuMapDma, SCRATCH_ADDRESS) };
};

const unmapDma: Operation = (step) => {
  const before = writeStruct(step, UNMAP, UNMAP_BYTES).getBigUint64(16, true);
  const rc = callFile(step, Request.iommuUnmapDma, SCRATCH_ADDRESS);
  const after = readBack(step, UNMAP_BYTES).getBigUint64(16, true);
  return rc >= 0 || after !== before ? { rc, out: { length: hex(after) } } : { rc };
};

const dirtyPages: Operation = (step) => {
  writeStruct(step, HEADER, HEADER_BYTES);
  return { rc: callFile(step, Request.iommuDirtyPages, SCRATCH_ADDRESS) };
};

const getInfo: Operation = (step): StepOutcome => {
  const sent = step.args.u32('size', INFO_ROOM);
  step.process.memory.write(SCRATCH_ADDRESS, new Uint8Array(INFO_ROOM));
  const head = new DataView(new ArrayBuffer(4));
  head.setUint32(0, sent, true);
  step.process.memory.write(SCRATCH_ADDRESS, new Uint8Array(head.buffer));
  const rc = callFile(step, Request.iommuGetInfo, SCRATCH_ADDRESS);
  return rc < 0 ? { rc } : { rc, out: readIommuInfo(readBack(step, INFO_ROOM), sent) };
};

const getStatus: Operation = (step) => {
  writeStruct(step, HEADER, HEADER_BYTES);
  const rc = callFile(step, Request.groupGetStatus, SCRATCH_ADDRESS);
  return rc < 0 ? { rc } : { rc, out: { flags: hex(readBack(step, HEADER_BYTES).getUint32(4, true)) } };
};

const setContainer: Operation = (step) => {
  const fd = new DataView(new ArrayBuffer(4));
  fd.setInt32(0, step.args.i32('container'), true);
  step.process.memory.write(SCRATCH_ADDRESS, new Uint8Array(fd.buffer));
  return { rc: callFile(step, Request.groupSetContainer, SCRATCH_ADDRESS) };
};

/** Devices are named as in the transcript, or by what the kernel calls them. */
function getDeviceFd(vfio: VfioMachine): Operation {
  return (step) => {
    const name = step.args.text('dev') ?? '';
    const text = new TextEncoder().encode(`${vfio.vfioDevices.get(name)?.name ?? name}\0`);
    step.process.memory.write(SCRATCH_ADDRESS, text);
    const rc = callFile(step, Request.groupGetDeviceFd, SCRATCH_ADDRESS);
    return rc < 0 ? { rc } : { rc: 0, values: [rc] };
  };
}

/** Adds operations, the group nodes and, where it is built, the native container. */
export function installVfioLegacy(machine: ConformMachine, vfio: VfioMachine): void {
  const operations: Readonly<Record<string, Operation>> = {
    VFIO_GET_API_VERSION: plain(Request.getApiVersion),
    VFIO_CHECK_EXTENSION: plain(Request.checkExtension, 'ext'),
    VFIO_SET_IOMMU: plain(Request.setIommu, 'type'),
    VFIO_IOMMU_GET_INFO: getInfo,
    VFIO_IOMMU_MAP_DMA: mapDma,
    VFIO_IOMMU_UNMAP_DMA: unmapDma,
    VFIO_IOMMU_DIRTY_PAGES: dirtyPages,
    VFIO_GROUP_GET_STATUS: getStatus,
    VFIO_GROUP_SET_CONTAINER: setContainer,
    VFIO_GROUP_UNSET_CONTAINER: plain(Request.groupUnsetContainer),
    VFIO_GROUP_GET_DEVICE_FD: getDeviceFd(vfio),
  };
  for (const [name, operation] of Object.entries(operations)) machine.operations.set(name, operation);
  const { registry } = vfio;
  for (const [via, prefix] of [
    ['group', ''],
    ['noiommu', 'noiommu-'],
  ] as const) {
    machine.deviceNodes.set(via, function* (process, args) {
      const group = vfio.vfioDevices.get(args.text('dev') ?? '')?.group;
      if (group === undefined || groupNode(group) !== `/dev/vfio/${prefix}${group.id}`) return -Errno.ENOENT;
      return yield* openGroup(machine.kernel, group, process);
    });
  }
  if (registry.build.container) {
    const kinds = standardBackends(machine.kernel, registry.profile, registry.build);
    machine.paths.set(CONTAINER_NODE, function* () {
      yield 0;
      return new Container(machine.kernel, kinds);
    });
  }
}
