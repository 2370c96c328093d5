/**
 * Devices that translate for themselves: what their requests cost and what they cache. Device-TLB lookup 3, link 100 one
 * way, hit 2, walk 20 + 100 a read, 40 more for a translation request [ns].
 */
import { describe, expect, test } from 'vitest';
import { sourceId } from '../../../../src/address.ts';
import { MAX_DEVICE_SPACES } from '../../../../src/hw/device-tlb.ts';
import { TimePart } from '../../../../src/hw/vtd/counters.ts';
import { Endpoint } from '../../../../src/hw/vtd/endpoint.ts';
import { EndpointTimes } from '../../../../src/hw/vtd/endpoint-times.ts';
import { FaultReason } from '../../../../src/hw/vtd/fault-reasons.ts';
import { FSTS_REG } from '../../../../src/hw/vtd/registers.ts';
import { atsScene, DID, LOOKUP, ONE_WAY, requestTime } from '../../../support/ats-scene.ts';
import { DeviceUnderTest, descriptors, type TestOutcome } from '../../../support/device-under-test.ts';

/** [ns] Lookup of the IOTLB. */
const HIT = 2;

/** [ns] A 64-byte read without any translation, with the unit's look at the entries. */
function plainRead(): number {
  const { dut } = atsScene();
  const [, hit] = dut.run([
    { page: 0x1000, device: 1 },
    { page: 0x1000, device: 1, at: 5000 },
  ]) as TestOutcome[];
  return (hit as TestOutcome).done - (hit as TestOutcome).issue;
}

describe('an unloaded device with ATS', () => {
  test('first request: translation request with 2 context and 4 page reads, then the request itself', () => {
    const { dut } = atsScene();
    const first = dut.issue({ page: 0x1000 });
    expect([first.outcome, first.reads, first.pfn]).toEqual(['miss', 6, 0x500]);
    expect(first.done - first.issue).toBeCloseTo(requestTime(dut, 20 + 600) + plainRead(), 6);
  });

  test('same page again: from the device TLB, with nothing but the lookup added', () => {
    const { dut } = atsScene();
    const [, again] = dut.run([{ page: 0x1000 }, { page: 0x1000, at: 5000 }]) as TestOutcome[];
    expect([again?.outcome, again?.reads, again?.pfn]).toEqual(['deviceHit', 0, 0x500]);
    expect((again as TestOutcome).done - 5000).toBeCloseTo(LOOKUP + plainRead(), 6);
    expect((again as TestOutcome).ready - (again as TestOutcome).arrive).toBeCloseTo(HIT, 6);
  });

  test('its reads keep nobody from the port to memory until they come', () => {
    const misses = Array.from({ length: 8 }, (_, page) => ({ page: 0x1001 + page, atTick: 5_000_000 + page * 1000 }));
    const last = (set: readonly string[]): number => {
      const { dut } = atsScene({ set });
      dut.issue({ page: 0x1000, device: 1 });
      return (dut.run(misses).at(-1) as TestOutcome).done;
    };
    // Eight reads of one line take 40 ns of the port in all; the last waits for no more than that.
    const port = ['link.readPortLineNs=5', 'link.readPortDelayNs=1000'];
    expect(last(port)).toBeGreaterThanOrEqual(last([]));
    expect(last(port)).toBeLessThanOrEqual(last([]) + 40);
  });

  test('a miss that the IOTLB knows costs the round trip alone', () => {
    const { dut } = atsScene();
    dut.issue({ page: 0x1000, device: 1 });
    dut.issue({ page: 0x1001 });
    const hit = dut.issue({ page: 0x1000, at: 5000 });
    expect(hit.outcome).toBe('hit');
    expect(hit.done - hit.issue).toBeCloseTo(requestTime(dut, HIT) + plainRead(), 6);
  });

  test('a 2 MiB page fills one entry for 512 pages', () => {
    const { dut } = atsScene();
    const [first, inside] = dut.run([{ page: 0x200000 }, { page: 0x2001ff, at: 5000 }]);
    expect([first?.pageShift, inside?.outcome, inside?.pfn]).toEqual([21, 'deviceHit', 0x81ff]);
  });

  test('a request for a page asked for already joins that request: not ready before it, one lookup after it', () => {
    const answered = requestTime(atsScene().dut, 20 + 600);
    const { dut } = atsScene();
    const [first, joined] = dut.run([{ page: 0x1000 }, { page: 0x1000, at: 100 }]) as [TestOutcome, TestOutcome];
    expect(joined.outcome).toBe('mergedMiss');
    const flight = joined.arrive - (first.issue + answered + LOOKUP);
    expect(flight).toBeCloseTo(dut.wire(24) + ONE_WAY, 6);
    const at = atsScene().dut.run([{ page: 0x1000 }, { page: 0x1000, at: answered }])[1];
    const before = atsScene().dut.run([{ page: 0x1000 }, { page: 0x1000, at: answered - 0.001 }])[1];
    expect([before?.outcome, at?.outcome]).toEqual(['mergedMiss', 'deviceHit']);
  });

  test('hits go on under a miss', () => {
    const { dut } = atsScene();
    const rows = [{ page: 0x1000 }, { page: 0x1005, at: 5000 }, { page: 0x1000, at: 5010 }];
    const [, miss, hit] = dut.run(rows) as [TestOutcome, TestOutcome, TestOutcome];
    expect(hit.done).toBeLessThan(miss.arrive + 400);
    expect(hit.done - 5010).toBeCloseTo(LOOKUP + plainRead(), 6);
  });

  test('with one request at a time the next miss waits for the answer', () => {
    const { dut } = atsScene({ set: ['endpoint.translationWindow=1'] });
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
    const { dut } = atsScene();
    dut.issue({ page: 0x1000, offset: 4000, bytes: 200 });
    expect(dut.unit.counters()['model.device_tlb_lookup']).toBe(2);
    expect(dut.unit.counters()['model.device_tlb_requests']).toBe(2);
  });

  test('geometry counts: with one entry every other page misses', () => {
    const { dut } = atsScene({ set: ['endpoint.deviceTlb.entries=1', 'endpoint.deviceTlb.ways=1'] });
    dut.run([{ page: 0x1000 }, { page: 0x1001, at: 5000 }, { page: 0x1000, at: 9000 }]);
    expect(dut.unit.counters()).toMatchObject({ 'model.device_tlb_hit': 0, 'model.device_tlb_evicted': 2 });
  });
});

describe('time', () => {
  test('the parts of the time of all requests add up to what passed, also of those that were refused', () => {
    const { dut, table } = atsScene();
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
    const { dut, table } = atsScene();
    table.map(0x1010, 0x700, 1);
    const [read, write] = dut.run([{ page: 0x1010 }, { page: 0x1010, at: 5000, write: true }]);
    expect(read?.outcome).toBe('miss');
    expect([write?.outcome, write?.fault]).toEqual(['fault', FaultReason.write]);
    expect(dut.unit.counters()).toMatchObject({ 'model.device_tlb_denied': 1, 'model.fault_records': 0 });
    expect(dut.unit.mmioRead(FSTS_REG)).toBe(0);
  });

  test('an absent page likewise', () => {
    const { dut } = atsScene();
    expect(dut.issue({ page: 0x9000 })).toMatchObject({ outcome: 'fault', fault: FaultReason.read });
    expect(dut.unit.mmioRead(FSTS_REG)).toBe(0);
  });

  test('a write to a page cached for reading asks again', () => {
    const { dut, table } = atsScene();
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
  const { dut, table, source } = atsScene();
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
