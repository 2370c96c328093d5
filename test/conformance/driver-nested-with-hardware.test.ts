/**
 * Nested translation from end to end: a guest's tables in guest memory, the driver's parent domain behind it, a modelled
 * unit that walks both; invalidation as the guest (user invalidation) and the host (unmap) send it.
 */
import { expect, test } from 'vitest';
import type { Pasid } from '../../src/address.ts';
import { DmaOutcome } from '../../src/hw/unit.ts';
import { IntelNestedDomain } from '../../src/stack/drivers/intel/nested-domain.ts';
import { emptyGather, type PagingDomain } from '../../src/stack/iommu/ops.ts';
import { columns, emptyResults } from '../support/device-under-test.ts';
import { intelMachine, type MachineOptions } from '../support/intel-machine.ts';
import { TestPageTable } from '../support/table-builder.ts';

const OFFSET = 0xc00_0000;
const PASID = 5 as Pasid;

function setUp(options: MachineOptions = {}) {
  const machine = intelMachine({
    kernel: 'v7.3',
    hardware: 'vtd-bdw',
    registers: 'server',
    probe: { pasidBits: 20 },
    ...options,
  });
  const { kernel, driver, devices, memory } = machine;
  const device = devices[0] as (typeof devices)[number];
  const parent = kernel.run(driver.allocPaging(device, 'user', 1, undefined)) as PagingDomain;
  const guest = new TestPageTable(memory, 4, 'first', OFFSET);
  const bytes = new Uint8Array(24);
  new DataView(bytes.buffer).setBigUint64(8, BigInt(guest.frames[0] as number) << 12n, true);
  new DataView(bytes.buffer).setUint32(16, 48, true);
  const nested = kernel.run(driver.allocNested(device, parent, 0, { type: 1, lengthBytes: 24, bytes }));
  if (!(nested instanceof IntelNestedDomain)) throw new Error('no nested domain');
  const host = (guestPage: number, pfn: number): number =>
    kernel.run(parent.map(BigInt(guestPage) << 12n, BigInt(pfn) << 12n, 0x1000n, 3));
  guest.map(0x100, 0x40);
  guest.map(0x101, 0x41);
  for (const frame of guest.frames) host(frame, frame + OFFSET);
  host(0x40, 0x9000);
  host(0x41, 0x9001);
  const unit = machine.hardware as NonNullable<typeof machine.hardware>;
  const access = (page: number, pasid = 0) => unit.access(device.sourceIds[0] as never, pasid as Pasid, page, 1);
  kernel.run(driver.attach(device, driver.blockedDomain, undefined));
  return { kernel, driver, device, unit, parent, nested, guest, host, access };
}

test('a device reaches host memory through the guest, at its RID and at a PASID', () => {
  const { kernel, driver, device, nested, access } = setUp();
  expect(access(0x100).fault).not.toBe(0);
  expect(kernel.run(driver.attach(device, nested, undefined))).toBe(0);
  expect(kernel.run(driver.setPasid(device, PASID, nested, undefined))).toBe(0);
  expect(access(0x100)).toMatchObject({ fault: 0, pfn: 0x9000, pageShift: 12 });
  expect(access(0x101, PASID)).toMatchObject({ fault: 0, pfn: 0x9001 });
  expect(access(0x102).fault).toBe(0x71);
});

test('what the guest changed is seen once it has invalidated it', () => {
  const { kernel, driver, device, nested, guest, access } = setUp();
  kernel.run(driver.attach(device, nested, undefined));
  access(0x100);
  access(0x101);
  guest.map(0x100, 0x41);
  expect(access(0x100).pfn).toBe(0x9000);
  const entry = new DataView(new ArrayBuffer(24));
  entry.setBigUint64(0, 0x10_0000n, true);
  entry.setBigUint64(8, 1n, true);
  const bytes = new Uint8Array(entry.buffer);
  expect(kernel.run(nested.invalidateUser({ type: 0, entryLength: 24, entryCount: 1, bytes, done: 0 }))).toBe(0);
  expect(access(0x100)).toMatchObject({ fault: 0, pfn: 0x9001 });
});

test('what the host unmapped is gone after the flush, without the guest', () => {
  const { kernel, driver, device, parent, nested, access } = setUp();
  kernel.run(driver.attach(device, nested, undefined));
  access(0x100);
  const gather = emptyGather(false);
  kernel.run(parent.unmap(0x4_0000n, 0x1000n, gather));
  expect(access(0x100).pfn).toBe(0x9000);
  kernel.run(parent.sync(gather));
  expect(access(0x100).fault).not.toBe(0);
  expect(access(0x101).pfn).toBe(0x9001);
});

test('a detached PASID translates no more', () => {
  const { kernel, driver, device, nested, access } = setUp();
  kernel.run(driver.setPasid(device, PASID, nested, undefined));
  expect(access(0x100, PASID).pfn).toBe(0x9000);
  kernel.run(driver.setPasid(device, PASID, driver.blockedDomain, nested));
  expect(access(0x100, PASID).fault).toBe(0x59);
});

test('a device TLB holds results of both stages: the guest flushes its pages, the host all of it', () => {
  const { kernel, driver, device, unit, parent, nested, guest } = setUp({ endpoints: { pri: false } });
  kernel.run(driver.attach(device, nested, undefined));
  const dma = (page: number) => {
    const { input } = columns([{ at: Math.ceil(kernel.now / 1000) + 100, page, write: true }]);
    const out = emptyResults(1);
    while (unit.translate(input, 0, 1, kernel.timeline.next, out) === 0) kernel.timeline.run();
    kernel.timeline.runUntil(out.doneTick[0] as never);
    return [out.outcome[0], out.pfn[0]];
  };
  dma(0x100);
  dma(0x101);
  guest.map(0x100, 0x41);
  expect([dma(0x100), dma(0x101)]).toEqual([
    [DmaOutcome.deviceHit, 0x9000],
    [DmaOutcome.deviceHit, 0x9001],
  ]);
  const entry = new DataView(new ArrayBuffer(24));
  entry.setBigUint64(0, 0x10_0000n, true);
  entry.setBigUint64(8, 1n, true);
  const bytes = new Uint8Array(entry.buffer);
  kernel.run(nested.invalidateUser({ type: 0, entryLength: 24, entryCount: 1, bytes, done: 0 }));
  expect([dma(0x100), dma(0x101)]).toEqual([
    [DmaOutcome.miss, 0x9001],
    [DmaOutcome.deviceHit, 0x9001],
  ]);
  // Which guest pages lie behind a host page nobody knows.
  const gather = emptyGather(false);
  kernel.run(parent.unmap(0x4_0000n, 0x1000n, gather));
  kernel.run(parent.sync(gather));
  expect([dma(0x100)[0], dma(0x101)[0]]).toEqual([DmaOutcome.miss, DmaOutcome.miss]);
});
