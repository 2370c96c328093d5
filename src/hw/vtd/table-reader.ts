/**
 * Reads translation tables out of modelled memory as they stand: entries of a requester and the leaves below them. No
 * caches, no time: this is what a debugger (or the kernel's own dmar dump in debugfs) would see.
 */
import type { Pfn, SourceId } from '../../address.ts';
import { type PhysicalMemory, WORDS_PER_FRAME } from '../memory.ts';
import {
  ADDRESS_HIGH_MASK,
  ADDRESS_LOW_MASK,
  FsEntry,
  LegacyContext,
  PASID_DIRECTORY_ENTRY_WORDS,
  PagingType,
  PasidEntry,
  PRESENT,
  ROOT_ENTRY_WORDS,
  SCALABLE_ROOT_UPPER_WORD,
  ScalableContext,
  SsEntry,
  TranslationType,
} from './layout.ts';

/** What translates a requester's DMA. */
export interface InstalledTable {
  readonly domainId: number;
  /** Legacy: TT of the context entry. Scalable: PGTT of the PASID entry. */
  readonly translationType: number;
  readonly stage: 'first' | 'second' | 'none';
  /** Root table page; undefined for pass-through. */
  readonly rootPfn: Pfn | undefined;
  readonly levels: number;
}

/** One leaf of a table. */
export interface TableLeaf {
  /** [4 KiB pages] */
  readonly iovaPfn: number;
  /** [4 KiB pages] */
  readonly pfn: number;
  /** 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB. */
  readonly level: number;
  /** Bit 0 read, bit 1 write. */
  readonly prot: number;
}

/** Finds the table of (`sourceId`, `pasid`) below the root table; undefined when an entry on the way is not present. */
export function readInstalledTable(
  memory: PhysicalMemory,
  rootTable: Pfn,
  scalable: boolean,
  sourceId: SourceId,
  pasid = 0,
): InstalledTable | undefined {
  return scalable ? readScalable(memory, rootTable, sourceId, pasid) : readLegacy(memory, rootTable, sourceId);
}

/** Visits every present leaf of a table in ascending IOVA order. */
export function forEachTableLeaf(
  memory: PhysicalMemory,
  table: InstalledTable,
  visit: (leaf: TableLeaf) => void,
): void {
  if (table.rootPfn === undefined) return;
  visitTablePage(memory, table.rootPfn, table.levels, 0, table.stage === 'first', visit);
}

function visitTablePage(
  memory: PhysicalMemory,
  tablePage: Pfn,
  level: number,
  basePfn: number,
  firstStage: boolean,
  visit: (leaf: TableLeaf) => void,
): void {
  const pagesPerEntry = 512 ** (level - 1);
  for (let word = 0; word < WORDS_PER_FRAME; word += 2) {
    const low = memory.readWord(tablePage, word) >>> 0;
    const readable = firstStage ? (low & FsEntry.present) !== 0 : (low & SsEntry.read) !== 0;
    const writable = (low & (firstStage ? FsEntry.write : SsEntry.write)) !== 0;
    if (firstStage ? !readable : !readable && !writable) continue;
    const pfn = pointer(low, memory.readWord(tablePage, word + 1));
    const iovaPfn = basePfn + (word / 2) * pagesPerEntry;
    if (level > 1 && (low & SsEntry.pageSize) === 0) {
      visitTablePage(memory, pfn, level - 1, iovaPfn, firstStage, visit);
    } else {
      visit({ iovaPfn, pfn, level, prot: (readable ? 1 : 0) | (writable ? 2 : 0) });
    }
  }
}

function readLegacy(memory: PhysicalMemory, rootTable: Pfn, sourceId: SourceId): InstalledTable | undefined {
  const contextTable = present(memory, rootTable, (sourceId >> 8) * ROOT_ENTRY_WORDS);
  if (contextTable === undefined) return undefined;
  const at = (sourceId & 0xff) * LegacyContext.words;
  const rootPfn = present(memory, contextTable, at);
  if (rootPfn === undefined) return undefined;
  const translationType = (memory.readWord(contextTable, at) >>> LegacyContext.ttShift) & LegacyContext.ttMask;
  const second = memory.readWord(contextTable, at + 2) >>> 0;
  const passThrough = translationType === TranslationType.passThrough;
  return {
    domainId: (second >>> LegacyContext.didShift) & LegacyContext.didMask,
    translationType,
    stage: passThrough ? 'none' : 'second',
    rootPfn: passThrough ? undefined : rootPfn,
    levels: (second & LegacyContext.awMask) + 2,
  };
}

function readScalable(
  memory: PhysicalMemory,
  rootTable: Pfn,
  sourceId: SourceId,
  pasid: number,
): InstalledTable | undefined {
  const devfn = sourceId & 0xff;
  const rootWord = (sourceId >> 8) * ROOT_ENTRY_WORDS + (devfn < 128 ? 0 : SCALABLE_ROOT_UPPER_WORD);
  const contextTable = present(memory, rootTable, rootWord);
  if (contextTable === undefined) return undefined;
  const context = (devfn & 127) * ScalableContext.words;
  const directory = present(memory, contextTable, context);
  if (directory === undefined) return undefined;
  const effective = pasid === 0 ? memory.readWord(contextTable, context + 2) & ScalableContext.ridPasidMask : pasid;
  // A directory of more than one page continues in the next frames.
  const directoryWord = (effective >>> 6) * PASID_DIRECTORY_ENTRY_WORDS;
  const directoryPage = (directory + Math.floor(directoryWord / WORDS_PER_FRAME)) as Pfn;
  const pasidTable = present(memory, directoryPage, directoryWord % WORDS_PER_FRAME);
  if (pasidTable === undefined) return undefined;
  const at = (effective & 63) * PasidEntry.words;
  const low = memory.readWord(pasidTable, at) >>> 0;
  if ((low & PRESENT) === 0) return undefined;
  const translationType = (low >>> PasidEntry.pgttShift) & PasidEntry.pgttMask;
  const domainId = memory.readWord(pasidTable, at + 2) & PasidEntry.didMask;
  if (translationType === PagingType.firstStage) {
    const word = PasidEntry.fsptptrWord;
    const first = memory.readWord(pasidTable, at + word) >>> 0;
    const fiveLevel = ((first >>> PasidEntry.fspmShift) & PasidEntry.fspmMask) === 1;
    const rootPfn = pointer(first, memory.readWord(pasidTable, at + word + 1));
    return { domainId, translationType, stage: 'first', rootPfn, levels: fiveLevel ? 5 : 4 };
  }
  if (translationType === PagingType.secondStage) {
    const rootPfn = pointer(low, memory.readWord(pasidTable, at + 1));
    const levels = ((low >>> PasidEntry.awShift) & PasidEntry.awMask) + 2;
    return { domainId, translationType, stage: 'second', rootPfn, levels };
  }
  return { domainId, translationType, stage: 'none', rootPfn: undefined, levels: 0 };
}

/** Page an entry points to, when its P bit is set. */
function present(memory: PhysicalMemory, page: Pfn, word: number): Pfn | undefined {
  const low = memory.readWord(page, word) >>> 0;
  return (low & PRESENT) === 0 ? undefined : pointer(low, memory.readWord(page, word + 1));
}

function pointer(low: number, high: number): Pfn {
  return ((high & ADDRESS_HIGH_MASK) * 1048576 + ((low & ADDRESS_LOW_MASK) >>> 12)) as Pfn;
}
