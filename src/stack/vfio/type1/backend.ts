/** Type1 as a container backend: extensions, ioctls, devices (vfio_iommu_driver_ops_type1). */
import { Errno } from '../../../errno.ts';
import { decodeStruct, u32, u64 } from '../../iommufd/user-struct.ts';
import { observed } from '../../kernel/call-observer.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Process } from '../../kernel/process.ts';
import type { KernelTask } from '../../kernel/task.ts';
import {
  type BackendKind,
  type ContainerBackend,
  ContainerExtension,
  type ContainerMemory,
} from '../container-backend.ts';
import type { VfioDevice } from '../device.ts';
import type { VfioGroup } from '../group-state.ts';
import type { VfioProfile } from '../profile.ts';
import { attachType1Group } from './attach-group.ts';
import { detachType1Group } from './detach-group.ts';
import type { UserBitmap } from './dirty-bitmap.ts';
import { DIRTY_PAGES_BYTES, DIRTY_RANGE_BYTES, type DirtyRange, dirtyPages } from './dirty-pages.ts';
import { dmaReadWrite, pinExternal, pinList, unpinExternal } from './external-pins.ts';
import { getIommuInfo } from './iommu-info.ts';
import { MAP_DMA_BYTES, mapDma } from './map-dma.ts';
import { Type1, type Type1Parameters } from './type1.ts';
import { UNMAP_BITMAP_BYTES, UNMAP_DMA_BYTES, unmapDma } from './unmap-dma.ts';

/** _IO(';', n) of include/uapi/linux/vfio.h. */
const Request = { getInfo: 0x3b70, mapDma: 0x3b71, unmapDma: 0x3b72, dirtyPages: 0x3b75 } as const;

const MAP = { argsz: u32(0), flags: u32(4), vaddr: u64(8), iova: u64(16), lengthBytes: u64(24) };
const UNMAP = { argsz: u32(0), flags: u32(4), iova: u64(8), lengthBytes: u64(16) };
const BITMAP = { pageSize: u64(0), lengthBytes: u64(8), address: u64(16) };
const DIRTY_HEADER = { argsz: u32(0), flags: u32(4) };
const DIRTY_RANGE = { iova: u64(0), lengthBytes: u64(8) };
/** [bytes] Offset of the bitmap in struct vfio_iommu_type1_dirty_bitmap_get. */
const RANGE_BITMAP_OFFSET = 16;

/** The kind. */
export function type1Backend(kernel: Kernel, profile: VfioProfile, parameters: Type1Parameters): BackendKind {
  return {
    servesNoIommu: false,
    checkExtension: (extension) => checkExtension(profile, undefined, extension),
    open(_process: Process, type: number): ContainerBackend | number {
      const nesting = type === ContainerExtension.nesting && profile.nesting;
      if (type !== ContainerExtension.type1 && type !== ContainerExtension.type1v2 && !nesting) return -Errno.EINVAL;
      const v2 = type !== ContainerExtension.type1;
      return new Type1Backend(new Type1(kernel, profile, parameters, { v2, nesting }));
    },
  };
}

function checkExtension(profile: VfioProfile, type1: Type1 | undefined, extension: number): number {
  switch (extension) {
    case ContainerExtension.type1:
    case ContainerExtension.type1v2:
    case ContainerExtension.unmapAll:
      return 1;
    case ContainerExtension.nesting:
      return profile.nesting ? 1 : 0;
    case ContainerExtension.updateVaddr:
      // Pins of emulated devices go through the user address, so that it cannot be given up.
      return type1 !== undefined && type1.emulatedGroups.length === 0 ? 1 : 0;
    case ContainerExtension.dmaCoherent:
      return type1?.domains.every((domain) => domain.enforcesCoherency) === true ? 1 : 0;
    default:
      return 0;
  }
}

/** One instance with its ioctls. */
export class Type1Backend implements ContainerBackend {
  readonly type1: Type1;
  readonly memory: ContainerMemory;

  constructor(type1: Type1) {
    this.type1 = type1;
    this.memory = {
      pin: (group, iova, pageCount, prot, pfns) => pinExternal(type1, group, iova, pageCount, prot, pfns),
      pinList: (group, iovas, prot, pfns) => pinList(type1, group, iovas, prot, pfns),
      unpin: (iova, pageCount) => unpinExternal(type1, iova, pageCount),
      readWrite: (caller, iova, data, write) => dmaReadWrite(type1, caller, iova, data, write),
    };
  }

  checkExtension(extension: number): number {
    return checkExtension(this.type1.profile, this.type1, extension);
  }

  attachGroup(process: Process, group: VfioGroup): KernelTask<number> {
    return observed(
      this.type1.kernel.observer,
      'vfio_iommu_type1_attach_group',
      attachType1Group(this.type1, process, group),
    );
  }

  detachGroup(group: VfioGroup): KernelTask<void> {
    return observed(this.type1.kernel.observer, 'vfio_iommu_type1_detach_group', detachType1Group(this.type1, group));
  }

  registerDevice(device: VfioDevice): void {
    if (device.driver.dmaUnmap !== undefined) this.type1.notifyDevices.unshift(device);
  }

  unregisterDevice(device: VfioDevice): void {
    const at = this.type1.notifyDevices.indexOf(device);
    if (at >= 0) this.type1.notifyDevices.splice(at, 1);
  }

  *ioctl(process: Process, request: number, argument: bigint): KernelTask<number> {
    switch (request) {
      case Request.getInfo:
        return yield* getIommuInfo(this.type1, process, argument);
      case Request.mapDma: {
        const bytes = process.memory.read(argument, MAP_DMA_BYTES);
        return bytes === undefined ? -Errno.EFAULT : yield* mapDma(this.type1, process, decodeStruct(MAP, bytes));
      }
      case Request.unmapDma:
        return yield* this.#unmap(process, argument);
      case Request.dirtyPages:
        return yield* dirtyPages(this.type1, process, {
          readHeader: () =>
            readStruct(process, argument, DIRTY_PAGES_BYTES, (bytes) => decodeStruct(DIRTY_HEADER, bytes)),
          readRange: () => readStruct(process, argument + BigInt(DIRTY_PAGES_BYTES), DIRTY_RANGE_BYTES, decodeRange),
        });
      default:
        return -Errno.ENOTTY;
    }
  }

  *#unmap(process: Process, argument: bigint): KernelTask<number> {
    const bytes = process.memory.read(argument, UNMAP_DMA_BYTES);
    if (bytes === undefined) return -Errno.EFAULT;
    const bitmapAddress = argument + BigInt(UNMAP_DMA_BYTES);
    const command = {
      ...decodeStruct(UNMAP, bytes),
      readBitmap: () => readStruct(process, bitmapAddress, UNMAP_BITMAP_BYTES - UNMAP_DMA_BYTES, decodeBitmap),
    };
    const error = yield* unmapDma(this.type1, process, command);
    if (error !== 0) return error;
    new DataView(bytes.buffer).setBigUint64(UNMAP.lengthBytes.offset, command.lengthBytes, true);
    return process.memory.write(argument, bytes) ? 0 : -Errno.EFAULT;
  }
}

/** What user memory holds at `address`; undefined = EFAULT. */
function readStruct<T>(
  process: Process,
  address: bigint,
  lengthBytes: number,
  decode: (bytes: Uint8Array) => T,
): T | undefined {
  const bytes = process.memory.read(address, lengthBytes);
  return bytes === undefined ? undefined : decode(bytes);
}

function decodeBitmap(bytes: Uint8Array): UserBitmap {
  return decodeStruct(BITMAP, bytes);
}

function decodeRange(bytes: Uint8Array): DirtyRange {
  return { ...decodeStruct(DIRTY_RANGE, bytes), bitmap: decodeBitmap(bytes.subarray(RANGE_BITMAP_OFFSET)) };
}
