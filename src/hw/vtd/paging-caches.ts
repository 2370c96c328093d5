/**
 * Paging-structure caches: for each level above the leaf table, where the next table is (VT-d spec 6.2.5). The cache of
 * level n spares a walk the reads of level n and above. Keys are (space, region); values the slot of the next table and
 * the permissions collected so far.
 */
import type { ArraySource } from '../linear-memory.ts';
import { type CacheGeometry, GROUP_SHIFT, SetAssoc } from '../set-assoc.ts';
import type { AddressSpaces } from './address-spaces.ts';

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const SPACE_SHIFT = GROUP_SHIFT;

/** Highest paging level. */
export const MAX_LEVELS = 5;

/** The paging-structure caches of one unit, for one stage. */
export class PagingCaches {
  /** [ps] Element 0: argument of {@link deepest} and {@link fill}. */
  readonly atTick = new Float64Array(1);
  /** Of the last {@link deepest}: slot of the table to read next, and the permissions on the way to it. */
  tableSlot = 0;
  prot = 0;

  /** By level 2 .. 5 (2: regions of 2 MiB, 3: 1 GiB, 4: 512 GiB, 5: 256 TiB). */
  readonly #levels: readonly (SetAssoc | undefined)[];
  readonly #spaces: AddressSpaces;

  /** `geometries` by level, index 2 .. 5; undefined = no cache of that level. */
  constructor(geometries: readonly (CacheGeometry | undefined)[], spaces: AddressSpaces, arrays?: ArraySource) {
    this.#spaces = spaces;
    this.#levels = geometries.map((geometry) => geometry && new SetAssoc(geometry, spaces.nonLeaf, undefined, arrays));
  }

  /** Cache of a level, if there is one. */
  level(level: number): SetAssoc | undefined {
    return this.#levels[level];
  }

  /**
   * Looks for the deepest table known at {@link atTick}. Returns the level of the table to read next (1 = leaf table), or 0
   * when nothing is cached and the walk begins at the root. @hot
   */
  deepest(space: number, low: number, high: number, rootLevel: number): number {
    const atTick = this.atTick[0]!;
    const generation = this.#spaces.nonLeaf.current[space]!;
    for (let level = 2; level <= rootLevel; level++) {
      const cache = this.#levels[level];
      if (cache === undefined) continue;
      const entry = cache.find(regionLow(low, high, level), key1(space, high, level), generation);
      if (entry < 0 || cache.readyTick[entry]! > atTick) continue;
      this.tableSlot = cache.values[entry << 1]!;
      this.prot = cache.values[(entry << 1) + 1]!;
      return level - 1;
    }
    return 0;
  }

  /** Remembers that the entry read at `level` leads to `tableSlot`, known from {@link atTick} on. @hot */
  fill(level: number, space: number, low: number, high: number, tableSlot: number, prot: number): void {
    const cache = this.#levels[level];
    if (cache === undefined) return;
    const generation = this.#spaces.nonLeaf.current[space]!;
    const region0 = regionLow(low, high, level);
    const region1 = key1(space, high, level);
    // Present but not yet valid: a walk under way got there first.
    if (cache.peek(region0, region1, generation) >= 0) return;
    const entry = cache.fill(region0, region1, generation, tableSlot, prot);
    cache.readyTick[entry] = this.atTick[0]!;
  }

  /** Reclaims entries of past generations. */
  settle(): void {
    for (const cache of this.#levels) cache?.settle();
  }

  /** Drops all entries of a space. */
  invalidateSpace(space: number): void {
    this.#spaces.nonLeaf.current[space]!++;
    for (const cache of this.#levels) cache?.noteGenerationChange();
  }

  /** Drops all entries. */
  invalidateAll(): void {
    for (let space = 0; space < this.#spaces.count; space++) this.#spaces.nonLeaf.current[space]!++;
    for (const cache of this.#levels) cache?.noteGenerationChange();
  }

  /** Drops the entries of a space whose region overlaps `count` pages from `first`. */
  invalidateRange(space: number, first: number, count: number): void {
    const generation = this.#spaces.nonLeaf.current[space]!;
    for (let level = 2; level <= MAX_LEVELS; level++) {
      const cache = this.#levels[level];
      if (cache === undefined) continue;
      const pages = 512 ** (level - 1);
      const firstRegion = Math.floor(first / pages);
      const lastRegion = Math.floor((first + count - 1) / pages);
      const base = space << SPACE_SHIFT;
      if (lastRegion - firstRegion < cache.entries) {
        for (let region = firstRegion; region <= lastRegion; region++) {
          cache.remove(region | 0, base | Math.floor(region / 4294967296), generation);
        }
        continue;
      }
      for (let entry = 0; entry < cache.entries; entry++) {
        const tag1 = cache.tags[entry * 4 + 1]!;
        if (tag1 === -1 || tag1 >>> SPACE_SHIFT !== space || cache.tags[entry * 4 + 2] !== generation) continue;
        const region = (tag1 & 0x7fff) * 4294967296 + (cache.tags[entry * 4]! >>> 0);
        if (region >= firstRegion && region <= lastRegion) cache.drop(entry);
      }
    }
  }
}

function regionLow(low: number, high: number, level: number): number {
  const shift = 9 * (level - 1);
  if (shift < 32) return (low >>> shift) | (high << (32 - shift));
  return high >>> (shift - 32);
}

function key1(space: number, high: number, level: number): number {
  const shift = 9 * (level - 1);
  return (space << SPACE_SHIFT) | (shift < 32 ? high >>> shift : 0);
}
