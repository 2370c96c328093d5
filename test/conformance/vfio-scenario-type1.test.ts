// Scenarios on mappings of a type1 container and of an iommufd in its place (Linux drivers/vfio/vfio_iommu_type1.c,
// drivers/iommu/iommufd/vfio_compat.c), numbered as in docs/spec-map-vfio.md.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/errno.ts';
import { pinPages } from '../../src/stack/vfio/pin-pages.ts';
import { BUFFER } from '../support/container-bench.ts';
import { NOWHERE, VfioSystem } from '../support/vfio-system.ts';

const PAGE = 0x1000n;
const IOVA = 0x10_0000n;
const [UNMAP_ALL, UNMAP_VADDR] = [2, 4];
const MAP_VADDR = 4;
/** Size field of the structure that the bench writes. */
const UNMAP_SIZE = 0x7ffc_0000_0010n;

/** A container with one group. */
function entered(type = 3, options?: ConstructorParameters<typeof VfioSystem>[0]) {
  const system = new VfioSystem(options);
  const { bench } = system;
  return { system, bench, ...bench.enter(bench.device(), type) };
}

describe('MAP_DMA', () => {
  it('11: without a backend it is EINVAL', () => {
    const { bench } = new VfioSystem();
    expect(bench.map(bench.openContainer(), IOVA, BUFFER, PAGE)).toBe(-Errno.EINVAL);
  });

  it('12: without flags it is EINVAL', () => {
    const { bench, container } = entered();
    expect(bench.map(container, IOVA, BUFFER, PAGE, 0)).toBe(-Errno.EINVAL);
  });

  it('13: over an existing mapping it is EEXIST, and one more than the limit is ENOSPC', () => {
    const { bench, container } = entered();
    expect(bench.map(container, IOVA, BUFFER, PAGE)).toBe(0);
    expect(bench.map(container, IOVA, BUFFER, PAGE)).toBe(-Errno.EEXIST);
    const type1 = bench.type1(container);
    expect(type1.dmaAvailable).toBe(65_534);
    const full = entered(3, { type1: { dmaEntryLimit: 2 } });
    expect(full.bench.map(full.container, 0n, BUFFER, PAGE)).toBe(0);
    expect(full.bench.map(full.container, PAGE, BUFFER, PAGE)).toBe(0);
    expect(full.bench.map(full.container, 2n * PAGE, BUFFER, PAGE)).toBe(-Errno.ENOSPC);
  });

  it('14: with no entry left an overlap is still EEXIST', () => {
    const { bench, container } = entered(3, { type1: { dmaEntryLimit: 1 } });
    bench.map(container, IOVA, BUFFER, PAGE);
    expect(bench.map(container, IOVA, BUFFER, PAGE)).toBe(-Errno.EEXIST);
    expect(bench.map(container, 0n, BUFFER, PAGE)).toBe(-Errno.ENOSPC);
  });

  it('15: across the MSI window it is EINVAL', () => {
    const { bench } = new VfioSystem();
    const msi = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: 'msi' } as const;
    const { container } = bench.enter(bench.device({ regions: [msi] }));
    expect(bench.map(container, 0xfedf_f000n, BUFFER, 2n * PAGE)).toBe(-Errno.EINVAL);
    expect(bench.map(container, 0xfedf_f000n, BUFFER, PAGE)).toBe(0);
    expect(bench.map(container, 0xfef0_0000n, BUFFER, PAGE)).toBe(0);
  });

  it('16: beyond RLIMIT_MEMLOCK it is ENOMEM and leaves nothing behind', () => {
    const { bench, container } = entered();
    bench.process.canLockMemory = false;
    bench.process.memlockLimit = 4;
    const before = bench.type1(container).dmaAvailable;
    expect(bench.map(container, IOVA, BUFFER, 5n * PAGE)).toBe(-Errno.ENOMEM);
    expect(bench.type1(container).dmaAvailable).toBe(before);
    expect(bench.pins(BUFFER)).toBe(0);
    expect(bench.driver.domains[0]?.pages.size).toBe(0);
    expect(bench.map(container, IOVA, BUFFER, 4n * PAGE)).toBe(0);
  });
});

describe('UNMAP_DMA', () => {
  it('17: of the first half of a mapping is EINVAL in version 2', () => {
    const { bench, container } = entered();
    bench.map(container, IOVA, BUFFER, 4n * PAGE);
    expect(bench.unmap(container, IOVA, 2n * PAGE)).toBe(-Errno.EINVAL);
    expect(bench.driver.domains[0]?.pages.size).toBe(4);
  });

  it('18: in version 1 the second half unmaps nothing and the first half everything', () => {
    const { bench, container } = entered(1);
    bench.map(container, IOVA, BUFFER, 4n * PAGE);
    expect(bench.unmap(container, IOVA + 2n * PAGE, 2n * PAGE)).toBe(0n);
    expect(bench.unmap(container, IOVA, 2n * PAGE)).toBe(4n * PAGE);
  });

  it('19: of an empty range succeeds with size 0', () => {
    const { bench, container } = entered();
    expect(bench.unmap(container, IOVA, PAGE)).toBe(0n);
  });

  it('20: with ALL takes no range', () => {
    const { bench, container } = entered();
    bench.map(container, IOVA, BUFFER, PAGE);
    expect(bench.unmap(container, 0n, PAGE, UNMAP_ALL)).toBe(-Errno.EINVAL);
    expect(bench.unmap(container, 0n, 0n, UNMAP_ALL)).toBe(PAGE);
  });

  it('21: with VADDR a second time is EINVAL, and the marks of the first stay', () => {
    const { bench, container } = entered();
    bench.map(container, IOVA, BUFFER, PAGE);
    expect(bench.unmap(container, IOVA, PAGE, UNMAP_VADDR)).toBe(PAGE);
    expect(bench.unmap(container, IOVA, PAGE, UNMAP_VADDR)).toBe(-Errno.EINVAL);
    expect(bench.type1(container).vaddrInvalidCount).toBe(1);
    expect(bench.map(container, IOVA, BUFFER, PAGE, MAP_VADDR)).toBe(0);
    expect(bench.type1(container).vaddrInvalidCount).toBe(0);
  });

  it('22: with VADDR is EBUSY beside a mediated device', () => {
    const { system, bench, container } = entered();
    bench.map(container, IOVA, BUFFER, PAGE);
    bench.setContainer(system.openGroup(bench.emulated().device), container);
    expect(bench.unmap(container, IOVA, PAGE, UNMAP_VADDR)).toBe(-Errno.EBUSY);
  });

  it('23: while an address is given up another group cannot join: EBUSY', () => {
    const { system, bench, container } = entered();
    bench.map(container, IOVA, BUFFER, PAGE);
    bench.unmap(container, IOVA, PAGE, UNMAP_VADDR);
    const other = bench.device();
    const group = system.openGroup(other);
    expect(bench.setContainer(group, container)).toBe(-Errno.EBUSY);
    expect(other.group.iommuGroup?.ownerCount).toBe(0);
    bench.map(container, IOVA, BUFFER, PAGE, MAP_VADDR);
    expect(bench.setContainer(group, container)).toBe(0);
  });
});

describe('the rest of type1', () => {
  it('24: DIRTY_PAGES in version 1 is EACCES before the pointer is looked at', () => {
    const { bench, container } = entered(1);
    expect(bench.ioctl(container, 0x3b75, NOWHERE)).toBe(-Errno.EACCES);
  });

  it('42: pinning more pages than a call takes is E2BIG, and in version 1 EACCES', () => {
    for (const [type, expected] of [
      [3, 513],
      [1, 1],
    ] as const) {
      const { bench } = new VfioSystem();
      const { device } = bench.emulated();
      const { group, container } = bench.enter(device, type);
      bench.map(container, 0n, BUFFER, 0x40_0000n);
      bench.deviceFd(group, device.name);
      const rc = bench.run(pinPages(device, 0n, expected, 3, []));
      expect(rc).toBe(type === 3 ? -Errno.E2BIG : -Errno.EACCES);
      if (type === 3) expect(bench.run(pinPages(device, 0n, 512, 3, []))).toBe(512);
    }
  });

  it('46: an unmap that cuts an area of an iommufd is ENOENT, with the structure written back', () => {
    const system = new VfioSystem();
    const { bench } = system;
    const { container } = system.opened(bench.device(), 'iommufd');
    expect(bench.map(container, IOVA, BUFFER, 2n * PAGE)).toBe(0);
    expect(bench.map(container, IOVA + 2n * PAGE, BUFFER, 2n * PAGE)).toBe(0);
    expect(bench.unmap(container, IOVA, 3n * PAGE)).toBe(-Errno.ENOENT);
    const size = bench.process.memory.read(UNMAP_SIZE, 8) as Uint8Array;
    expect(new DataView(size.buffer).getBigUint64(0, true)).toBe(2n * PAGE);
    expect(bench.unmap(container, IOVA + 2n * PAGE, 2n * PAGE)).toBe(2n * PAGE);
  });
});
