/** Which cached things survive which invalidation (VT-d spec 6.5.2), and from when on. */
import { describe, expect, test } from 'vitest';
import { DeviceUnderTest, descriptors, type TestOutcome } from '../../../support/device-under-test.ts';
import { NO_PAGING_CACHES } from '../../../support/nested-scene.ts';
import type { TestPageTable } from '../../../support/table-builder.ts';

const DID = 7;
const OTHER_DID = 8;

interface Bench {
  readonly dut: DeviceUnderTest;
  readonly table: TestPageTable;
  readonly other: TestPageTable;
  now: number;
}

interface WarmOptions {
  readonly scalable?: boolean;
  readonly stage?: 'first' | 'second';
  readonly set?: readonly string[];
}

/** Device 0 in domain 7, device 1 in domain 8, pages 0x1000.. mapped in both and warm. */
function warm(options: WarmOptions = {}): Bench {
  const dut = new DeviceUnderTest({ scalable: options.scalable ?? false, set: options.set ?? [] });
  const table = dut.table(4, options.stage);
  const other = dut.table(4, options.stage);
  for (let page = 0; page < 1200; page++) {
    table.map(0x1000 + page, 0x10000 + page);
    other.map(0x1000 + page, 0x20000 + page);
  }
  const [first, second] = dut.sourceIds as [number, number];
  if (options.scalable === true) {
    dut.contexts.setPasid(first, 0, table, DID);
    dut.contexts.setPasid(first, 5, other, DID);
    dut.contexts.setPasid(second, 0, other, OTHER_DID);
  } else {
    dut.contexts.setLegacy(first, table, DID);
    dut.contexts.setLegacy(second, other, OTHER_DID);
  }
  const bench = { dut, table, other, now: 10_000 };
  for (const page of [0x1000, 0x1001, 0x1200]) access(bench, page);
  access(bench, 0x1000, 1);
  return bench;
}

/** One DMA a microsecond after the one before. */
function access(bench: Bench, page: number, device = 0, pasid = 0): TestOutcome {
  bench.now += 1000;
  return bench.dut.issue({ page, device, pasid, at: bench.now });
}

/** Submits and waits for completion. */
function invalidate(bench: Bench, ...words: number[][]): void {
  bench.now += 1000;
  bench.dut.submit(bench.now, words);
  bench.dut.settle();
  bench.now += 2000;
}

describe('IOTLB descriptors', () => {
  test('page-selective drops its page and no other', () => {
    const bench = warm();
    invalidate(bench, descriptors.iotlbPages(DID, 0x1000));
    expect([access(bench, 0x1001), access(bench, 0x1200)].map((row) => row.outcome)).toEqual(['hit', 'hit']);
    expect(access(bench, 0x1000).outcome).toBe('miss');
    expect(access(bench, 0x1000, 1).outcome).toBe('hit');
  });

  test('page-selective with IH=0 drops the paging-structure entries over the range, with IH=1 it spares them', () => {
    const dropped = warm();
    invalidate(dropped, descriptors.iotlbPages(DID, 0x1000));
    expect(access(dropped, 0x1000).reads).toBe(4);
    const spared = warm();
    invalidate(spared, descriptors.iotlbPages(DID, 0x1000, 0, true));
    expect(access(spared, 0x1000).reads).toBe(1);
  });

  test('the paging-structure entry of another 2 MiB region survives, those above it do not', () => {
    const bench = warm();
    invalidate(bench, descriptors.iotlbPages(DID, 0x1000));
    // Region 0x1200 still has its own entry: one read.
    expect(access(bench, 0x1201).reads).toBe(1);
  });

  test.each([
    ['probed', 3],
    ['swept', 9],
  ])('an aligned range, %s, drops all its pages and leaves its neighbours', (_name, mask) => {
    const bench = warm({ set: ['iotlb.entries=2048'] });
    for (let page = 0; page < 1100; page += 7) access(bench, 0x1000 + page);
    invalidate(bench, descriptors.iotlbPages(DID, 0x1000 + 3, mask, true));
    const size = 2 ** mask;
    expect(access(bench, 0x1000).outcome).toBe('miss');
    expect(access(bench, 0x1000 + 1092).outcome).toBe('hit');
    const dropped = bench.dut.unit.counters()['model.iotlb_invalidated'] ?? 0;
    expect(dropped).toBeGreaterThan(0);
    expect(dropped).toBeLessThanOrEqual(size);
  });

  test('a large page that a small entry hid is cached once: nothing of it is left', () => {
    const bench = warm({ scalable: true, set: NO_PAGING_CACHES });
    const [source] = bench.dut.sourceIds as [number];
    const large = bench.dut.table();
    large.map(0x1000, 0x40000, 3, 1);
    bench.table.map(0x1100, 0x9000, 1);
    access(bench, 0x1100);
    bench.dut.contexts.setPasid(source, 0, large, DID);
    invalidate(bench, descriptors.pasidCache(DID, 0));
    // A neighbour brings the large page in; the write is refused by the small entry and walks to the large page again.
    expect(access(bench, 0x1101).pageShift).toBe(21);
    bench.now += 1000;
    expect(bench.dut.issue({ page: 0x1100, at: bench.now, write: true })).toMatchObject({
      outcome: 'miss',
      pageShift: 21,
    });
    large.unmap(0x1000, 1);
    invalidate(bench, descriptors.iotlbPages(DID, 0x1100));
    expect(access(bench, 0x1100).outcome).toBe('fault');
  });

  test('a page inside a large page drops the large page', () => {
    const bench = warm();
    bench.table.map(0x200000, 0x40000, 3, 1);
    access(bench, 0x200003);
    expect(access(bench, 0x200100).outcome).toBe('hit');
    invalidate(bench, descriptors.iotlbPages(DID, 0x200050));
    expect(access(bench, 0x200100).outcome).toBe('miss');
  });

  test('domain-selective drops the domain, with its paging-structure entries, and no other domain', () => {
    const bench = warm();
    invalidate(bench, descriptors.iotlbDomain(DID));
    expect(access(bench, 0x1000, 1).outcome).toBe('hit');
    const first = access(bench, 0x1000);
    expect([first.outcome, first.reads]).toEqual(['miss', 4]);
  });

  test('global drops everything but context entries', () => {
    const bench = warm();
    invalidate(bench, descriptors.iotlbGlobal());
    expect([access(bench, 0x1000), access(bench, 0x1000, 1)].map((row) => row.reads)).toEqual([4, 4]);
  });

  test('an invalidation of one domain id leaves stale entries of a wrong one: missing flushes show', () => {
    const bench = warm();
    bench.table.unmap(0x1000);
    invalidate(bench, descriptors.iotlbPages(OTHER_DID, 0x1000));
    expect(access(bench, 0x1000).outcome).toBe('hit');
  });
});

describe('context-cache descriptors', () => {
  test('a cleared context entry is used until it is invalidated, then the device faults', () => {
    const bench = warm();
    bench.dut.contexts.clearContext(bench.dut.sourceIds[0] as number);
    expect(access(bench, 0x1000).outcome).toBe('hit');
    expect(access(bench, 0x1002).outcome).toBe('miss');
    invalidate(bench, descriptors.contextDevice(bench.dut.sourceIds[0] as number));
    expect([access(bench, 0x1000).fault, access(bench, 0x1000, 1).outcome]).toEqual([2, 'hit']);
  });

  test('leave translations in the IOTLB: a device moved back to its domain hits at once', () => {
    const bench = warm();
    invalidate(bench, descriptors.contextGlobal());
    const row = access(bench, 0x1000);
    expect([row.outcome, row.reads]).toEqual(['hit', 2]);
  });

  test('domain-selective drops the devices of the domain only', () => {
    const bench = warm();
    invalidate(bench, descriptors.contextDomain(OTHER_DID));
    expect([access(bench, 0x1000).reads, access(bench, 0x1000, 1).reads]).toEqual([0, 2]);
  });

  test('a device moved to another domain without a flush keeps the old one', () => {
    const bench = warm();
    bench.dut.contexts.setLegacy(bench.dut.sourceIds[0] as number, bench.other, OTHER_DID);
    expect(access(bench, 0x1000).pfn).toBe(0x10000);
    invalidate(bench, descriptors.contextDevice(bench.dut.sourceIds[0] as number));
    const moved = access(bench, 0x1000);
    // The new domain's translation is there already, from the other device.
    expect([moved.pfn, moved.outcome]).toEqual([0x20000, 'hit']);
  });
});

describe('scalable mode', () => {
  test('first walk reads root, context, directory and PASID entry, then the tables', () => {
    const bench = warm({ scalable: true });
    bench.dut.submit(bench.now + 500, [descriptors.contextGlobal(), descriptors.iotlbGlobal()]);
    bench.dut.settle();
    bench.now += 5000;
    expect(access(bench, 0x1000).reads).toBe(8);
  });

  test('second-stage entries are shared by PASIDs of a domain, first-stage ones are not', () => {
    const second = warm({ scalable: true });
    second.dut.contexts.setPasid(second.dut.sourceIds[0] as number, 9, second.table, DID);
    expect(access(second, 0x1000, 0, 9).outcome).toBe('hit');
    const first = warm({ scalable: true, stage: 'first' });
    first.dut.contexts.setPasid(first.dut.sourceIds[0] as number, 9, first.table, DID);
    expect(access(first, 0x1000, 0, 9).outcome).toBe('miss');
  });

  test('a PASID entry is used until the PASID cache is invalidated', () => {
    const bench = warm({ scalable: true });
    bench.dut.contexts.clearPasid(bench.dut.sourceIds[0] as number, 0);
    expect(access(bench, 0x1000).outcome).toBe('hit');
    invalidate(bench, descriptors.pasidCache(DID, 0));
    expect(access(bench, 0x1000).fault).toBe(0x59);
  });

  test('P_IOTLB drops one PASID of a first-stage domain; a second-stage flush does not touch it', () => {
    const bench = warm({ scalable: true, stage: 'first' });
    access(bench, 0x1000, 0, 5);
    invalidate(bench, descriptors.iotlbPages(DID, 0x1000));
    expect(access(bench, 0x1000, 0, 5).outcome).toBe('hit');
    invalidate(bench, descriptors.pasidIotlbPages(DID, 5, 0x1000));
    expect([access(bench, 0x1000, 0, 5).outcome, access(bench, 0x1000).outcome]).toEqual(['miss', 'hit']);
    invalidate(bench, descriptors.pasidIotlb(DID, 0));
    expect([access(bench, 0x1000, 0, 5).outcome, access(bench, 0x1000).outcome]).toEqual(['hit', 'miss']);
  });

  test('IOTLB domain-selective reaches every PASID of the domain', () => {
    const bench = warm({ scalable: true, stage: 'first' });
    access(bench, 0x1000, 0, 5);
    invalidate(bench, descriptors.iotlbDomain(DID));
    expect([access(bench, 0x1000, 0, 5).outcome, access(bench, 0x1000).outcome]).toEqual(['miss', 'miss']);
  });
});

describe('the moment of an invalidation', () => {
  // Tail at 20000: doorbell 200, fetch 200, execution 100 -> effect at 20500; arrival is issue + 103.055 ns.
  test('requests that arrive before it hit, those that arrive at or after it miss', () => {
    const bench = warm();
    bench.dut.submit(20_000, [descriptors.iotlbPages(DID, 0x1000)]);
    const flight = access(bench, 0x1001).arrive - bench.now;
    const [before, after] = bench.dut.run([
      { page: 0x1000, at: 20_499.999 - flight },
      { page: 0x1000, at: 20_500 - flight },
    ]);
    expect([before?.outcome, after?.outcome]).toEqual(['hit', 'miss']);
  });

  test('a walk under way completes but leaves nothing in the caches', () => {
    const bench = warm();
    bench.dut.submit(20_000, [descriptors.iotlbPages(DID, 0x1080, 0)]);
    const [walk, later] = bench.dut.run([
      { page: 0x1080, at: 20_350 },
      { page: 0x1080, at: 21_500 },
    ]);
    expect((walk as TestOutcome).ready).toBeGreaterThan(20_500);
    expect([walk?.outcome, later?.outcome]).toEqual(['miss', 'miss']);
  });
});
