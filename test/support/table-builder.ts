/**
 * Builds VT-d structures in modelled memory the way software would: root and context tables, PASID tables, page tables.
 * Independent of the modelled driver; tests of the hardware use it to say what is mapped.
 */
import { addressHigh, addressLow, type Pfn } from '../../src/address.ts';
import { type PhysicalMemory, TABLE_FRAME_BASE } from '../../src/hw/memory.ts';
import { FsEntry, LegacyContext, PagingType, PasidEntry, PRESENT, SsEntry } from '../../src/hw/vtd/layout.ts';

/** A page table of one stage. */
export class TestPageTable {
  readonly root: Pfn;
  readonly levels: number;
  readonly stage: 'first' | 'second';
  /** Page numbers of all table frames, as the tables name them. */
  readonly frames: number[] = [];
  readonly #memory: PhysicalMemory;
  readonly #offset: number;

  /** `offset`: [4 KiB pages] what table addresses in entries lie below where the tables are: guest memory. */
  constructor(memory: PhysicalMemory, levels = 4, stage: 'first' | 'second' = 'second', offset = 0) {
    this.#memory = memory;
    this.#offset = offset;
    this.levels = levels;
    this.stage = stage;
    this.root = memory.allocFrame();
    this.frames.push(this.root - offset);
  }

  /** Maps one page of `512^size` base pages; returns the leaf's frame and word. */
  map(iovaPfn: number, pfn: number, prot = 3, size = 0): void {
    const { table, word } = this.#leaf(iovaPfn, size, true);
    const large = size === 0 ? 0 : SsEntry.pageSize;
    const bits =
      this.stage === 'second' ? prot | large : FsEntry.present | FsEntry.user | (prot & 2 ? FsEntry.write : 0) | large;
    this.#memory.writeQword(table, word, addressLow(pfn) + bits, addressHigh(pfn));
  }

  /** Clears a leaf. */
  unmap(iovaPfn: number, size = 0): void {
    const { table, word } = this.#leaf(iovaPfn, size, false);
    this.#memory.writeQword(table, word, 0, 0);
  }

  /** Low word of a leaf. */
  leafLow(iovaPfn: number, size = 0): number {
    const { table, word } = this.#leaf(iovaPfn, size, false);
    return this.#memory.readWord(table, word);
  }

  #leaf(iovaPfn: number, size: number, make: boolean): { table: Pfn; word: number } {
    let table = this.root;
    for (let level = this.levels; level > size + 1; level--) {
      const word = wordAt(iovaPfn, level);
      const low = this.#memory.readWord(table, word);
      if ((low & 3) === 0) {
        if (!make) throw new Error(`page ${iovaPfn} has no table at level ${level}`);
        const next = this.#memory.allocFrame();
        const bits = this.stage === 'second' ? 3 : FsEntry.present | FsEntry.write | FsEntry.user;
        const named = (next - this.#offset) as Pfn;
        this.frames.push(named);
        this.#memory.writeQword(table, word, addressLow(named) + bits, addressHigh(named));
        table = next;
      } else {
        table = (this.#memory.readWord(table, word + 1) * 1048576 + (low >>> 12) + this.#offset) as Pfn;
      }
    }
    return { table, word: wordAt(iovaPfn, size + 1) };
  }
}

/** What an entry says of a page table. */
export interface TableRoot {
  readonly root: Pfn;
  readonly levels: number;
  readonly stage: 'first' | 'second';
}

/** Root and context tables in legacy mode, or root, context and PASID tables in scalable mode. */
export class TestContextTables {
  readonly root: Pfn;
  readonly scalable: boolean;
  readonly #memory: PhysicalMemory;

  constructor(memory: PhysicalMemory, scalable = false) {
    this.#memory = memory;
    this.scalable = scalable;
    this.root = memory.allocFrame();
  }

  /** Legacy: binds a source id to a second-stage table; `type` as TranslationType. */
  setLegacy(sourceId: number, table: TableRoot, domainId: number, type = 0): void {
    const { frame, word } = this.#context(sourceId);
    const width = table.levels - 2;
    this.#memory.writeQword(frame, word + 2, width | (domainId << LegacyContext.didShift), 0);
    const low = addressLow(table.root) + PRESENT + (type << LegacyContext.ttShift);
    this.#memory.writeQword(frame, word, low, addressHigh(table.root));
  }

  /** Scalable: sets bits of a context entry that {@link setPasid} has made (DTE 4, PRE 16). */
  setContextBits(sourceId: number, bits: number): void {
    const { frame, word } = this.#context(sourceId);
    this.#memory.writeWord(frame, word, this.#memory.readWord(frame, word) | bits);
  }

  /** Clears a context entry in either mode. */
  clearContext(sourceId: number): void {
    const { frame, word } = this.#context(sourceId);
    for (let at = 0; at < (this.scalable ? 8 : 4); at++) this.#memory.writeWord(frame, word + at, 0);
  }

  /** Scalable: binds (source id, PASID); PASID 0 is also what requests without PASID use. */
  setPasid(sourceId: number, pasid: number, table: TableRoot | undefined, domainId: number, flags = 0): void {
    const { frame, word } = this.#pasidEntry(sourceId, pasid);
    const memory = this.#memory;
    for (let at = 0; at < PasidEntry.words; at++) memory.writeWord(frame, word + at, 0);
    memory.writeWord(frame, word + 2, domainId);
    if (table === undefined) {
      memory.writeWord(frame, word, PRESENT | (PagingType.passThrough << PasidEntry.pgttShift));
    } else if (table.stage === 'second') {
      const bits =
        PRESENT | (PagingType.secondStage << PasidEntry.pgttShift) | ((table.levels - 2) << PasidEntry.awShift) | flags;
      memory.writeQword(frame, word, addressLow(table.root) + bits, addressHigh(table.root));
    } else {
      const mode = (table.levels - 4) << PasidEntry.fspmShift;
      memory.writeQword(frame, word + 4, addressLow(table.root) + mode, addressHigh(table.root));
      memory.writeWord(frame, word, PRESENT | (PagingType.firstStage << PasidEntry.pgttShift) | flags);
    }
  }

  /** Scalable: binds (source id, PASID) to a first stage at the guest page `firstRoot` on a second stage. */
  setNested(
    sourceId: number,
    pasid: number,
    first: { readonly root: number; readonly levels: number },
    second: TableRoot,
    domainId: number,
    flags = 0,
  ): void {
    const { frame, word } = this.#pasidEntry(sourceId, pasid);
    const memory = this.#memory;
    for (let at = 0; at < PasidEntry.words; at++) memory.writeWord(frame, word + at, 0);
    memory.writeWord(frame, word + 2, domainId);
    const mode = (first.levels - 4) << PasidEntry.fspmShift;
    memory.writeQword(frame, word + 4, addressLow(first.root) + mode, addressHigh(first.root));
    const bits =
      PRESENT | (PagingType.nested << PasidEntry.pgttShift) | ((second.levels - 2) << PasidEntry.awShift) | flags;
    memory.writeQword(frame, word, addressLow(second.root) + bits, addressHigh(second.root));
  }

  /** Scalable: clears the present bit of a PASID entry. */
  clearPasid(sourceId: number, pasid: number): void {
    const { frame, word } = this.#pasidEntry(sourceId, pasid);
    this.#memory.writeWord(frame, word, this.#memory.readWord(frame, word) & ~PRESENT);
  }

  #context(sourceId: number): { frame: Pfn; word: number } {
    const memory = this.#memory;
    const devfn = sourceId & 0xff;
    const rootWord = (sourceId >>> 8) * 4 + (this.scalable && devfn >= 128 ? 2 : 0);
    const low = memory.readWord(this.root, rootWord);
    let frame = (memory.readWord(this.root, rootWord + 1) * 1048576 + (low >>> 12)) as Pfn;
    if ((low & PRESENT) === 0) {
      frame = memory.allocFrame();
      memory.writeQword(this.root, rootWord, addressLow(frame) + PRESENT, addressHigh(frame));
    }
    return { frame, word: this.scalable ? (devfn & 127) * 8 : devfn * 4 };
  }

  #pasidEntry(sourceId: number, pasid: number): { frame: Pfn; word: number } {
    const memory = this.#memory;
    const context = this.#context(sourceId);
    // PDTS 0: 128 directory entries, PASIDs below 8192; PASID requests enabled; RID_PASID 0.
    const contextLow = memory.readWord(context.frame, context.word);
    let directory = (memory.readWord(context.frame, context.word + 1) * 1048576 + (contextLow >>> 12)) as Pfn;
    if ((contextLow & PRESENT) === 0) {
      directory = memory.allocFrame();
      memory.writeQword(context.frame, context.word, addressLow(directory) + PRESENT + 8, addressHigh(directory));
    }
    const directoryWord = (pasid >>> 6) * 2;
    const low = memory.readWord(directory, directoryWord);
    let table = (memory.readWord(directory, directoryWord + 1) * 1048576 + (low >>> 12)) as Pfn;
    if ((low & PRESENT) === 0) {
      table = memory.allocFrame();
      memory.writeQword(directory, directoryWord, addressLow(table) + PRESENT, addressHigh(table));
    }
    return { frame: table, word: (pasid & 63) * PasidEntry.words };
  }
}

/** A page number that no table frame has. */
export const DATA_PFN = 0x100;
if (DATA_PFN >= TABLE_FRAME_BASE) throw new Error('data pages lie below table frames');

function wordAt(iovaPfn: number, level: number): number {
  return (Math.floor(iovaPfn / 512 ** (level - 1)) % 512) * 2;
}
