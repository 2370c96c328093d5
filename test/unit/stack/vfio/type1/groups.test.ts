// Groups joining and leaving a type1 container: vfio_iommu_type1_attach_group, _detach_group of Linux
// drivers/vfio/vfio_iommu_type1.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../../src/errno.ts';
import type { VfioDevice } from '../../../../../src/stack/vfio/device.ts';
import { pinPages } from '../../../../../src/stack/vfio/pin-pages.ts';
import { BUFFER, ContainerBench } from '../../../../support/container-bench.ts';
import type { TableDeviceTraits, TableDomain } from '../../../../support/table-driver.ts';

const PAGE = 0x1000n;
const LAST = 0xffff_ffff_ffffn;

let bench: ContainerBench;
let first: VfioDevice;
let fd: number;
let group: number;

/** Another group into the container: its descriptor, or errno. */
const join = (traits: TableDeviceTraits = {}): number => {
  const joined = bench.openGroup(bench.device(traits));
  bench.driver.take();
  const error = bench.setContainer(joined, fd);
  return error === 0 ? joined : error;
};
const calls = () => bench.driver.take().filter((call) => !call.startsWith('sync'));
const ranges = () => bench.type1(fd).iovaList.nodes.map(({ start, last }) => [start, last]);
const domain = (index: number) => bench.driver.domains[index] as TableDomain;

beforeEach(() => {
  bench = new ContainerBench({ version: 'L73' });
  first = bench.device();
  const entered = bench.enter(first);
  fd = entered.container;
  group = entered.group;
  bench.driver.take();
});

describe('a second group', () => {
  it('shares the domain of the first: allocated, tried, freed', () => {
    bench.map(fd, 0n, BUFFER, PAGE);
    join();
    expect(calls()).toEqual([
      'attach d1.0 blocked',
      'alloc B',
      'attach d1.0 B',
      'attach d1.0 blocked',
      'attach d1.0 A',
      'free B',
    ]);
    expect(bench.type1(fd).domains).toHaveLength(1);
  });

  it('gets its own domain, with all mappings, when coherency differs', () => {
    bench.map(fd, 0n, BUFFER, 2n * PAGE);
    bench.map(fd, 0x10_0000n, BUFFER, PAGE, 1);
    join({ coherent: false });
    expect(calls()).toEqual(['attach d1.0 blocked', 'alloc B', 'attach d1.0 B', 'map B 0 2000', 'map B 100000 1000']);
    expect(domain(1).pages).toEqual(domain(0).pages);
    expect(bench.pins(BUFFER)).toBe(2);
    expect(bench.checkExtension(fd, 4)).toBe(0);
    expect(bench.type1(fd).domains.map((each) => (each.domain as TableDomain).name)).toEqual(['B', 'A']);
    bench.map(fd, 0x20_0000n, BUFFER, PAGE);
    expect(calls()).toEqual(['map B 200000 1000', 'map A 200000 1000']);
  });

  it('gets its own domain when its driver refuses the existing one', () => {
    join({ exclusive: true });
    expect(calls().slice(2)).toEqual(['attach d1.0 B', 'attach d1.0 blocked', 'attach d1.0 A', 'attach d1.0 B']);
    expect(bench.type1(fd).domains).toHaveLength(2);
  });

  it('is refused when its reserved region or aperture meets a mapping, and leaves no trace', () => {
    bench.map(fd, 0x10_0000n, BUFFER, PAGE);
    bench.map(fd, 0x8000_0000n, BUFFER, PAGE);
    const region = { start: 0x10_0000n, last: 0x10_0fffn, type: 'reserved' } as const;
    expect(join({ regions: [region] })).toBe(-Errno.EINVAL);
    expect(calls().slice(-3)).toEqual(['attach d1.0 blocked', 'free B', 'attach d1.0 identity']);
    expect(join({ apertureEnd: 0x7fff_ffffn })).toBe(-Errno.EINVAL);
    expect(join({ regions: [{ ...region, type: 'direct-relaxable' }] })).toBeGreaterThan(0);
    expect(ranges()).toEqual([[0n, LAST]]);
  });

  it('narrows the usable ranges, which widen again when it leaves', () => {
    const msi = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: 'msi' } as const;
    const second = join({ regions: [msi], apertureEnd: 0xffff_ffffn, coherent: false });
    expect(ranges()).toEqual([
      [0n, 0xfedf_ffffn],
      [0xfef0_0000n, 0xffff_ffffn],
    ]);
    bench.unsetContainer(second);
    expect(ranges()).toEqual([[0n, LAST]]);
    expect(join({ regions: [{ start: 0n, last: LAST, type: 'reserved' }] })).toBe(-Errno.EINVAL);
  });

  it('is refused when its page table cannot be filled', () => {
    bench.map(fd, 0n, BUFFER, PAGE);
    bench.map(fd, 0x10_0000n, BUFFER, PAGE);
    bench.driver.failNextMapIn = 2;
    expect(join({ coherent: false })).toBe(-Errno.ENOMEM);
    expect(domain(1).pages.size).toBe(0);
    expect(domain(1).freed).toBe(true);
    expect(bench.pins(BUFFER)).toBe(2);
  });

  it('brings the page sizes down to what all domains share', () => {
    expect(bench.type1(fd).pageSizeBitmap).toBe(0x20_1000n);
    join({ coherent: false, pageSizeBitmap: 0x1000n });
    expect(bench.type1(fd).pageSizeBitmap).toBe(0x1000n);
    join({ coherent: false, pageSizeBitmap: 0x1800n, exclusive: true });
    expect(bench.type1(fd).pageSizeBitmap).toBe(0x1000n);
  });
});

describe('a group that leaves', () => {
  it('drops its devices to blocking before the mappings of its domain go', () => {
    bench.map(fd, 0n, BUFFER, PAGE);
    calls();
    bench.unsetContainer(group);
    expect(calls()).toEqual(['attach d0.0 blocked', 'unmap A 0 1000', 'free A', 'attach d0.0 identity']);
    expect(bench.pins(BUFFER)).toBe(0);
  });

  it('leaves the mappings to the other domain', () => {
    bench.map(fd, 0n, BUFFER, PAGE);
    const second = join({ coherent: false });
    bench.unsetContainer(second);
    expect(domain(0).pages.size).toBe(1);
    expect(domain(1).freed).toBe(true);
    expect(bench.pins(BUFFER)).toBe(1);
  });
});

describe('an emulated group', () => {
  it('keeps the mappings of the last IOMMU group, unpinned but for what it pinned itself', () => {
    const { device } = bench.emulated();
    const emulated = bench.openGroup(device);
    bench.setContainer(emulated, fd);
    bench.deviceFd(emulated, device.name);
    bench.map(fd, 0n, BUFFER, 4n * PAGE);
    bench.run(pinPages(device, PAGE, 1, 3, []));
    expect(bench.process.memory.lockedVm).toBe(4);
    bench.unsetContainer(group);
    expect(bench.type1(fd).dmas.count).toBe(1);
    expect(bench.process.memory.lockedVm).toBe(1);
    expect(bench.pins(BUFFER)).toBe(0);
    expect(bench.pins(BUFFER + PAGE)).toBe(1);
    expect(ranges()).toEqual([[0n, 0xffff_ffff_ffff_ffffn]]);
    // A new IOMMU group pins again, and charges only what is not charged already.
    expect(join()).toBeGreaterThan(0);
    expect(bench.process.memory.lockedVm).toBe(4);
    expect(bench.pins(BUFFER + PAGE)).toBe(2);
  });

  it('is filled into a new domain with the memory of whoever adds the group', () => {
    bench = new ContainerBench();
    fd = bench.enter(bench.emulated().device).container;
    bench.map(fd, 0n, 0x1000n, PAGE);
    expect(join()).toBe(-Errno.EFAULT);
    expect(bench.type1(fd).domains).toHaveLength(0);
    bench.unmap(fd, 0n, PAGE);
    bench.map(fd, 0n, BUFFER, PAGE);
    expect(join()).toBeGreaterThan(0);
    expect(bench.pins(BUFFER)).toBe(1);
  });

  it('takes the mappings along when it is the last of all', () => {
    bench = new ContainerBench();
    const entered = bench.enter(bench.emulated().device);
    const type1 = bench.type1(entered.container);
    bench.map(entered.container, 0n, BUFFER, PAGE);
    bench.unsetContainer(entered.group);
    expect(type1.dmas.count).toBe(0);
    expect(type1.dmaAvailable).toBe(65535);
  });
});

describe('the probe for fine-grained super pages', () => {
  it('maps two pages, unmaps one and then the other where the driver does not merge, until 6.15', () => {
    bench = new ContainerBench({ version: 'L612' });
    bench.enter(bench.device());
    expect(calls().slice(-3)).toEqual(['map A 0 2000', 'unmap A 0 1000', 'unmap A 1000 1000']);
  });
});
