import { describe, expect, test } from 'vitest';
import { type CacheGeometry, SetAssoc } from '../../../src/hw/set-assoc.ts';

const generations = { current: new Int32Array(16) };

function cache(geometry: Partial<CacheGeometry> = {}): SetAssoc {
  return new SetAssoc({ entries: 4, ways: 0, policy: 'lru', indexing: 'hash', ...geometry }, generations);
}

function fill(target: SetAssoc, ...keys: number[]): void {
  for (const key of keys) if (target.find(key, 0, 0) < 0) target.fill(key, 0, 0, key, 0);
}

function present(target: SetAssoc, keys: readonly number[]): number[] {
  return keys.filter((key) => target.peek(key, 0, 0) >= 0);
}

describe.each([
  ['scanned', 4],
  ['indexed', 32],
])('a fully associative cache, %s', (_name, entries) => {
  const all = Array.from({ length: entries }, (_, key) => key);

  test('LRU replaces the entry used longest ago', () => {
    const lru = cache({ entries });
    fill(lru, ...all, 0, 999);
    expect(present(lru, [...all, 999])).toEqual([0, ...all.slice(2), 999]);
    expect(lru.evictedByCapacity).toBe(1);
  });

  test('FIFO replaces the entry filled longest ago', () => {
    const fifo = cache({ entries, policy: 'fifo' });
    fill(fifo, ...all, 0, 999);
    expect(present(fifo, [...all, 999])).toEqual([...all.slice(1), 999]);
  });

  test('a removed entry makes room before anything is replaced', () => {
    const lru = cache({ entries });
    fill(lru, ...all);
    expect(lru.remove(2, 0, 0)).toBe(true);
    expect(lru.remove(2, 0, 0)).toBe(false);
    fill(lru, 999);
    expect(present(lru, [...all, 999])).toEqual([...all.filter((key) => key !== 2), 999]);
    expect([lru.evictedByCapacity, lru.evictedByInvalidation]).toEqual([0, 1]);
  });

  test('raising the generation of a group drops its entries and frees their ways first', () => {
    const current = new Int32Array(4);
    const grouped = new SetAssoc({ entries, ways: 0, policy: 'lru', indexing: 'hash' }, { current });
    for (const key of all) grouped.fill(key, (key & 1) << 15, 0, key, 0);
    current[1] = 1;
    grouped.noteGenerationChange();
    expect(grouped.peek(1, 1 << 15, 1)).toBe(-1);
    for (let key = 0; key < entries / 2; key++) grouped.fill(1000 + key, 0, 0, 0, 0);
    expect(all.filter((key) => grouped.peek(key, (key & 1) << 15, 0) >= 0)).toEqual(all.filter((key) => key % 2 === 0));
    expect([grouped.evictedByCapacity, grouped.evictedByInvalidation]).toEqual([0, entries / 2]);
  });

  test('random replacement is the same for the same seed', () => {
    const run = (seed: number): number[] => {
      const geometry = { entries, ways: 0, policy: 'random', indexing: 'hash' } as const;
      const random = new SetAssoc(geometry, generations, seed);
      for (let key = 0; key < 200; key++) random.fill(key, 0, 0, 0, 0);
      return present(
        random,
        Array.from({ length: 200 }, (_, key) => key),
      );
    };
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(77));
    expect(run(1)).toHaveLength(entries);
  });
});

test('low-bits indexing with a set count that is no power of two uses the remainder', () => {
  const sixSets = cache({ entries: 12, ways: 2, indexing: 'low-bits' });
  fill(sixSets, 0, 6, 12);
  expect(present(sixSets, [0, 6, 12])).toEqual([6, 12]);
  expect([sixSets.evictedByCapacity, sixSets.evictedByConflict]).toEqual([0, 1]);
});

test('a hash spreads keys over a set count that is no power of two', () => {
  const odd = cache({ entries: 96, ways: 2 });
  for (let key = 0; key < 4000; key++) odd.fill(key, 0, 0, 0, 0);
  odd.settle();
  expect(odd.live).toBe(96);
});

test('tree-PLRU follows the tree bits away from the ways used last', () => {
  const plru = cache({ policy: 'tree-plru', ways: 4 });
  fill(plru, 10, 11, 12, 13);
  // Last used: 13 (right half), so the victim is in the left half, on the side not used last there: 10.
  fill(plru, 14);
  expect(present(plru, [10, 11, 12, 13, 14])).toEqual([11, 12, 13, 14]);
  // 14 took way 0; the right half is older: of 12 and 13, 12.
  fill(plru, 15);
  expect(present(plru, [11, 12, 13, 14, 15])).toEqual([11, 13, 14, 15]);
});

test('reset-when-full empties itself on the fill that finds it full', () => {
  const reset = cache({ policy: 'reset-when-full' });
  fill(reset, 1, 2, 3, 4);
  expect(reset.live).toBe(4);
  fill(reset, 5);
  expect([present(reset, [1, 2, 3, 4, 5]), reset.resets]).toEqual([[5], 1]);
});

test('the replaced value is reported, so that what it stood for can be dropped', () => {
  const lru = cache({ entries: 2, ways: 2 });
  fill(lru, 1);
  expect(lru.replacedValue0).toBe(-1);
  fill(lru, 2, 3);
  expect(lru.replacedValue0).toBe(1);
});

test('geometries that cannot be built are refused', () => {
  expect(() => cache({ entries: 10, ways: 4 })).toThrow('bad geometry');
  expect(() => cache({ entries: 6, ways: 6, policy: 'tree-plru' })).toThrow('tree-plru');
  expect(() => cache({ entries: 8, ways: 2, policy: 'reset-when-full' })).toThrow('fully associative');
});
