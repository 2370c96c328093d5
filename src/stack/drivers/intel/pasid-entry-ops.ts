/**
 * Setting up, tearing down and replacing one PASID entry, with the flushes each needs (VT-d spec 6.2.2.1 and 6.5.3.3;
 * Linux drivers/iommu/intel/pasid.c). Every submission here has its own wait descriptor.
 */
import type { SourceId } from '../../../address.ts';
import { Errno } from '../../../errno.ts';
import { Descriptor, DescriptorType, PagingType, PasidEntry } from '../../../hw/vtd/layout.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { clearPresent, type EntryPlace, isPresent, zeroEntry } from './context-table.ts';
import { DescriptorBatch, pushIotlbDomain, pushPasidCache, pushPasidIotlbAll } from './descriptors.ts';
import { type DeviceInfo, isPresent as isDevicePresent } from './device-info.ts';
import { pushWholeDeviceTlb } from './device-tlb.ts';
import type { EntryAction } from './entry-step.ts';
import type { IntelUnit } from './intel-unit.ts';
import {
  type PasidEntryWords,
  pasidDomainId,
  pasidPagingType,
  pasidPlace,
  readPasidEntry,
  writePasidEntry,
  writePasidWords,
} from './pasid-table.ts';

/** [words] Hardware reads an entry in pieces of 128 bits. */
const PIECE_WORDS = 4;

/** Charges writing an entry, and the cache flush of the line when structures are not coherent. */
export function* chargeEntryWrite(unit: IntelUnit): KernelTask<void> {
  const costs = unit.kernel.costs;
  const deltaTicks = costs.entryWrite + (unit.caps.structureCoherent ? 0 : costs.entryFlush);
  if (deltaTicks > 0) yield { deltaTicks, bucket: 'table' };
}

/** PASID-cache invalidation, PASID-selective within the domain. */
export function* submitPasidCache(unit: IntelUnit, did: number, pasid: number): KernelTask<void> {
  if (unit.kernel.profile.behaviours.omitsFlush === 'pasid-cache') return;
  const batch = new DescriptorBatch(1);
  pushPasidCache(batch, did, pasid);
  yield* unit.queue.submit(batch);
}

/** PASID-based IOTLB invalidation of a whole PASID. */
export function* submitPasidIotlb(unit: IntelUnit, did: number, pasid: number): KernelTask<void> {
  if (unit.kernel.profile.behaviours.omitsFlush === 'iotlb') return;
  const batch = new DescriptorBatch(1);
  pushPasidIotlbAll(batch, did, pasid);
  yield* unit.queue.submit(batch);
}

/** IOTLB invalidation, domain-selective. */
export function* submitIotlbDomain(unit: IntelUnit, did: number): KernelTask<void> {
  if (unit.kernel.profile.behaviours.omitsFlush === 'iotlb') return;
  const batch = new DescriptorBatch(1);
  pushIotlbDomain(batch, unit.drain, did);
  yield* unit.queue.submit(batch);
}

/** The device's whole TLB (of the PASID), if ATS is on and the device still there (devtlb_invalidation_with_pasid). */
export function* submitDeviceTlb(info: DeviceInfo, pasid: number): KernelTask<void> {
  if (!info.atsEnabled || !isDevicePresent(info)) return;
  const batch = new DescriptorBatch(1);
  pushWholeDeviceTlb(batch, info, pasid);
  yield* info.unit.queue.submit(batch);
}

/**
 * Writes an entry where there is none. Errors: ENODEV beyond the PASID directory, EBUSY when present.
 * Caching mode caches "not present", so that the new entry has to be announced; else a write-buffer flush if needed.
 */
export function* setupPasidEntry(info: DeviceInfo, pasid: number, words: PasidEntryWords): KernelTask<number> {
  const unit = info.unit;
  const place = pasidPlace(info, pasid);
  if (place === undefined) return -Errno.ENODEV;
  if (isPresent(unit.memory, place)) return -Errno.EBUSY;
  writePasidEntry(info, place, words);
  note(info, pasid, 'setup');
  yield* chargeEntryWrite(unit);
  if (unit.caps.cachingMode) {
    const did = pasidDomainId(words);
    yield* submitPasidCache(unit, did, pasid);
    yield* submitPasidIotlb(unit, did, pasid);
  } else {
    yield* unit.flushWriteBuffer();
  }
  return 0;
}

/**
 * Takes an entry down (intel_pasid_tear_down_entry); nothing when it is not present.
 *
 * 1. read domain id and type, clear P only
 * 2. PASID cache, PASID-selective
 * 3. PASID-based IOTLB for first-stage and pass-through entries, else IOTLB of the domain
 * 4. device TLB
 * 5. zero the entry
 * 6. drain page requests
 */
export function* tearDownPasidEntry(info: DeviceInfo, pasid: number): KernelTask<void> {
  const unit = info.unit;
  const place = pasidPlace(info, pasid);
  if (place === undefined || !isPresent(unit.memory, place)) return;
  const words = readPasidEntry(info, place);
  const did = pasidDomainId(words);
  clearPresent(unit.memory, place);
  note(info, pasid, 'clear_present');
  yield* chargeEntryWrite(unit);
  yield* submitPasidCache(unit, did, pasid);
  if (usesPasidIotlb(pasidPagingType(words))) yield* submitPasidIotlb(unit, did, pasid);
  else yield* submitIotlbDomain(unit, did);
  yield* submitDeviceTlb(info, pasid);
  zeroEntry(unit.memory, place, PasidEntry.words);
  note(info, pasid, 'zero');
  yield* chargeEntryWrite(unit);
  yield* drainPageRequests(info, did, pasid);
}

/**
 * Overwrites a present entry with `words` while the device may use it, in pieces as a struct copy does, then flushes
 * with the old domain id (the intel_pasid_replace_* functions of 6.13 .. 6.19). A DMA that misses the PASID cache between
 * two pieces sees a torn entry. Errors: ENODEV, EINVAL when nothing is there to replace.
 *
 * APPROX: each 128-bit piece takes a quarter of an entry write.
 */
export function* replacePasidEntryInPlace(info: DeviceInfo, pasid: number, words: PasidEntryWords): KernelTask<number> {
  const unit = info.unit;
  const place = pasidPlace(info, pasid);
  if (place === undefined) return -Errno.ENODEV;
  if (!isPresent(unit.memory, place)) return -Errno.EINVAL;
  const oldDid = pasidDomainId(readPasidEntry(info, place));
  const pieceTicks = Math.floor(unit.kernel.costs.entryWrite / 4);
  for (let from = 0; from < PasidEntry.words; from += PIECE_WORDS) {
    writePasidWords(info, place, words, from, from + PIECE_WORDS);
    note(info, pasid, 'piece', from / PIECE_WORDS);
    if (pieceTicks > 0) yield { deltaTicks: pieceTicks, bucket: 'table' };
  }
  if (!unit.caps.structureCoherent) yield { deltaTicks: unit.kernel.costs.entryFlush, bucket: 'table' };
  yield* flushReplacedEntry(info, oldDid, pasid, true);
  yield* drainPageRequests(info, oldDid, pasid);
  return 0;
}

/**
 * Replaces a present entry without a moment in which it is absent, where the layout allows that (the entry_sync proposal
 * of March 2026, after arm_smmu_write_entry): pieces the old type ignores first, then the one 128-bit piece that
 * switches, then clean-up; a flush after each step. When two pieces in use differ, tears down and sets up instead.
 *
 * Errors: ENODEV, EINVAL when nothing is there to replace.
 */
export function* replacePasidEntrySynced(info: DeviceInfo, pasid: number, words: PasidEntryWords): KernelTask<number> {
  const unit = info.unit;
  const place = pasidPlace(info, pasid);
  if (place === undefined) return -Errno.ENODEV;
  if (!isPresent(unit.memory, place)) return -Errno.EINVAL;
  const old = readPasidEntry(info, place);
  const oldDid = pasidDomainId(old);
  const pasidBased = usesPasidIotlb(pasidPagingType(old));
  const usedOld = piecesInUse(old);
  const usedNew = piecesInUse(words);
  const critical: number[] = [];
  const early: number[] = [];
  const late: number[] = [];
  for (let piece = 0; piece < PasidEntry.words / PIECE_WORDS; piece++) {
    if (!pieceDiffers(old, words, piece)) continue;
    if (piece >= usedOld) early.push(piece);
    else if (piece < usedNew) critical.push(piece);
    else late.push(piece);
  }
  if (critical.length > 1) {
    yield* tearDownPasidEntry(info, pasid);
    return yield* setupPasidEntry(info, pasid, words);
  }
  for (const step of [early, critical, late]) {
    if (step.length === 0) continue;
    for (const piece of step) {
      writePasidWords(info, place, words, piece * PIECE_WORDS, (piece + 1) * PIECE_WORDS);
      note(info, pasid, 'piece', piece);
    }
    yield* chargeEntryWrite(unit);
    yield* flushReplacedEntry(info, oldDid, pasid, pasidBased);
  }
  yield* drainPageRequests(info, oldDid, pasid);
  return 0;
}

/**
 * Replaces a present entry by one store of all 512 bits, then flushes once: the lower bound of what a replace can
 * disturb. ASSUMPTION: no processor has such a store. Errors: ENODEV, EINVAL when nothing is there to replace.
 */
export function* replacePasidEntryAtOnce(info: DeviceInfo, pasid: number, words: PasidEntryWords): KernelTask<number> {
  const unit = info.unit;
  const place = pasidPlace(info, pasid);
  if (place === undefined) return -Errno.ENODEV;
  if (!isPresent(unit.memory, place)) return -Errno.EINVAL;
  const old = readPasidEntry(info, place);
  writePasidWords(info, place, words, 0, PasidEntry.words);
  note(info, pasid, 'rewrite');
  yield* chargeEntryWrite(unit);
  yield* flushReplacedEntry(info, pasidDomainId(old), pasid, usesPasidIotlb(pasidPagingType(old)));
  yield* drainPageRequests(info, pasidDomainId(old), pasid);
  return 0;
}

/** Reports a store to the device's entry of a PASID (VT-d indexes PASID entries by requester and PASID). */
function note(info: DeviceInfo, pasid: number, action: EntryAction, piece = -1): void {
  info.unit.noteEntry(info.device.sourceIds[0] as number, pasid, action, piece);
}

function* flushReplacedEntry(info: DeviceInfo, did: number, pasid: number, pasidBased: boolean): KernelTask<void> {
  yield* submitPasidCache(info.unit, did, pasid);
  if (pasidBased) yield* submitPasidIotlb(info.unit, did, pasid);
  else yield* submitIotlbDomain(info.unit, did);
  yield* submitDeviceTlb(info, pasid);
}

/**
 * Waits until no page request of the PASID is under way (intel_iommu_drain_pasid_prq), only while faults are routed: until
 * the queue's thread has read those in the ring; then a fence, IOTLB and device TLB, and a wait descriptor with
 * page-request drain; once more after an overflow.
 */
export function* drainPageRequests(info: DeviceInfo, did: number, pasid: number): KernelTask<void> {
  if (info.iopfUsers === 0) return;
  const { pageRequests } = info.unit;
  if (pageRequests !== undefined) yield* pageRequests.waitForRequests(info.device.sourceIds[0] as SourceId, pasid);
  for (;;) {
    const batch = new DescriptorBatch(3);
    batch.push(DescriptorType.wait | Descriptor.waitFence, 0, 0, 0);
    if (pasid === 0) pushIotlbDomain(batch, info.unit.drain, did);
    else pushPasidIotlbAll(batch, did, pasid);
    if (info.atsEnabled) pushWholeDeviceTlb(batch, info, pasid);
    yield* info.unit.queue.submit(batch, true);
    if (pageRequests?.overflowed !== true) return;
    yield* pageRequests.waitServed();
  }
}

/** Which IOTLB descriptor an entry's translations need: VT-d spec 6.5.3.3. */
export function usesPasidIotlb(pagingType: number): boolean {
  return pagingType === PagingType.firstStage || pagingType === PagingType.passThrough;
}

/** Flips SSADE of a present entry; true when it changed. */
export function setDirtyEnable(info: DeviceInfo, place: EntryPlace, enable: boolean): boolean {
  const words = readPasidEntry(info, place);
  const low = words[0] as number;
  const wanted = enable ? low | PasidEntry.ssade : low & ~PasidEntry.ssade;
  if (wanted >>> 0 === low) return false;
  words[0] = wanted;
  writePasidWords(info, place, words, 0, 1);
  return true;
}

/** How many leading 128-bit pieces hardware looks at: second-stage and pass-through entries need only the first. */
function piecesInUse(words: PasidEntryWords): number {
  const type = pasidPagingType(words);
  return type === PagingType.firstStage || type === PagingType.nested ? 2 : 1;
}

function pieceDiffers(a: PasidEntryWords, b: PasidEntryWords, piece: number): boolean {
  for (let word = piece * PIECE_WORDS; word < (piece + 1) * PIECE_WORDS; word++) if (a[word] !== b[word]) return true;
  return false;
}
