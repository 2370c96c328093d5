/** The rules of the recorders' emulated units, which check recordings and are no hardware. */
import { expect, test } from 'vitest';
import { QEMU_7_2, QEMU_11_1 } from '../../../../src/hw/profiles/recorders.ts';
import { DeviceUnderTest, descriptors } from '../../../support/device-under-test.ts';

const HIT = 0;
const MISS = 1;
const DID = 7;

function recorder(profile: unknown): { dut: DeviceUnderTest; outcome: (page: number, device?: number) => number } {
  const dut = new DeviceUnderTest({ deferred: true, profile });
  const table = dut.table();
  for (let page = 0; page < 1500; page++) table.map(page, 0x1000 + page);
  table.map(0x200000, 0x8000, 3, 1);
  for (const source of dut.sourceIds) dut.contexts.setLegacy(source, table, DID);
  const outcome = (page: number, device = 0): number =>
    dut.unit.access(dut.sourceIds[device] as number, 0, page, 0).outcome;
  return { dut, outcome };
}

function execute(dut: DeviceUnderTest, words: readonly number[]): void {
  dut.unit.executeDescriptor(words[0] as number, words[1] as number, words[2] as number, words[3] as number);
}

test('entries belong to one requester', () => {
  const { outcome } = recorder(QEMU_7_2);
  expect([outcome(1), outcome(1), outcome(1, 1), outcome(1, 1)]).toEqual([MISS, HIT, MISS, HIT]);
});

test('the fill that finds 1024 entries empties the table first', () => {
  const { dut, outcome } = recorder(QEMU_7_2);
  for (let page = 0; page < 1024; page++) outcome(page);
  expect(outcome(0)).toBe(HIT);
  expect(outcome(1024)).toBe(MISS);
  expect([outcome(1023), outcome(1024), outcome(0)]).toEqual([MISS, HIT, MISS]);
  expect(dut.unit.counters()['model.iotlb_resets']).toBe(1);
});

test('QEMU 7.2: page invalidation compares 8 bits of the page number; QEMU 11.1 all', () => {
  const old = recorder(QEMU_7_2);
  const recent = recorder(QEMU_11_1);
  for (const { dut, outcome } of [old, recent]) {
    for (const page of [0x010, 0x110, 0x211, 0x020]) outcome(page);
    execute(dut, descriptors.iotlbPages(DID, 0x010));
  }
  expect([0x020, 0x211, 0x110, 0x010].map((page) => old.outcome(page))).toEqual([HIT, HIT, MISS, MISS]);
  expect([0x020, 0x211, 0x110, 0x010].map((page) => recent.outcome(page))).toEqual([HIT, HIT, HIT, MISS]);
});

test('QEMU 7.2: a mask of 8 bits or more drops the whole domain', () => {
  const { dut, outcome } = recorder(QEMU_7_2);
  for (const page of [0x010, 0x410]) outcome(page);
  execute(dut, descriptors.iotlbPages(DID, 0, 8));
  expect(outcome(0x410)).toBe(MISS);
});

test('a large page that covers the address is dropped, entries of other domains stay', () => {
  const { dut, outcome } = recorder(QEMU_11_1);
  outcome(0x200003);
  execute(dut, descriptors.iotlbPages(DID + 1, 0x200055));
  expect(outcome(0x2000ff)).toBe(HIT);
  execute(dut, descriptors.iotlbPages(DID, 0x200055));
  expect(outcome(0x2000ff)).toBe(MISS);
});

test('hits need no context entry and check no permission', () => {
  const { dut, outcome } = recorder(QEMU_7_2);
  outcome(1);
  const source = dut.sourceIds[0] as number;
  dut.contexts.clearContext(source);
  execute(dut, descriptors.contextDevice(source));
  expect(outcome(1)).toBe(HIT);
  expect(dut.unit.access(source, 0, 2, 0)).toMatchObject({ outcome: 3, fault: 2 });
});

test('a recorded start state can be put in', () => {
  const { dut, outcome } = recorder(QEMU_7_2);
  const source = dut.sourceIds[0] as number;
  dut.unit.seedIotlb(source, DID, 0x77, 12, 0x4444, 3);
  dut.unit.seedIotlb(source, DID, 0x400000, 21, 0x9000, 3);
  expect(dut.unit.access(source, 0, 0x77, 0)).toMatchObject({ outcome: HIT, pfn: 0x4444 });
  expect(dut.unit.access(source, 0, 0x400123, 0)).toMatchObject({ outcome: HIT, pfn: 0x9123, pageShift: 21 });
  execute(dut, descriptors.iotlbDomain(DID));
  expect(outcome(0x77)).toBe(MISS);
  outcome(0x78);
  dut.unit.resetIotlb();
  expect(outcome(0x78)).toBe(MISS);
});

test('a seeded context entry is used until it is invalidated', () => {
  const { dut } = recorder(QEMU_7_2);
  const source = dut.sourceIds[0] as number;
  const table = dut.table();
  table.map(3, 0x3333);
  const low = ((table.root % 1048576) * 4096 + 1) >>> 0;
  dut.unit.seedContext(source, [low, Math.floor(table.root / 1048576), 2 | (9 << 8), 0, 0, 0, 0, 0]);
  expect(dut.unit.access(source, 0, 3, 0).pfn).toBe(0x3333);
  execute(dut, descriptors.iotlbDomain(9));
  execute(dut, descriptors.contextDevice(source));
  expect(dut.unit.access(source, 0, 3, 0).pfn).toBe(0x1003);
});
