/**
 * Creation of areas in an IOAS: of user memory, of file pages and as copies of other areas (iopt_map_pages). Source:
 * Linux drivers/iommu/iommufd/io_pagetable.c.
 */
import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { IommuProt } from '../iommu/ops.ts';
import type { KernelTask } from '../kernel/task.ts';
import { Area } from './area.ts';
import { fillDomains, unfillDomains } from './area-domains.ts';
import { intersects } from './intervals.ts';
import type { Ioas } from './ioas.ts';
import { allocateIova } from './iova-allocation.ts';
import type { PageSource } from './page-source.ts';

/** A range of a page source that becomes one area. Holds one use of the source until the area takes it over. */
export interface MapPiece {
  readonly pages: PageSource;
  /** [bytes] Offset of the first byte in the page source. */
  readonly startByte: bigint;
  readonly lengthBytes: bigint;
}

/** A map of one or more pieces at consecutive IOVAs. */
export interface MapRequest {
  readonly pieces: readonly MapPiece[];
  /** [bytes] Sum of the pieces. */
  readonly lengthBytes: bigint;
  /** IommuProt bits. */
  readonly prot: number;
  /** True: use {@link iova}. False: choose one and store it there. */
  readonly fixed: boolean;
  /** [bytes] User address or file offset of the first byte: guides the choice. */
  readonly address: bigint;
  iova: bigint;
}

/**
 * Inserts the pieces as areas and maps them into every domain: 0 or errno. On failure no area is left, no domain has
 * changed and the pieces' uses of their sources are dropped.
 */
export function* mapPieces(ioas: Ioas, request: MapRequest): KernelTask<number> {
  const { domainsLock, iovaLock } = ioas;
  const inserted: Area[] = [];
  if (!iovaLock.tryAcquireExclusive()) yield iovaLock.exclusiveQueue;
  let rc = insertAreas(ioas, request, inserted);
  iovaLock.releaseExclusive();
  if (rc === 0) {
    if (!domainsLock.tryAcquireShared()) yield domainsLock.sharedQueue;
    let filled = 0;
    for (; filled < inserted.length && rc === 0; filled++) {
      const pages = (request.pieces[filled] as MapPiece).pages;
      rc = yield* fillDomains(inserted[filled] as Area, pages, ioas.domains, ioas.smallPages);
    }
    if (rc === 0) {
      if (!iovaLock.tryAcquireExclusive()) yield iovaLock.exclusiveQueue;
      for (let i = 0; i < inserted.length; i++) {
        (inserted[i] as Area).pages = (request.pieces[i] as MapPiece).pages;
      }
      iovaLock.releaseExclusive();
    } else {
      // The failing piece is already undone.
      for (let i = 0; i < filled - 1; i++) {
        yield* unfillDomains(inserted[i] as Area, (request.pieces[i] as MapPiece).pages, ioas.domains);
      }
    }
    domainsLock.releaseShared();
  }
  if (rc !== 0) {
    for (const area of inserted) ioas.areas.remove(area);
    for (const piece of request.pieces) if (piece.pages.put()) yield* piece.pages.release();
  }
  return rc;
}

/** Checks and IOVA choice of iopt_alloc_area_pages, in its order. */
function insertAreas(ioas: Ioas, request: MapRequest, inserted: Area[]): number {
  const mask = ioas.alignment - 1n;
  const { lengthBytes } = request;
  if (lengthBytes === 0n || (lengthBytes & mask) !== 0n) return -Errno.EINVAL;
  if (request.fixed) {
    const rc = checkIova(ioas, request.iova, lengthBytes);
    if (rc !== 0) return rc;
  } else {
    const iova = allocateIova(ioas, request.address, lengthBytes);
    if (iova < 0n) return Number(iova);
    request.iova = iova;
  }
  let iova = request.iova;
  for (const piece of request.pieces) {
    if ((request.prot & IommuProt.write) !== 0 && !piece.pages.writable) return -Errno.EPERM;
    if ((piece.startByte & 4095n & mask) !== 0n) return -Errno.EINVAL;
    const area = new Area(iova, piece.lengthBytes, piece.startByte, request.prot);
    ioas.areas.insert(area);
    inserted.push(area);
    iova += piece.lengthBytes;
  }
  return 0;
}

function checkIova(ioas: Ioas, iova: bigint, lengthBytes: bigint): number {
  if ((iova & (ioas.alignment - 1n)) !== 0n) return -Errno.EINVAL;
  const last = iova + lengthBytes - 1n;
  if (last > U64_MAX) return -Errno.EOVERFLOW;
  if (intersects(ioas.reserved, iova, last)) return -Errno.EINVAL;
  if (ioas.areas.first(iova, last) !== undefined) return -Errno.EEXIST;
  return 0;
}

/**
 * The pieces behind [iova, iova + length): contiguous, fully created areas (iopt_get_pages). Each takes a use of its
 * source. -EINVAL for no length, -EOVERFLOW, -ENOENT for a gap.
 */
export function* collectPieces(ioas: Ioas, iova: bigint, lengthBytes: bigint): KernelTask<MapPiece[] | number> {
  if (lengthBytes === 0n) return -Errno.EINVAL;
  const last = iova + lengthBytes - 1n;
  if (last > U64_MAX) return -Errno.EOVERFLOW;
  if (!ioas.iovaLock.tryAcquireShared()) yield ioas.iovaLock.sharedQueue;
  const pieces: MapPiece[] = [];
  let next = iova;
  for (const area of ioas.areas.within(iova, last)) {
    if (area.pages === undefined || area.start > next) break;
    const end = area.last < last ? area.last : last;
    pieces.push({
      pages: area.pages,
      startByte: area.startByte + (next - area.start),
      lengthBytes: end - next + 1n,
    });
    next = end + 1n;
  }
  ioas.iovaLock.releaseShared();
  if (next !== last + 1n) return -Errno.ENOENT;
  for (const piece of pieces) piece.pages.users++;
  return pieces;
}
