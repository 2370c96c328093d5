/**
 * The unit against the untimed oracle under random map, unmap, invalidate and DMA: a DMA sees the present mapping, or an
 * earlier one that no completed invalidation has covered; once an invalidation has completed, nothing older.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DeviceUnderTest, descriptors, type TestOutcome } from '../support/device-under-test.ts';
import { FAULT, type OracleMapping, OracleSpace } from '../support/oracle-translator.ts';

/** Pages in use: neighbours, other 2 MiB, 1 GiB and 512 GiB regions. */
const PAGES = [0x2ff, 0x100, 0x101, 0x8ff, 0x40100, 0x8000101];
const SPACES = 2;

interface SpaceRow {
  readonly space: number;
  readonly page: number;
}

const place = { space: fc.nat(SPACES - 1), page: fc.nat(PAGES.length - 1) };
const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constant('dma' as const), ...place, write: fc.boolean(), gap: fc.nat(900) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('map' as const), ...place, prot: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('unmap' as const), ...place }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('flush' as const), ...place, mask: fc.nat(11), wait: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('flushAll' as const), ...place, wait: fc.boolean() }) },
);

const shapes: readonly {
  readonly name: string;
  readonly set: readonly string[];
  readonly stage: 'first' | 'second';
}[] = [
  { name: 'second stage, fully associative', set: [], stage: 'second' },
  {
    name: 'second stage, tiny caches',
    set: ['iotlb.entries=4', 'iotlb.ways=2', 'pagingCaches.region2m.entries=1', 'contextCache.entries=1'],
    stage: 'second',
  },
  {
    name: 'second stage, one walker, regions one by one, in order',
    set: ['translation.walkers=1', 'translation.serialiseRegion=true', 'translation.releaseInOrder=true'],
    stage: 'second',
  },
  {
    name: 'second stage, tree-PLRU, slow walks',
    set: ['iotlb.entries=8', 'iotlb.ways=4', 'iotlb.policy=tree-plru', 'translation.walkReadNs=900'],
    stage: 'second',
  },
  { name: 'first stage', set: ['iotlb.entries=6', 'iotlb.ways=3'], stage: 'first' },
  {
    name: 'first stage, random replacement, no paging-structure caches',
    set: [
      'iotlb.entries=32',
      'iotlb.policy=random',
      'pagingCaches.region2m.entries=0',
      'pagingCaches.region1g.entries=0',
      'pagingCaches.region512g.entries=0',
      'pasidCache.entries=1',
    ],
    stage: 'first',
  },
];

test.each(shapes)('$name: DMA sees what software guaranteed', ({ set, stage }) => {
  const scalable = stage === 'first';
  fc.assert(
    fc.property(fc.array(operation, { minLength: 40, maxLength: 200 }), (operations) => {
      const dut = new DeviceUnderTest({ scalable, set });
      const tables = Array.from({ length: SPACES }, () => dut.table(4, stage));
      const spaces = Array.from({ length: SPACES }, () => new OracleSpace());
      tables.forEach((table, index) => {
        const source = dut.sourceIds[index] as number;
        for (const page of PAGES) table.map(page, 1);
        for (const page of PAGES) table.unmap(page);
        if (scalable) dut.contexts.setPasid(source, 0, table, 10 + index);
        else dut.contexts.setLegacy(source, table, 10 + index);
      });
      let now = 1000;
      let nextPfn = 0x5000;
      const pageOf = (row: SpaceRow): number => PAGES[row.page] as number;
      const write = (row: SpaceRow, mapping: OracleMapping | undefined): void => {
        const table = tables[row.space] as (typeof tables)[number];
        if (mapping === undefined) table.unmap(pageOf(row));
        else table.map(pageOf(row), mapping.pfn, mapping.prot);
        (spaces[row.space] as OracleSpace).set(pageOf(row), mapping);
      };
      const flush = (row: SpaceRow, words: number[], first: number, count: number, wait: boolean): void => {
        const before = dut.submit(now, [words]);
        if (wait) {
          dut.settle();
          expect(before.doneNs).toBeDefined();
          (spaces[row.space] as OracleSpace).invalidated(first, count);
          now = Math.ceil(before.doneNs as number) + 1;
        }
      };
      for (const row of operations) {
        now = Math.max(now, Math.ceil(dut.timeline.now / 1000)) + 10;
        dut.timeline.runUntil(now * 1000);
        const did = 10 + row.space;
        if (row.op === 'map') {
          // First-stage tables have no write-only mapping.
          const prot = stage === 'first' ? row.prot | 1 : row.prot;
          write(row, { pfn: nextPfn++, prot });
        } else if (row.op === 'unmap') {
          write(row, undefined);
        } else if (row.op === 'flush') {
          const count = 2 ** row.mask;
          const page = pageOf(row);
          const words = scalable
            ? descriptors.pasidIotlbPages(did, 0, page, row.mask)
            : descriptors.iotlbPages(did, page, row.mask);
          flush(row, words, page - (page % count), count, row.wait);
        } else if (row.op === 'flushAll') {
          const words = scalable ? descriptors.pasidIotlb(did, 0) : descriptors.iotlbDomain(did);
          flush(row, words, 0, 2 ** 40, row.wait);
        } else {
          now += row.gap;
          const page = pageOf(row);
          const outcome = dut.issue({ at: now, device: row.space, page, write: row.write });
          const allowed = (spaces[row.space] as OracleSpace).answers(page, row.write);
          expect([...allowed]).toContain(seen(outcome));
          expect(outcome.ready).toBeGreaterThanOrEqual(outcome.arrive);
          expect(outcome.done).toBeGreaterThanOrEqual(outcome.ready);
        }
      }
    }),
    { numRuns: 100 },
  );
});

function seen(outcome: TestOutcome): number {
  return outcome.outcome === 'fault' ? FAULT : outcome.pfn;
}
