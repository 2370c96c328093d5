/** The queue: timing of submissions, draining, order, errors. Doorbell 200, fetch 200, execution 100, status 200 [ns]. */
import { expect, test } from 'vitest';
import { FSTS_REG, IQH_REG, IQT_REG } from '../../../../src/hw/vtd/registers.ts';
import { DeviceUnderTest, descriptors } from '../../../support/device-under-test.ts';

const DID = 7;
const PAGES = descriptors.iotlbPages(DID, 0x1000);

function bench(scalable = false): DeviceUnderTest {
  const dut = new DeviceUnderTest({ scalable });
  const table = dut.table();
  for (let page = 0; page < 64; page++) table.map(0x1000 + page, 0x500 + page);
  if (scalable) dut.contexts.setPasid(dut.sourceIds[0] as number, 0, table, DID);
  else dut.contexts.setLegacy(dut.sourceIds[0] as number, table, DID);
  return dut;
}

test.each([
  [1, 700],
  [3, 900],
  [16, 2200],
])('%i descriptors and a wait take %i ns from tail write to status', (count, expected) => {
  for (const scalable of [false, true]) {
    const dut = bench(scalable);
    const handle = dut.submit(
      1000,
      Array.from({ length: count }, () => PAGES),
    );
    dut.settle();
    expect(handle.doneNs).toBe(1000 + expected);
  }
});

test('a wait is not complete before DMA that used what was dropped has reached memory', () => {
  const dut = bench();
  dut.issue({ page: 0x1000 });
  const handle = dut.submit(10_000, [PAGES]);
  // Arrives at 10,491, just before the effect; its data is in memory 52 ns later.
  const row = dut.issue({ page: 0x1000, at: 10_380, write: true });
  dut.settle();
  expect(row.arrive).toBeLessThan(10_500);
  expect(row.done).toBeGreaterThan(10_500);
  expect(handle.doneNs).toBeCloseTo(row.done + 200, 6);
});

test('it does not wait for DMA of other domains, nor without drain bits', () => {
  const dut = bench();
  dut.issue({ page: 0x1000 });
  const other = dut.submit(10_000, [descriptors.iotlbPages(99, 0x1000)]);
  dut.issue({ page: 0x1000, at: 10_380, write: true });
  dut.settle();
  expect(other.doneNs).toBe(10_700);
  const undrained = dut.submit(20_000, [PAGES.map((word, at) => (at === 0 ? word & ~0xc0 : word))]);
  dut.issue({ page: 0x1000, at: 20_380, write: true });
  dut.settle();
  expect(undrained.doneNs).toBe(20_700);
});

test('submissions made while the queue is busy follow in order', () => {
  const dut = bench();
  const first = dut.submit(1000, [PAGES, PAGES]);
  const second = dut.submit(1100, [PAGES]);
  dut.settle();
  expect(first.doneNs).toBe(1800);
  expect(second.doneNs as number).toBeGreaterThan(first.doneNs as number);
  const { submissions, descriptors: kinds, peakOccupancy, waitLatency } = dut.unit.queueStatistics();
  expect([submissions, kinds['iotlb_pages'], kinds['wait']]).toEqual([2, 3, 2]);
  expect(peakOccupancy).toBe(5);
  expect([waitLatency.count, waitLatency.min]).toEqual([2, 800_000]);
});

test('the ring wraps', () => {
  const dut = bench();
  for (let round = 0; round < 300; round++) {
    const handle = dut.submit(10_000 * (round + 1), [PAGES, PAGES]);
    dut.settle();
    expect(handle.doneNs).toBe(10_000 * (round + 1) + 800);
  }
});

test('a bad descriptor stops the queue at its place and sets IQE; clearing IQE goes on', () => {
  const dut = bench();
  const before = dut.submit(1000, [PAGES]);
  dut.settle();
  const handle = dut.submit(5000, [PAGES, [0xf, 0, 0, 0]]);
  dut.settle();
  expect(before.doneNs).toBe(1700);
  expect(handle.doneNs).toBeUndefined();
  expect(dut.unit.mmioRead(FSTS_REG) & 0x10).toBe(0x10);
  expect([dut.unit.mmioRead(IQH_REG) >>> 4, dut.unit.mmioRead(IQT_REG) >>> 4]).toEqual([3, 5]);
  // Software replaces the bad descriptor by a harmless one, as qi_check_fault() does.
  const ring = dut.memory;
  const frame = (0x1000_0000 + 1) as never;
  expect(ring.readWord(frame, 3 * 4)).toBe(0xf);
  ring.writeWord(frame, 3 * 4, PAGES[0] as number);
  dut.unit.mmioWrite(FSTS_REG, 0x10, 0, dut.timeline.now);
  dut.settle();
  expect(handle.doneNs).toBeDefined();
});

test('deferred mode completes waits at once and leaves the caches alone', () => {
  const dut = new DeviceUnderTest({ deferred: true });
  const table = dut.table();
  table.map(0x1000, 0x500);
  const source = dut.sourceIds[0] as number;
  dut.contexts.setLegacy(source, table, DID);
  expect(dut.unit.access(source, 0, 0x1000, 0)).toEqual({ outcome: 1, fault: 0, pfn: 0x500, pageShift: 12 });
  table.unmap(0x1000);
  const handle = dut.submit(0, [PAGES]);
  expect(handle.doneNs).toBe(0);
  expect(dut.unit.access(source, 0, 0x1000, 0).outcome).toBe(0);
  dut.unit.executeDescriptor(PAGES[0] as number, PAGES[1] as number, PAGES[2] as number, PAGES[3] as number);
  expect(dut.unit.probe(source, 0, 0x1000, 0)).toMatchObject({ outcome: 3, fault: 6 });
  expect(dut.unit.access(source, 0, 0x1000, 1)).toMatchObject({ outcome: 3, fault: 5 });
});
