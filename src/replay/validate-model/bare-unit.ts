/**
 * One VT-d unit with one device and a second-stage table, without a kernel: what a microbenchmark that maps its buffers
 * once leaves behind. Legacy mode, 4-level table, no invalidation queue.
 */
import { addressHigh, addressLow, type Pfn, sourceId } from '../../address.ts';
import { PhysicalMemory } from '../../hw/memory.ts';
import type { VtdConfig } from '../../hw/vtd/config.ts';
import { LegacyContext, PRESENT, ROOT_ENTRY_WORDS, SsEntry } from '../../hw/vtd/layout.ts';
import { GCMD_REG, GlobalCommand, RTADDR_REG } from '../../hw/vtd/registers.ts';
import { VtdUnit } from '../../hw/vtd/unit.ts';
import { Timeline } from '../../timeline.ts';
import { TICKS_PER_NS } from '../../units.ts';

const DEVICE = sourceId(1, 0, 0);
const DOMAIN_ID = 1;
const LEVELS = 4;
/** Read and write bits of a second-stage entry. */
const READ_WRITE = 3;

/** Mappings of a benchmark: IOVA page to physical page, all of one size. */
export class BareTable {
  readonly memory = new PhysicalMemory();
  readonly root: Pfn;

  constructor() {
    this.root = this.memory.allocFrame();
  }

  /** Maps a page of 4 KiB (`size` 0) or 2 MiB (`size` 1) at its own address. */
  map(iovaPfn: number, size: 0 | 1): void {
    let table = this.root;
    for (let level = LEVELS; level > size + 1; level--) table = this.#next(table, iovaPfn, level);
    const bits = READ_WRITE | (size === 0 ? 0 : SsEntry.pageSize);
    this.memory.writeQword(table, wordAt(iovaPfn, size + 1), addressLow(iovaPfn) + bits, addressHigh(iovaPfn));
  }

  #next(table: Pfn, iovaPfn: number, level: number): Pfn {
    const { memory } = this;
    const word = wordAt(iovaPfn, level);
    const low = memory.readWord(table, word);
    if ((low & READ_WRITE) !== 0) return (memory.readWord(table, word + 1) * 1048576 + (low >>> 12)) as Pfn;
    const next = memory.allocFrame();
    memory.writeQword(table, word, addressLow(next) + READ_WRITE, addressHigh(next));
    return next;
  }
}

/** A unit of the profile with its device bound to `table`; `translating` false leaves the IOMMU off. */
export function openBareUnit(config: VtdConfig, table: BareTable, translating: boolean): VtdUnit {
  const { memory } = table;
  const unit = new VtdUnit({
    name: 'dmar0',
    config,
    memory,
    timeline: new Timeline(),
    deviceSourceIds: [DEVICE],
  });
  if (!translating) return unit;
  const root = memory.allocFrame();
  const contexts = memory.allocFrame();
  memory.writeQword(root, (DEVICE >> 8) * ROOT_ENTRY_WORDS, addressLow(contexts) + PRESENT, addressHigh(contexts));
  const at = (DEVICE & 0xff) * LegacyContext.words;
  memory.writeQword(contexts, at + 2, (LEVELS - 2) | (DOMAIN_ID << LegacyContext.didShift), 0);
  memory.writeQword(contexts, at, addressLow(table.root) + PRESENT, addressHigh(table.root));
  unit.mmioWrite(RTADDR_REG, addressLow(root), addressHigh(root), 0);
  unit.mmioWrite(GCMD_REG, GlobalCommand.srtp, 0, 0);
  unit.mmioWrite(GCMD_REG, GlobalCommand.te, 0, TICKS_PER_NS);
  return unit;
}

function wordAt(iovaPfn: number, level: number): number {
  return (Math.floor(iovaPfn / 512 ** (level - 1)) % 512) * 2;
}
