/**
 * Dispatch of the VFIO ioctls that an iommufd understands (iommufd_vfio_ioctl). Source: Linux
 * drivers/iommu/iommufd/vfio_compat.c; numbers of include/uapi/linux/vfio.h.
 */
import { Errno } from '../../errno.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { decodeStruct, u32, u64 } from './user-struct.ts';
import { checkExtension, setIommu, vfioMapDma, vfioUnmapDma } from './vfio-compat.ts';
import { vfioIommuGetInfo } from './vfio-compat-info.ts';

/** VFIO_TYPE ';' with VFIO_BASE 100; no direction or size bits. */
const Request = {
  getApiVersion: 0x3b64,
  checkExtension: 0x3b65,
  setIommu: 0x3b66,
  getInfo: 0x3b70,
  mapDma: 0x3b71,
  unmapDma: 0x3b72,
} as const;

const MAP = { argsz: u32(0), flags: u32(4), vaddr: u64(8), iova: u64(16), lengthBytes: u64(24) };
const UNMAP = { argsz: u32(0), flags: u32(4), iova: u64(8), lengthBytes: u64(16) };
/** [bytes] Offset of the size field of the unmap structure, written back. */
const UNMAP_LENGTH_OFFSET = 16n;

/** 0 or more, or a negative errno; ENOTTY for numbers it does not know. */
export function* compatIoctl(
  context: IommufdContext,
  process: Process,
  request: number,
  argument: bigint,
): KernelTask<number> {
  switch (request) {
    case Request.getApiVersion:
      return 0;
    case Request.checkExtension:
      return yield* checkExtension(context, Number(argument));
    case Request.setIommu:
      return yield* setIommu(context, process, Number(argument));
    case Request.getInfo:
      return yield* vfioIommuGetInfo(context, process, argument);
    case Request.mapDma: {
      const bytes = process.memory.read(argument, 32);
      if (bytes === undefined) return -Errno.EFAULT;
      return yield* vfioMapDma(context, process, decodeStruct(MAP, bytes));
    }
    case Request.unmapDma:
      return yield* unmap(context, process, argument);
    default:
      return -Errno.ENOTTY;
  }
}

function* unmap(context: IommufdContext, process: Process, argument: bigint): KernelTask<number> {
  const bytes = process.memory.read(argument, 24);
  if (bytes === undefined) return -Errno.EFAULT;
  const values = decodeStruct(UNMAP, bytes);
  const asked = values.lengthBytes;
  const rc = yield* vfioUnmapDma(context, values);
  if (values.lengthBytes === asked) return rc;
  const reply = new Uint8Array(8);
  new DataView(reply.buffer).setBigUint64(0, values.lengthBytes, true);
  return process.memory.write(argument + UNMAP_LENGTH_OFFSET, reply) ? rc : -Errno.EFAULT;
}
