/**
 * Control rows of user-space drivers as system calls of the modelled kernel: opening /dev/iommu and device nodes,
 * iommufd and VFIO device ioctls. Recorded ids are translated to the model's: a table per context remembers which object
 * each recorded id stands for.
 */
import { PAGE_SIZE } from '../address.ts';
import type { PhysicalMemory } from '../hw/memory.ts';
import { InputError } from '../input-error.ts';
import { HwptAllocFlag } from '../stack/iommu/ops.ts';
import { IommufdContext } from '../stack/iommufd/context.ts';
import { getDirtyBitmap, setDirtyTracking } from '../stack/iommufd/dirty-tracking.ts';
import { allocFaultQueue, Fault } from '../stack/iommufd/fault.ts';
import { allocHwpt } from '../stack/iommufd/hwpt-alloc.ts';
import { allocIoas, ioasCopy, ioasMap, ioasUnmap } from '../stack/iommufd/ioas-commands.ts';
import { IommufdFile } from '../stack/iommufd/iommufd-file.ts';
import { type IommufdProfile, iommufdProfile } from '../stack/iommufd/profile.ts';
import { MapFlag } from '../stack/iommufd/uapi.ts';
import type { Kernel } from '../stack/kernel/kernel.ts';
import type { Process } from '../stack/kernel/process.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import { attachPt, bindIommufd, detachPt, openCdev } from '../stack/vfio/cdev.ts';
import type { VfioDevice } from '../stack/vfio/device.ts';
import { VfioDeviceFile } from '../stack/vfio/device-file.ts';
import { STANDARD_VFIO_BUILD, type VfioProfile, vfioProfile } from '../stack/vfio/profile.ts';
import { faultBlockProblem } from '../trace/fault-block.ts';
import { NONE_U32 } from '../trace/schema/column-type.ts';
import { WITH_PASID } from '../vfio-flags.ts';
import { AccessCalls } from './access-calls.ts';
import { ContainerCalls } from './container-calls.ts';
import type { CallOutcome } from './control-player.ts';
import type { ControlRow } from './control-row.ts';
import type { Diagnostics } from './diagnostics.ts';
import { hwptUserData, invalidateNested, storeUserWords } from './nested-calls.ts';
import { HandlerHeap, PageFaultHandler } from './page-fault-handler.ts';
import { UserMappings } from './user-mappings.ts';

/** [bytes] argsz of the VFIO structures, PASID part included. */
const BIND_ARGSZ = 16;
const ATTACH_ARGSZ = 12;
const ATTACH_PASID_ARGSZ = 16;
const DETACH_ARGSZ = 8;
const DETACH_PASID_ARGSZ = 12;
const SKIPPED: CallOutcome = { result: 0, skipped: true };

/** An open /dev/iommu of the recording. */
interface OpenContext {
  readonly fd: number;
  readonly context: IommufdContext;
  /** Model id by recorded id. */
  readonly ids: Map<number, number>;
  readonly mappings: UserMappings;
  /** Model id of the fault queue made last; 0 = none. */
  faultId: number;
  /** Model id of the IOAS under page tables that send faults, by the table's model id. */
  readonly faulting: Map<number, number>;
  /** The same by device and PASID that it is attached to: {@link slotKey}. */
  readonly attached: Map<number, number>;
  /** Model id of bound devices by device index. */
  readonly deviceIds: Map<number, number>;
}

/** System calls of one world; all user-space drivers share one process. */
export class VfioCalls {
  readonly #kernel: Kernel;
  readonly #process: Process;
  readonly #deviceOf: (device: number) => VfioDevice | undefined;
  readonly #diagnostics: Diagnostics;
  readonly #memory: PhysicalMemory;
  readonly #heap = new HandlerHeap();
  /** Where control rows come from, for errors. */
  readonly #file: string;
  readonly #iommufd: IommufdProfile;
  readonly #vfio: VfioProfile;
  readonly #contexts = new Map<number, OpenContext>();
  readonly #containers: ContainerCalls;
  readonly #accesses: AccessCalls;
  /** Descriptor of the open node by device index. */
  readonly #nodes = new Map<number, number>();

  constructor(
    kernel: Kernel,
    process: Process,
    deviceOf: (device: number) => VfioDevice | undefined,
    diagnostics: Diagnostics,
    memory: PhysicalMemory,
    file: string,
  ) {
    this.#kernel = kernel;
    this.#process = process;
    this.#deviceOf = deviceOf;
    this.#diagnostics = diagnostics;
    this.#memory = memory;
    this.#file = file;
    this.#iommufd = iommufdProfile(kernel.profile.version);
    this.#vfio = vfioProfile(kernel.profile.version);
    this.#accesses = new AccessCalls(process, deviceOf, diagnostics);
    this.#containers = new ContainerCalls({
      kernel,
      process,
      profile: this.#vfio,
      build: STANDARD_VFIO_BUILD,
      deviceOf,
      iommufdOf: (context) => this.#contexts.get(context),
      diagnostics,
    });
  }

  /** The system call of a row; rows that the model has no call for are counted and passed. */
  *perform(row: ControlRow): KernelTask<CallOutcome> {
    if (row.op === 'user_store') return this.#store(row);
    const cost = this.#kernel.costs.ioctl;
    if (cost > 0) yield cost;
    switch (row.op) {
      case 'open_iommufd':
        return this.#openIommufd(row);
      case 'open_cdev':
        return this.#openNode(row);
      case 'close':
        return yield* this.#close(row);
      case 'VFIO_DEVICE_BIND_IOMMUFD':
        return yield* this.#bind(row);
      case 'VFIO_DEVICE_ATTACH_IOMMUFD_PT':
        return yield* this.#attach(row);
      case 'VFIO_DEVICE_DETACH_IOMMUFD_PT':
        return yield* this.#detach(row);
      default: {
        const done = (yield* this.#containers.perform(row)) ?? (yield* this.#accesses.perform(row));
        if (done !== undefined) return done;
        const open = this.#contexts.get(row.context);
        if (open === undefined) return this.#skip('unknown_context');
        return yield* this.#ioctl(row, open);
      }
    }
  }

  *#ioctl(row: ControlRow, open: OpenContext): KernelTask<CallOutcome> {
    const { context } = open;
    switch (row.op) {
      case 'IOMMU_IOAS_ALLOC': {
        const command = { flags: 0, outIoasId: 0 };
        const result = yield* allocIoas(context, command);
        this.#learn(open, row, result, command.outIoasId);
        return { result };
      }
      case 'IOMMU_IOAS_MAP': {
        yield* open.mappings.add(row, this.#process.memory);
        // The recorded IOVA, wherever it came from: DMA rows use it.
        const flags = row.flags | MapFlag.fixedIova;
        const { userAddress: userVa, length: lengthBytes, iova } = row;
        const ioasId = this.#id(open, row.object);
        return {
          result: yield* ioasMap(context, this.#process, { flags, reserved: 0, ioasId, userVa, lengthBytes, iova }),
        };
      }
      case 'IOMMU_IOAS_UNMAP': {
        const command = { ioasId: this.#id(open, row.object), iova: row.iova, lengthBytes: row.length };
        const result = yield* ioasUnmap(context, command);
        if (result === 0) open.mappings.remove(row);
        return { result };
      }
      case 'IOMMU_IOAS_COPY': {
        open.mappings.copy(row, this.#process.memory);
        const result = yield* ioasCopy(context, {
          flags: row.flags | MapFlag.fixedIova,
          dstIoasId: this.#id(open, row.object),
          srcIoasId: this.#id(open, row.target),
          lengthBytes: row.length,
          srcIova: row.userAddress,
          dstIova: row.iova,
        });
        return { result };
      }
      case 'IOMMU_HWPT_ALLOC': {
        const command = {
          flags: row.flags,
          reserved: 0,
          devId: this.#id(open, row.target),
          ptId: this.#id(open, row.object),
          data: hwptUserData(row),
          faultId: open.faultId,
          outHwptId: 0,
        };
        open.mappings.place(row.object, row.frames, this.#process.memory);
        const result = yield* allocHwpt(context, command);
        this.#learn(open, row, result, command.outHwptId);
        if (result === 0 && (row.flags & HwptAllocFlag.faultIdValid) !== 0) {
          open.faulting.set(command.outHwptId, command.ptId);
        }
        if (row.recordedObject !== NONE_U32) open.mappings.learnTable(row.recordedObject, row.object);
        return { result };
      }
      case 'IOMMU_FAULT_QUEUE_ALLOC':
        return { result: yield* this.#allocFaultQueue(row, open) };
      case 'IOMMU_HWPT_INVALIDATE':
        return { result: yield* invalidateNested(context, this.#id(open, row.object), row) };
      case 'IOMMU_HWPT_SET_DIRTY_TRACKING':
        return {
          result: yield* setDirtyTracking(context, {
            flags: row.flags,
            reserved: 0,
            hwptId: this.#id(open, row.object),
          }),
        };
      case 'IOMMU_HWPT_GET_DIRTY_BITMAP': {
        const hwptId = this.#id(open, row.object);
        const { flags, iova, length: lengthBytes } = row;
        const command = { flags, reserved: 0, hwptId, iova, lengthBytes, pageSize: BigInt(PAGE_SIZE) };
        return { result: yield* getDirtyBitmap(context, command, () => {}) };
      }
      case 'IOMMU_DESTROY':
        return { result: yield* context.objects.destroyId(this.#id(open, row.object)) };
      default:
        return this.#skip(`unsupported_${row.op}`);
    }
  }

  /** User space writes to its own memory. */
  #store(row: ControlRow): CallOutcome {
    const open = this.#contexts.get(row.context);
    if (open === undefined) return this.#skip('unknown_context');
    const frameOf = (address: bigint): number => open.mappings.frameAt(row.object, address, this.#process.memory);
    if (storeUserWords(row, this.#memory, frameOf) < 0) return this.#skip('store_outside_memory');
    return { result: 0 };
  }

  #openIommufd(row: ControlRow): CallOutcome {
    const context = new IommufdContext(this.#kernel, this.#iommufd);
    const fd = this.#process.files.install(new IommufdFile(context));
    if (fd < 0) return { result: fd };
    this.#contexts.set(row.context, { fd, context, ids: new Map(), mappings: new UserMappings(), ...noFaults() });
    return { result: fd };
  }

  #openNode(row: ControlRow): CallOutcome {
    const device = this.#deviceOf(row.device);
    if (device === undefined) return this.#skip('device_without_vfio');
    const file = openCdev(device);
    if (typeof file === 'number') return { result: file };
    const fd = this.#process.files.install(file);
    if (fd >= 0) this.#nodes.set(row.device, fd);
    return { result: fd };
  }

  *#close(row: ControlRow): KernelTask<CallOutcome> {
    const closed = yield* this.#containers.close(row);
    if (closed !== undefined) return closed;
    let fd: number | undefined;
    if (row.device !== NONE_U32) {
      fd = this.#nodes.get(row.device);
      this.#nodes.delete(row.device);
    } else {
      fd = this.#contexts.get(row.context)?.fd;
      this.#contexts.delete(row.context);
    }
    if (fd === undefined) return this.#skip('close_of_unknown_file');
    return { result: yield* this.#process.files.close(fd) };
  }

  *#bind(row: ControlRow): KernelTask<CallOutcome> {
    const file = this.#node(row);
    if (file === undefined) return this.#skip('device_not_open');
    const open = this.#contexts.get(row.context);
    let deviceId = 0;
    const command = {
      argsz: BIND_ARGSZ,
      flags: 0,
      iommufd: open?.fd ?? -1,
      token: undefined,
      hasUnknownTail: false,
      copyOut: (id: number) => {
        deviceId = id;
        return 0;
      },
    };
    const result = yield* bindIommufd(file, this.#vfio, command, this.#process.files);
    if (open !== undefined) {
      this.#learn(open, row, result, deviceId);
      open.deviceIds.set(row.device, deviceId);
    }
    return { result };
  }

  *#attach(row: ControlRow): KernelTask<CallOutcome> {
    const file = this.#node(row);
    if (file === undefined) return this.#skip('device_not_open');
    const open = this.#contexts.get(row.context);
    open?.mappings.place(row.target, row.frames, this.#process.memory);
    let pageTableId = 0;
    const withPasid = row.pasid !== NONE_U32 && (row.flags & WITH_PASID) !== 0;
    const result = yield* attachPt(file, this.#vfio, {
      argsz: withPasid ? ATTACH_PASID_ARGSZ : ATTACH_ARGSZ,
      flags: row.flags,
      ptId: open === undefined ? row.target : this.#id(open, row.target),
      pasid: withPasid ? row.pasid : 0,
      copyOut: (id) => {
        pageTableId = id;
        return 0;
      },
    });
    if (open !== undefined) {
      const ioas = result === 0 ? open.faulting.get(this.#id(open, row.target)) : undefined;
      const deviceId = open.deviceIds.get(row.device) ?? 0;
      if (ioas !== undefined) open.attached.set(slotKey(deviceId, withPasid ? row.pasid : 0), ioas);
      this.#learn(open, row, result, pageTableId);
      if (row.recordedObject !== NONE_U32) open.mappings.learnTable(row.recordedObject, row.target);
    }
    return { result };
  }

  *#detach(row: ControlRow): KernelTask<CallOutcome> {
    const file = this.#node(row);
    if (file === undefined) return this.#skip('device_not_open');
    const withPasid = row.pasid !== NONE_U32 && (row.flags & WITH_PASID) !== 0;
    const argsz = withPasid ? DETACH_PASID_ARGSZ : DETACH_ARGSZ;
    return {
      result: yield* detachPt(file, this.#vfio, { argsz, flags: row.flags, pasid: withPasid ? row.pasid : 0 }),
    };
  }

  *#allocFaultQueue(row: ControlRow, open: OpenContext): KernelTask<number> {
    const { context } = open;
    const reason = faultBlockProblem(row.length);
    if (reason !== undefined) throw new InputError({ file: this.#file, row: row.row, reason });
    const command = { flags: row.flags, outFaultId: 0, outFaultFd: -1 };
    const result = yield* allocFaultQueue(context, command, this.#process.files);
    const fault = context.objects.peek(command.outFaultId, Fault);
    if (result !== 0 || fault === undefined) return result;
    this.#learn(open, row, result, command.outFaultId);
    const blockBytes = row.length > 0n ? row.length : BigInt(PAGE_SIZE);
    const memory = { userBase: row.userAddress > 0n ? row.userAddress : undefined, heap: this.#heap, blockBytes };
    const ioasOf = (deviceId: number, pasid: number): number => open.attached.get(slotKey(deviceId, pasid)) ?? 0;
    // It lives as long as its queue, which it listens to.
    new PageFaultHandler(this.#kernel, this.#process, context, fault, memory, ioasOf, this.#diagnostics);
    open.faultId = command.outFaultId;
    return result;
  }

  #node(row: ControlRow): VfioDeviceFile | undefined {
    const fd = this.#nodes.get(row.device);
    return fd === undefined ? undefined : this.#process.files.getAs(fd, VfioDeviceFile);
  }

  /** Model id of a recorded one. An id that was never handed out stands for itself: the call fails as recorded. */
  #id(open: OpenContext, recorded: number): number {
    return open.ids.get(recorded) ?? recorded;
  }

  #learn(open: OpenContext, row: ControlRow, result: number, modelId: number): void {
    if (result >= 0 && row.recordedObject !== NONE_U32) open.ids.set(row.recordedObject, modelId);
  }

  #skip(code: string): CallOutcome {
    this.#diagnostics.count(code);
    return SKIPPED;
  }
}

/** Key of a device and a PASID of its. */
function slotKey(deviceId: number, pasid: number): number {
  return deviceId * 1048576 + pasid;
}

function noFaults(): Pick<OpenContext, 'faultId' | 'faulting' | 'attached' | 'deviceIds'> {
  return { faultId: 0, faulting: new Map(), attached: new Map(), deviceIds: new Map() };
}
