/**
 * Invalidations of device TLBs: link 100 one way, 50 at the endpoint; a descriptor executes 500 after its tail write and
 * the status write takes 200 [ns].
 */
import { expect, test } from 'vitest';
import { FSTS_REG, IQERCD_REG } from '../../../../src/hw/vtd/registers.ts';
import { atsScene, DID, ONE_WAY } from '../../../support/ats-scene.ts';
import { type DeviceUnderTest, descriptors, WHOLE_DEVICE } from '../../../support/device-under-test.ts';

/** [ns] Descriptor executes 500 after the tail write; message down, endpoint, message up, status write. */
function expectedDone(dut: DeviceUnderTest, from: number): number {
  return from + 500 + dut.wire(32) + ONE_WAY + 50 + dut.wire(24) + ONE_WAY + 200;
}

test('the wait completes when the endpoint has answered', () => {
  const { dut, source } = atsScene();
  dut.issue({ page: 0x1000 });
  const handle = dut.submit(10_000, [descriptors.deviceTlb(source, 0x1000)]);
  dut.settle();
  expect(handle.doneNs).toBeCloseTo(expectedDone(dut, 10_000), 6);
});

test('the entry is used until the message arrives, and not from then on', () => {
  const arrival = 10_500 + atsScene().dut.wire(32) + ONE_WAY;
  for (const [at, outcome] of [
    [arrival - 0.001, 'deviceHit'],
    [arrival, 'hit'],
  ] as const) {
    const { dut, source } = atsScene();
    dut.issue({ page: 0x1000 });
    dut.submit(10_000, [descriptors.deviceTlb(source, 0x1000)]);
    expect(dut.issue({ page: 0x1000, at }).outcome).toBe(outcome);
  }
});

test('the answer waits for requests that went out with what was dropped, and for no others', () => {
  const { dut, source } = atsScene();
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
  const { dut, source } = atsScene();
  const pages = [0x1003, 0x1004, 0x1007, 0x1008, 0x200005];
  dut.run(pages.map((page, index) => ({ page, at: index * 3000 })));
  dut.submit(20_000, [descriptors.deviceTlb(source, 0x1004, 2), descriptors.deviceTlb(source, 0x200100)]);
  dut.settle();
  const again = dut.run(pages.map((page, index) => ({ page, at: 30_000 + index * 3000 })));
  expect(again.map(({ outcome }) => outcome === 'deviceHit')).toEqual([true, false, false, true, false]);
});

test('everything: the whole address space of requests without PASID', () => {
  const { dut, source } = atsScene();
  dut.run([{ page: 0x1003 }, { page: 0x200005, at: 3000 }]);
  dut.submit(20_000, [descriptors.deviceTlb(source, 0, WHOLE_DEVICE)]);
  dut.settle();
  expect(dut.unit.counters()['model.device_tlb_invalidated']).toBe(2);
});

test('by PASID: other PASIDs and requests without one keep theirs', () => {
  const { dut, table, source } = atsScene({ scalable: true });
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
  const { dut, source } = atsScene();
  const one = descriptors.deviceTlb(source, 0x1000).map((word, at) => (at === 0 ? word | (1 << 16) : word));
  const handle = dut.submit(10_000, [one, one]);
  dut.settle();
  const roundTrip = dut.wire(32) + ONE_WAY + 50 + dut.wire(24) + ONE_WAY;
  expect(handle.doneNs).toBeCloseTo(10_500 + 2 * roundTrip + 200, 6);
});

test('an endpoint that is gone: ITE after the time-out, waits aborted, the queue goes on once software clears it', () => {
  const { dut, source } = atsScene();
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
  const { dut } = atsScene();
  const handle = dut.submit(10_000, [descriptors.deviceTlb(dut.sourceIds[1] as number, 0x1000)]);
  dut.settle();
  expect(handle.doneNs).toBe(10_700);
});
