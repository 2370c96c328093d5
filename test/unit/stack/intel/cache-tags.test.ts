import { describe, expect, test } from 'vitest';
import { alignedBlock } from '../../../../src/stack/drivers/intel/cache-tags.ts';
import { emptyGather, type PagingDomain } from '../../../../src/stack/iommu/ops.ts';
import { intelMachine } from '../../../support/intel-machine.ts';

describe('alignedBlock', () => {
  test.each([
    [0, 0, 0, 0],
    [5, 5, 5, 0],
    [4, 7, 4, 2],
    [4, 6, 4, 2],
    [3, 14, 0, 4],
    [10, 21, 0, 5],
    [511, 512, 0, 10],
    [2 ** 40, 2 ** 40 + 511, 2 ** 40, 9],
    [0, 2 ** 52 - 1, 0, 52],
  ])('pages %i..%i: from %i, 2^%i pages', (first, last, start, order) => {
    expect(alignedBlock(first, last)).toEqual({ startPfn: start, order });
  });
});

describe('flush', () => {
  function attachedTo(deviceCount: number, options: Parameters<typeof intelMachine>[0] = {}) {
    const machine = intelMachine({ deviceCount, kernel: 'v7.3', ...options });
    const { kernel, driver, devices } = machine;
    const first = devices[0] as (typeof devices)[number];
    const domain = kernel.run(driver.allocPaging(first, 'user', 0, undefined)) as PagingDomain;
    for (const device of devices) kernel.run(driver.attach(device, driver.blockedDomain, undefined));
    for (const device of devices) kernel.run(driver.attach(device, domain, undefined));
    machine.take();
    const flush = (firstPage: bigint, lastPage: bigint, freed = false): string[][] => {
      const gather = emptyGather(false);
      gather.start = firstPage << 12n;
      gather.end = (lastPage << 12n) + 0xfffn;
      if (freed) gather.freelist.push(machine.memory.allocFrame());
      kernel.run(domain.sync(gather));
      return machine.take();
    };
    return { ...machine, domain, flush };
  }

  test('devices of one unit share one tag, so one descriptor does for all', () => {
    expect(attachedTo(5).flush(3n, 3n)).toEqual([['0x200f2 0x3040 0x0 0x0']]);
  });

  test('beyond the largest mask the whole domain is flushed', () => {
    const { flush } = attachedTo(1);
    expect(flush(0n, 2n ** 18n - 1n)).toEqual([['0x200f2 0x52 0x0 0x0']]);
    expect(flush(0n, 2n ** 18n)).toEqual([['0x200e2 0x0 0x0 0x0']]);
  });

  test('freed table pages take the leaf-only hint away', () => {
    expect(attachedTo(1).flush(3n, 3n, true)).toEqual([['0x200f2 0x3000 0x0 0x0']]);
  });

  test('a kernel that ignores the hint never sends it for second-stage domains', () => {
    const { flush } = attachedTo(1, { overrides: ['behaviours.ssIhIgnored=true'] });
    expect(flush(3n, 3n)).toEqual([['0x200f2 0x3000 0x0 0x0']]);
  });

  test('IOTLB and device TLBs share submissions of at most 16 descriptors', () => {
    const { flush } = attachedTo(20, { registers: 'server', probe: { ats: true } });
    const submissions = flush(8n, 11n);
    expect(submissions.map((descriptors) => descriptors.length)).toEqual([16, 5]);
    expect(submissions[0]?.[0]).toBe('0x20036 0x8042 0x0 0x0');
    expect(submissions[0]?.[1]).toBe('0x10000000003 0x9001 0x0 0x0');
  });

  test('a domain nobody uses flushes nothing', () => {
    const { kernel, driver, devices, take } = intelMachine();
    const device = devices[0] as (typeof devices)[number];
    const domain = kernel.run(driver.allocPaging(device, 'user', 0, undefined)) as PagingDomain;
    take();
    kernel.run(domain.flushAll());
    expect(take()).toEqual([]);
  });
});
