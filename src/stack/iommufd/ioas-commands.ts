/**
 * The IOAS ioctls as typed commands: checks in the kernel's order, then the IOAS. In/out fields change only when the
 * kernel writes them back. Source: Linux drivers/iommu/iommufd/ioas.c.
 *
 * The cost of entering the kernel is the caller's (the ioctl dispatcher or a replay), not charged here.
 */
import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { IommuProt } from '../iommu/ops.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { AccountMode, IommufdContext } from './context.ts';
import { type Interval, intersects } from './intervals.ts';
import { Ioas } from './ioas.ts';
import { collectPieces, type MapRequest, mapPieces } from './ioas-map.ts';
import { unmapAll, unmapRange } from './ioas-unmap.ts';
import { PageSource } from './page-source.ts';
import { MapFlag } from './uapi.ts';

const ALL_MAP_FLAGS = MapFlag.fixedIova | MapFlag.writeable | MapFlag.readable;
const ACCESS_FLAGS = MapFlag.writeable | MapFlag.readable;

/** IOMMU_IOAS_ALLOC. */
export interface IoasAllocCommand {
  readonly flags: number;
  outIoasId: number;
}

/** EOPNOTSUPP flags, ENOMEM. */
export function* allocIoas(context: IommufdContext, command: IoasAllocCommand): KernelTask<number> {
  if (command.flags !== 0) return -Errno.EOPNOTSUPP;
  yield context.kernel.costs.objectAlloc;
  const ioas = new Ioas(context);
  const rc = context.objects.reserve(ioas);
  if (rc !== 0) return rc;
  context.objects.publish(ioas);
  command.outIoasId = ioas.id;
  return 0;
}

/** IOMMU_IOAS_IOVA_RANGES. */
export interface IoasIovaRangesCommand {
  readonly ioasId: number;
  readonly reserved: number;
  /** In: ranges the buffer holds; out, also with -EMSGSIZE: ranges there are. */
  rangeCount: number;
  outAlignment: bigint;
}

/** EOPNOTSUPP, ENOENT, EFAULT of `store`, EMSGSIZE. `store` receives each range that fits, ascending. */
export function* ioasIovaRanges(
  context: IommufdContext,
  command: IoasIovaRangesCommand,
  store: (index: number, range: Interval) => number,
): KernelTask<number> {
  if (command.reserved !== 0) return -Errno.EOPNOTSUPP;
  const ioas = context.objects.acquire(command.ioasId, Ioas);
  if (ioas === undefined) return -Errno.ENOENT;
  if (!ioas.iovaLock.tryAcquireShared()) yield ioas.iovaLock.sharedQueue;
  const ranges = ioas.usableRanges();
  const room = command.rangeCount;
  let rc = 0;
  for (let i = 0; i < ranges.length && i < room && rc === 0; i++) rc = store(i, ranges[i] as Interval);
  if (rc === 0) {
    command.rangeCount = ranges.length;
    command.outAlignment = ioas.alignment;
    if (ranges.length > room) rc = -Errno.EMSGSIZE;
  }
  ioas.iovaLock.releaseShared();
  context.objects.release(ioas);
  return rc;
}

/** IOMMU_IOAS_ALLOW_IOVAS. */
export interface IoasAllowIovasCommand {
  readonly ioasId: number;
  readonly reserved: number;
  readonly rangeCount: number;
}

/** EOPNOTSUPP, ENOENT, EFAULT of `load`, EINVAL (empty, one-byte or overlapping range), EADDRINUSE. */
export function* ioasAllowIovas(
  context: IommufdContext,
  command: IoasAllowIovasCommand,
  load: (index: number) => Interval | undefined,
): KernelTask<number> {
  if (command.reserved !== 0) return -Errno.EOPNOTSUPP;
  const ioas = context.objects.acquire(command.ioasId, Ioas);
  if (ioas === undefined) return -Errno.ENOENT;
  const ranges: Interval[] = [];
  let rc = 0;
  for (let i = 0; i < command.rangeCount && rc === 0; i++) {
    const range = load(i);
    if (range === undefined) rc = -Errno.EFAULT;
    else if (range.start >= range.last || intersects(ranges, range.start, range.last)) rc = -Errno.EINVAL;
    else ranges.push(range);
  }
  if (rc === 0) {
    if (!ioas.iovaLock.tryAcquireExclusive()) yield ioas.iovaLock.exclusiveQueue;
    rc = ioas.allow(ranges);
    ioas.iovaLock.releaseExclusive();
  }
  context.objects.release(ioas);
  return rc;
}

/** IOMMU_IOAS_MAP. */
export interface IoasMapCommand {
  readonly flags: number;
  readonly reserved: number;
  readonly ioasId: number;
  readonly userVa: bigint;
  readonly lengthBytes: bigint;
  /** In: where, with FIXED_IOVA. Out: where. */
  iova: bigint;
}

/** Maps user memory of `process`. @hot */
export function* ioasMap(context: IommufdContext, process: Process, command: IoasMapCommand): KernelTask<number> {
  const { flags, lengthBytes, userVa } = command;
  if ((flags & ~ALL_MAP_FLAGS) !== 0 || command.reserved !== 0) return -Errno.EOPNOTSUPP;
  if (command.iova === U64_MAX || lengthBytes === U64_MAX) return -Errno.EOVERFLOW;
  if ((flags & ACCESS_FLAGS) === 0) return -Errno.EINVAL;
  const ioas = context.objects.acquire(command.ioasId, Ioas);
  if (ioas === undefined) return -Errno.ENOENT;
  const fixed = (flags & MapFlag.fixedIova) !== 0;
  const rc = yield* mapUserMemory(ioas, process, protOf(flags), fixed, userVa, lengthBytes, command);
  context.objects.release(ioas);
  return rc;
}

/**
 * iopt_map_user_pages: what both IOAS_MAP and the VFIO-compatible map do. `at.iova` is read when `fixed` and set on
 * success. @hot
 */
export function* mapUserMemory(
  ioas: Ioas,
  process: Process,
  prot: number,
  fixed: boolean,
  userVa: bigint,
  lengthBytes: bigint,
  at: { iova: bigint },
): KernelTask<number> {
  const { context } = ioas;
  if (userVa + lengthBytes > U64_MAX) return -Errno.EOVERFLOW;
  if (lengthBytes === 0n || lengthBytes > U64_MAX - 4096n) return -Errno.EINVAL;
  const startByte = userVa & 4095n;
  const pages = new PageSource(
    { kind: 'user', firstVpn: Number(userVa >> 12n) },
    Number((startByte + lengthBytes + 4095n) >> 12n),
    (prot & IommuProt.write) !== 0,
    process,
    accountModeOf(context, process),
    context.kernel,
  );
  const request: MapRequest = {
    pieces: [{ pages, startByte, lengthBytes }],
    lengthBytes,
    prot,
    fixed,
    address: userVa,
    iova: at.iova,
  };
  const rc = yield* mapPieces(ioas, request);
  if (rc === 0) at.iova = request.iova;
  return rc;
}

/** IOMMU_IOAS_COPY. */
export interface IoasCopyCommand {
  readonly flags: number;
  readonly dstIoasId: number;
  readonly srcIoasId: number;
  readonly lengthBytes: bigint;
  readonly srcIova: bigint;
  /** In: where, with FIXED_IOVA. Out: where. */
  dstIova: bigint;
}

/** Makes areas of `dst` that share the page sources of `src`. */
export function* ioasCopy(context: IommufdContext, command: IoasCopyCommand): KernelTask<number> {
  const { flags, lengthBytes } = command;
  const { objects } = context;
  if ((flags & ~ALL_MAP_FLAGS) !== 0) return -Errno.EOPNOTSUPP;
  if (lengthBytes === U64_MAX || command.srcIova === U64_MAX || command.dstIova === U64_MAX) return -Errno.EOVERFLOW;
  if ((flags & ACCESS_FLAGS) === 0) return -Errno.EINVAL;
  const source = objects.acquire(command.srcIoasId, Ioas);
  if (source === undefined) return -Errno.ENOENT;
  const pieces = yield* collectPieces(source, command.srcIova, lengthBytes);
  objects.release(source);
  if (typeof pieces === 'number') return pieces;
  const target = objects.acquire(command.dstIoasId, Ioas);
  if (target === undefined) {
    for (const piece of pieces) if (piece.pages.put()) yield* piece.pages.release();
    return -Errno.ENOENT;
  }
  const first = pieces[0];
  const request: MapRequest = {
    pieces,
    lengthBytes,
    prot: protOf(flags),
    fixed: (flags & MapFlag.fixedIova) !== 0,
    address: first === undefined ? 0n : first.pages.baseAddress + first.startByte,
    iova: command.dstIova,
  };
  const rc = yield* mapPieces(target, request);
  if (rc === 0) command.dstIova = request.iova;
  objects.release(target);
  return rc;
}

/** IOMMU_IOAS_UNMAP. */
export interface IoasUnmapCommand {
  readonly ioasId: number;
  readonly iova: bigint;
  /** Out, on success: bytes removed. */
  lengthBytes: bigint;
}

/** ENOENT (id, nothing there, area sticking out), EOVERFLOW, EINVAL, EBUSY, EDEADLK. @hot */
export function* ioasUnmap(context: IommufdContext, command: IoasUnmapCommand): KernelTask<number> {
  const { iova, lengthBytes } = command;
  const ioas = context.objects.acquire(command.ioasId, Ioas);
  if (ioas === undefined) return -Errno.ENOENT;
  let rc = 0;
  if (iova === 0n && lengthBytes === U64_MAX) {
    const result = yield* unmapAll(ioas);
    rc = result.rc;
    if (rc === 0) command.lengthBytes = result.unmappedBytes;
  } else if (iova === U64_MAX || lengthBytes === U64_MAX) {
    rc = -Errno.EOVERFLOW;
  } else if (lengthBytes === 0n) {
    rc = -Errno.EINVAL;
  } else if (iova + lengthBytes - 1n > U64_MAX) {
    rc = -Errno.EOVERFLOW;
  } else {
    const result = yield* unmapRange(ioas, iova, iova + lengthBytes - 1n);
    rc = result.rc === 0 && result.unmappedBytes === 0n ? -Errno.ENOENT : result.rc;
    if (rc === 0) command.lengthBytes = result.unmappedBytes;
  }
  context.objects.release(ioas);
  return rc;
}

/** IommuProt bits of map flags: always coherent. */
export function protOf(flags: number): number {
  return (
    IommuProt.cache |
    ((flags & MapFlag.readable) !== 0 ? IommuProt.read : 0) |
    ((flags & MapFlag.writeable) !== 0 ? IommuProt.write : 0)
  );
}

/** Account mode of a page source that `process` makes (iopt_alloc_pages, iopt_map_user_pages). */
export function accountModeOf(context: IommufdContext, process: Process): AccountMode {
  return process.canLockMemory ? 'none' : context.accountMode;
}
