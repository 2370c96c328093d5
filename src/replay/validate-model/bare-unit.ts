/**
 * One VT-d unit with devices and their second-stage tables, without a kernel: what a microbenchmark that maps its buffers
 * once leaves behind. Legacy mode, 4-level tables, no invalidation queue.
 */
import { addressHigh, addressLow, type Pfn, sourceId } from '../../address.ts';
import { PhysicalMemory } from '../../hw/memory.ts';
import type { VtdConfig } from '../../hw/vtd/config.ts';
import { LegacyContext, PRESENT, ROOT_ENTRY_WORDS, SsEntry } from '../../hw/vtd/layout.ts';
import { GCMD_REG, GlobalCommand, RTADDR_REG } from '../../hw/vtd/registers.ts';
import { VtdUnit } from '../../hw/vtd/unit.ts';
import { Timeline } from '../../timeline.ts';
import { TICKS_PER_NS } from '../../units.ts';

const BUS = 1;
/** Domain of the first device's table; later ones count upwards. */
export const FIRST_DOMAIN_ID = 1;
const LEVELS = 4;
/** Read and write bits of a second-stage entry. */
const READ_WRITE = 3;

/** Mappings of a benchmark: IOVA page to physical page, all of one size. */
export class BareTable {
  readonly memory: PhysicalMemory;
  readonly root: Pfn;

  /** An empty table in `memory`; tables of one unit lie in one memory. */
  constructor(memory = new PhysicalMemory()) {
    this.memory = memory;
    this.root = memory.allocFrame();
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

/** A unit of the profile with one device a table, device i bound to `tables[i]`; `translating` false leaves it off. */
export function openBareUnit(config: VtdConfig, tables: readonly BareTable[], translating: boolean): VtdUnit {
  const { memory } = tables[0]!;
  const devices = tables.map((_, index) => sourceId(BUS, index >> 3, index & 7));
  const unit = new VtdUnit({ name: 'dmar0', config, memory, timeline: new Timeline(), deviceSourceIds: devices });
  if (!translating) return unit;
  const root = memory.allocFrame();
  const contexts = memory.allocFrame();
  memory.writeQword(root, BUS * ROOT_ENTRY_WORDS, addressLow(contexts) + PRESENT, addressHigh(contexts));
  for (const [index, table] of tables.entries()) {
    const at = (devices[index]! & 0xff) * LegacyContext.words;
    const domainId = FIRST_DOMAIN_ID + index;
    memory.writeQword(contexts, at + 2, (LEVELS - 2) | (domainId << LegacyContext.didShift), 0);
    memory.writeQword(contexts, at, addressLow(table.root) + PRESENT, addressHigh(table.root));
  }
  unit.mmioWrite(RTADDR_REG, addressLow(root), addressHigh(root), 0);
  unit.mmioWrite(GCMD_REG, GlobalCommand.srtp, 0, 0);
  unit.mmioWrite(GCMD_REG, GlobalCommand.te, 0, TICKS_PER_NS);
  return unit;
}

function wordAt(iovaPfn: number, level: number): number {
  return (Math.floor(iovaPfn / 512 ** (level - 1)) % 512) * 2;
}
