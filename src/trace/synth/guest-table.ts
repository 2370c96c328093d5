/**
 * A first-stage page table that a guest keeps in its own memory: four levels of x86-64 entries, tables handed out from a
 * pool of guest pages in the order of their first use. Gives the words to be written as runs.
 */
import { assert } from '../../assert.ts';

const LEVELS = 4;
/** Entries of a table. */
const FANOUT = 512;
/** Bits of an entry: P, R/W and U/S; PS of a leaf above the lowest level (VT-d spec 9.7, as IA-32e paging). */
const PRESENT_WRITE_USER = 7n;
const PAGE_SIZE_BIT = 0x80n;

/** Words that follow each other: `count` from `address` [bytes] on, the first is `value`, each next one `step` more. */
export interface WordRun {
  readonly address: bigint;
  readonly value: bigint;
  readonly step: bigint;
  readonly count: number;
}

/** One table of a guest. */
export class GuestTable {
  /** [4 KiB pages] Guest page of the top table. */
  readonly rootPfn: number;
  readonly #endPfn: number;
  #nextPfn: number;
  /** Guest page of the table below an entry, by level and index of the entry. */
  readonly #below = new Map<string, number>();

  /** Tables lie in the guest pages from `firstPfn` on, `pageCount` of them. */
  constructor(firstPfn: number, pageCount: number) {
    this.rootPfn = firstPfn;
    this.#nextPfn = firstPfn + 1;
    this.#endPfn = firstPfn + pageCount;
  }

  /** [4 KiB pages] Most table pages that a mapping of `pageCount` pages with leaves of `leafPages` needs. */
  static poolPages(pageCount: number, leafPages: number): number {
    let pages = 1;
    for (let span = leafPages * FANOUT; span < FANOUT ** LEVELS; span *= FANOUT)
      pages += Math.ceil(pageCount / span) + 1;
    return pages;
  }

  /** Maps `pageCount` pages from IOVA page `iovaPfn` on to the guest's from `guestPfn` on; all multiples of `leafPages`. */
  map(iovaPfn: number, guestPfn: number, pageCount: number, leafPages: number): WordRun[] {
    const large = leafPages === 1 ? 0n : PAGE_SIZE_BIT;
    const step = BigInt(leafPages) << 12n;
    return this.#leaves(iovaPfn, pageCount, leafPages, (donePages) => ({
      value: (BigInt(guestPfn + donePages) << 12n) | PRESENT_WRITE_USER | large,
      step,
    }));
  }

  /** Clears the leaves of `pageCount` pages; tables stay. */
  unmap(iovaPfn: number, pageCount: number, leafPages: number): WordRun[] {
    return this.#leaves(iovaPfn, pageCount, leafPages, () => ({ value: 0n, step: 0n }));
  }

  #leaves(
    iovaPfn: number,
    pageCount: number,
    leafPages: number,
    contents: (donePages: number) => { readonly value: bigint; readonly step: bigint },
  ): WordRun[] {
    const runs: WordRun[] = [];
    let done = 0;
    while (done < pageCount) {
      const entry = (iovaPfn + done) / leafPages;
      const table = this.#tableFor(iovaPfn + done, leafPages, runs);
      const count = Math.min(FANOUT - (entry % FANOUT), (pageCount - done) / leafPages);
      runs.push({ address: wordAddress(table, entry % FANOUT), count, ...contents(done) });
      done += count * leafPages;
    }
    return runs;
  }

  /** Table that holds the leaf of a page; entries that lead to it are added to `runs` when they are new. */
  #tableFor(iovaPfn: number, leafPages: number, runs: WordRun[]): number {
    let table = this.rootPfn;
    for (let span = FANOUT ** (LEVELS - 1); span > leafPages; span /= FANOUT) {
      const entry = Math.floor(iovaPfn / span);
      const key = `${span} ${entry}`;
      let below = this.#below.get(key);
      if (below === undefined) {
        below = this.#nextPfn++;
        assert(below < this.#endPfn, 'pool of guest tables is used up');
        this.#below.set(key, below);
        const value = (BigInt(below) << 12n) | PRESENT_WRITE_USER;
        runs.push({ address: wordAddress(table, entry % FANOUT), value, step: 0n, count: 1 });
      }
      table = below;
    }
    return table;
  }
}

function wordAddress(tablePfn: number, index: number): bigint {
  return (BigInt(tablePfn) << 12n) + BigInt(8 * index);
}
