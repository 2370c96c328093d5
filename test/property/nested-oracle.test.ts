/**
 * Nested translation against the untimed oracle: under random changes of both stages, invalidations and DMA, a DMA sees
 * some version of the first stage that no completed invalidation has covered, followed by some such version of the second.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { descriptors } from '../support/device-under-test.ts';
import { NestedOracle } from '../support/nested-oracle.ts';
import { NESTED_DID, NestedScene, NO_PAGING_CACHES } from '../support/nested-scene.ts';
import { FAULT, type OracleMapping } from '../support/oracle-translator.ts';
import { seeded } from '../support/property-seed.ts';

/** Device pages: neighbours, other 2 MiB, 1 GiB and 512 GiB regions. Guest pages likewise. */
const PAGES = [0x2ff, 0x100, 0x101, 0x8ff, 0x40100, 0x8000101];
const GUEST_PAGES = [0x500, 0x501, 0x1700, 0x80500];

const page = fc.nat(PAGES.length - 1);
const guestPage = fc.nat(GUEST_PAGES.length - 1);
const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('dma' as const), page, write: fc.boolean(), gap: fc.nat(900) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('guest' as const), page, guestPage, writable: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('guestUnmap' as const), page }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('host' as const), guestPage, prot: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('flushGuest' as const), page, mask: fc.nat(11), hint: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('flushHost' as const), guestPage, hint: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('flushAll' as const), byDomain: fc.boolean() }) },
);

test.each([
  { name: 'large caches', set: [] as readonly string[] },
  {
    name: 'tiny caches',
    set: ['iotlb.entries=4', 'iotlb.ways=2', 'pagingCaches.region2m.entries=1', 'pasidCache.entries=1'],
  },
  { name: 'no paging-structure caches', set: NO_PAGING_CACHES },
  { name: 'one slow walker', set: ['translation.walkers=1', 'translation.walkReadNs=900'] },
])('$name: DMA sees what software of both stages guaranteed', ({ set }) => {
  fc.assert(
    fc.property(fc.array(operation, { minLength: 40, maxLength: 160 }), (operations) => {
      const scene = new NestedScene({ set });
      const { dut, guest, host } = scene;
      const oracle = new NestedOracle();
      for (const each of PAGES) scene.mapGuest(each, 1);
      for (const each of PAGES) guest.unmap(each);
      let now = 1000;
      let nextPfn = 0x5000;
      const flush = (words: number[], done: () => void): void => {
        const handle = dut.submit(now, [words]);
        dut.settle();
        now = Math.ceil(handle.doneNs as number) + 1;
        done();
      };
      for (const row of operations) {
        now = Math.max(now, Math.ceil(dut.timeline.now / 1000)) + 10;
        dut.timeline.runUntil(now * 1000);
        if (row.op === 'guest') {
          const mapping: OracleMapping = { pfn: GUEST_PAGES[row.guestPage] as number, prot: row.writable ? 3 : 1 };
          scene.mapGuest(PAGES[row.page] as number, mapping.pfn, mapping.prot);
          oracle.first.set(PAGES[row.page] as number, mapping);
        } else if (row.op === 'guestUnmap') {
          guest.unmap(PAGES[row.page] as number);
          oracle.first.set(PAGES[row.page] as number, undefined);
        } else if (row.op === 'host') {
          const at = GUEST_PAGES[row.guestPage] as number;
          const mapping = row.prot === 0 ? undefined : { pfn: nextPfn++, prot: row.prot };
          host.map(at, mapping?.pfn ?? 0, mapping?.prot ?? 0);
          oracle.second.set(at, mapping);
        } else if (row.op === 'flushGuest') {
          const count = 2 ** row.mask;
          const at = PAGES[row.page] as number;
          const words = descriptors.pasidIotlbPages(NESTED_DID, 0, at, row.mask, row.hint);
          flush(words, () => oracle.first.invalidated(at - (at % count), count));
        } else if (row.op === 'flushHost') {
          const at = GUEST_PAGES[row.guestPage] as number;
          flush(descriptors.iotlbPages(NESTED_DID, at, 0, row.hint), () => {
            oracle.second.invalidated(at, 1);
          });
        } else if (row.op === 'flushAll') {
          const words = row.byDomain ? descriptors.iotlbDomain(NESTED_DID) : descriptors.pasidIotlb(NESTED_DID, 0);
          flush(words, () => {
            oracle.first.invalidated(0, 2 ** 40);
            if (row.byDomain) oracle.second.invalidated(0, 2 ** 40);
          });
        } else {
          now += row.gap;
          const at = PAGES[row.page] as number;
          const probed = dut.unit.probe(dut.sourceIds[0] as never, 0 as never, at, row.write ? 1 : 0);
          const outcome = scene.issue(at, now, row.write);
          const seen = outcome.outcome === 'fault' ? FAULT : outcome.pfn;
          expect([...oracle.answers(at, row.write)]).toContain(seen);
          expect(probed.fault).toBe(outcome.fault);
          expect(outcome.ready).toBeGreaterThanOrEqual(outcome.arrive);
        }
      }
    }),
    seeded(250),
  );
});
