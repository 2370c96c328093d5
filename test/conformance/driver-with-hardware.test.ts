/**
 * The driver and a modelled unit, connected by nothing but memory and registers: what software wrote is what devices see,
 * and stale translations live exactly until the invalidation that covers them (VT-d spec 6.5).
 */
import { describe, expect, test } from 'vitest';
import type { Pasid } from '../../src/address.ts';
import { emptyGather, type IommuDomain, type PagingDomain } from '../../src/stack/iommu/ops.ts';
import { intelMachine, type MachineOptions } from '../support/intel-machine.ts';

const WRITE = 1;
const NO_PASID = 0 as Pasid;

function setUp(options: MachineOptions) {
  const machine = intelMachine({ kernel: 'v7.3', hardware: 'vtd-bdw', ...options });
  const { kernel, driver, devices } = machine;
  const device = devices[0] as (typeof devices)[number];
  const hardware = machine.hardware as NonNullable<typeof machine.hardware>;
  const alloc = (): PagingDomain => kernel.run(driver.allocPaging(device, 'user', 0, undefined)) as PagingDomain;
  const attach = (domain: IommuDomain): number => kernel.run(driver.attach(device, domain, undefined));
  const map = (domain: PagingDomain, page: number, pfn: number, count = 1): number =>
    kernel.run(domain.map(BigInt(page) << 12n, BigInt(pfn) << 12n, BigInt(count) << 12n, 3));
  const access = (page: number, flags = WRITE, pasid = NO_PASID) =>
    hardware.access(device.sourceIds[0] as never, pasid, page, flags);
  return { ...machine, device, hardware, alloc, attach, map, access };
}

describe.each([
  ['legacy', 2],
  ['scalable', 0x59],
  ['firstStage', 0x59],
] as const)('%s', (registers, blockedFault) => {
  test('a device sees what is mapped, in pages as large as the table has', () => {
    const { alloc, attach, map, access } = setUp({ registers });
    const domain = alloc();
    attach(domain);
    map(domain, 0x100, 0x8000);
    map(domain, 0x400, 0x1_0200, 512);
    expect(access(0x100)).toMatchObject({ fault: 0, pfn: 0x8000, pageShift: 12 });
    expect(access(0x433)).toMatchObject({ fault: 0, pfn: 0x1_0233, pageShift: 21 });
    expect(access(0x101).fault).not.toBe(0);
  });

  test('an unmapped page stays reachable until its flush, not longer', () => {
    const { kernel, alloc, attach, map, access } = setUp({ registers });
    const domain = alloc();
    attach(domain);
    map(domain, 0x100, 0x8000);
    map(domain, 0x101, 0x8001);
    access(0x100);
    const gather = emptyGather(false);
    kernel.run(domain.unmap(0x10_0000n, 0x1000n, gather));
    expect(access(0x100)).toMatchObject({ fault: 0, pfn: 0x8000 });
    kernel.run(domain.sync(gather));
    expect(access(0x100).fault).not.toBe(0);
    expect(access(0x101)).toMatchObject({ fault: 0, pfn: 0x8001 });
  });

  test('a replace redirects every page, and a block faults', () => {
    const { driver, alloc, attach, map, access } = setUp({ registers });
    const [first, second] = [alloc(), alloc()];
    map(first, 0x100, 0x8000);
    map(second, 0x100, 0x9000);
    attach(first);
    expect(access(0x100).pfn).toBe(0x8000);
    attach(second);
    expect(access(0x100).pfn).toBe(0x9000);
    attach(driver.blockedDomain);
    expect(access(0x100)).toMatchObject({ fault: blockedFault });
    attach(first);
    expect(access(0x100).pfn).toBe(0x8000);
  });

  test('a strict flush waits for the hardware: more than 100 ns, less than 10 us', () => {
    const { kernel, alloc, attach, map } = setUp({ registers });
    const domain = alloc();
    attach(domain);
    map(domain, 0x100, 0x8000);
    const gather = emptyGather(false);
    kernel.run(domain.unmap(0x10_0000n, 0x1000n, gather));
    const { account } = kernel.scheduler.runForHandle(domain.sync(gather));
    expect(account.wait).toBeGreaterThan(100_000);
    expect(account.wait).toBeLessThan(10_000_000);
  });
});

test('pass-through leaves addresses alone', () => {
  for (const registers of ['legacy', 'scalable'] as const) {
    const { access } = setUp({ registers, defaultDomain: 'identity' });
    expect(access(0x1234)).toMatchObject({ fault: 0, pfn: 0x1234 });
  }
});

test('caching mode: a page mapped after a fault is seen, because the map flushed', () => {
  const { alloc, attach, map, access } = setUp({ registers: 'cachingMode' });
  const domain = alloc();
  attach(domain);
  expect(access(0x100).fault).not.toBe(0);
  map(domain, 0x100, 0x8000);
  expect(access(0x100)).toMatchObject({ fault: 0, pfn: 0x8000 });
});

test('PASIDs translate through their own domains', () => {
  const { kernel, driver, device, alloc, attach, map, access } = setUp({
    registers: 'server',
    probe: { pasidBits: 20 },
  });
  const [rid, five, six] = [alloc(), alloc(), alloc()];
  for (const [index, domain] of [rid, five, six].entries()) map(domain, 0x100, 0x8000 + index);
  attach(rid);
  kernel.run(driver.setPasid(device, 5 as Pasid, five, undefined));
  kernel.run(driver.setPasid(device, 100_000 as Pasid, six, undefined));
  expect([access(0x100).pfn, access(0x100, WRITE, 5 as Pasid).pfn]).toEqual([0x8000, 0x8001]);
  expect(access(0x100, WRITE, 100_000 as Pasid).pfn).toBe(0x8002);
  kernel.run(driver.setPasid(device, 5 as Pasid, six, five));
  expect(access(0x100, WRITE, 5 as Pasid).pfn).toBe(0x8002);
  kernel.run(driver.setPasid(device, 5 as Pasid, driver.blockedDomain, six));
  expect(access(0x100, WRITE, 5 as Pasid).fault).toBe(0x59);
  expect(access(0x100, WRITE, 6 as Pasid).fault).toBe(0x59);
});

test('write-only pages can be read on 6.12 and not on 7.3', () => {
  for (const [kernel, readable] of [
    ['v6.12', true],
    ['v7.3', false],
  ] as const) {
    const { kernel: k, alloc, attach, access } = setUp({ kernel });
    const domain = alloc();
    attach(domain);
    k.run(domain.map(0x10_0000n, 0x800_0000n, 0x1000n, 2));
    expect(access(0x100, WRITE).fault).toBe(0);
    expect(access(0x100, 0).fault === 0).toBe(readable);
  }
});
