/**
 * Choice of an IOVA for a map that names none (iopt_alloc_iova). Source: Linux drivers/iommu/iommufd/io_pagetable.c.
 */
import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { AreaIndex } from './area-index.ts';
import { type Interval, union } from './intervals.ts';

/** [bytes] Largest alignment tried: a huge page, as kernels with transparent huge pages do. */
const MOST_ALIGNMENT = 0x20_0000n;
/** Window when no range is set as allowed: everything but the first and the last page. */
const WHOLE_WINDOW: Interval = { start: 4096n, last: U64_MAX - 4096n };

/** What restricts the choice. */
export interface IovaConstraints {
  readonly areas: AreaIndex;
  readonly reserved: readonly Interval[];
  /** Empty = no restriction. */
  readonly allowed: readonly Interval[];
  /** [bytes] Alignment every area of the IOAS must have. */
  readonly alignment: bigint;
}

/** The chosen IOVA, or -EOVERFLOW, -EINVAL, -ENOSPC. `address` is the user address or file offset of the first byte. */
export function allocateIova(constraints: IovaConstraints, address: bigint, lengthBytes: bigint): bigint {
  if (lengthBytes === 0n || lengthBytes >= U64_MAX / 2n) return -BigInt(Errno.EOVERFLOW);
  let alignment = roundUpToPowerOfTwo(lengthBytes);
  if (address !== 0n) {
    const addressAlignment = address & -address;
    if (addressAlignment < alignment) alignment = addressAlignment;
  }
  if (alignment > MOST_ALIGNMENT) alignment = MOST_ALIGNMENT;
  if (alignment < constraints.alignment) return -BigInt(Errno.EINVAL);
  const pageOffset = address & 4095n;
  const windows = constraints.allowed.length === 0 ? [WHOLE_WINDOW] : union(constraints.allowed);
  const reserved = union(constraints.reserved);
  for (const window of windows) {
    const from = window.start < WHOLE_WINDOW.start ? WHOLE_WINDOW.start : window.start;
    const to = window.last > WHOLE_WINDOW.last ? WHOLE_WINDOW.last : window.last;
    const start = fitRange(from, to, lengthBytes, alignment, pageOffset);
    if (start === undefined) continue;
    const found = searchWindow(constraints.areas, reserved, start, to, lengthBytes, alignment, pageOffset);
    if (found !== undefined) return found;
  }
  return -BigInt(Errno.ENOSPC);
}

/** First hole of the window, ascending, that can hold the length. */
function searchWindow(
  areas: AreaIndex,
  reserved: readonly Interval[],
  start: bigint,
  last: bigint,
  lengthBytes: bigint,
  alignment: bigint,
  pageOffset: bigint,
): bigint | undefined {
  let hole = start;
  let area = areas.first(start, last);
  let at = 0;
  while (at < reserved.length && (reserved[at] as Interval).last < start) at++;
  for (;;) {
    const blocked = reserved[at];
    const blockedStart = blocked !== undefined && blocked.start <= last ? blocked.start : undefined;
    const areaStart = area !== undefined && area.start <= last ? area.start : undefined;
    if (blockedStart === undefined && areaStart === undefined)
      return fitRange(hole, last, lengthBytes, alignment, pageOffset);
    const reservedIsNext = areaStart === undefined || (blockedStart !== undefined && blockedStart < areaStart);
    const used = reservedIsNext ? (blocked as Interval) : (area as Interval);
    if (used.start > hole) {
      const found = fitRange(hole, used.start - 1n, lengthBytes, alignment, pageOffset);
      if (found !== undefined) return found;
    }
    if (used.last + 1n > hole) hole = used.last + 1n;
    if (hole > last) return undefined;
    if (reservedIsNext) at++;
    else if (area !== undefined) area = areas.next(area);
  }
}

/** Start rounded up to the alignment plus the page offset, if the length fits below `last` (__alloc_iova_check_range). */
function fitRange(
  start: bigint,
  last: bigint,
  lengthBytes: bigint,
  alignment: bigint,
  pageOffset: bigint,
): bigint | undefined {
  const rounded = start + alignment - 1n;
  if (rounded > U64_MAX) return undefined;
  const candidate = (rounded & -alignment) | pageOffset;
  if (candidate >= last || last - candidate < lengthBytes - 1n) return undefined;
  return candidate;
}

function roundUpToPowerOfTwo(value: bigint): bigint {
  let power = 1n;
  while (power < value) power <<= 1n;
  return power;
}
