/** The queue: timing of submissions, draining, order, errors. Doorbell 200, fetch 200, execution 100, status 200 [ns]. */
import { describe, expect, test } from 'vitest';
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

/** The bad descriptor of a submission, repaired in place in the ring: its first four words. */
function repair(dut: DeviceUnderTest, slot: number, words: readonly number[]): void {
  const frame = (0x1000_0000 + 1) as never;
  for (let word = 0; word < 4; word++) dut.memory.writeWord(frame, slot * 4 + word, words[word] as number);
}

describe('a descriptor that is an error', () => {
  const iotlbDomain = descriptors.iotlbDomain(DID);
  const wait = [0x25, 2, 0x1000_0000, 0];
  const set = (words: readonly number[], word: number, bits: number): number[] =>
    words.map((value, at) => (at === word ? (value | bits) >>> 0 : value));
  const bad: [string, readonly number[]][] = [
    ['type 0', [0, 0, 0, 0]],
    ['type 15', [0xf, 0, 0, 0]],
    ['a type with bits 11:9', set(iotlbDomain, 0, 0x200)],
    ['a reserved granularity of the IOTLB', [0x02, 0, 0, 0]],
    ['a reserved granularity of the PASID cache', [0x27, 0, 0, 0]],
    ['bit 15 of an IOTLB descriptor', set(iotlbDomain, 0, 0x8000)],
    ['word 1 of an IOTLB descriptor', set(iotlbDomain, 1, 1)],
    ['bit 7 of its address word', set(PAGES, 2, 0x80)],
    ['AM above MAMV', descriptors.iotlbPages(DID, 0, 19)],
    ['word 2 of a context-cache descriptor', set(descriptors.contextGlobal(), 2, 1)],
    ['bit 31 of its source word', set(descriptors.contextDevice(0x100), 1, 0x8000_0000)],
    ['bit 5 of a device-TLB descriptor', set(descriptors.deviceTlb(0x100, 0), 0, 0x20)],
    ['bit 1 of its address word', set(descriptors.deviceTlb(0x100, 0), 2, 2)],
    ['bit 12 of an interrupt-entry descriptor', [0x1004, 0, 0, 0]],
    ['bit 16 of a wait descriptor', set(wait, 0, 0x1_0000)],
    ['bit 0 of its address', set(wait, 2, 1)],
    ['PASID bit 20 of a PASID-based descriptor', set(descriptors.pasidIotlb(DID, 5), 1, 0x10_0000)],
    ['word 3 of a PASID-cache descriptor', set(descriptors.pasidCache(DID, 5), 3, 1)],
    ['bit 6 of a page-group response', set(descriptors.pageResponse(0x100, 3, 0), 0, 0x40)],
  ];

  test.each(bad)('%s stops the queue, raises the event once, and is fetched again when IQE is cleared', (_, words) => {
    const dut = bench();
    const events: number[] = [];
    dut.unit.onQueueError((atTick) => events.push(atTick / 1000));
    const handle = dut.submit(5000, [PAGES, words, PAGES]);
    dut.settle();
    expect([handle.doneNs, dut.unit.mmioRead(FSTS_REG), dut.unit.mmioRead(IQH_REG) >>> 4]).toEqual([
      undefined,
      0x10,
      1,
    ]);
    // Doorbell, fetch, and the descriptor in front.
    expect(events).toEqual([5500]);
    // Nothing is fetched while the bit is set, and the same descriptor is an error again.
    const later = dut.submit(9000, [PAGES]);
    dut.settle();
    expect([later.doneNs, dut.unit.mmioRead(IQH_REG) >>> 4, events.length]).toEqual([undefined, 1, 1]);
    dut.unit.mmioWrite(FSTS_REG, 0x10, 0, dut.timeline.now);
    dut.settle();
    expect([dut.unit.mmioRead(FSTS_REG), events.length]).toEqual([0x10, 2]);
    repair(dut, 1, PAGES);
    dut.unit.mmioWrite(FSTS_REG, 0x10, 0, dut.timeline.now);
    dut.settle();
    expect(dut.unit.mmioRead(FSTS_REG)).toBe(0);
    expect(later.doneNs as number).toBeGreaterThanOrEqual(handle.doneNs as number);
  });

  test('none of them is executed, nor what follows', () => {
    for (const [, words] of bad) {
      const dut = bench();
      dut.issue({ page: 0x1000 });
      dut.submit(5000, [words, descriptors.iotlbGlobal()]);
      dut.settle();
      expect(dut.issue({ page: 0x1000, at: 20_000 }).outcome).toBe('hit');
    }
  });

  test('every descriptor with all of its fields in use is none', () => {
    const used = [
      [0x31, 0x3_ffff, 0, 0],
      [0xffff_00f2, 0, 0xffff_f052, 0xffff_ffff],
      [0x001f_f003, 0xfff0_ffff, 0xffff_f001, 0xffff_ffff],
      [0xf800_0014, 0xffff, 0, 0],
      [0xffff_0036, 0xf_ffff, 0xffff_f07f, 0xffff_ffff],
      [0xffff_0017, 0xf_ffff, 0, 0],
      [0xffff_f1f8, 0xffff_ffff, 0xffff_f801, 0xffff_ffff],
      [0xffff_f019, 0xf_ffff, 0xffc, 0],
    ];
    const dut = bench(true);
    const handle = dut.submit(1000, used, 0xc0);
    dut.settle();
    expect([handle.doneNs === undefined, dut.unit.mmioRead(FSTS_REG)]).toEqual([false, 0]);
  });

  test('the upper half of a 256-bit descriptor is reserved, but that of a page-group response', () => {
    for (const [words, status] of [
      [PAGES, 0x10],
      [descriptors.pageResponse(0x100, 3, 0), 0],
    ] as const) {
      const dut = bench(true);
      dut.submit(1000, [[...words, 0, 0, 1, 0]]);
      dut.settle();
      expect(dut.unit.mmioRead(FSTS_REG)).toBe(status);
    }
  });

  test('a tail in the middle of a 256-bit descriptor is an error too; a whole one goes on', () => {
    const dut = bench(true);
    const events: number[] = [];
    dut.unit.onQueueError((atTick) => events.push(atTick));
    dut.unit.mmioWrite(IQT_REG, 0x10, 0, 1000);
    expect([dut.unit.mmioRead(FSTS_REG), dut.unit.mmioRead(IQT_REG), events]).toEqual([0x10, 0, [1000]]);
    const handle = dut.submit(5000, [PAGES]);
    dut.settle();
    expect(handle.doneNs).toBeUndefined();
    dut.unit.mmioWrite(FSTS_REG, 0x10, 0, dut.timeline.now);
    dut.settle();
    expect([handle.doneNs === undefined, dut.unit.mmioRead(FSTS_REG)]).toEqual([false, 0]);
  });

  test('bit 4 of a tail of 128-bit descriptors is part of the index', () => {
    const dut = bench();
    dut.unit.mmioWrite(IQT_REG, 0x10, 0, 1000);
    expect(dut.unit.mmioRead(IQT_REG)).toBe(0x10);
  });
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
