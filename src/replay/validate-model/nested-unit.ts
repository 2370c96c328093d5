/**
 * One VT-d unit in scalable mode with one device behind both stages: a guest's first stage over a host's second stage of
 * 2 MiB pages, every page at its own address in both. What a guest with a nested IOAS leaves behind.
 */
import { addressHigh, addressLow, type Pfn, sourceId } from '../../address.ts';
import { PhysicalMemory, TABLE_FRAME_BASE } from '../../hw/memory.ts';
import type { VtdConfig } from '../../hw/vtd/config.ts';
import {
  FsEntry,
  PASID_DIRECTORY_ENTRY_WORDS,
  PagingType,
  PasidEntry,
  PRESENT,
  ROOT_ENTRY_WORDS,
  ScalableContext,
} from '../../hw/vtd/layout.ts';
import { GCMD_REG, GlobalCommand, RTADDR_REG, TranslationTableMode } from '../../hw/vtd/registers.ts';
import { VtdUnit } from '../../hw/vtd/unit.ts';
import { Timeline } from '../../timeline.ts';
import { TICKS_PER_NS } from '../../units.ts';
import { BareTable } from './bare-unit.ts';

const DEVICE = sourceId(1, 0, 0);
/** Domain of the nested binding, and the PASID that its requests without PASID stand for. */
export const NESTED_DOMAIN_ID = 1;
export const NESTED_PASID = 0;
const LEVELS = 4;
const SUPERPAGE = 512;
/** First-stage bits of an entry in use. */
const IN_USE = FsEntry.present | FsEntry.write | FsEntry.user | FsEntry.accessed;
/** [4 KiB pages] Table frames that the second stage maps: more than the tables take. */
const TABLE_PAGES = 8 * SUPERPAGE;

/** A unit whose device reaches `count` pages from `firstPfn` on, in 4 KiB pages of the first stage. */
export function openNestedUnit(config: VtdConfig, firstPfn: number, count: number): VtdUnit {
  const memory = new PhysicalMemory();
  const second = new BareTable(memory);
  for (let page = 0; page < count; page += SUPERPAGE) second.map(firstPfn + page, 1);
  for (let page = 0; page < TABLE_PAGES; page += SUPERPAGE) second.map(TABLE_FRAME_BASE + page, 1);
  const firstRoot = memory.allocFrame();
  for (let page = 0; page < count; page++) mapFirstStage(memory, firstRoot, firstPfn + page);
  const unit = new VtdUnit({
    name: 'dmar0',
    config,
    memory,
    timeline: new Timeline(),
    deviceSourceIds: [DEVICE],
  });
  const [root, contexts, directory, entries] = [0, 1, 2, 3].map(() => memory.allocFrame()) as [Pfn, Pfn, Pfn, Pfn];
  point(memory, root, (DEVICE >> 8) * ROOT_ENTRY_WORDS, contexts);
  point(memory, contexts, (DEVICE & 0x7f) * ScalableContext.words, directory);
  point(memory, directory, (NESTED_PASID >> 6) * PASID_DIRECTORY_ENTRY_WORDS, entries);
  const at = (NESTED_PASID & 63) * PasidEntry.words;
  const width = (LEVELS - 2) << PasidEntry.awShift;
  memory.writeWord(entries, at + 2, NESTED_DOMAIN_ID);
  memory.writeQword(entries, at + PasidEntry.fsptptrWord, addressLow(firstRoot), addressHigh(firstRoot));
  const low = addressLow(second.root) + PRESENT + width + (PagingType.nested << PasidEntry.pgttShift);
  memory.writeQword(entries, at, low, addressHigh(second.root));
  unit.mmioWrite(RTADDR_REG, addressLow(root) + TranslationTableMode.scalable, addressHigh(root), 0);
  unit.mmioWrite(GCMD_REG, GlobalCommand.srtp, 0, 0);
  unit.mmioWrite(GCMD_REG, GlobalCommand.te, 0, TICKS_PER_NS);
  return unit;
}

function point(memory: PhysicalMemory, frame: Pfn, word: number, to: Pfn): void {
  memory.writeQword(frame, word, addressLow(to) + PRESENT, addressHigh(to));
}

function mapFirstStage(memory: PhysicalMemory, root: Pfn, pfn: number): void {
  let table = root;
  for (let level = LEVELS; level > 1; level--) {
    const word = (Math.floor(pfn / 512 ** (level - 1)) % 512) * 2;
    const low = memory.readWord(table, word);
    if ((low & FsEntry.present) !== 0) {
      table = (memory.readWord(table, word + 1) * 1048576 + (low >>> 12)) as Pfn;
      continue;
    }
    const next = memory.allocFrame();
    memory.writeQword(table, word, addressLow(next) + IN_USE, addressHigh(next));
    table = next;
  }
  memory.writeQword(table, (pfn % 512) * 2, addressLow(pfn) + IN_USE + FsEntry.dirty, addressHigh(pfn));
}
