/**
 * Pages pinned for emulated devices in a type1 container, and CPU access to mapped memory (vfio_iommu_type1_pin_pages,
 * _unpin_pages and _dma_rw of Linux drivers/vfio/vfio_iommu_type1.c).
 */
import { Errno } from '../../../errno.ts';
import { IommuProt } from '../../iommu/ops.ts';
import type { Process } from '../../kernel/process.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { VfioGroup } from '../group-state.ts';
import { markDirty } from './dirty-bitmap.ts';
import type { Dma } from './dma.ts';
import { lockAccount, PinBatch } from './pinning.ts';
import type { Type1 } from './type1.ts';

const PAGE = 4096n;

/**
 * Pins `pageCount` pages from `iova` on and stores their frames. Returns `pageCount`. Errors in check order: EINVAL no
 * page, EOVERFLOW wrap (Linux 6.18); EACCES v1; EBUSY a user address is given up; EINVAL no driver to be told; by page:
 * EINVAL no mapping, EPERM, ENODEV owner gone, EFAULT, ENOMEM, EINVAL device memory. An error undoes all pages.
 */
export function* pinExternal(
  type1: Type1,
  group: VfioGroup,
  iova: bigint,
  pageCount: number,
  prot: number,
  pfns: number[],
): KernelTask<number> {
  if (!type1.variant.v2) return -Errno.EACCES;
  if (type1.profile.overflow) {
    if (pageCount <= 0) return -Errno.EINVAL;
    if (iova + BigInt(pageCount) * PAGE > 2n ** 64n) return -Errno.EOVERFLOW;
  }
  const iovas = Array.from({ length: pageCount }, (_, page) => iova + BigInt(page) * PAGE);
  return yield* pinList(type1, group, iovas, prot, pfns);
}

/** {@link pinExternal} of single pages, as drivers asked for them until 5.19; no range rules. */
export function* pinList(
  type1: Type1,
  group: VfioGroup,
  iovas: readonly bigint[],
  prot: number,
  pfns: number[],
): KernelTask<number> {
  if (!type1.variant.v2) return -Errno.EACCES;
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  const result = pinLocked(type1, iovas, prot, pfns);
  if (result > 0) claimDirtyScope(type1, group);
  type1.lock.release();
  if (result > 0) yield type1.kernel.costs.pinPage * result;
  return result;
}

function pinLocked(type1: Type1, iovas: readonly bigint[], prot: number, pfns: number[]): number {
  if (type1.vaddrInvalidCount > 0) return -Errno.EBUSY;
  if (type1.notifyDevices.length === 0) return -Errno.EINVAL;
  for (const [page, iova] of iovas.entries()) {
    const error = pinPage(type1, iova, prot, pfns, page);
    if (error === 0) continue;
    for (const done of iovas.slice(0, page)) unpinPage(type1, done);
    pfns.length = 0;
    return error;
  }
  return iovas.length;
}

function pinPage(type1: Type1, iova: bigint, prot: number, pfns: number[], index: number): number {
  const dma = type1.dmas.find(iova, PAGE);
  if (dma === undefined) return -Errno.EINVAL;
  if ((dma.prot & prot) !== prot) return -Errno.EPERM;
  let pin = dma.pins.get(iova);
  if (pin === undefined) {
    const pinned = pinOwnersPage(type1, dma, iova);
    if (typeof pinned === 'number') return pinned;
    pin = { ...pinned, users: 0 };
    dma.pins.set(iova, pin);
    if (type1.dirtyTracking) markDirty(dma, iova - dma.iova, 1n, type1.pageSize);
  }
  pin.users++;
  pfns[index] = pin.pfn;
  return 0;
}

/** vfio_pin_page_external: through the mapping owner's memory. Charged only where no domain has charged the page. */
function pinOwnersPage(
  type1: Type1,
  dma: Dma,
  iova: bigint,
): { readonly pfn: number; readonly reserved: boolean } | number {
  const { memory } = dma.owner;
  if (!memory.alive) return -Errno.ENODEV;
  const batch = new PinBatch(1);
  const got = batch.fill(memory, dma.vaddr + (iova - dma.iova), 1, (dma.prot & IommuProt.write) !== 0);
  if (got < 0) return got;
  if (batch.reserved) return -Errno.EINVAL;
  const error = type1.domains.length === 0 ? lockAccount(dma, 1) : 0;
  if (error !== 0) batch.drop(memory);
  return error !== 0 ? error : { pfn: batch.pfns[0] as number, reserved: batch.reserved };
}

/** The group has shown that it pins what it uses: only pinned pages count as dirty for it from now on. */
function claimDirtyScope(type1: Type1, group: VfioGroup): void {
  const entry = type1.find(group)?.entry;
  if (entry === undefined || entry.pinnedPageDirtyScope) return;
  entry.pinnedPageDirtyScope = true;
  type1.nonPinnedGroupCount--;
}

/** Unpins pages; pages that are not pinned are passed over, a page without mapping ends the walk. */
export function* unpinExternal(type1: Type1, iova: bigint, pageCount: number): KernelTask<void> {
  if (!type1.variant.v2) return;
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  for (let page = 0; page < pageCount; page++) if (!unpinPage(type1, iova + BigInt(page) * PAGE)) break;
  type1.lock.release();
  yield type1.kernel.costs.unpinPage * pageCount;
}

/** False when no mapping holds the page. */
function unpinPage(type1: Type1, iova: bigint): boolean {
  const dma = type1.dmas.find(iova, PAGE);
  if (dma === undefined) return false;
  const pin = dma.pins.get(iova);
  if (pin === undefined) return true;
  pin.users--;
  if (pin.users > 0) return true;
  dma.pins.delete(iova);
  dma.owner.memory.frames.unpin(pin.pfn);
  if (type1.domains.length === 0) lockAccount(dma, -1);
  return true;
}

/**
 * Reads (`write` false: fills `data`) or writes mapped memory by CPU. `caller` is the process on whose behalf the driver
 * runs, undefined for a kernel thread. Errors: EBUSY a user address is given up; by mapping: EINVAL none, EPERM no
 * read permission or, to write, no write permission; EPERM owner gone; EFAULT foreign caller or bad page. What was done
 * before an error stays.
 */
export function* dmaReadWrite(
  type1: Type1,
  caller: Process | undefined,
  iova: bigint,
  data: Uint8Array,
  write: boolean,
): KernelTask<number> {
  if (!type1.lock.tryAcquire()) yield type1.lock.queue;
  let error = type1.vaddrInvalidCount > 0 ? -Errno.EBUSY : 0;
  for (let done = 0; done < data.length && error === 0; ) {
    const copied = copyChunk(type1, caller, iova + BigInt(done), data.subarray(done), write);
    if (copied < 0) error = copied;
    else done += copied;
  }
  type1.lock.release();
  return error;
}

/** Bytes copied, or errno. */
function copyChunk(type1: Type1, caller: Process | undefined, iova: bigint, data: Uint8Array, write: boolean): number {
  const dma = type1.dmas.find(iova, 1n);
  if (dma === undefined) return -Errno.EINVAL;
  const allowed = (dma.prot & IommuProt.read) !== 0 && (!write || (dma.prot & IommuProt.write) !== 0);
  const { memory } = dma.owner;
  if (!allowed || !memory.alive) return -Errno.EPERM;
  if (caller !== undefined && caller.memory !== memory) return -Errno.EFAULT;
  const offset = iova - dma.iova;
  const count = Math.min(data.length, Number(dma.sizeBytes - offset));
  if (write) {
    if (!memory.write(dma.vaddr + offset, data.subarray(0, count))) return -Errno.EFAULT;
    if (type1.dirtyTracking) markDirty(dma, offset, BigInt(count), type1.pageSize);
    return count;
  }
  const bytes = memory.read(dma.vaddr + offset, count);
  if (bytes === undefined) return -Errno.EFAULT;
  data.set(bytes);
  return count;
}
