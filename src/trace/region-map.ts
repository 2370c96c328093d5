/**
 * Moves whole gigabytes of an address space. Page offsets, the low 18 bits of page numbers, alignment to 2 MiB and
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

  /** Chooses new places. Chains outside of every zone, across zones, or in a zone too crowded stay where they are. */
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

  #placeAll(chains: readonly Chain[], zone: Zone, random: Random): void {
    const taken = new Set([...this.#used].filter((gib) => gib >= zone.from && gib < zone.to));
    for (const { first, length } of chains) for (let i = 0; i < length; i++) taken.delete(first + i);
    const order = shuffle(
      [...chains].sort((a, b) => b.length - a.length || a.first - b.first),
      random,
    );
    const moves = new Map<number, number>();
    for (const { first, length } of order) {
      const place = findPlace(length, zone, taken, random);
      if (place === undefined) return;
      for (let i = 0; i < length; i++) {
        taken.add(place + i);
        moves.set(first + i, place + i);
      }
    }
    for (const [from, to] of moves) this.#moves.set(from, to);
  }
}

/** First fit from a random start; a gap of a gigabyte on both sides if there is one to be had. */
function findPlace(length: number, zone: Zone, taken: ReadonlySet<number>, random: Random): number | undefined {
  const places = zone.to - zone.from - length + 1;
  if (places <= 0) return undefined;
  const start = random.below(places);
  const free = (from: number, to: number): boolean => {
    for (let gib = from; gib < to; gib++) if (taken.has(gib)) return false;
    return true;
  };
  for (const gap of [1, 0]) {
    for (let i = 0; i < places; i++) {
      const place = zone.from + ((start + i) % places);
      if (free(place - gap, place + length + gap)) return place;
    }
  }
  return undefined;
}

function shuffle<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const swapped = items[i]!;
    items[i] = items[j]!;
    items[j] = swapped;
  }
  return items;
}
