/**
 * The slow, untimed truth about nested translation: two maps of pages, and for each page every version that no completed
 * invalidation has covered. What a DMA may see is any version of the first stage followed by any version of the second.
 */
import { FAULT, type OracleAnswer, type OracleMapping } from './oracle-translator.ts';

/** Versions of one stage's pages. */
class Versions {
  readonly #pages = new Map<number, (OracleMapping | undefined)[]>();

  /** Newest last. */
  of(page: number): readonly (OracleMapping | undefined)[] {
    return this.#pages.get(page) ?? [undefined];
  }

  set(page: number, mapping: OracleMapping | undefined): void {
    this.#pages.set(page, [...this.of(page), mapping]);
  }

  invalidated(first: number, count: number): void {
    for (const [page, versions] of this.#pages) {
      if (page >= first && page < first + count) this.#pages.set(page, versions.slice(-1));
    }
  }
}

/** Both stages of one address space. */
export class NestedOracle {
  readonly first = new Versions();
  readonly second = new Versions();

  /** Everything a DMA to the page may see now. */
  answers(page: number, write: boolean): Set<OracleAnswer> {
    const needed = write ? 2 : 1;
    const allowed = new Set<OracleAnswer>();
    for (const guest of this.first.of(page)) {
      if (guest === undefined || (guest.prot & needed) === 0) {
        allowed.add(FAULT);
        continue;
      }
      for (const host of this.second.of(guest.pfn)) {
        allowed.add(host === undefined || (host.prot & needed) === 0 ? FAULT : host.pfn);
      }
    }
    return allowed;
  }
}
