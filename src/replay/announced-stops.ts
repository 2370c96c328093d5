/** DMA rows of one unit that control rows wait for: the feed returns to its caller right after each of them. */

/** Announced rows that have not been issued. */
export class AnnouncedStops {
  /** Ascending. */
  readonly #rows: number[] = [];

  get count(): number {
    return this.#rows.length;
  }

  /** Adds a row, which may be there already. */
  add(row: number): void {
    let at = this.#rows.length;
    while (at > 0 && this.#rows[at - 1]! > row) at--;
    if (this.#rows[at - 1] !== row) this.#rows.splice(at, 0, row);
  }

  /** End of a run of rows from `from` on that may go up to `to` but not past an announced row. @hot */
  cut(from: number, to: number): number {
    let end = to;
    for (let i = 0; i < this.#rows.length; i++) {
      const row = this.#rows[i]!;
      if (row >= from && row < end) end = row + 1;
    }
    return end;
  }

  /** The row was issued: forgets it. True when it was announced. */
  take(row: number): boolean {
    const at = this.#rows.indexOf(row);
    if (at < 0) return false;
    this.#rows.splice(at, 1);
    return true;
  }
}
