/** The areas of one IOAS ordered by IOVA; they never overlap (iopt->area_itree). */
import sortedBtree from 'sorted-btree';
import type { Area } from './area.ts';

// The package is CommonJS: Node gives its exports object, whose `default` is the class; bundlers give the class itself.
type BTreeClass = typeof sortedBtree.default;
const BTree: BTreeClass = sortedBtree.default ?? (sortedBtree as unknown as BTreeClass);

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** Ordered index of areas. */
export class AreaIndex {
  readonly #tree = new BTree<bigint, Area>(undefined, compare);

  get size(): number {
    return this.#tree.size;
  }

  insert(area: Area): void {
    this.#tree.set(area.start, area);
  }

  remove(area: Area): void {
    this.#tree.delete(area.start);
  }

  /** The lowest area that meets [start, last]. */
  first(start: bigint, last: bigint): Area | undefined {
    if (start > last) return undefined;
    const below = this.#tree.getPairOrNextLower(start)?.[1];
    if (below !== undefined && below.last >= start) return below;
    const above = this.#tree.nextHigherPair(start)?.[1];
    return above !== undefined && above.start <= last ? above : undefined;
  }

  /** The lowest area above `area`. */
  next(area: Area): Area | undefined {
    return this.#tree.nextHigherPair(area.start)?.[1];
  }

  /** All areas ascending. The index must not change meanwhile. */
  all(): Iterable<Area> {
    return this.#tree.values();
  }

  /** Areas that meet [start, last], ascending. The index must not change meanwhile. */
  *within(start: bigint, last: bigint): Generator<Area, void, undefined> {
    for (let area = this.first(start, last); area !== undefined && area.start <= last; area = this.next(area)) {
      yield area;
    }
  }
}
