/**
 * A page table kept twice: as plain objects, which the untimed oracle reads, and as words in modelled memory, which the
 * unit reads. Software may do to it what it likes: split and merge pages, drop whole tables, rewrite leaves.
 */
import { addressHigh, addressLow, type Pfn } from '../../src/address.ts';
import type { PhysicalMemory } from '../../src/hw/memory.ts';
import { FsEntry, SsEntry } from '../../src/hw/vtd/layout.ts';

/** A leaf as software wrote it; never changed, only replaced. */
export interface ShadowLeaf {
  /** [4 KiB pages] First page of the target. */
  readonly pfn: number;
  /** Bit 0 read, bit 1 write. */
  readonly prot: number;
  /** 0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB. */
  readonly size: number;
}

/** One 4 KiB table. */
export interface ShadowNode {
  readonly frame: Pfn;
  /** 1 = leaf table. */
  readonly level: number;
  readonly entries: Map<number, ShadowNode | ShadowLeaf>;
}

/** A page table of one stage. */
export class ShadowTable {
  readonly root: ShadowNode;
  readonly levels: number;
  readonly stage: 'first' | 'second';
  readonly #memory: PhysicalMemory;
  readonly #offset: number;
  readonly #onTable: ((namedPage: number, frame: Pfn) => void) | undefined;

  /**
   * `offset`: [4 KiB pages] what entries name below where the tables are (guest memory); `onTable` hears of every table
   * page, by the name that entries give it.
   */
  constructor(
    memory: PhysicalMemory,
    levels: number,
    stage: 'first' | 'second',
    offset = 0,
    onTable?: (namedPage: number, frame: Pfn) => void,
  ) {
    this.#memory = memory;
    this.#offset = offset;
    this.#onTable = onTable;
    this.levels = levels;
    this.stage = stage;
    this.root = this.#newNode(levels);
  }

  /** [4 KiB pages] Top table, as entries name it. */
  get namedRoot(): number {
    return this.root.frame - this.#offset;
  }

  /** Maps one page of `512^size` base pages, over whatever was there. */
  map(page: number, pfn: number, prot: number, size: number): void {
    let node = this.root;
    while (node.level > size + 1) {
      const index = indexOf(page, node.level);
      let next = node.entries.get(index);
      if (next === undefined || !('entries' in next)) {
        next = this.#newNode(node.level - 1);
        this.#writeTable(node, index, next);
      }
      node = next;
    }
    const index = indexOf(page, node.level);
    node.entries.set(index, { pfn, prot, size });
    const large = size === 0 ? 0 : SsEntry.pageSize;
    const bits =
      this.stage === 'second' ? prot : FsEntry.present | FsEntry.user | ((prot & 2) !== 0 ? FsEntry.write : 0);
    this.#memory.writeQword(node.frame, index * 2, addressLow(pfn) + bits + large, addressHigh(pfn));
  }

  /** Clears the entry of the page's `512^size` pages, be it a leaf, a whole table, or part of a larger page. */
  unmap(page: number, size: number): void {
    let node = this.root;
    while (node.level > size + 1) {
      const next = node.entries.get(indexOf(page, node.level));
      if (next === undefined) return;
      if (!('entries' in next)) break;
      node = next;
    }
    const index = indexOf(page, node.level);
    node.entries.delete(index);
    this.#memory.writeQword(node.frame, index * 2, 0, 0);
  }

  #newNode(level: number): ShadowNode {
    const frame = this.#memory.allocFrame();
    this.#onTable?.(frame - this.#offset, frame);
    return { frame, level, entries: new Map() };
  }

  #writeTable(node: ShadowNode, index: number, next: ShadowNode): void {
    node.entries.set(index, next);
    const named = (next.frame - this.#offset) as Pfn;
    const bits = this.stage === 'second' ? 3 : FsEntry.present | FsEntry.write | FsEntry.user;
    this.#memory.writeQword(node.frame, index * 2, addressLow(named) + bits, addressHigh(named));
  }
}

/** Index of a page in a table of `level`. */
export function indexOf(page: number, level: number): number {
  return Math.floor(page / 512 ** (level - 1)) % 512;
}
