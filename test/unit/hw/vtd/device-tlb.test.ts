/**
 * Devices that translate for themselves. Device-TLB lookup 3, link 100 one way, hit 2, walk 20 + 100 a read, 40 more for
 * a translation request; invalidation 50 at the endpoint [ns].
 */
import { describe, expect, test } from 'vitest';
import { sourceId } from '../../../../src/address.ts';
import { MAX_DEVICE_SPACES } from '../../../../src/hw/device-tlb.ts';
import { ATS_ENABLE, PciRegister } from '../../../../src/hw/pci-function.ts';
import { DmaFlag } from '../../../../src/hw/unit.ts';
import { TimePart } from '../../../../src/hw/vtd/counters.ts';
import { Endpoint } from '../../../../src/hw/vtd/endpoint.ts';
import { EndpointTimes } from '../../../../src/hw/vtd/endpoint-times.ts';
import { FaultReason } from '../../../../src/hw/vtd/fault-reasons.ts';
import { FSTS_REG, IQERCD_REG } from '../../../../src/hw/vtd/registers.ts';
import { DeviceUnderTest, descriptors, type TestOutcome, WHOLE_DEVICE } from '../../../support/device-under-test.ts';
import type { TestPageTable } from '../../../support/table-builder.ts';

const DID = 7;
const DEVICE_TLB_ENABLE = 4;
const LEGACY_DEVICE_TLB = 1;
const LOOKUP = 3;
const ONE_WAY = 100;
const EXTRA = 40;
const HIT = 2;

interface Bench {
  readonly dut: DeviceUnderTest;
  readonly table: TestPageTable;
  readonly source: number;
}

/** Device 0 has ATS, device 1 has not; both use one table. */
function bench(set: readonly string[] = [], scalable = false): Bench {
  const dut = new DeviceUnderTest({ scalable, set, endpoints: [{ device: 0 }] });
  const table = dut.table();
  for (let page = 0; page < 64; page++) table.map(0x1000 + page, 0x500 + page);
  table.map(0x200000, 0x8000, 3, 1);
  const [source, plain] = dut.sourceIds as [number, number];
  if (scalable) {
    dut.contexts.setPasid(source, 0, table, DID);
    dut.contexts.setPasid(plain, 0, table, DID);
    dut.contexts.setContextBits(source, DEVICE_TLB_ENABLE);
  } else {
    dut.contexts.setLegacy(source, table, DID, LEGACY_DEVICE_TLB);
    dut.contexts.setLegacy(plain, table, DID);
  }
  dut.enableAts(0);
  return { dut, table, source };
}

/** [ns] A translation request that takes `translation` at the unit, from the device's lookup on. */
function requestTime(dut: DeviceUnderTest, translation: number): number {
  return LOOKUP + dut.wire(24) + ONE_WAY + translation + EXTRA + dut.wire(28) + ONE_WAY;
}

/** [ns] A 64-byte read without any translation, with the unit's look at the entries. */
function plainRead(): number {
  const { dut } = bench();
  const [, hit] = dut.run([
    { page: 0x1000, device: 1 },
    { page: 0x1000, device: 1, at: 5000 },
  ]) as TestOutcome[];
  return (hit as TestOutcome).done - (hit as TestOutcome).issue;
}

describe('an unloaded device with ATS', () => {
  test('first request: translation request with 2 context and 4 page reads, then the request itself', () => {
    const { dut } = bench();
    const first = dut.issue({ page: 0x1000 });
    expect([first.outcome, first.reads, first.pfn]).toEqual(['miss', 6, 0x500]);
    expect(first.done - first.issue).toBeCloseTo(requestTime(dut, 20 + 600) + plainRead(), 6);
  });

  test('same page again: from the device TLB, with nothing but the lookup added', () => {
    const { dut } = bench();
    const [, again] = dut.run([{ page: 0x1000 }, { page: 0x1000, at: 5000 }]) as TestOutcome[];
    expect([again?.outcome, again?.reads, again?.pfn]).toEqual(['deviceHit', 0, 0x500]);
    expect((again as TestOutcome).done - 5000).toBeCloseTo(LOOKUP + plainRead(), 6);
    expect((again as TestOutcome).ready - (again as TestOutcome).arrive).toBeCloseTo(HIT, 6);
  });

  test('its reads keep nobody from the port to memory until they come', () => {
    const misses = Array.from({ length: 8 }, (_, page) => ({ page: 0x1001 + page, atTick: 5_000_000 + page * 1000 }));
    const last = (set: readonly string[]): number => {
      const { dut } = bench(set);
      dut.issue({ page: 0x1000, device: 1 });
      return (dut.run(misses).at(-1) as TestOutcome).done;
    };
    // Eight reads of one line take 40 ns of the port in all; the last waits for no more than that.
    const port = ['link.readPortLineNs=5', 'link.readPortDelayNs=1000'];
    expect(last(port)).toBeGreaterThanOrEqual(last([]));
    expect(last(port)).toBeLessThanOrEqual(last([]) + 40);
  });

  test('a miss that the IOTLB knows costs the round trip alone', () => {
    const { dut } = bench();
    dut.issue({ page: 0x1000, device: 1 });
    dut.issue({ page: 0x1001 });
    const hit = dut.issue({ page: 0x1000, at: 5000 });
    expect(hit.outcome).toBe('hit');
    expect(hit.done - hit.issue).toBeCloseTo(requestTime(dut, HIT) + plainRead(), 6);
  });

  test('a 2 MiB page fills one entry for 512 pages', () => {
    const { dut } = bench();
    const [first, inside] = dut.run([{ page: 0x200000 }, { page: 0x2001ff, at: 5000 }]);
    expect([first?.pageShift, inside?.outcome, inside?.pfn]).toEqual([21, 'deviceHit', 0x81ff]);
  });

  test('a request for a page asked for already joins that request: not ready before it, one lookup after it', () => {
    const answered = requestTime(bench().dut, 20 + 600);
    const { dut } = bench();
    const [first, joined] = dut.run([{ page: 0x1000 }, { page: 0x1000, at: 100 }]) as [TestOutcome, TestOutcome];
    expect(joined.outcome).toBe('mergedMiss');
    const flight = joined.arrive - (first.issue + answered + LOOKUP);
    expect(flight).toBeCloseTo(dut.wire(24) + ONE_WAY, 6);
    const at = bench().dut.run([{ page: 0x1000 }, { page: 0x1000, at: answered }])[1];
    const before = bench().dut.run([{ page: 0x1000 }, { page: 0x1000, at: answered - 0.001 }])[1];
    expect([before?.outcome, at?.outcome]).toEqual(['mergedMiss', 'deviceHit']);
  });

  test('hits go on under a miss', () => {
    const { dut } = bench();
    const rows = [{ page: 0x1000 }, { page: 0x1005, at: 5000 }, { page: 0x1000, at: 5010 }];
    const [, miss, hit] = dut.run(rows) as [TestOutcome, TestOutcome, TestOutcome];
    expect(hit.done).toBeLessThan(miss.arrive + 400);
    expect(hit.done - 5010).toBeCloseTo(LOOKUP + plainRead(), 6);
  });

  test('with one request at a time the next miss waits for the answer', () => {
    const { dut } = bench(['endpoint.translationWindow=1']);
    dut.issue({ page: 0x1000 });
    const rows = [
      { page: 0x1001, at: 5000 },
      { page: 0x1002, at: 5000 },
    ];
    const [a, b] = dut.run(rows) as [TestOutcome, TestOutcome];
    const one = requestTime(dut, 120);
    expect(a.arrive - a.issue).toBeCloseTo(one + dut.wire(24) + ONE_WAY, 6);
    expect(b.arrive - a.arrive).toBeCloseTo(one - LOOKUP, 6);
  });

  test('a row over two pages is two lookups', () => {
    const { dut } = bench();
    dut.issue({ page: 0x1000, offset: 4000, bytes: 200 });
    expect(dut.unit.counters()['model.device_tlb_lookup']).toBe(2);
    expect(dut.unit.counters()['model.device_tlb_requests']).toBe(2);
  });

  test('geometry counts: with one entry every other page misses', () => {
    const { dut } = bench(['endpoint.deviceTlb.entries=1', 'endpoint.deviceTlb.ways=1']);
    dut.run([{ page: 0x1000 }, { page: 0x1001, at: 5000 }, { page: 0x1000, at: 9000 }]);
    expect(dut.unit.counters()).toMatchObject({ 'model.device_tlb_hit': 0, 'model.device_tlb_evicted': 2 });
  });
});

describe('time', () => {
  test('the parts of the time of all requests add up to what passed, also of those that were refused', () => {
    const { dut, table } = bench();
    table.map(0x1010, 0x700, 1);
    const pages = [0x1000, 0x1001, 0x1000, 0x9000, 0x1010, 0x1010, 0x200003, 0x200004];
    const rows = pages.map((page, index) => ({ page, at: 5000 * index, write: index % 3 === 2 }));
    const spent = dut.run(rows).reduce((sum, { done }, index) => sum + Math.round((done - 5000 * index) * 1000), 0);
    const parts = Object.values(TimePart).reduce((sum, part) => sum + dut.unit.times.total(part), 0n);
    expect(parts).toBe(BigInt(spent));
    expect(dut.unit.times.total(TimePart.deviceTlb)).toBeGreaterThan(0n);
  });
});

describe('permissions', () => {
  test('a read-only page is not written: the request never goes out, and no fault is recorded', () => {
    const { dut, table } = bench();
    table.map(0x1010, 0x700, 1);
    const [read, write] = dut.run([{ page: 0x1010 }, { page: 0x1010, at: 5000, write: true }]);
    expect(read?.outcome).toBe('miss');
    expect([write?.outcome, write?.fault]).toEqual(['fault', FaultReason.write]);
    expect(dut.unit.counters()).toMatchObject({ 'model.device_tlb_denied': 1, 'model.fault_records': 0 });
    expect(dut.unit.mmioRead(FSTS_REG)).toBe(0);
  });

  test('an absent page likewise', () => {
    const { dut } = bench();
    expect(dut.issue({ page: 0x9000 })).toMatchObject({ outcome: 'fault', fault: FaultReason.read });
    expect(dut.unit.mmioRead(FSTS_REG)).toBe(0);
  });

  test('a write to a page cached for reading asks again', () => {
    const { dut, table } = bench();
    table.map(0x1010, 0x700, 1);
    dut.issue({ page: 0x1010 });
    table.map(0x1010, 0x700, 3);
    dut.submit(3000, [descriptors.iotlbPages(DID, 0x1010)]);
    dut.settle();
    expect(dut.issue({ page: 0x1010, at: 9000, write: true }).outcome).toBe('miss');
    expect(dut.issue({ page: 0x1010, at: 19000, write: true }).outcome).toBe('deviceHit');
  });
});

test('a large page hidden by a smaller entry is not cached twice: one invalidation takes it', () => {
  const { dut, table, source } = bench();
  table.map(0x1010, 0x700, 1);
  dut.issue({ page: 0x1010 });
  // A superpage takes the place of the table of small ones, and nobody says so to the device.
  table.map(0x1000, 0x9000, 3, 1);
  dut.submit(3000, [descriptors.iotlbDomain(DID)]);
  dut.settle();
  expect(dut.issue({ page: 0x1011, at: 9000 })).toMatchObject({ outcome: 'miss', pageShift: 21 });
  // The read-only 4 KiB entry hides the large one, and permits no write.
  expect(dut.issue({ page: 0x1010, at: 12_000, write: true })).toMatchObject({ outcome: 'hit', pageShift: 21 });
  dut.submit(20_000, [descriptors.deviceTlb(source, 0x1000)]);
  dut.settle();
  expect(dut.issue({ page: 0x1012, at: 30_000 }).outcome).toBe('hit');
});

test('a device that runs out of address spaces starts over with an empty TLB, and remembers who is under way', () => {
  const { endpoint: timing } = new DeviceUnderTest().config;
  if (timing.deviceTlb === undefined) throw new Error('no device TLB');
  const spec = { device: 0, sourceId: sourceId(1, 0, 0), pri: false };
  const endpoint = new Endpoint(spec, timing, timing.deviceTlb, new EndpointTimes());
  const { tlb } = endpoint;
  tlb.use(tlb.fill(endpoint.spaceOf(1), 0, 0x1000, 0, 0x500, 0, 0), 77_000);
  for (let pasid = 2; pasid <= MAX_DEVICE_SPACES; pasid++) endpoint.spaceOf(pasid);
  expect([tlb.lookup(endpoint.spaceOf(1), 0x1000, 0) >= 0, endpoint.spacesExhausted]).toEqual([true, 0]);
  const space = endpoint.spaceOf(MAX_DEVICE_SPACES + 1);
  expect([endpoint.spacesExhausted, endpoint.peekSpace(1), endpoint.lostUse]).toEqual([1, -1, 77_000]);
  expect(tlb.lookup(space, 0x1000, 0)).toBe(-1);
  expect(tlb.invalidate(space, 0x1000, 1)).toBe(77_000);
});

describe('what the entries let in', () => {
  test('legacy: translation type without device TLB refuses requests and records the fault', () => {
    const { dut, table, source } = bench();
    dut.contexts.setLegacy(source, table, DID);
    expect(dut.issue({ page: 0x1000 })).toMatchObject({ outcome: 'fault', fault: FaultReason.deviceTlbDisabled });
    expect(dut.unit.counters()['model.fault_records']).toBe(1);
  });

  test('scalable: without DTE the reason is SCT.6', () => {
    const dut = new DeviceUnderTest({ scalable: true, endpoints: [{ device: 0 }] });
    const table = dut.table();
    table.map(0x1000, 0x500);
    dut.contexts.setPasid(dut.sourceIds[0] as number, 0, table, DID);
    dut.enableAts(0);
    expect(dut.issue({ page: 0x1000 })).toMatchObject({ outcome: 'fault', fault: FaultReason.smDeviceTlbDisabled });
  });

  test('a translated request faults once its PASID entry is gone, although the device still has the translation', () => {
    const { dut, source } = bench([], true);
    dut.issue({ page: 0x1000 });
    dut.contexts.clearPasid(source, 0);
    dut.submit(5000, [descriptors.pasidCache(DID, 0)]);
    dut.settle();
    expect(dut.issue({ page: 0x1000, at: 9000 })).toMatchObject({
      outcome: 'fault',
      fault: FaultReason.smPasidEntryNotPresent,
    });
  });

  test('rows that say they are translated pass with their own address; translation requests fill the device TLB', () => {
    const { dut } = bench();
    const rows = [
      { page: 0x1003, flags: DmaFlag.translationRequest },
      { page: 0x1003, at: 5000 },
      { page: 0x777, at: 6000, flags: DmaFlag.translated },
    ];
    const [asked, hit, translated] = dut.run(rows) as TestOutcome[];
    expect([asked?.outcome, asked?.pfn]).toEqual(['miss', 0x503]);
    expect(asked?.done).toBeCloseTo((asked as TestOutcome).ready + ONE_WAY, 6);
    expect(hit?.outcome).toBe('deviceHit');
    expect([translated?.outcome, translated?.pfn]).toEqual(['passThrough', 0x777]);
  });

  test('a recorded request is denied when the page is refused, not when the device is', () => {
    const { dut, table, source } = bench();
    dut.issue({ page: 0x9000, flags: DmaFlag.translationRequest });
    expect(dut.unit.counters()['model.device_tlb_denied']).toBe(1);
    dut.contexts.setLegacy(source, table, DID);
    dut.submit(3000, [descriptors.contextGlobal()]);
    dut.settle();
    const refused = dut.issue({ page: 0x1000, at: 9000, flags: DmaFlag.translationRequest });
    expect(refused.fault).toBe(FaultReason.deviceTlbDisabled);
    expect(dut.unit.counters()['model.device_tlb_denied']).toBe(1);
  });

  test('from a device without ATS they are refused', () => {
    const { dut } = bench();
    for (const flags of [DmaFlag.translationRequest, DmaFlag.translated]) {
      const row = dut.issue({ page: 0x1000, device: 1, flags });
      expect(row).toMatchObject({ outcome: 'fault', fault: FaultReason.deviceTlbDisabled });
    }
  });

  test('writes to the interrupt range are never translated', () => {
    const { dut } = bench();
    expect(dut.issue({ page: 0xfee00, write: true }).outcome).toBe('passThrough');
    expect(dut.unit.counters()['model.device_tlb_lookup']).toBe(0);
  });

  test('with ATS off requests go out untranslated, and what was cached is gone when it comes back', () => {
    const { dut } = bench();
    dut.issue({ page: 0x1000 });
    dut.unit.functionAt(0)?.write(PciRegister.atsControl, 0, 0);
    expect(dut.issue({ page: 0x1000, at: 5000 }).outcome).toBe('hit');
    dut.unit.functionAt(0)?.write(PciRegister.atsControl, ATS_ENABLE, 0);
    expect(dut.issue({ page: 0x1000, at: 9000 }).outcome).toBe('hit');
    expect(dut.unit.counters()['model.device_tlb_requests']).toBe(2);
  });
});

describe('invalidation', () => {
  /** [ns] Descriptor executes 500 after the tail write; message down, endpoint, message up, status write. */
  function expectedDone(dut: DeviceUnderTest, from: number): number {
    return from + 500 + dut.wire(32) + ONE_WAY + 50 + dut.wire(24) + ONE_WAY + 200;
  }

  test('the wait completes when the endpoint has answered', () => {
    const { dut, source } = bench();
    dut.issue({ page: 0x1000 });
    const handle = dut.submit(10_000, [descriptors.deviceTlb(source, 0x1000)]);
    dut.settle();
    expect(handle.doneNs).toBeCloseTo(expectedDone(dut, 10_000), 6);
  });

  test('the entry is used until the message arrives, and not from then on', () => {
    const arrival = 10_500 + bench().dut.wire(32) + ONE_WAY;
    for (const [at, outcome] of [
      [arrival - 0.001, 'deviceHit'],
      [arrival, 'hit'],
    ] as const) {
      const { dut, source } = bench();
      dut.issue({ page: 0x1000 });
      dut.submit(10_000, [descriptors.deviceTlb(source, 0x1000)]);
      expect(dut.issue({ page: 0x1000, at }).outcome).toBe(outcome);
    }
  });

  test('the answer waits for requests that went out with what was dropped, and for no others', () => {
    const { dut, source } = bench();
    dut.run([{ page: 0x1000 }, { page: 0x1001, at: 4000 }]);
    const handle = dut.submit(10_000, [descriptors.deviceTlb(source, 0x1000)]);
    const used = dut.issue({ page: 0x1000, at: 10_590 });
    dut.settle();
    expect(handle.doneNs).toBeCloseTo(used.done + 50 + dut.wire(24) + ONE_WAY + 200, 6);
    const other = dut.submit(20_000, [descriptors.deviceTlb(source, 0x1002)]);
    dut.issue({ page: 0x1001, at: 20_590 });
    dut.settle();
    expect(other.doneNs).toBeCloseTo(expectedDone(dut, 20_000), 6);
  });

  test('a block covers its pages, a large page that overlaps, and nothing else', () => {
    const { dut, source } = bench();
    const pages = [0x1003, 0x1004, 0x1007, 0x1008, 0x200005];
    dut.run(pages.map((page, index) => ({ page, at: index * 3000 })));
    dut.submit(20_000, [descriptors.deviceTlb(source, 0x1004, 2), descriptors.deviceTlb(source, 0x200100)]);
    dut.settle();
    const again = dut.run(pages.map((page, index) => ({ page, at: 30_000 + index * 3000 })));
    expect(again.map(({ outcome }) => outcome === 'deviceHit')).toEqual([true, false, false, true, false]);
  });

  test('everything: the whole address space of requests without PASID', () => {
    const { dut, source } = bench();
    dut.run([{ page: 0x1003 }, { page: 0x200005, at: 3000 }]);
    dut.submit(20_000, [descriptors.deviceTlb(source, 0, WHOLE_DEVICE)]);
    dut.settle();
    expect(dut.unit.counters()['model.device_tlb_invalidated']).toBe(2);
  });

  test('by PASID: other PASIDs and requests without one keep theirs', () => {
    const { dut, table, source } = bench([], true);
    dut.contexts.setPasid(source, 5, table, DID);
    dut.contexts.setPasid(source, 6, table, DID);
    const rows = [0, 5, 6].map((pasid) => ({ page: 0x1000, pasid }));
    dut.run(rows.map((row, index) => ({ ...row, at: index * 3000 })));
    dut.submit(20_000, [descriptors.pasidDeviceTlb(source, 5, 0, WHOLE_DEVICE)]);
    dut.settle();
    const again = dut.run(rows.map((row, index) => ({ ...row, at: 30_000 + index * 3000 })));
    expect(again.map(({ outcome }) => outcome === 'deviceHit')).toEqual([true, false, true]);
  });

  test('an endpoint takes as many at once as the descriptor says; the rest follow its answers', () => {
    const { dut, source } = bench();
    const one = descriptors.deviceTlb(source, 0x1000).map((word, at) => (at === 0 ? word | (1 << 16) : word));
    const handle = dut.submit(10_000, [one, one]);
    dut.settle();
    const roundTrip = dut.wire(32) + ONE_WAY + 50 + dut.wire(24) + ONE_WAY;
    expect(handle.doneNs).toBeCloseTo(10_500 + 2 * roundTrip + 200, 6);
  });

  test('an endpoint that is gone: ITE after the time-out, waits aborted, the queue goes on once software clears it', () => {
    const { dut, source } = bench();
    const endpoint = dut.unit.functionAt(0);
    if (endpoint === undefined) throw new Error('no endpoint');
    endpoint.present = false;
    let error = 0;
    dut.unit.onQueueError((at) => {
      error = at / 1000;
    });
    const handle = dut.submit(10_000, [descriptors.deviceTlb(source, 0x1000)]);
    dut.settle();
    expect(error).toBe(10_500 + 100_000);
    expect(handle.doneNs).toBeUndefined();
    expect(dut.unit.mmioRead(FSTS_REG) & 0x40).toBe(0x40);
    expect(dut.unit.mmioRead(IQERCD_REG + 4)).toBe(source);
    const next = dut.submit(200_000, [descriptors.iotlbPages(DID, 0x1000)]);
    dut.settle();
    expect(next.doneNs).toBeUndefined();
    dut.unit.mmioWrite(FSTS_REG, 0x40, 0, 200_000_000 + 5_000_000);
    dut.settle();
    expect(next.doneNs).toBe(205_700);
  });

  test('a source id without an endpoint is answered at once', () => {
    const { dut } = bench();
    const handle = dut.submit(10_000, [descriptors.deviceTlb(dut.sourceIds[1] as number, 0x1000)]);
    dut.settle();
    expect(handle.doneNs).toBe(10_700);
  });
});
