/**
 * The IOMMU_* operations: each builds the ioctl's structure in the process's memory, calls the file and reports what
 * the kernel wrote back. Argument and output names follow the recorded test program.
 */
import { Errno } from '../../errno.ts';
import { IommufdContext } from '../../stack/iommufd/context.ts';
import { IommufdFile } from '../../stack/iommufd/iommufd-file.ts';
import { iommufdProfile } from '../../stack/iommufd/profile.ts';
import * as uapi from '../../stack/iommufd/uapi.ts';
import { decodeStruct, encodeStruct } from '../../stack/iommufd/user-struct.ts';
import {
  type ConformMachine,
  type ConformModule,
  hex,
  type Operation,
  type StepContext,
  type StepOutcome,
} from './machine.ts';
import { SCRATCH_ADDRESS } from './process-image.ts';

/** How one ioctl's structure is filled and read. */
interface IoctlOperation {
  readonly shape: uapi.IoctlShape;
  /** Structure field by argument name. */
  readonly args: Readonly<Record<string, string>>;
  /** Output name to structure field; `id` outputs are plain numbers, `hex` ones hex strings. */
  readonly ids?: Readonly<Record<string, string>>;
  readonly hexes?: Readonly<Record<string, string>>;
  /** Fields whose values `as` binds, in order. */
  readonly binds?: readonly string[];
}

const IOCTLS: Readonly<Record<string, IoctlOperation>> = {
  IOMMU_DESTROY: { shape: uapi.DESTROY, args: { id: 'id' } },
  IOMMU_IOAS_ALLOC: {
    shape: uapi.IOAS_ALLOC,
    args: { flags: 'flags' },
    ids: { ioas: 'outIoasId' },
    binds: ['outIoasId'],
  },
  IOMMU_IOAS_COPY: {
    shape: uapi.IOAS_COPY,
    args: {
      flags: 'flags',
      dst: 'dstIoasId',
      src: 'srcIoasId',
      length: 'lengthBytes',
      iova: 'dstIova',
      src_iova: 'srcIova',
    },
    hexes: { iova: 'dstIova' },
    binds: ['dstIova'],
  },
  IOMMU_IOAS_MAP: {
    shape: uapi.IOAS_MAP,
    args: { flags: 'flags', ioas: 'ioasId', resv: 'reserved', va: 'userVa', length: 'lengthBytes', iova: 'iova' },
    hexes: { iova: 'iova' },
    binds: ['iova'],
  },
  IOMMU_IOAS_MAP_FILE: {
    shape: uapi.IOAS_MAP_FILE,
    args: { flags: 'flags', ioas: 'ioasId', file: 'fd', start: 'startByte', length: 'lengthBytes', iova: 'iova' },
    hexes: { iova: 'iova' },
    binds: ['iova'],
  },
  IOMMU_IOAS_UNMAP: {
    shape: uapi.IOAS_UNMAP,
    args: { ioas: 'ioasId', iova: 'iova', length: 'lengthBytes' },
    hexes: { length: 'lengthBytes' },
  },
  IOMMU_OPTION: {
    shape: uapi.OPTION,
    args: { option: 'optionId', op: 'op', resv: 'reserved', obj: 'objectId', val: 'value' },
    hexes: { val: 'value' },
  },
  IOMMU_VFIO_IOAS: {
    shape: uapi.VFIO_IOAS,
    args: { ioas: 'ioasId', op: 'op', resv: 'reserved' },
    ids: { ioas: 'ioasId' },
    binds: ['ioasId'],
  },
  IOMMU_HWPT_ALLOC: {
    shape: uapi.HWPT_ALLOC,
    args: {
      flags: 'flags',
      dev: 'devId',
      pt: 'ptId',
      resv: 'reserved',
      data_type: 'dataType',
      data_len: 'dataLength',
      data_uptr: 'data',
      fault: 'faultId',
      resv2: 'reserved2',
    },
    ids: { hwpt: 'outHwptId' },
    binds: ['outHwptId'],
  },
  IOMMU_GET_HW_INFO: {
    shape: uapi.GET_HW_INFO,
    args: { flags: 'flags', dev: 'devId', data_len: 'dataLength', data_uptr: 'data', in_data_type: 'dataType' },
    hexes: {
      data_len: 'dataLength',
      data_type: 'dataType',
      max_pasid_log2: 'maxPasidLog2',
      capabilities: 'capabilities',
    },
  },
  IOMMU_HWPT_SET_DIRTY_TRACKING: {
    shape: uapi.HWPT_SET_DIRTY_TRACKING,
    args: { hwpt: 'hwptId', flags: 'flags', resv: 'reserved' },
  },
  IOMMU_HWPT_GET_DIRTY_BITMAP: {
    shape: uapi.HWPT_GET_DIRTY_BITMAP,
    args: {
      hwpt: 'hwptId',
      flags: 'flags',
      resv: 'reserved',
      iova: 'iova',
      length: 'lengthBytes',
      page_size: 'pageSize',
      data: 'bitmap',
    },
  },
  IOMMU_HWPT_INVALIDATE: {
    shape: uapi.HWPT_INVALIDATE,
    args: {
      hwpt: 'hwptId',
      data_uptr: 'data',
      data_type: 'dataType',
      entry_len: 'entryLength',
      entry_num: 'entryCount',
      resv: 'reserved',
    },
    hexes: { entry_num: 'entryCount' },
  },
  IOMMU_FAULT_QUEUE_ALLOC: {
    shape: uapi.FAULT_QUEUE_ALLOC,
    args: { flags: 'flags' },
    ids: { fault: 'outFaultId', fault_fd: 'outFaultFd' },
    binds: ['outFaultId', 'outFaultFd'],
  },
  IOMMU_VIOMMU_ALLOC: {
    shape: uapi.VIOMMU_ALLOC,
    args: {
      flags: 'flags',
      type: 'viommuType',
      dev: 'devId',
      hwpt: 'hwptId',
      data_len: 'dataLength',
      resv: 'reserved',
      data_uptr: 'data',
    },
    ids: { viommu: 'outViommuId' },
    binds: ['outViommuId'],
  },
  IOMMU_VDEVICE_ALLOC: {
    shape: uapi.VDEVICE_ALLOC,
    args: { viommu: 'viommuId', dev: 'devId', virt_id: 'virtualId' },
    ids: { vdevice: 'outVdeviceId' },
    binds: ['outVdeviceId'],
  },
  IOMMU_IOAS_CHANGE_PROCESS: { shape: uapi.IOAS_CHANGE_PROCESS, args: { resv: 'reserved' } },
  IOMMU_VEVENTQ_ALLOC: {
    shape: uapi.VEVENTQ_ALLOC,
    args: { flags: 'flags', viommu: 'viommuId', type: 'queueType', depth: 'depth', resv: 'reserved' },
    ids: { veventq: 'outVeventqId', veventq_fd: 'outVeventqFd' },
    binds: ['outVeventqId', 'outVeventqFd'],
  },
  IOMMU_HW_QUEUE_ALLOC: {
    shape: uapi.HW_QUEUE_ALLOC,
    args: {
      flags: 'flags',
      viommu: 'viommuId',
      type: 'queueType',
      index: 'index',
      base: 'baseAddress',
      length: 'lengthBytes',
    },
    ids: { hw_queue: 'outHwQueueId' },
    binds: ['outHwQueueId'],
  },
  IOMMU_IOAS_NOIOMMU_GET_PA: {
    shape: uapi.IOAS_NOIOMMU_GET_PA,
    args: { flags: 'flags', ioas: 'ioasId', iova: 'iova', length: 'outLengthBytes' },
    hexes: { length: 'outLengthBytes', phys: 'outPhysicalAddress' },
  },
};

/** An address nothing is mapped at. */
const BAD_ADDRESS = 0xdead_0000n;
/** Arrays the test program passes beside the structure. */
const ARRAY_ADDRESS = SCRATCH_ADDRESS + 0x8_0000n;
/** Entries of the test program's array of IOVA ranges. */
const RANGE_ROOM = 64;

/** ioctl(2) on any descriptor: EBADF, or ENOTTY for a file that is not an iommufd. */
function callIoctl(context: StepContext, request: number, argument: bigint): number {
  const file = context.process.files.get(context.args.i32('fd'));
  if (file === undefined) return -Errno.EBADF;
  if (!(file instanceof IommufdFile)) return -Errno.ENOTTY;
  return context.machine.run(file.ioctl(context.process, request, argument));
}

/** Puts the structure into memory and calls: the result, the structure before and after. */
function call(
  context: StepContext,
  shape: uapi.IoctlShape,
  values: Readonly<Record<string, number | bigint>>,
): { readonly rc: number; readonly before: Uint8Array; readonly after: Uint8Array } {
  const { args, process } = context;
  const size = args.u32('size', shape.knownBytes);
  const before = new Uint8Array(Math.max(size, shape.knownBytes));
  encodeStruct(shape.layout, values, before);
  new DataView(before.buffer).setUint32(0, size, true);
  if (args.has('tail') && size > 0) before[size - 1] = args.u32('tail');
  let address = SCRATCH_ADDRESS;
  if (args.has('nullptr')) address = 0n;
  else if (args.has('badptr')) address = BAD_ADDRESS;
  else process.memory.write(address, before);
  const rc = callIoctl(context, uapi.IOMMUFD_TYPE | shape.nr, address);
  const after = process.memory.read(address, before.length) ?? before;
  return { rc, before, after };
}

function ioctlOperation(spec: IoctlOperation): Operation {
  return (context) => {
    const values: Record<string, bigint> = {};
    for (const [name, field] of Object.entries(spec.args)) {
      if (context.args.has(name)) values[field] = context.args.u64(name);
    }
    const { rc, before, after } = call(context, spec.shape, values);
    const written = decodeStruct(spec.shape.layout, after);
    const sent = decodeStruct(spec.shape.layout, before);
    const out: Record<string, unknown> = {};
    // In/out fields show after success, and after failure only when the kernel changed them.
    for (const [name, field] of Object.entries(spec.ids ?? {})) {
      if (rc >= 0 || written[field] !== sent[field]) out[name] = Number(written[field]);
    }
    for (const [name, field] of Object.entries(spec.hexes ?? {})) {
      if (rc >= 0 || written[field] !== sent[field]) out[name] = hex(written[field] as number | bigint);
    }
    const bound = (spec.binds ?? []).map((field) => written[field] as number | bigint);
    return { rc, out: Object.keys(out).length > 0 ? out : undefined, values: bound };
  };
}

const iovaRanges: Operation = (context): StepOutcome => {
  const { args, process } = context;
  const room = args.u32('num', RANGE_ROOM);
  const { rc, after } = call(context, uapi.IOAS_IOVA_RANGES, {
    ioasId: args.u32('ioas'),
    rangeCount: room,
    reserved: args.u32('resv'),
    ranges: ARRAY_ADDRESS,
  });
  if (rc !== 0 && rc !== -Errno.EMSGSIZE) return { rc };
  const reply = decodeStruct(uapi.IOAS_IOVA_RANGES.layout, after);
  const ranges: string[][] = [];
  for (let i = 0; i < Math.min(room, reply.rangeCount); i++) {
    const view = new DataView((process.memory.read(ARRAY_ADDRESS + BigInt(16 * i), 16) as Uint8Array).buffer);
    ranges.push([hex(view.getBigUint64(0, true)), hex(view.getBigUint64(8, true))]);
  }
  return { rc, out: { num: reply.rangeCount, ranges, alignment: hex(reply.outAlignment) } };
};

const allowIovas: Operation = (context): StepOutcome => {
  const { args, process } = context;
  const text = args.text('ranges') ?? '';
  const ranges = text === '' ? [] : text.split(',').map((range) => range.split('-').map(BigInt));
  const view = new DataView(new ArrayBuffer(16 * ranges.length));
  for (const [index, [start, last]] of ranges.entries()) {
    view.setBigUint64(16 * index, start as bigint, true);
    view.setBigUint64(16 * index + 8, last as bigint, true);
  }
  process.memory.write(ARRAY_ADDRESS, new Uint8Array(view.buffer));
  const { rc } = call(context, uapi.IOAS_ALLOW_IOVAS, {
    ioasId: args.u32('ioas'),
    rangeCount: ranges.length,
    reserved: args.u32('resv'),
    ranges: ARRAY_ADDRESS,
  });
  return { rc };
};

const rawIoctl: Operation = (context): StepOutcome => {
  const { args, process } = context;
  const size = args.u32('size');
  const struct = new Uint8Array(Math.max(size, 4));
  new DataView(struct.buffer).setUint32(0, size, true);
  process.memory.write(SCRATCH_ADDRESS, struct);
  return { rc: callIoctl(context, args.u32('nr'), SCRATCH_ADDRESS) };
};

/** The iommufd module; `testBuild` = CONFIG_IOMMUFD_TEST, `servesContainer` = CONFIG_IOMMUFD_VFIO_CONTAINER. */
export function iommufdModule(testBuild: boolean, servesContainer = false): ConformModule {
  return {
    install(machine: ConformMachine): void {
      for (const [name, spec] of Object.entries(IOCTLS)) machine.operations.set(name, ioctlOperation(spec));
      machine.operations.set('IOMMU_IOAS_IOVA_RANGES', iovaRanges);
      machine.operations.set('IOMMU_IOAS_ALLOW_IOVAS', allowIovas);
      machine.operations.set('rawioctl', rawIoctl);
      const profile = iommufdProfile(machine.kernel.profile.version, testBuild);
      machine.paths.set('/dev/iommu', function* () {
        yield 0;
        return new IommufdFile(new IommufdContext(machine.kernel, profile));
      });
      if (!servesContainer) return;
      machine.paths.set('/dev/vfio/vfio', function* () {
        yield 0;
        const context = new IommufdContext(machine.kernel, profile);
        // As type1 does, so that both containers charge the same account.
        context.accountMode = 'mm';
        return new IommufdFile(context);
      });
    },
  };
}
