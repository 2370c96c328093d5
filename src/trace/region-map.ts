/**
 * Moves whole gigabytes of an address space without changing their order. Page offsets, the low 18 bits of page numbers, alignment to 2 MiB and
 * 1 GiB leaves, and contiguity are kept: neighbouring gigabytes in use move together.
 */
import type { Random } from '../random.ts';

/** [4 KiB pages] in a gigabyte. */
const GIB_PAGES = 2 ** 18;

/** Gigabytes `from` .. `to`-1; what lies inside one zone stays inside it. */
export interface Zone {
  readonly from: number;
  readonly to: number;
}

interface Chain {
  readonly first: number;
  readonly length: number;
}

/** A permutation of the gigabytes in use. First all ranges are marked, then {@link seal} decides, then pages map. */
export class RegionMap {
  readonly #used = new Set<number>();
  readonly #moves = new Map<number, number>();
  #lastMarked = -1;
  /** The latest answer of {@link page}: addresses come in crowds. */
  #lastGib = -1;
  #lastMove = -1;

  /** Notes that pages `pfn` .. `pfn + pageCount - 1` are in use. */
  mark(pfn: number, pageCount: number): void {
    const first = Math.floor(pfn / GIB_PAGES);
    const last = Math.floor((pfn + pageCount - 1) / GIB_PAGES);
    if (first === last && first === this.#lastMarked) return;
    for (let gib = first; gib <= last; gib++) this.#used.add(gib);
    this.#lastMarked = last;
  }

  /** Chooses new places. Chains outside of every zone or across zones stay where they are. */
  seal(random: Random, zones: readonly Zone[]): void {
    const chains = this.#chains();
    for (const zone of zones) {
      const inside = chains.filter(({ first, length }) => first >= zone.from && first + length <= zone.to);
      this.#placeAll(inside, zone, random);
    }
  }

  /** Gigabytes in use, ascending. */
  gibs(): number[] {
    return [...this.#used].sort((a, b) => a - b);
  }

  /** New page number of a page. @hot */
  page(pfn: number): number {
    const gib = Math.floor(pfn / GIB_PAGES);
    if (gib !== this.#lastGib) {
      this.#lastGib = gib;
      this.#lastMove = this.#moves.get(gib) ?? gib;
    }
    return this.#lastMove * GIB_PAGES + (pfn % GIB_PAGES);
  }

  #chains(): Chain[] {
    const chains: Chain[] = [];
    const sorted = this.gibs();
    for (let i = 0; i < sorted.length; ) {
      let length = 1;
      while (sorted[i + length] === sorted[i]! + length) length++;
      chains.push({ first: sorted[i]!, length });
      i += length;
    }
    return chains;
  }

  /**
   * Spreads the free gigabytes of the zone at random over the gaps around its chains. The order of chains and a gap of a
   * gigabyte between them stay, so that rows sorted by address are still sorted and nothing becomes contiguous.
   */
  #placeAll(chains: readonly Chain[], zone: Zone, random: Random): void {
    const inside = new Set(chains.flatMap(({ first, length }) => Array.from({ length }, (_, i) => first + i)));
    const outside = (gib: number): boolean => this.#used.has(gib) && !inside.has(gib);
    let { from, to } = zone;
    while (from < to && (outside(from) || outside(from - 1))) from++;
    while (to > from && (outside(to - 1) || outside(to))) to--;
    const occupied = chains.reduce((sum, { length }) => sum + length, 0);
    const slack = to - from - occupied - (chains.length - 1);
    const shifts = chains.map(() => random.below(slack + 1)).sort((a, b) => a - b);
    let packed = from;
    for (const [index, { first, length }] of chains.entries()) {
      for (let i = 0; i < length; i++) this.#moves.set(first + i, packed + shifts[index]! + i);
      packed += length + 1;
    }
  }
}
