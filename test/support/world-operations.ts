/** Generators of worlds and of what happens in them. */
import fc from 'fast-check';
import type { CacheGeometry } from '../../src/hw/set-assoc.ts';
import { WORLD_PAGES, type WorldOperation, type WorldOptions } from './translation-world.ts';

const device = fc.nat(1);
// Requests without PASID are the most common.
const pasid = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(2) });
// A few pages often, so that they are hit.
const page = fc.oneof({ weight: 3, arbitrary: fc.nat(2) }, { weight: 2, arbitrary: fc.nat(WORLD_PAGES.length - 1) });
const size = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.constant(1) },
  fc.constant(2),
);
// The first tables of each kind, which devices begin with, more often.
const table = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(0, 2, 4) }, { weight: 2, arbitrary: fc.nat(5) });
const mask = fc.oneof(fc.constant(0), fc.nat(20));

/** Operations; DMA is most of them. */
export const worldOperation: fc.Arbitrary<WorldOperation> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      op: fc.constant('dma' as const),
      device,
      pasid,
      page,
      write: fc.boolean(),
      gap: fc.oneof(fc.nat(60), fc.nat(900)),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      op: fc.constant('again' as const),
      write: fc.boolean(),
      gap: fc.oneof(fc.nat(60), fc.nat(900)),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('map' as const), table, page, size, prot: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('unmap' as const), table, page, size }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('bind' as const),
      device,
      pasid,
      kind: fc.nat(3),
      table: fc.nat(1),
      domain: fc.nat(1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('unbind' as const), device, pasid }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('flush' as const),
      which: fc.array(fc.nat(10), { minLength: 1, maxLength: 3 }),
      device,
      pasid,
      page,
      mask,
      hint: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('wait' as const) }) },
);

/**
 * Operations on two neighbour pages of one table, mapped small and large, with invalidations that fit: few enough things
 * for rare orders of many steps to come up. `table` and `which` as in {@link WorldOperation}.
 */
export function focusedOperation(of: number, tableIndex: number, which: number): fc.Arbitrary<WorldOperation> {
  const neighbour = fc.integer({ min: 1, max: 2 });
  const small = fc.nat(1);
  const place = { device: fc.constant(of), pasid: fc.constant(0), page: neighbour };
  const into = { table: fc.constant(tableIndex), page: neighbour, size: small };
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ op: fc.constant('dma' as const), ...place, write: fc.boolean(), gap: fc.nat(900) }),
    },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('map' as const), ...into, prot: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('unmap' as const), ...into }) },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('flush' as const),
        which: fc.constant([which]),
        ...place,
        mask: fc.constantFrom(0, 0, 1, 9),
        hint: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('wait' as const) }) },
  );
}

/** Any geometry that can be built: sets and ways of any number, every policy, both ways to select a set. */
export const cacheGeometry: fc.Arbitrary<CacheGeometry> = fc
  .record({
    sets: fc.integer({ min: 1, max: 7 }),
    ways: fc.integer({ min: 1, max: 24 }),
    policy: fc.constantFrom('lru', 'fifo', 'random', 'tree-plru' as const),
    indexing: fc.constantFrom('hash', 'low-bits' as const),
  })
  .map(({ sets, ways, policy, indexing }): CacheGeometry => {
    const built = policy === 'tree-plru' ? 2 ** (1 + (ways % 4)) : ways;
    return { entries: sets * built, ways: sets === 1 ? 0 : built, policy, indexing };
  });

const optionalGeometry = fc.option(cacheGeometry, { nil: undefined, freq: 2 });

/** Caches of any geometry, entry and paging-structure caches perhaps absent. */
export const worldCaches: fc.Arbitrary<NonNullable<WorldOptions['caches']>> = fc.record({
  iotlb: cacheGeometry,
  paging: optionalGeometry,
  entries: optionalGeometry,
});
