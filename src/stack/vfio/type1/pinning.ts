/**
 * Pinning user pages in physically contiguous runs and charging them to the mapping's owner (vfio_pin_pages_remote,
 * vfio_unpin_pages_remote, vfio_lock_acct of Linux drivers/vfio/vfio_iommu_type1.c).
 */
import { Errno } from '../../../errno.ts';
import type { AddressSpace } from '../../kernel/address-space.ts';
import type { Process } from '../../kernel/process.ts';
import type { Dma } from './dma.ts';

/** Pages pinned at once: page pointers in a page (VFIO_BATCH_MAX_CAPACITY). */
const BATCH_PAGES = 512;
const PAGE = 4096n;

/** Pages pinned ahead of the run that uses them (struct vfio_batch). */
export class PinBatch {
  readonly #capacity: number;
  readonly pfns: number[] = [];
  offset = 0;
  size = 0;
  /** The pages are device memory: not pinned. */
  reserved = false;

  constructor(capacity: number = BATCH_PAGES) {
    this.#capacity = capacity;
  }

  /** vaddr_get_pfns: pins up to `pageCount` pages; the number, or -EFAULT. */
  fill(memory: AddressSpace, vaddr: bigint, pageCount: number, write: boolean): number {
    const vpn = Number(vaddr >> 12n);
    this.offset = 0;
    this.reserved = false;
    this.size = memory.pin(vpn, Math.min(pageCount, this.#capacity), write, this.pfns, 0);
    if (this.size < 0) {
      this.size = 0;
      const device = memory.deviceFrame(vpn, write);
      if (device === undefined) return -Errno.EFAULT;
      this.pfns[0] = device;
      this.size = 1;
      this.reserved = true;
    }
    return this.size;
  }

  /** Drops what no run has used (vfio_batch_unpin). */
  drop(memory: AddressSpace): void {
    if (!this.reserved) for (let i = 0; i < this.size; i++) memory.frames.unpin(this.pfns[this.offset + i] as number);
    this.size = 0;
  }
}

/** A run of pages that are physically consecutive. */
export interface PinnedRun {
  readonly pfn: number;
  readonly pageCount: number;
}

/**
 * Pins the longest run of consecutive frames from `iova` on, at most `pageCount` pages, and charges the pages that no
 * external pin has charged. Memory and limit are the caller's. Errors: EFAULT, ENOMEM over RLIMIT_MEMLOCK; they undo the
 * run.
 */
export function pinRun(
  caller: Process,
  dma: Dma,
  batch: PinBatch,
  iova: bigint,
  pageCount: number,
  splitPages: boolean,
): PinnedRun | number {
  const { memory } = caller;
  const write = (dma.prot & 2) !== 0;
  let base = batch.size > 0 ? (batch.pfns[batch.offset] as number) : -1;
  let reserved = batch.reserved;
  let pinned = 0;
  let charge = 0;
  let error = 0;
  const hasExternalPins = dma.pins.size > 0;
  walk: while (pinned < pageCount) {
    const at = iova + BigInt(pinned) * PAGE;
    if (batch.size === 0) {
      error = Math.min(batch.fill(memory, dma.vaddr + (at - dma.iova), pageCount - pinned, write), 0);
      if (error < 0) break;
      if (base < 0) {
        base = batch.pfns[0] as number;
        reserved = batch.reserved;
      }
    }
    while (batch.size > 0) {
      if (batch.pfns[batch.offset] !== base + pinned || batch.reserved !== reserved) break walk;
      if (!reserved && !(hasExternalPins && dma.pins.has(iova + BigInt(pinned) * PAGE))) {
        if (!dma.lockCapable && memory.lockedVm + charge + 1 > caller.memlockLimit) {
          error = -Errno.ENOMEM;
          break walk;
        }
        charge++;
      }
      pinned++;
      batch.offset++;
      batch.size--;
      if (pinned === pageCount) break;
    }
    if (splitPages) break;
  }
  if (error === 0) error = lockAccount(dma, charge);
  // A device page is not remembered by the batch.
  if (batch.reserved && batch.size === 1) batch.size = 0;
  if (error < 0) {
    if (!reserved) for (let i = 0; i < pinned; i++) memory.frames.unpin(base + i);
    batch.drop(memory);
    return error;
  }
  return { pfn: base, pageCount: pinned };
}

/** Unpins a run; the number of pages that are no device memory. What external pins hold is not looked at. */
export function unpinRun(dma: Dma, pfn: number, pageCount: number): number {
  const { frames } = dma.owner.memory;
  let unpinned = 0;
  for (let i = 0; i < pageCount; i++) {
    if (frames.isDeviceMemory(pfn + i)) continue;
    frames.unpin(pfn + i);
    unpinned++;
  }
  return unpinned;
}

/** Unpins a run and takes back its charge, but for pages whose charge an external pin keeps. */
export function unpinCharged(dma: Dma, iova: bigint, { pfn, pageCount }: PinnedRun): void {
  const unpinned = unpinRun(dma, pfn, pageCount);
  let held = 0;
  for (let i = 0; i < pageCount; i++) if (dma.pins.has(iova + BigInt(i) * PAGE)) held++;
  lockAccount(dma, held - unpinned);
}

/** vfio_lock_acct: charges (negative: uncharges) pages to the owner. -ENOMEM over the limit. */
export function lockAccount(dma: Dma, pageCount: number): number {
  const error = chargeLocked(dma.owner, dma.lockCapable, pageCount);
  if (error === 0) dma.lockedPages += pageCount;
  return error;
}

/** __account_locked_vm. -ENOMEM over RLIMIT_MEMLOCK; memory that is gone has no account. */
function chargeLocked(owner: Process, lockCapable: boolean, pageCount: number): number {
  const { memory } = owner;
  if (pageCount === 0 || !memory.alive) return 0;
  if (pageCount > 0 && !lockCapable && memory.lockedVm + pageCount > owner.memlockLimit) return -Errno.ENOMEM;
  memory.lockedVm += pageCount;
  return 0;
}

/** vfio_change_dma_owner: the new user address belongs to `process`, which is charged from now on. -ENOMEM. */
export function changeOwner(dma: Dma, process: Process): number {
  if (dma.owner.memory === process.memory) return 0;
  const error = chargeLocked(process, process.canLockMemory, dma.lockedPages);
  if (error !== 0) return error;
  chargeLocked(dma.owner, dma.lockCapable, -dma.lockedPages);
  dma.owner = process;
  dma.lockCapable = process.canLockMemory;
  return 0;
}
