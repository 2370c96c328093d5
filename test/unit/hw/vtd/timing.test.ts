/** When things are ready: closed forms of the profile's numbers. Link 100 ns one way, hit 2, walk 20 + 100 a read. */
import { describe, expect, test } from 'vitest';
import { DeviceUnderTest, type TestDma, type TestOutcome } from '../../../support/device-under-test.ts';

const DID = 7;

function bench(set: readonly string[] = []): DeviceUnderTest {
  const dut = new DeviceUnderTest({ set });
  const table = dut.table();
  for (let page = 0; page < 64; page++) table.map(0x1000 + page, 0x500 + page);
  table.map(0x200000, 0x8000, 3, 1);
  dut.contexts.setLegacy(dut.sourceIds[0] as number, table, DID);
  dut.contexts.setLegacy(dut.sourceIds[1] as number, table, DID);
  return dut;
}

/** Rounded translation time at the IOMMU [ns]. */
function translation(outcome: TestOutcome | undefined): number {
  return Math.round((outcome as TestOutcome).ready - (outcome as TestOutcome).arrive);
}

describe('an unloaded unit', () => {
  test('first DMA: 2 context reads and 4 page reads', () => {
    const first = bench().issue({ page: 0x1000 });
    expect([first.outcome, first.reads, translation(first)]).toEqual(['miss', 6, 20 + 600]);
  });

  test('same page again: a hit', () => {
    const [, again] = bench().run([{ page: 0x1000 }, { page: 0x1000, at: 5000 }]);
    expect([again?.outcome, again?.reads, translation(again)]).toEqual(['hit', 0, 2]);
  });

  test('a neighbour page: one read, as the upper levels are cached', () => {
    const [, next] = bench().run([{ page: 0x1000 }, { page: 0x1001, at: 5000 }]);
    expect([next?.outcome, next?.reads, translation(next)]).toEqual(['miss', 1, 120]);
  });

  test('a 2 MiB page: covers 512 pages with one entry', () => {
    const [first, inside] = bench().run([{ page: 0x200000 }, { page: 0x2001ff, at: 5000 }]);
    expect([first?.pageShift, first?.reads]).toEqual([21, 5]);
    expect([inside?.outcome, inside?.pfn]).toEqual(['hit', 0x81ff]);
  });

  test('a hit DMA read takes the profile round trip plus the hit', () => {
    const [, again] = bench().run([{ page: 0x1000 }, { page: 0x1000, at: 5000 }]);
    expect((again as TestOutcome).done - (again as TestOutcome).issue).toBeCloseTo(402, 0);
  });
});

describe('requests that meet a walk under way', () => {
  test('join it when it is for their page, and are ready just after it', () => {
    const [miss, joined] = bench().run([{ page: 0x1000 }, { page: 0x1000, at: 50, device: 1 }]);
    // The second device fetches its own context first, then finds the translation of the same domain in the future.
    expect(joined?.outcome).toBe('mergedMiss');
    expect(joined?.ready).toBeCloseTo((miss as TestOutcome).ready + 2, 6);
  });

  test('are not ready one tick before the fill, and hit from the fill on', () => {
    const fill = bench().issue({ page: 0x1000 }).ready;
    const flight = bench().issue({ page: 0x1000 }).arrive;
    const before = bench().run([{ page: 0x1000 }, { page: 0x1000, at: fill - flight - 0.001 }])[1];
    const at = bench().run([{ page: 0x1000 }, { page: 0x1000, at: fill - flight }])[1];
    expect([before?.outcome, at?.outcome]).toEqual(['mergedMiss', 'hit']);
    expect(at?.ready).toBeCloseTo(fill + 2, 6);
  });

  test('a fifth miss waits for the first of four walkers', () => {
    const rows: TestDma[] = [{ page: 0x1000 }];
    for (let page = 1; page <= 5; page++) rows.push({ page: 0x1000 + page, at: 5000 });
    const [, ...misses] = bench().run(rows);
    expect(misses.slice(0, 4).map((row) => row.outcome)).toEqual(['miss', 'miss', 'miss', 'miss']);
    expect((misses[4]?.ready ?? 0) - (misses[0]?.ready ?? 0)).toBeCloseTo(120, 6);
  });

  test('walks of one 2 MiB region run one by one where the silicon says so, and four at a time across regions', () => {
    const dut = bench(['translation.serialiseRegion=true']);
    const rows: TestDma[] = [{ page: 0x1000 }];
    for (let page = 1; page <= 3; page++) rows.push({ page: 0x1000 + page, at: 5000 });
    const [, a, b, c] = dut.run(rows) as [TestOutcome, TestOutcome, TestOutcome, TestOutcome];
    expect(b.ready - a.ready).toBeCloseTo(120, 0);
    expect(c.ready - b.ready).toBeCloseTo(120, 0);
  });

  test('in-order release holds back a hit behind a miss of the same device, not of another', () => {
    const dut = bench(['translation.releaseInOrder=true']);
    dut.run([{ page: 0x1000 }, { page: 0x1000, device: 1, at: 2000 }]);
    const [miss, hit, other] = dut.run([
      { page: 0x1010, at: 5000 },
      { page: 0x1000, at: 5010 },
      { page: 0x1000, at: 5010, device: 1 },
    ]) as [TestOutcome, TestOutcome, TestOutcome];
    expect(hit.ready).toBe(miss.ready);
    expect(other.ready).toBeLessThan(miss.ready);
  });
});

describe('saturation', () => {
  test('misses complete every walk / walkers nanoseconds (Little)', () => {
    const dut = new DeviceUnderTest();
    const table = dut.table();
    for (let page = 0; page < 512; page++) table.map(page, page);
    dut.contexts.setLegacy(dut.sourceIds[0] as number, table, 1);
    dut.issue({ page: 511 });
    const rows = Array.from({ length: 400 }, (_, page) => ({ page, at: 5000 }));
    const outcomes = dut.run(rows);
    const span = (outcomes[399]?.ready ?? 0) - (outcomes[199]?.ready ?? 0);
    expect(span / 200).toBeCloseTo(120 / 4, 1);
  });

  test('hits complete at window / round trip', () => {
    const dut = bench(['device.readWindow=[10,10,10,10]']);
    dut.issue({ page: 0x1000 });
    const outcomes = dut.run(Array.from({ length: 200 }, () => ({ page: 0x1000, at: 5000 })));
    const interval = ((outcomes[199]?.done ?? 0) - (outcomes[99]?.done ?? 0)) / 100;
    expect(interval).toBeCloseTo(402 / 10, 0);
  });
});

describe('time parts', () => {
  test('add up to completion minus earliest issue of every piece', () => {
    const dut = bench();
    const rows = Array.from({ length: 60 }, (_, i) => ({ page: 0x1000 + (i % 50), at: i * 30, write: i % 3 === 0 }));
    const outcomes = dut.run(rows);
    const total = outcomes.reduce((sum, row, i) => sum + row.done - i * 30, 0);
    let parts = 0n;
    for (let part = 0; part < 7; part++) parts += dut.unit.times.total(part);
    expect(Number(parts) / 1000).toBeCloseTo(total, 3);
  });
});

describe('a DMA that spans pages', () => {
  test('is cut at page boundaries; the worst page decides the outcome', () => {
    const dut = bench();
    const row = dut.issue({ page: 0x103e, offset: 4000, bytes: 8192 });
    expect([row.outcome, row.fault, row.pfn]).toEqual(['fault', 6, 0x53e]);
  });

  test('reaches over the 4 GiB boundary', () => {
    const dut = new DeviceUnderTest();
    const table = dut.table();
    table.map(0xfffff, 1);
    table.map(0x100000, 2);
    dut.contexts.setLegacy(dut.sourceIds[0] as number, table, 1);
    const row = dut.issue({ page: 0xfffff, offset: 2048, bytes: 4096 });
    expect([row.outcome, row.pfn]).toEqual(['miss', 1]);
    expect(dut.unit.probe(dut.sourceIds[0] as number, 0, 0x100000, 0).outcome).toBe(0);
  });

  test('gives the same outcome however often it is interrupted', () => {
    const whole = bench().issue({ page: 0x1000, bytes: 40960, offset: 512 });
    const dut = bench();
    for (let at = 1; at < 400; at++) dut.timeline.schedule(at * 3000, () => {});
    expect(dut.issue({ page: 0x1000, bytes: 40960, offset: 512 })).toEqual(whole);
  });
});
