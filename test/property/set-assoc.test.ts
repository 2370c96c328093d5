/** The cache structure against a list of sets that are lists, under random use. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SetAssoc } from '../../src/hw/set-assoc.ts';

interface NaiveEntry {
  readonly key: number;
  readonly group: number;
}

/** Each set is a list, least recent first. */
class NaiveCache {
  readonly #sets: NaiveEntry[][];
  readonly #ways: number;
  readonly #touchOnHit: boolean;

  constructor(sets: number, ways: number, touchOnHit: boolean) {
    this.#sets = Array.from({ length: sets }, () => []);
    this.#ways = ways;
    this.#touchOnHit = touchOnHit;
  }

  access(key: number, group: number): boolean {
    const set = this.#setOf(key);
    const at = set.findIndex((entry) => entry.key === key && entry.group === group);
    if (at >= 0) {
      if (this.#touchOnHit) set.push(...set.splice(at, 1));
      return true;
    }
    if (set.length === this.#ways) set.shift();
    set.push({ key, group });
    return false;
  }

  remove(key: number, group: number): boolean {
    const set = this.#setOf(key);
    const at = set.findIndex((entry) => entry.key === key && entry.group === group);
    if (at >= 0) set.splice(at, 1);
    return at >= 0;
  }

  dropGroup(group: number): void {
    for (const set of this.#sets) {
      const kept = set.filter((entry) => entry.group !== group);
      set.splice(0, set.length, ...kept);
    }
  }

  get live(): number {
    return this.#sets.reduce((sum, set) => sum + set.length, 0);
  }

  #setOf(key: number): NaiveEntry[] {
    return this.#sets[key % this.#sets.length] as NaiveEntry[];
  }
}

const step = fc.oneof(
  { weight: 20, arbitrary: fc.record({ op: fc.constant('access' as const), key: fc.nat(60), group: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('remove' as const), key: fc.nat(60), group: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('drop' as const), key: fc.constant(0), group: fc.nat(2) }) },
);
const geometry = fc.constantFrom([1, 4], [1, 7], [1, 24], [1, 33], [4, 4], [3, 5], [8, 1], [6, 2]);

test('LRU and FIFO caches of any shape behave like lists', () => {
  fc.assert(
    fc.property(geometry, fc.boolean(), fc.array(step, { maxLength: 400 }), ([sets, ways], lru, steps) => {
      const current = new Int32Array(4);
      const shape = {
        entries: (sets as number) * (ways as number),
        ways: ways as number,
        policy: lru ? 'lru' : 'fifo',
        indexing: 'low-bits',
      } as const;
      const cache = new SetAssoc(shape, { current });
      const naive = new NaiveCache(sets as number, ways as number, lru);
      for (const { op, key, group } of steps) {
        const generation = current[group] as number;
        const key1 = group << 15;
        if (op === 'access') {
          const entry = cache.find(key, key1, generation);
          expect(entry >= 0).toBe(naive.access(key, group));
          if (entry >= 0) expect(cache.values[entry * 2]).toBe(key + group);
          else cache.fill(key, key1, generation, key + group, 0);
        } else if (op === 'remove') {
          expect(cache.remove(key, key1, generation)).toBe(naive.remove(key, group));
        } else {
          current[group] = generation + 1;
          cache.noteGenerationChange();
          naive.dropGroup(group);
        }
      }
      cache.settle();
      expect(cache.live).toBe(naive.live);
    }),
  );
});
