/**
 * Devices with TLBs of their own against the untimed oracle, under random map, unmap, invalidation and DMA: a request
 * sees the present mapping, or an earlier one that no completed invalidation of IOTLB and device TLB has covered.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DeviceUnderTest, descriptors, type TestOutcome, WHOLE_DEVICE } from '../support/device-under-test.ts';
import { FAULT, type OracleMapping, OracleSpace } from '../support/oracle-translator.ts';
import { seeded } from '../support/property-seed.ts';
import { indexOf, ShadowTable } from '../support/shadow-table.ts';

const PAGES = [0x2ff, 0x100, 0x101, 0x102, 0x8ff, 0x40100];
const DEVICES = 2;
const PASID = 9;
const RUNS = 400;
const DEVICE_TLB_ENABLE = 4;

const place = { space: fc.nat(DEVICES - 1), page: fc.nat(PAGES.length - 1) };
/** 4 KiB mostly, now and then 2 MiB. */
const size = fc.constantFrom(0, 0, 0, 1);
const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ op: fc.constant('dma' as const), ...place, write: fc.boolean(), gap: fc.nat(900) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('map' as const), ...place, size, prot: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('unmap' as const), ...place, size }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('flush' as const), ...place, mask: fc.nat(8), wait: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('flushAll' as const), ...place, wait: fc.boolean() }) },
);

const shapes: readonly { readonly name: string; readonly set: readonly string[]; readonly pasid: number }[] = [
  { name: 'without PASID', set: [], pasid: 0 },
  {
    name: 'few entries',
    set: ['endpoint.deviceTlb.entries=4', 'endpoint.deviceTlb.ways=2', 'endpoint.deviceTlb.policy=random'],
    pasid: 0,
  },
  {
    name: 'one entry, one request at a time',
    set: ['endpoint.deviceTlb.entries=1', 'endpoint.deviceTlb.ways=1', 'endpoint.translationWindow=1'],
    pasid: 0,
  },
  {
    name: 'with PASID, slow walks',
    set: ['translation.walkReadNs=900', 'endpoint.deviceTlb.entries=4', 'endpoint.deviceTlb.ways=0'],
    pasid: PASID,
  },
  { name: 'with PASID, slow link', set: ['link.oneWayNs=450', 'link.readRoundTripNs=1000'], pasid: PASID },
];

test.each(shapes)('$name: a request sees what software guaranteed', ({ set, pasid }) => {
  const scalable = pasid > 0;
  fc.assert(
    fc.property(fc.array(operation, { minLength: 40, maxLength: 160 }), (operations) => {
      const endpoints = Array.from({ length: DEVICES }, (_, device) => ({ device }));
      const dut = new DeviceUnderTest({ scalable, set, endpoints });
      const tables = endpoints.map(() => new ShadowTable(dut.memory, 4, scalable ? 'first' : 'second'));
      const spaces = endpoints.map(() => new OracleSpace());
      tables.forEach((table, index) => {
        const source = dut.sourceIds[index] as number;
        for (const page of PAGES) table.map(page, 1, 3, 0);
        for (const page of PAGES) table.unmap(page, 0);
        const root = { root: table.root.frame, levels: table.levels, stage: table.stage };
        if (scalable) {
          dut.contexts.setPasid(source, pasid, root, 10 + index);
          dut.contexts.setContextBits(source, DEVICE_TLB_ENABLE);
        } else {
          dut.contexts.setLegacy(source, root, 10 + index, 1);
        }
        dut.enableAts(index);
      });
      let now = 1000;
      let nextPfn = 0x4e00;
      for (const row of operations) {
        now = Math.max(now, Math.ceil(dut.timeline.now / 1000)) + 10;
        dut.timeline.runUntil(now * 1000);
        const table = tables[row.space] as (typeof tables)[number];
        const oracle = spaces[row.space] as OracleSpace;
        const source = dut.sourceIds[row.space] as number;
        const page = PAGES[row.page] as number;
        /** Changes the table, and tells the oracle of every page that it changed. */
        const change = (how: () => void): void => {
          const before = PAGES.map((at) => mappingOf(table, at));
          how();
          PAGES.forEach((at, index) => {
            const after = mappingOf(table, at);
            if (after?.pfn !== before[index]?.pfn || after?.prot !== before[index]?.prot) oracle.set(at, after);
          });
        };
        const flush = (iotlb: number[], device: number[], first: number, count: number, wait: boolean): void => {
          const handle = dut.submit(now, [iotlb, device]);
          if (!wait) return;
          dut.settle();
          expect(handle.doneNs).toBeDefined();
          oracle.invalidated(first, count);
          now = Math.ceil(handle.doneNs as number) + 1;
        };
        const did = 10 + row.space;
        if (row.op === 'map') {
          const pages = 512 ** row.size;
          nextPfn += 512;
          change(() => table.map(page - (page % pages), nextPfn, scalable ? row.prot | 1 : row.prot, row.size));
        } else if (row.op === 'unmap') {
          change(() => table.unmap(page, row.size));
        } else if (row.op === 'flush') {
          const count = 2 ** row.mask;
          const first = page - (page % count);
          flush(
            scalable
              ? descriptors.pasidIotlbPages(did, pasid, page, row.mask)
              : descriptors.iotlbPages(did, page, row.mask),
            scalable
              ? descriptors.pasidDeviceTlb(source, pasid, first, row.mask)
              : descriptors.deviceTlb(source, first, row.mask),
            first,
            count,
            row.wait,
          );
        } else if (row.op === 'flushAll') {
          flush(
            scalable ? descriptors.pasidIotlb(did, pasid) : descriptors.iotlbDomain(did),
            scalable
              ? descriptors.pasidDeviceTlb(source, pasid, 0, WHOLE_DEVICE)
              : descriptors.deviceTlb(source, 0, WHOLE_DEVICE),
            0,
            2 ** 40,
            row.wait,
          );
        } else {
          now += row.gap;
          const outcome = dut.issue({ at: now, device: row.space, pasid, page, write: row.write });
          expect([...oracle.answers(page, row.write)]).toContain(seen(outcome));
          expect(outcome.arrive).toBeGreaterThanOrEqual(outcome.issue);
          expect(outcome.ready).toBeGreaterThanOrEqual(outcome.arrive);
          expect(outcome.done).toBeGreaterThanOrEqual(outcome.ready);
        }
      }
    }),
    seeded(RUNS),
  );
});

test('a device TLB that nobody invalidates keeps what was unmapped: the oracle would see it', () => {
  const dut = new DeviceUnderTest({ endpoints: [{ device: 0 }] });
  const table = dut.table();
  table.map(0x100, 0x5000);
  dut.contexts.setLegacy(dut.sourceIds[0] as number, table, 10, 1);
  dut.enableAts(0);
  dut.issue({ page: 0x100 });
  table.unmap(0x100);
  dut.submit(5000, [descriptors.iotlbPages(10, 0x100)]);
  dut.settle();
  expect(seen(dut.issue({ page: 0x100, at: 20_000 }))).toBe(0x5000);
});

/** What software's table says of a page. */
function mappingOf(table: ShadowTable, page: number): OracleMapping | undefined {
  let node = table.root;
  for (;;) {
    const next = node.entries.get(indexOf(page, node.level));
    if (next === undefined) return undefined;
    if ('entries' in next) node = next;
    else return { pfn: next.pfn + (page % 512 ** next.size), prot: next.prot };
  }
}

function seen(outcome: TestOutcome): number {
  return outcome.outcome === 'fault' ? FAULT : outcome.pfn;
}
