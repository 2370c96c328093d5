/**
 * Page requests: device-TLB lookup 3, link 100 one way, walk 20 + 100 a read, 40 more for a translation request; 10 to
 * write a queue entry; a response descriptor executes 500 after its tail write [ns].
 */
import { expect, test } from 'vitest';
import { addressHigh, addressLow } from '../../../../src/address.ts';
import { PciRegister } from '../../../../src/hw/pci-function.ts';
import { DmaOutcome } from '../../../../src/hw/unit.ts';
import { TimePart } from '../../../../src/hw/vtd/counters.ts';
import { FaultReason } from '../../../../src/hw/vtd/fault-reasons.ts';
import { Descriptor } from '../../../../src/hw/vtd/layout.ts';
import { PageRequestStatus, PQA_REG, PQH_REG, PQT_REG, PRS_REG } from '../../../../src/hw/vtd/registers.ts';
import {
  type AtsScene,
  type AtsSceneOptions,
  DEVICE_TLB_ENABLE,
  emptyAtsScene,
  ONE_WAY,
  PAGE_REQUEST_ENABLE,
  requestTime,
} from '../../../support/ats-scene.ts';
import {
  columns,
  type DeviceUnderTest,
  descriptors,
  emptyResults,
  type TestDma,
} from '../../../support/device-under-test.ts';

const ENTRY_BYTES = 32;
const PAGE = 0x1000;

interface Bench extends AtsScene {
  readonly ring: number;
  /** [ns] Page request events. */
  readonly events: number[];
}

function bench(options: AtsSceneOptions = {}): Bench {
  const contextBits = DEVICE_TLB_ENABLE | PAGE_REQUEST_ENABLE;
  const scene = emptyAtsScene({ scalable: true, pri: true, contextBits, ...options });
  const { dut, table } = scene;
  // The tables above the leaf are there.
  table.map(PAGE, 1);
  table.unmap(PAGE);
  const ring = dut.memory.allocFrame();
  dut.unit.mmioWrite(PQA_REG, addressLow(ring), addressHigh(ring), 0);
  dut.enableAts(0);
  const events: number[] = [];
  dut.unit.onPageRequestEvent((at) => void events.push(at / 1000));
  return { ...scene, ring, events };
}

/** A DMA that is run bit by bit, as far as events have come. */
class Waiting {
  readonly #dut: DeviceUnderTest;
  readonly #input;
  readonly out;

  constructor(dut: DeviceUnderTest, row: TestDma) {
    this.#dut = dut;
    this.#input = columns([row]).input;
    this.out = emptyResults(1);
  }

  /** True when it is done. */
  poll(): boolean {
    return this.#dut.unit.translate(this.#input, 0, 1, this.#dut.timeline.next, this.out) === 1;
  }

  /** Runs events up to and including `atNs`, polling after each; true when it is done. */
  until(atNs: number): boolean {
    let done = this.poll();
    while (!done && this.#dut.timeline.next <= atNs * 1000) {
      this.#dut.timeline.run();
      done = this.poll();
    }
    return done;
  }

  get outcome(): number {
    return this.out.outcome[0] as number;
  }
}

/** [ns] Four context and PASID reads and four of pages, to the absent leaf: when the device knows. */
function refusedAt(dut: DeviceUnderTest): number {
  return requestTime(dut, 20 + 800);
}

/** [ns] When the request is in the queue. */
function queuedAt(dut: DeviceUnderTest): number {
  return refusedAt(dut) + dut.wire(24) + ONE_WAY + 10;
}

const FAULT = DmaOutcome.fault;

test('an absent page is asked for: in the queue at its time, not before', () => {
  const { dut, events } = bench();
  const row = new Waiting(dut, { page: PAGE });
  expect(row.until(queuedAt(dut) - 0.001)).toBe(false);
  expect(dut.unit.mmioRead(PQT_REG)).toBe(0);
  expect(row.until(queuedAt(dut))).toBe(false);
  expect(dut.unit.mmioRead(PQT_REG)).toBe(ENTRY_BYTES);
  expect(dut.unit.mmioRead(PRS_REG)).toBe(PageRequestStatus.ppr);
  expect(events).toHaveLength(1);
  expect(events[0]).toBeCloseTo(queuedAt(dut), 6);
  expect(dut.unit.counters()).toMatchObject({ pg_req_posted: 1, 'model.fault_records': 0 });
});

test('the entry names device, PASID, group, access and page', () => {
  const { dut, ring, source } = bench({ pasid: 5 });
  new Waiting(dut, { page: PAGE, pasid: 5, write: true }).until(1e6);
  const words = Array.from({ length: 8 }, (_, word) => dut.memory.readWord(ring as never, word));
  // Type 1, PASID present, requester; PASID; write, last, group 1, page.
  expect(words).toEqual([0x101 | (source << 16), 5, (PAGE << 12) | 0x2 | 0x4 | (1 << 3), 0, 0, 0, 0, 0]);
});

test('a success response: the device asks for the translation again when it arrives, and goes on', () => {
  const { dut, table, source } = bench();
  const row = new Waiting(dut, { page: PAGE });
  row.until(5000);
  table.map(PAGE, 0x700);
  dut.submit(10_000, [descriptors.pageResponse(source, 1, 0)]);
  const back = 10_500 + dut.wire(32) + 100;
  expect(row.until(back - 0.001)).toBe(false);
  expect(row.until(back)).toBe(true);
  expect(row.out.pfn[0]).toBe(0x700);
  expect(row.out.issueTick[0]).toBe(0);
  // One page read is left, then the request flies.
  const granted = back + requestTime(dut, 120);
  expect((row.out.arriveTick[0] as number) / 1000).toBeCloseTo(granted + dut.wire(24) + 100, 6);
});

test.each([
  ['invalid', 1],
  ['failure', 15],
])('an %s response: the request is dropped with the reason of its page, and no fault is recorded', (_name, code) => {
  const { dut, source } = bench();
  const row = new Waiting(dut, { page: PAGE });
  row.until(5000);
  dut.submit(10_000, [descriptors.pageResponse(source, 1, code)]);
  expect(row.until(20_000)).toBe(true);
  expect([row.outcome, row.out.fault[0]]).toEqual([FAULT, FaultReason.ssPermission]);
  expect(dut.unit.counters()['model.fault_records']).toBe(0);
  expect(dut.unit.endpointStatistics()?.counts[0]?.pageFailures).toBe(1);
});

test('a response to another group is for nobody', () => {
  const { dut, source } = bench();
  const row = new Waiting(dut, { page: PAGE });
  row.until(5000);
  dut.submit(10_000, [descriptors.pageResponse(source, 2, 0)]);
  expect(row.until(1e6)).toBe(false);
});

test('success without a mapping: the device asks again, as often as its profile says, and gives up', () => {
  const { dut, source } = bench({ set: ['endpoint.pageRequestRetries=2'] });
  const row = new Waiting(dut, { page: PAGE });
  for (let group = 1; group <= 2; group++) {
    expect(row.until(group * 20_000)).toBe(false);
    dut.submit(group * 20_000 + 10, [descriptors.pageResponse(source, group, 0)]);
  }
  expect(row.until(100_000)).toBe(true);
  expect(row.outcome).toBe(FAULT);
  expect(dut.unit.counters()['pg_req_posted']).toBe(2);
});

test('what is left of a row is one group, its last request marked', () => {
  const { dut, ring } = bench();
  const row = new Waiting(dut, { page: PAGE, offset: 2048, bytes: 8192 });
  row.until(5000);
  const tail = dut.unit.mmioRead(PQT_REG) / ENTRY_BYTES;
  const second = (entry: number): number => dut.memory.readWord(ring as never, entry * 8 + 2);
  expect(Array.from({ length: tail }, (_, entry) => [second(entry) >>> 12, (second(entry) & 4) !== 0])).toEqual([
    [PAGE, false],
    [PAGE + 1, false],
    [PAGE + 2, true],
  ]);
});

test('a full ring: overflow, the request is discarded and answered by the unit, so that the device asks again', () => {
  const { dut, table, source } = bench();
  // One entry before the tail: nothing fits.
  dut.unit.mmioWrite(PQH_REG, ENTRY_BYTES, 0, 0);
  const row = new Waiting(dut, { page: PAGE });
  row.until(queuedAt(dut));
  expect(dut.unit.mmioRead(PRS_REG)).toBe(PageRequestStatus.ppr | PageRequestStatus.pro);
  expect(dut.unit.counters()).toMatchObject({ pg_req_posted: 0, 'model.pg_req_discarded': 1 });
  dut.unit.mmioWrite(PQH_REG, 0, 0, 0);
  // Room alone is not enough while PRO is set.
  row.until(queuedAt(dut) + 1000);
  expect(dut.unit.counters()).toMatchObject({ pg_req_posted: 0, 'model.pg_req_discarded': 2 });
  dut.unit.mmioWrite(PRS_REG, PageRequestStatus.pro, 0, 0);
  row.until(queuedAt(dut) + 3000);
  expect(dut.unit.counters()).toMatchObject({ pg_req_posted: 1, 'model.pg_req_discarded': 2 });
  table.map(PAGE, 0x700);
  const group = dut.unit.endpointStatistics()?.counts[0]?.pageGroups ?? 0;
  dut.submit(20_000, [descriptors.pageResponse(source, group, 0)]);
  expect(row.until(40_000)).toBe(true);
  expect(row.out.pfn[0]).toBe(0x700);
});

test('one event until software clears the pending bit', () => {
  const { dut, events, source } = bench();
  const first = new Waiting(dut, { page: PAGE });
  first.until(5000);
  dut.submit(10_000, [descriptors.pageResponse(source, 1, 0)]);
  first.until(20_000);
  expect(dut.unit.counters()['pg_req_posted']).toBe(2);
  expect(events).toHaveLength(1);
  dut.unit.mmioWrite(PRS_REG, PageRequestStatus.ppr, 0, 0);
  dut.submit(30_000, [descriptors.pageResponse(source, 2, 0)]);
  first.until(40_000);
  expect(events).toHaveLength(2);
});

test('a context entry without PRE: the unit answers INVALID itself', () => {
  const { dut } = bench({ contextBits: DEVICE_TLB_ENABLE });
  const row = new Waiting(dut, { page: PAGE });
  expect(row.until(queuedAt(dut) + dut.wire(32) + 100 - 0.001)).toBe(false);
  expect(row.until(queuedAt(dut) + dut.wire(32) + 100)).toBe(true);
  expect(row.outcome).toBe(FAULT);
  expect(dut.unit.counters()['pg_req_posted']).toBe(0);
});

test('ATS goes off while a request is open: the DMA goes out untranslated, not before that', () => {
  const { dut, table, source } = bench();
  const row = new Waiting(dut, { page: PAGE });
  row.until(5000);
  table.map(PAGE, 0x700);
  dut.timeline.schedule(8_000_000, (at) => dut.unit.functionAt(0)?.write(PciRegister.atsControl, 0, at));
  expect(row.until(8000)).toBe(true);
  expect((row.out.issueTick[0] as number) / 1000).toBe(8000);
  expect([row.outcome, row.out.pfn[0]]).toEqual([DmaOutcome.miss, 0x700]);
  // What was to go out the first time never did.
  expect(Number(dut.unit.times.total(TimePart.link)) / 1000).toBeCloseTo(dut.wire(24) + 100, 6);
  // The answer to the request that was given up is for nobody.
  dut.submit(10_000, [descriptors.pageResponse(source, 1, 1)]);
  dut.settle();
  expect(dut.issue({ page: PAGE, at: 20_000 }).outcome).toBe('hit');
});

test('a wait with page-request drain is not complete before requests under way are in the queue', () => {
  const { dut } = bench();
  const row = new Waiting(dut, { page: PAGE, at: 9000 });
  const at = 9000 + queuedAt(dut) - 600;
  const drained = dut.submit(at, [descriptors.iotlbDomain(99)], Descriptor.waitPageRequestDrain);
  row.until(1e6);
  expect(drained.doneNs).toBeCloseTo(9000 + queuedAt(dut) + 200, 6);
  const plain = bench();
  const other = new Waiting(plain.dut, { page: PAGE, at: 9000 });
  const undrained = plain.dut.submit(at, [descriptors.iotlbDomain(99)]);
  other.until(1e6);
  expect(undrained.doneNs).toBeCloseTo(at + 700, 6);
});
