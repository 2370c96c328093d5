/**
 * PASID directory and PASID entries of scalable mode (VT-d spec "Scalable-Mode PASID Directory Entry" and "PASID Table
 * Entry"; Linux drivers/iommu/intel/pasid.c).
 */
import { addressHigh, addressLow, type Pfn, pfnFromWords } from '../../../address.ts';
import { TABLE_FRAME_BASE } from '../../../hw/memory.ts';
import { PASID_DIRECTORY_ENTRY_WORDS, PagingType, PasidEntry, PRESENT } from '../../../hw/vtd/layout.ts';
import type { EntryPlace } from './context-table.ts';
import type { DeviceInfo } from './device-info.ts';

/** PASIDs of one table page. */
const PASIDS_PER_TABLE = 64;
/** log2 of the entries of a one-page directory. */
const ONE_PAGE_DIRECTORY_BITS = 9;

/** The sixteen words of a PASID entry, lowest first. */
export type PasidEntryWords = Uint32Array;

/**
 * Gives the device its directory (intel_pasid_alloc_table): as many pages as its PASID width needs, at least one.
 */
export function allocPasidDirectory(info: DeviceInfo): void {
  const entryBits = Math.max(info.pasidBits - 6, ONE_PAGE_DIRECTORY_BITS);
  info.pasidDirectoryBits = entryBits;
  info.pasidDirectory = info.unit.memory.allocContiguous(2 ** (entryBits - ONE_PAGE_DIRECTORY_BITS));
}

/**
 * Place of a device's PASID entry. The table page is made on first use (a lookup always makes it, as the kernel's
 * intel_pasid_get_entry does); undefined when the PASID is beyond the directory.
 */
export function pasidPlace(info: DeviceInfo, pasid: number): EntryPlace | undefined {
  const directory = info.pasidDirectory;
  const index = Math.floor(pasid / PASIDS_PER_TABLE);
  if (directory === undefined || index >= 2 ** info.pasidDirectoryBits) return undefined;
  const memory = info.unit.memory;
  const perPage = 2 ** ONE_PAGE_DIRECTORY_BITS;
  const page = (directory + Math.floor(index / perPage)) as Pfn;
  const word = (index % perPage) * PASID_DIRECTORY_ENTRY_WORDS;
  const low = memory.readWord(page, word);
  let table: Pfn;
  if ((low & PRESENT) !== 0) {
    table = pfnFromWords(low, memory.readWord(page, word + 1)) as Pfn;
  } else {
    table = memory.allocFrame();
    memory.writeQword(page, word, (addressLow(table) | PRESENT) >>> 0, addressHigh(table));
  }
  return { frame: table, word: (pasid % PASIDS_PER_TABLE) * PasidEntry.words };
}

/** Words of a second-stage entry. */
export function secondStageEntry(
  did: number,
  root: Pfn,
  levels: number,
  dirtyTracking: boolean,
  walkSnoop: boolean,
): PasidEntryWords {
  const words = new Uint32Array(PasidEntry.words);
  words[0] =
    addressLow(root) |
    ((levels - 2) << PasidEntry.awShift) |
    (PagingType.secondStage << PasidEntry.pgttShift) |
    (dirtyTracking ? PasidEntry.ssade : 0) |
    PRESENT;
  words[1] = addressHigh(root);
  words[2] = did | (walkSnoop ? PasidEntry.pwsnp : 0);
  return words;
}

/** Words of a first-stage entry. AW is that of the unit's second stage, as Linux writes it. */
export function firstStageEntry(
  did: number,
  root: Pfn,
  levels: number,
  unitLevels: number,
  pageSnoop: boolean,
  walkSnoop: boolean,
): PasidEntryWords {
  const words = new Uint32Array(PasidEntry.words);
  words[0] = ((unitLevels - 2) << PasidEntry.awShift) | (PagingType.firstStage << PasidEntry.pgttShift) | PRESENT;
  words[2] = did | (pageSnoop ? PasidEntry.pgsnp : 0) | (walkSnoop ? PasidEntry.pwsnp : 0);
  words[4] = addressLow(root) | ((levels - 4) << PasidEntry.fspmShift);
  words[5] = addressHigh(root);
  return words;
}

/** Words of a pass-through entry. */
export function passThroughEntry(did: number, unitLevels: number, walkSnoop: boolean): PasidEntryWords {
  const words = new Uint32Array(PasidEntry.words);
  words[0] = ((unitLevels - 2) << PasidEntry.awShift) | (PagingType.passThrough << PasidEntry.pgttShift) | PRESENT;
  words[2] = did | (walkSnoop ? PasidEntry.pwsnp : 0);
  return words;
}

/** Reads an entry as it stands. */
export function readPasidEntry(info: DeviceInfo, place: EntryPlace): PasidEntryWords {
  const base = (place.frame - TABLE_FRAME_BASE) * 1024 + place.word;
  return Uint32Array.from(info.unit.memory.words.subarray(base, base + PasidEntry.words));
}

/** Writes words `from` .. `to`-1 of an entry. */
export function writePasidWords(
  info: DeviceInfo,
  place: EntryPlace,
  words: PasidEntryWords,
  from: number,
  to: number,
): void {
  const base = (place.frame - TABLE_FRAME_BASE) * 1024 + place.word;
  const memory = info.unit.memory.words;
  for (let word = from; word < to; word++) memory[base + word] = words[word] as number;
}

/** Writes a new entry into an empty place: everything first, word 0 with the present bit last. */
export function writePasidEntry(info: DeviceInfo, place: EntryPlace, words: PasidEntryWords): void {
  writePasidWords(info, place, words, 1, PasidEntry.words);
  writePasidWords(info, place, words, 0, 1);
}

/** Domain id of an entry. */
export function pasidDomainId(words: PasidEntryWords): number {
  return (words[2] as number) & PasidEntry.didMask;
}

/** PGTT of an entry. */
export function pasidPagingType(words: PasidEntryWords): number {
  return ((words[0] as number) >>> PasidEntry.pgttShift) & PasidEntry.pgttMask;
}
