/**
 * Caching mode (CAP.CM, VT-d spec 6.1): what is not present is cached too, so that a map without an invalidation is seen.
 * First-stage tables are exempt. Hit 2, walk 20 + 100 a read [ns].
 */
import { describe, expect, test } from 'vitest';
import { FSTS_REG } from '../../../../src/hw/vtd/registers.ts';
import { DeviceUnderTest, descriptors, FULL_CAP, type TestDma } from '../../../support/device-under-test.ts';
import type { TestPageTable } from '../../../support/table-builder.ts';

const DID = 7;
const CM = 0x80n;
const PAGE = 0x1000;

interface Options {
  readonly caching?: boolean;
  readonly scalable?: boolean;
  readonly plainRows?: boolean;
  readonly set?: readonly string[];
  readonly ats?: boolean;
}

function unit({ caching = true, scalable = false, plainRows = true, set = [], ats = false }: Options): DeviceUnderTest {
  const cap = BigInt(`0x${FULL_CAP}`) | (caching ? CM : 0n);
  const registers = `registers.cap=${cap.toString(16)}`;
  const endpoints = ats ? { endpoints: [{ device: 0 }] } : {};
  return new DeviceUnderTest({ scalable, plainRows, set: [registers, ...set], ...endpoints });
}

/** A unit whose devices use one second-stage table, in which the neighbour of {@link PAGE} is mapped. */
function bench(options: Options = {}): { dut: DeviceUnderTest; table: TestPageTable } {
  const dut = unit(options);
  const table = dut.table();
  table.map(PAGE + 1, 0x501);
  for (const source of dut.sourceIds) {
    if (options.scalable === true) {
      dut.contexts.setPasid(source, 0, table, DID);
      if (options.ats === true) dut.contexts.setContextBits(source, 4);
    } else dut.contexts.setLegacy(source, table, DID);
  }
  return { dut, table };
}

function faultOf(dut: DeviceUnderTest, row: TestDma): number {
  const { outcome, fault } = dut.issue(row);
  expect(outcome === 'fault').toBe(fault !== 0);
  return fault;
}

describe.each([
  ['legacy, compiled loop', false, true, 6, 5],
  ['legacy, no compiled loop', false, false, 6, 5],
  ['scalable, compiled loop', true, true, 0x79, 0x79],
])('an absent page of the second stage: %s', (_, scalable, plainRows, read, write) => {
  test('faults from the IOTLB, without a walk, though it has been mapped since', () => {
    const { dut, table } = bench({ scalable, plainRows });
    expect(dut.issue({ page: PAGE })).toMatchObject({ outcome: 'fault', fault: read, pfn: PAGE });
    table.map(PAGE, 0x500);
    const again = dut.issue({ page: PAGE, at: 5000 });
    expect(again).toMatchObject({ outcome: 'fault', fault: read, reads: 0, pfn: PAGE, pageShift: 0 });
    expect(again.ready - again.arrive).toBeCloseTo(2, 6);
    // Of other devices of the domain too, in either direction, and a probe says so.
    expect(faultOf(dut, { page: PAGE, device: 1, write: true, at: 9000 })).toBe(write);
    expect(dut.unit.probe(dut.sourceIds[0] as never, 0 as never, PAGE, 1).fault).toBe(write);
    expect(dut.issue({ page: PAGE + 1, at: 12_000 }).pfn).toBe(0x501);
  });

  test.each([
    ['page-selective', () => descriptors.iotlbPages(DID, PAGE)],
    ['page-selective, leaf only, of 16 pages', () => descriptors.iotlbPages(DID, PAGE, 4, true)],
    ['domain-selective', () => descriptors.iotlbDomain(DID)],
    ['global', () => descriptors.iotlbGlobal()],
  ])('is found after an invalidation: %s', (_name, descriptor) => {
    const { dut, table } = bench({ scalable, plainRows });
    dut.issue({ page: PAGE });
    table.map(PAGE, 0x500);
    dut.submit(5000, [descriptor()]);
    dut.settle();
    expect(dut.unit.mmioRead(FSTS_REG) & 0x10).toBe(0);
    expect(dut.unit.probe(dut.sourceIds[0] as never, 0 as never, PAGE, 0).pfn).toBe(0x500);
    expect(dut.issue({ page: PAGE, at: 10_000 })).toMatchObject({ outcome: 'miss', pfn: 0x500 });
    expect(dut.issue({ page: PAGE, at: 15_000 })).toMatchObject({ outcome: 'hit', pfn: 0x500 });
  });

  test('is not found after the invalidation of another page or domain', () => {
    const { dut, table } = bench({ scalable, plainRows });
    dut.issue({ page: PAGE });
    table.map(PAGE, 0x500);
    dut.submit(5000, [descriptors.iotlbPages(DID, PAGE + 1), descriptors.iotlbDomain(DID + 1)]);
    dut.settle();
    expect(faultOf(dut, { page: PAGE, at: 10_000 })).toBe(read);
  });

  test('a request behind one whose walk is under way waits for its end', () => {
    const { dut } = bench({ scalable, plainRows });
    dut.run([0, 1].map((device) => ({ page: PAGE + 1, device, at: 1000 * device })));
    const [first, second] = dut.run([
      { page: PAGE, at: 5000 },
      { page: PAGE, device: 1, at: 5010 },
    ]);
    expect([first?.reads, second?.reads, second?.fault]).toEqual([1, 0, read]);
    expect(second?.ready).toBeCloseTo((first?.ready as number) + 2, 6);
  });
});

describe('what is not cached', () => {
  test('anything, without CM; or by a profile that says so', () => {
    for (const options of [{ caching: false }, { set: ['iotlb.cachesNotPresent=false'] }]) {
      const { dut, table } = bench(options);
      expect(faultOf(dut, { page: PAGE })).toBe(6);
      table.map(PAGE, 0x500);
      expect(dut.issue({ page: PAGE, at: 5000 })).toMatchObject({ outcome: 'miss', pfn: 0x500 });
    }
  });

  test('a page with the wrong permission: it is present', () => {
    const { dut, table } = bench();
    table.map(PAGE, 0x500, 1);
    expect(faultOf(dut, { page: PAGE, write: true })).toBe(5);
    table.map(PAGE, 0x500, 3);
    expect(faultOf(dut, { page: PAGE, write: true, at: 5000 })).toBe(0);
  });

  test('an absent page of the first stage', () => {
    const dut = unit({ scalable: true });
    const table = dut.table(4, 'first');
    table.map(PAGE + 1, 0x501);
    dut.contexts.setPasid(dut.sourceIds[0] as number, 0, table, DID);
    expect(faultOf(dut, { page: PAGE })).toBe(0x71);
    table.map(PAGE, 0x500);
    expect(faultOf(dut, { page: PAGE, at: 5000 })).toBe(0);
  });
});

describe('absent entries', () => {
  test.each([
    ['root', (): void => {}, 1],
    [
      'context',
      (dut: DeviceUnderTest, table: TestPageTable) => {
        dut.contexts.setLegacy(dut.sourceIds[1] as number, table, DID);
      },
      2,
    ],
  ])('the %s entry stays absent until its source id is invalidated', (_, prepare, fault) => {
    for (const [caching, expected] of [
      [true, fault],
      [false, 0],
    ] as const) {
      for (const flush of [
        descriptors.contextDevice(0x100),
        descriptors.contextDomain(0),
        descriptors.contextGlobal(),
      ]) {
        const dut = unit({ caching });
        const table = dut.table();
        table.map(PAGE, 0x500);
        prepare(dut, table);
        const [source] = dut.sourceIds as [number];
        expect(dut.issue({ page: PAGE }).fault).toBe(fault);
        dut.contexts.setLegacy(source, table, DID);
        expect(dut.unit.probe(source as never, 0 as never, PAGE, 0).fault).toBe(expected);
        expect(dut.issue({ page: PAGE, at: 5000 })).toMatchObject({ fault: expected, reads: caching ? 0 : 6 });
        dut.submit(9000, [descriptors.contextDomain(DID + 1)]);
        dut.settle();
        expect(faultOf(dut, { page: PAGE, at: 15_000 })).toBe(expected);
        dut.submit(20_000, [flush]);
        dut.settle();
        expect(faultOf(dut, { page: PAGE, at: 25_000 })).toBe(0);
      }
    }
  });

  test.each([
    ['directory', 700, 0x51],
    ['PASID', 6, 0x59],
  ])('the %s entry stays absent until its PASID is invalidated, whatever the domain', (_, pasid, fault) => {
    for (const [caching, expected] of [
      [true, fault],
      [false, 0],
    ] as const) {
      for (const flush of [
        descriptors.pasidCache(DID, pasid),
        descriptors.pasidCacheDomain(DID),
        descriptors.pasidCacheGlobal(),
      ]) {
        const dut = unit({ caching, scalable: true });
        const table = dut.table();
        table.map(PAGE, 0x500);
        const [source] = dut.sourceIds as [number];
        dut.contexts.setPasid(source, 0, table, DID);
        expect(faultOf(dut, { page: PAGE, pasid })).toBe(fault);
        dut.contexts.setPasid(source, pasid, table, DID);
        expect(dut.unit.probe(source as never, pasid as never, PAGE, 0).fault).toBe(expected);
        expect(faultOf(dut, { page: PAGE, pasid, at: 5000 })).toBe(expected);
        dut.submit(9000, [descriptors.pasidCache(DID, pasid + 1)]);
        dut.settle();
        expect(faultOf(dut, { page: PAGE, pasid, at: 15_000 })).toBe(expected);
        dut.submit(20_000, [flush]);
        dut.settle();
        expect(faultOf(dut, { page: PAGE, pasid, at: 25_000 })).toBe(0);
      }
    }
  });
});

test('a translation request is denied by what is cached, as by a walk', () => {
  const { dut, table } = bench({ scalable: true, ats: true });
  dut.enableAts(0);
  expect(dut.issue({ page: PAGE }).outcome).toBe('fault');
  table.map(PAGE, 0x500);
  expect(dut.issue({ page: PAGE, at: 9000 })).toMatchObject({ outcome: 'fault', fault: 0x79 });
  expect(dut.unit.counters()['model.fault_records']).toBe(0);
  dut.submit(20_000, [descriptors.iotlbPages(DID, PAGE)]);
  dut.settle();
  expect(dut.issue({ page: PAGE, at: 30_000 }).pfn).toBe(0x500);
});
