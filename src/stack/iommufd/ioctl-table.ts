/**
 * The iommufd ioctls of a kernel: which numbers it knows, what their structures look like and what they run
 * (iommufd_ioctl_ops). Source: Linux drivers/iommu/iommufd/main.c.
 */
import { Errno } from '../../errno.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import { changeProcess } from './change-process.ts';
import type { IommufdContext } from './context.ts';
import { getDirtyBitmap, setDirtyTracking } from './dirty-tracking.ts';
import { allocFaultQueue } from './fault.ts';
import { getHwInfo } from './hw-info.ts';
import { allocHwQueue } from './hw-queue.ts';
import { allocHwpt } from './hwpt-alloc.ts';
import { invalidateHwpt } from './invalidate.ts';
import { allocIoas, ioasAllowIovas, ioasCopy, ioasIovaRanges, ioasMap, ioasUnmap } from './ioas-commands.ts';
import { ioasMapFile } from './map-file.ts';
import { noIommuGetPa } from './noiommu-get-pa.ts';
import { option } from './option.ts';
import type { IommufdProfile } from './profile.ts';
import * as uapi from './uapi.ts';
import { readReadable, readUserData, setUserBits } from './user-memory.ts';
import type { StructLayout, StructValues } from './user-struct.ts';
import { allocVdevice } from './vdevice.ts';
import { allocVeventq } from './veventq.ts';
import { vfioIoas } from './vfio-compat.ts';
import { allocViommu } from './viommu.ts';

/** Runs one ioctl on its decoded structure; the fields it changes are written back. Returns 0 or a negative errno. */
export type IoctlHandler = (
  context: IommufdContext,
  process: Process,
  values: Record<string, number | bigint>,
) => KernelTask<number>;

/** One slot of the table. */
export interface IoctlSlot {
  readonly shape: uapi.IoctlShape;
  readonly run: IoctlHandler;
}

/** The table of a kernel, by number; gaps are holes. */
export function ioctlTable(profile: IommufdProfile): ReadonlyMap<number, IoctlSlot> {
  const slots = [...BASE_SLOTS];
  if (profile.viommu) slots.push(...VIOMMU_SLOTS);
  if (profile.changeProcess) slots.push(CHANGE_PROCESS_SLOT);
  if (profile.veventq) slots.push(VEVENTQ_SLOT);
  if (profile.dmabufAndNoIommu) slots.push(NOIOMMU_GET_PA_SLOT);
  if (profile.hwQueue) slots.push(HW_QUEUE_SLOT);
  return new Map(slots.map((each) => [each.shape.nr, each]));
}

function slot<L extends StructLayout>(
  shape: uapi.IoctlShape<L>,
  run: (context: IommufdContext, process: Process, values: StructValues<L>) => KernelTask<number>,
): IoctlSlot {
  return { shape, run: run as unknown as IoctlHandler };
}

// biome-ignore lint/correctness/useYield: a handler is a kernel task even where it takes no time
function* immediately(rc: number): KernelTask<number> {
  return rc;
}

const BASE_SLOTS: readonly IoctlSlot[] = [
  slot(uapi.DESTROY, (context, _process, values) => context.objects.destroyId(values.id)),
  slot(uapi.IOAS_ALLOC, (context, _process, values) => allocIoas(context, values)),
  slot(uapi.IOAS_ALLOW_IOVAS, (context, process, values) =>
    ioasAllowIovas(context, values, (index) => {
      const bytes = process.memory.read(values.ranges + BigInt(16 * index), 16);
      if (bytes === undefined) return undefined;
      const view = new DataView(bytes.buffer);
      return { start: view.getBigUint64(0, true), last: view.getBigUint64(8, true) };
    }),
  ),
  slot(uapi.IOAS_COPY, (context, _process, values) => ioasCopy(context, values)),
  slot(uapi.IOAS_IOVA_RANGES, (context, process, values) =>
    ioasIovaRanges(context, values, (index, range) => {
      const view = new DataView(new ArrayBuffer(16));
      view.setBigUint64(0, range.start, true);
      view.setBigUint64(8, range.last, true);
      const written = process.memory.write(values.ranges + BigInt(16 * index), new Uint8Array(view.buffer));
      return written ? 0 : -Errno.EFAULT;
    }),
  ),
  slot(uapi.IOAS_MAP, (context, process, values) => ioasMap(context, process, values)),
  slot(uapi.IOAS_UNMAP, (context, _process, values) => ioasUnmap(context, values)),
  slot(uapi.OPTION, (context, process, values) => option(context, process, values)),
  slot(uapi.VFIO_IOAS, (context, _process, values) => immediately(vfioIoas(context, values))),
  slot(uapi.HWPT_ALLOC, function* (context, process, values) {
    const command = {
      ...values,
      data: readUserData(process.memory, values.dataType, values.dataLength, values.data),
    };
    const rc = yield* allocHwpt(context, command);
    values.outHwptId = command.outHwptId;
    return rc;
  }),
  slot(uapi.GET_HW_INFO, hwInfo),
  slot(uapi.HWPT_SET_DIRTY_TRACKING, (context, _process, values) => setDirtyTracking(context, values)),
  slot(uapi.HWPT_GET_DIRTY_BITMAP, (context, process, values) =>
    getDirtyBitmap(context, values, (first, last) => setUserBits(process.memory, values.bitmap, first, last)),
  ),
  slot(uapi.HWPT_INVALIDATE, function* (context, process, values) {
    const lengthBytes = values.entryLength * values.entryCount;
    const command = {
      ...values,
      hasData: values.data !== 0n,
      bytes: lengthBytes > 0 ? readReadable(process.memory, values.data, lengthBytes) : undefined,
    };
    const rc = yield* invalidateHwpt(context, command);
    values.entryCount = command.entryCount;
    return rc;
  }),
  slot(uapi.FAULT_QUEUE_ALLOC, (context, process, values) => allocFaultQueue(context, values, process.files)),
];

const VIOMMU_SLOTS: readonly IoctlSlot[] = [
  slot(uapi.IOAS_MAP_FILE, (context, process, values) => ioasMapFile(context, process, values)),
  slot(uapi.VIOMMU_ALLOC, function* (context, process, values) {
    const { memory } = process;
    const data = readUserData(memory, values.viommuType, values.dataLength, values.data);
    const command = {
      flags: values.flags,
      type: values.viommuType,
      devId: values.devId,
      hwptId: values.hwptId,
      data: values.dataLength > 0 ? data : undefined,
      copyDataOut: (bytes: Uint8Array) => {
        return memory.write(values.data, bytes.subarray(0, values.dataLength)) ? 0 : -Errno.EFAULT;
      },
      outViommuId: values.outViommuId,
    };
    const rc = yield* allocViommu(context, command);
    values.outViommuId = command.outViommuId;
    return rc;
  }),
  slot(uapi.VDEVICE_ALLOC, (context, _process, values) => allocVdevice(context, values)),
];

const CHANGE_PROCESS_SLOT = slot(uapi.IOAS_CHANGE_PROCESS, (context, process, values) =>
  changeProcess(context, process, values),
);

const VEVENTQ_SLOT = slot(uapi.VEVENTQ_ALLOC, function* (context, process, values) {
  const command = { ...values, type: values.queueType };
  const rc = yield* allocVeventq(context, command, process.files);
  values.outVeventqId = command.outVeventqId;
  values.outVeventqFd = command.outVeventqFd;
  return rc;
});

const HW_QUEUE_SLOT = slot(uapi.HW_QUEUE_ALLOC, function* (context, _process, values) {
  const command = { ...values, type: values.queueType };
  const rc = yield* allocHwQueue(context, command);
  values.outHwQueueId = command.outHwQueueId;
  return rc;
});

const NOIOMMU_GET_PA_SLOT = slot(uapi.IOAS_NOIOMMU_GET_PA, (context, _process, values) =>
  noIommuGetPa(context, values),
);

function* hwInfo(
  context: IommufdContext,
  process: Process,
  values: StructValues<typeof uapi.GET_HW_INFO.layout>,
): KernelTask<number> {
  // The byte of the PASID width was reserved before per-PASID attach.
  const widthIsReserved = context.profile.pasidAttach ? 0 : values.maxPasidLog2;
  const command = {
    flags: values.flags,
    reserved: values.reserved0 | values.reserved1 | values.reserved2 | widthIsReserved,
    devId: values.devId,
    dataLength: values.dataLength,
    inDataType: values.dataType,
    copyOut: (offsetBytes: number, bytes: Uint8Array) =>
      process.memory.write(values.data + BigInt(offsetBytes), bytes) ? 0 : -Errno.EFAULT,
    outDataLength: values.dataLength,
    outDataType: values.dataType,
    outCapabilities: values.capabilities,
    outMaxPasidLog2: values.maxPasidLog2,
  };
  const rc = yield* getHwInfo(context, command);
  values.dataLength = command.outDataLength;
  values.dataType = command.outDataType;
  values.capabilities = command.outCapabilities;
  values.maxPasidLog2 = command.outMaxPasidLog2;
  return rc;
}
