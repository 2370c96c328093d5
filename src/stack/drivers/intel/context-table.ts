/**
 * Root and context tables (VT-d spec "Root Entry", "Context Entry", "Scalable-Mode Context Entry"; Linux
 * iommu_context_addr and domain_context_mapping_one of drivers/iommu/intel/iommu.c). Context tables are allocated on
 * first use and stay.
 */
import { addressHigh, addressLow, type Pfn, pfnFromWords, type SourceId } from '../../../address.ts';
import { type PhysicalMemory, TABLE_FRAME_BASE } from '../../../hw/memory.ts';
import {
  LegacyContext,
  PRESENT,
  ROOT_ENTRY_WORDS,
  SCALABLE_ROOT_UPPER_WORD,
  ScalableContext,
  type TranslationType,
} from '../../../hw/vtd/layout.ts';
import type { IntelUnit } from './intel-unit.ts';

/** Where an entry lies. */
export interface EntryPlace {
  readonly frame: Pfn;
  /** First word in the frame. */
  readonly word: number;
}

/** The context entry of a requester, or undefined when its context table does not exist and `create` is false. */
export function contextPlace(unit: IntelUnit, sourceId: SourceId, create: boolean): EntryPlace | undefined {
  const devfn = sourceId & 0xff;
  const upper = unit.caps.scalable && devfn >= 128;
  const rootWord = (sourceId >>> 8) * ROOT_ENTRY_WORDS + (upper ? SCALABLE_ROOT_UPPER_WORD : 0);
  const memory = unit.memory;
  const low = memory.readWord(unit.root, rootWord);
  let frame: Pfn;
  if ((low & PRESENT) !== 0) {
    frame = pfnFromWords(low, memory.readWord(unit.root, rootWord + 1)) as Pfn;
  } else {
    if (!create) return undefined;
    frame = memory.allocFrame();
    memory.writeQword(unit.root, rootWord, (addressLow(frame) | PRESENT) >>> 0, addressHigh(frame));
  }
  const index = unit.caps.scalable ? devfn & 127 : devfn;
  return { frame, word: index * (unit.caps.scalable ? ScalableContext.words : LegacyContext.words) };
}

/** True when the entry's present bit is set. */
export function isPresent(memory: PhysicalMemory, place: EntryPlace): boolean {
  return (memory.readWord(place.frame, place.word) & PRESENT) !== 0;
}

/** Domain id in a legacy context entry. */
export function legacyDomainId(memory: PhysicalMemory, place: EntryPlace): number {
  return (memory.readWord(place.frame, place.word + 2) >>> LegacyContext.didShift) & LegacyContext.didMask;
}

/** Content of a legacy context entry. */
export interface LegacyContextFields {
  readonly did: number;
  /** AW code: paging levels - 2. */
  readonly addressWidth: number;
  readonly translationType: (typeof TranslationType)[keyof typeof TranslationType];
  /** Root of the second-stage table; absent for pass-through. */
  readonly tableRoot: Pfn | undefined;
}

/** Writes a legacy context entry, present bit last. */
export function writeLegacyContext(memory: PhysicalMemory, place: EntryPlace, fields: LegacyContextFields): void {
  const { frame, word } = place;
  memory.writeQword(frame, word + 2, ((fields.did << LegacyContext.didShift) | fields.addressWidth) >>> 0, 0);
  const low = (fields.tableRoot === undefined ? 0 : addressLow(fields.tableRoot)) | (fields.translationType << 2);
  const high = fields.tableRoot === undefined ? 0 : addressHigh(fields.tableRoot);
  memory.writeQword(frame, word, (low | PRESENT) >>> 0, high);
}

/** Writes a scalable context entry that points to a PASID directory of 2^`directoryBits` entries. */
export function writeScalableContext(
  memory: PhysicalMemory,
  place: EntryPlace,
  directory: Pfn,
  directoryBits: number,
  flags: number,
): void {
  const pdts = Math.max(directoryBits - 7, 0);
  const low = addressLow(directory) | (pdts << ScalableContext.pdtsShift) | flags;
  // RID_PASID stays 0: requests without PASID use entry 0.
  memory.writeQword(place.frame, place.word + 2, 0, 0);
  memory.writeQword(place.frame, place.word, (low | PRESENT) >>> 0, addressHigh(directory));
}

/** Clears the present bit only: what hardware has already read of the entry stays consistent. */
export function clearPresent(memory: PhysicalMemory, place: EntryPlace): void {
  const low = memory.readWord(place.frame, place.word);
  memory.writeWord(place.frame, place.word, (low & ~PRESENT) >>> 0);
}

/** Zeroes `wordCount` words of an entry, first word first. */
export function zeroEntry(memory: PhysicalMemory, place: EntryPlace, wordCount: number): void {
  const base = (place.frame - TABLE_FRAME_BASE) * 1024 + place.word;
  memory.words.fill(0, base, base + wordCount);
}
