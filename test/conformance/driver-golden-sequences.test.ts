/**
 * Descriptors of attach, replace, detach, map and unmap, as the recordings have them (qi_submit words) and as Linux
 * drivers/iommu/intel/{iommu,pasid,cache}.c order them. Each inner list is one submission with one wait descriptor.
 */
import { describe, expect, test } from 'vitest';
import { DmaApi } from '../../src/stack/iommu/dma-api.ts';
import { emptyGather, type IommuDomain, type PagingDomain } from '../../src/stack/iommu/ops.ts';
import { intelMachine, type MachineOptions } from '../support/intel-machine.ts';

function setUp(options: MachineOptions) {
  const machine = intelMachine(options);
  const { kernel, driver, devices, take } = machine;
  const device = devices[0] as (typeof devices)[number];
  const alloc = (): PagingDomain => kernel.run(driver.allocPaging(device, 'user', 0, undefined)) as PagingDomain;
  const attach = (domain: IommuDomain): number => kernel.run(driver.attach(device, domain, undefined));
  return { ...machine, device, defaultDomain: machine.groups[0]?.defaultDomain as PagingDomain, alloc, attach, take };
}

const KERNELS = ['v6.12', 'v7.3'] as const;

describe.each(KERNELS)('%s', (kernel) => {
  test('legacy boot invalidates everything once and hands out domain id 2 to the first group', () => {
    const { boot, booted, driver, device } = setUp({ kernel });
    expect(booted).toBe(0);
    expect(boot).toEqual([['0x11 0x0 0x0 0x0'], ['0xd2 0x0 0x0 0x0']]);
    const domain = driver.info(device).domain as never as { domainId(unit: unknown): number };
    expect(domain.domainId(driver.units[0])).toBe(2);
  });

  test('legacy: block sends context-device and domain IOTLB, attach nothing, replace is block then attach', () => {
    const { attach, alloc, driver, take } = setUp({ kernel });
    expect(attach(driver.blockedDomain)).toBe(0);
    expect(take()).toEqual([['0x10000020031 0x0 0x0 0x0'], ['0x200e2 0x0 0x0 0x0']]);
    expect(attach(driver.blockedDomain)).toBe(0);
    expect(take()).toEqual([]);
    expect(attach(alloc())).toBe(0);
    expect(take()).toEqual([]);
    expect(attach(alloc())).toBe(0);
    expect(take()).toEqual([['0x10000020031 0x0 0x0 0x0'], ['0x200e2 0x0 0x0 0x0']]);
  });

  test('scalable second stage: PASID cache and domain IOTLB', () => {
    const { attach, driver, take, boot } = setUp({ kernel, registers: 'scalable' });
    expect(boot).toEqual([['0x11 0x0 0x0 0x0'], ['0x37 0x0 0x0 0x0'], ['0xd2 0x0 0x0 0x0']]);
    attach(driver.blockedDomain);
    expect(take()).toEqual([['0x20017 0x0 0x0 0x0'], ['0x200e2 0x0 0x0 0x0']]);
  });

  test('scalable first stage: PASID cache and PASID-based IOTLB', () => {
    const { attach, driver, take } = setUp({ kernel, registers: 'firstStage' });
    attach(driver.blockedDomain);
    expect(take()).toEqual([['0x20017 0x0 0x0 0x0'], ['0x20026 0x0 0x0 0x0']]);
  });

  test('caching mode: attach announces the new entry, map flushes its pages without the leaf-only hint', () => {
    const { kernel: k, attach, alloc, driver, take } = setUp({ kernel, registers: 'cachingMode' });
    attach(driver.blockedDomain);
    take();
    const domain = alloc();
    attach(domain);
    expect(take()).toEqual([['0x10000000031 0x0 0x0 0x0'], ['0x200e2 0x0 0x0 0x0']]);
    expect(k.run(domain.map(0xfff8_0000n, 0x1e2_5000n, 0x2_0000n, 3))).toBe(0);
    expect(take()).toEqual([['0x200f2 0xfff80005 0x0 0x0']]);
    const gather = emptyGather(false);
    expect(k.run(domain.unmap(0xfff8_0000n, 0x2_0000n, gather))).toBe(0x2_0000n);
    expect(take()).toEqual([]);
    k.run(domain.sync(gather));
    expect(take()).toEqual([['0x200f2 0xfff80045 0x0 0x0']]);
  });

  test('scalable caching mode: attach sends PASID cache and PASID-based IOTLB', () => {
    const { attach, alloc, driver, take } = setUp({ kernel, registers: 'scalableCachingMode' });
    attach(driver.blockedDomain);
    take();
    attach(alloc());
    expect(take()).toEqual([['0x20017 0x0 0x0 0x0'], ['0x20026 0x0 0x0 0x0']]);
  });

  test('strict unmap of one page is one page-selective descriptor with the leaf-only hint', () => {
    const { kernel: k, attach, alloc, take } = setUp({ kernel });
    const domain = alloc();
    attach(domain);
    take();
    k.run(domain.map(0x3_0000_0000n, 0x8000_0000n, 0x1000n, 3));
    k.run(domain.map(0x3_0000_1000n, 0x8000_5000n, 0x1000n, 3));
    expect(take()).toEqual([]);
    const gather = emptyGather(false);
    k.run(domain.unmap(0x3_0000_0000n, 0x1000n, gather));
    k.run(domain.sync(gather));
    expect(take()).toEqual([['0x200f2 0x300000040 0x0 0x0']]);
  });

  test('unmapping a superpage keeps the hint, unmapping a whole table of small pages loses it', () => {
    const { kernel: k, attach, alloc, take } = setUp({ kernel });
    const domain = alloc();
    attach(domain);
    take();
    const gather = emptyGather(false);
    k.run(domain.map(0x80_0000_0000n, 0x4000_0000n, 0x20_0000n, 3));
    k.run(domain.unmap(0x80_0000_0000n, 0x20_0000n, gather));
    k.run(domain.sync(gather));
    expect(take()).toEqual([['0x200f2 0x8000000049 0x0 0x0']]);
    k.run(domain.map(0x80_0000_0000n, 0x4000_1000n, 0x20_0000n, 3));
    k.run(domain.unmap(0x80_0000_0000n, 0x20_0000n, gather));
    k.run(domain.sync(gather));
    expect(take()).toEqual([['0x200f2 0x8000000009 0x0 0x0']]);
  });

  test('first stage: page-selective PASID-based IOTLB on unmap', () => {
    const { kernel: k, defaultDomain: domain, take } = setUp({ kernel, registers: 'firstStage' });
    k.run(domain.map(0x10_2000n, 0x8000_0000n, 0x1000n, 3));
    k.run(domain.map(0x10_3000n, 0x9000_0000n, 0x1000n, 3));
    const gather = emptyGather(false);
    k.run(domain.unmap(0x10_2000n, 0x1000n, gather));
    k.run(domain.sync(gather));
    expect(take()).toEqual([['0x20036 0x102040 0x0 0x0']]);
    k.run(domain.flushAll());
    expect(take()).toEqual([['0x20026 0x0 0x0 0x0']]);
  });

  test('whole-domain flush is one domain-selective descriptor', () => {
    const { kernel: k, defaultDomain, take } = setUp({ kernel });
    k.run(defaultDomain.flushAll());
    expect(take()).toEqual([['0x200e2 0x0 0x0 0x0']]);
  });

  test.each([
    ['legacy', ['0x10000020031', '0x200e2']],
    ['cachingMode', ['0x10000020031', '0x200e2', '0x10000000031', '0x200e2']],
    ['scalable', ['0x20017', '0x200e2']],
    ['scalableCachingMode', ['0x20017', '0x200e2', '0x20017', '0x20026']],
  ] as const)(
    'replace in %s: one submission a descriptor, the new domain takes the id the old one gave up',
    (registers, words) => {
      const { attach, alloc, take } = setUp({ kernel, registers });
      attach(alloc());
      take();
      expect(attach(alloc())).toBe(0);
      expect(take()).toEqual(words.map((word) => [`${word} 0x0 0x0 0x0`]));
    },
  );

  test('lazy: unmaps send nothing, a full queue one domain-selective descriptor', () => {
    for (const [registers, word] of [
      ['legacy', '0x200e2'],
      ['scalable', '0x200e2'],
      ['firstStage', '0x20026'],
    ] as const) {
      const { kernel: k, defaultDomain, take } = setUp({ kernel, registers, defaultDomain: 'dma-fq' });
      const api = new DmaApi(k, defaultDomain);
      for (let index = 0n; index < 256n; index++) {
        k.run(api.map(index << 12n, [{ paddr: index << 12n, lengthBytes: 0x1000n }], 3));
        k.run(api.unmap(0, index << 12n, 0x1000n));
      }
      expect(take()).toEqual([[`${word} 0x0 0x0 0x0`]]);
    }
  });

  test('an unmap of two page sizes is flushed per size on 6.12 and once on 7.3', () => {
    const { kernel: k, attach, alloc, take } = setUp({ kernel });
    const domain = alloc();
    attach(domain);
    take();
    k.run(domain.map(0x4000_0000n, 0x8000_0000n, 0x20_1000n, 3));
    k.run(domain.map(0x5000_0000n, 0x9000_0000n, 0x1000n, 3));
    const gather = emptyGather(false);
    expect(k.run(domain.unmap(0x4000_0000n, 0x20_1000n, gather))).toBe(0x20_1000n);
    k.run(domain.sync(gather));
    const flushes =
      kernel === 'v6.12'
        ? [['0x200f2 0x40000049 0x0 0x0'], ['0x200f2 0x40200040 0x0 0x0']]
        : [['0x200f2 0x4000004a 0x0 0x0']];
    expect(take()).toEqual(flushes);
  });
});
