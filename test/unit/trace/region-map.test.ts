import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from '../../../src/random.ts';
import { RegionMap } from '../../../src/trace/region-map.ts';

const GIB_PAGES = 2 ** 18;

test('pages keep their place in a gigabyte, gigabytes their order and their neighbours', () => {
  const gibs = fc.uniqueArray(fc.nat({ max: 511 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(gibs, fc.integer(), fc.nat({ max: GIB_PAGES - 1 }), (used, seed, offset) => {
      const map = new RegionMap();
      for (const gib of used) map.mark(gib * GIB_PAGES + offset, 1);
      map.seal(new Random(seed), [
        { from: 0, to: 3 },
        { from: 4, to: 512 },
      ]);
      const moved = used.map((gib) => map.page(gib * GIB_PAGES + offset));
      expect(new Set(moved).size).toBe(used.length);
      const inOrder = [...used].sort((a, b) => a - b).map((gib) => moved[used.indexOf(gib)]!);
      expect(inOrder).toEqual([...moved].sort((a, b) => a - b));
      for (const [index, gib] of used.entries()) {
        expect(moved[index]! % GIB_PAGES).toBe(offset);
        const next = used.indexOf(gib + 1);
        if (next >= 0) expect(moved[next]).toBe(moved[index]! + GIB_PAGES);
        else expect(moved).not.toContain(moved[index]! + GIB_PAGES);
        const place = Math.floor(moved[index]! / GIB_PAGES);
        if (gib === 3) expect(place).toBe(3);
        else expect(place < 3).toBe(gib < 3);
        expect(place).toBeLessThan(512);
      }
    }),
  );
});

test('a range marks every gigabyte it touches', () => {
  const map = new RegionMap();
  map.mark(GIB_PAGES - 1, GIB_PAGES + 2);
  expect(map.gibs()).toEqual([0, 1, 2]);
});
