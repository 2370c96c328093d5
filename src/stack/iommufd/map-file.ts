/** IOMMU_IOAS_MAP_FILE: maps pages of a file or a dma-buf. Source: Linux drivers/iommu/iommufd/{ioas,pages}.c. */
import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { IommuProt } from '../iommu/ops.ts';
import { DmaBuf } from '../kernel/dma-buf.ts';
import { MemoryFile } from '../kernel/memory-file.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { Ioas } from './ioas.ts';
import { accountModeOf, protOf } from './ioas-commands.ts';
import { type MapRequest, mapPieces } from './ioas-map.ts';
import { type PageBacking, PageSource } from './page-source.ts';
import { MapFlag } from './uapi.ts';

/** The command. */
export interface IoasMapFileCommand {
  readonly flags: number;
  readonly ioasId: number;
  readonly fd: number;
  /** [bytes] Offset in the file. */
  readonly startByte: bigint;
  readonly lengthBytes: bigint;
  /** In: where, with FIXED_IOVA. Out: where. */
  iova: bigint;
}

const ALL_FLAGS = MapFlag.fixedIova | MapFlag.writeable | MapFlag.readable;

/** Errors in check order: EOPNOTSUPP, EOVERFLOW, EINVAL, ENOENT, EINVAL, EOVERFLOW, dma-buf errors, EBADF, then map. */
export function* ioasMapFile(
  context: IommufdContext,
  process: Process,
  command: IoasMapFileCommand,
): KernelTask<number> {
  const { flags, lengthBytes } = command;
  if ((flags & ~ALL_FLAGS) !== 0) return -Errno.EOPNOTSUPP;
  if (command.iova === U64_MAX || lengthBytes === U64_MAX) return -Errno.EOVERFLOW;
  if ((flags & (MapFlag.writeable | MapFlag.readable)) === 0) return -Errno.EINVAL;
  const ioas = context.objects.acquire(command.ioasId, Ioas);
  if (ioas === undefined) return -Errno.ENOENT;
  const rc = yield* mapFile(ioas, process, command);
  context.objects.release(ioas);
  return rc;
}

function* mapFile(ioas: Ioas, process: Process, command: IoasMapFileCommand): KernelTask<number> {
  const { startByte, lengthBytes } = command;
  if (lengthBytes === 0n) return -Errno.EINVAL;
  const last = startByte + lengthBytes - 1n;
  if (last > U64_MAX) return -Errno.EOVERFLOW;
  const open = process.files.get(command.fd);
  const firstPage = Number(startByte >> 12n);
  let backing: PageBacking;
  let prot = protOf(command.flags);
  if (open instanceof DmaBuf && ioas.context.profile.dmabufAndNoIommu) {
    if (open.sizeBytes <= last) return -Errno.EINVAL;
    if (!open.importable) return -Errno.EOPNOTSUPP;
    if (open.revoked) return -Errno.ENODEV;
    backing = { kind: 'dmabuf', buffer: open, firstPage };
    prot = (prot & ~IommuProt.cache) | IommuProt.mmio;
  } else if (open === undefined) {
    return -Errno.EBADF;
  } else {
    backing = { kind: 'file', file: open instanceof MemoryFile ? open : undefined, firstPage };
  }
  const offset = startByte & 4095n;
  const pages = new PageSource(
    backing,
    Number((offset + lengthBytes + 4095n) >> 12n),
    (prot & IommuProt.write) !== 0,
    process,
    backing.kind === 'dmabuf' ? 'none' : accountModeOf(ioas.context, process),
    ioas.context.kernel,
  );
  const request: MapRequest = {
    pieces: [{ pages, startByte: offset, lengthBytes }],
    lengthBytes,
    prot,
    fixed: (command.flags & MapFlag.fixedIova) !== 0,
    address: startByte,
    iova: command.iova,
  };
  const rc = yield* mapPieces(ioas, request);
  if (rc === 0) command.iova = request.iova;
  return rc;
}
