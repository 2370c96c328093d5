/**
 * The slow, untimed truth about translation: what software mapped, as maps of pages, with no table, cache or clock. For
 * each page it knows what a DMA may see: the present mapping, and every earlier one since the last completed
 * invalidation that covered the page.
 */

/** A mapping as DMA sees it; undefined = nothing mapped. */
export interface OracleMapping {
  readonly pfn: number;
  readonly prot: number;
}

/** What a DMA may do: translate to a page, or fault (-1). */
export type OracleAnswer = number;

export const FAULT: OracleAnswer = -1;

/** One address space under one tag. */
export class OracleSpace {
  readonly #pages = new Map<number, OracleMapping>();
  /** Earlier mappings of a page that caches may still hold. */
  readonly #stale = new Map<number, Set<OracleMapping | undefined>>();

  /** Software wrote the leaf of a page. */
  set(page: number, mapping: OracleMapping | undefined): void {
    let stale = this.#stale.get(page);
    if (stale === undefined) {
      stale = new Set();
      this.#stale.set(page, stale);
    }
    stale.add(this.#pages.get(page));
    if (mapping === undefined) this.#pages.delete(page);
    else this.#pages.set(page, mapping);
  }

  get(page: number): OracleMapping | undefined {
    return this.#pages.get(page);
  }

  /** An invalidation of `count` pages from `first` has completed. */
  invalidated(first: number, count: number): void {
    for (const page of [...this.#stale.keys()]) {
      if (page >= first && page < first + count) this.#stale.delete(page);
    }
  }

  /** Everything a DMA to the page may see now. */
  answers(page: number, write: boolean): Set<OracleAnswer> {
    const allowed = new Set<OracleAnswer>([answer(this.#pages.get(page), write)]);
    for (const mapping of this.#stale.get(page) ?? []) allowed.add(answer(mapping, write));
    return allowed;
  }
}

function answer(mapping: OracleMapping | undefined, write: boolean): OracleAnswer {
  return mapping === undefined || (mapping.prot & (write ? 2 : 1)) === 0 ? FAULT : mapping.pfn;
}
