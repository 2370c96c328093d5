// Mapping into a type1 container: vfio_dma_do_map, vfio_pin_map_dma of Linux drivers/vfio/vfio_iommu_type1.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../../src/errno.ts';
import { BUFFER, ContainerBench } from '../../../../support/container-bench.ts';
import type { TableDomain } from '../../../../support/table-driver.ts';

const PAGE = 0x1000n;
const MSI = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: 'msi' } as const;
const VADDR = 4;

let bench: ContainerBench;
let fd: number;
const domain = () => bench.driver.domains.at(-1) as TableDomain;

beforeEach(() => {
  bench = new ContainerBench();
  fd = bench.enter(bench.device({ regions: [MSI] })).container;
  bench.driver.take();
});

describe('MAP_DMA', () => {
  it('checks flags, length, alignment, wrap, overlap, room and range in that order', () => {
    expect(bench.map(fd, 0n, BUFFER, PAGE, 0)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0n, BUFFER, PAGE, 8)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0n, BUFFER, PAGE, VADDR | 1)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0n, BUFFER, 0n)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 1n, BUFFER, PAGE)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0n, BUFFER + 1n, PAGE)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0xffff_ffff_ffff_f000n, BUFFER, 2n * PAGE)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0xfee0_0000n, BUFFER, PAGE)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0xfedf_f000n, BUFFER, 2n * PAGE)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 1n << 48n, BUFFER, PAGE)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0n, BUFFER, 2n * PAGE)).toBe(0);
    expect(bench.map(fd, PAGE, BUFFER, 2n * PAGE)).toBe(-Errno.EEXIST);
  });

  it('says EOVERFLOW for a wrap from 6.18 on, before it looks at flags', () => {
    bench = new ContainerBench({ version: 'L73' });
    fd = bench.enter(bench.device()).container;
    expect(bench.map(fd, 0xffff_ffff_ffff_f000n, BUFFER, 2n * PAGE, 0)).toBe(-Errno.EOVERFLOW);
    expect(bench.map(fd, 0n, BUFFER, 0n, 0)).toBe(-Errno.EINVAL);
  });

  it('counts entries, and sees an overlap before there being none left', () => {
    bench = new ContainerBench({ type1: { dmaEntryLimit: 2 } });
    fd = bench.enter(bench.device()).container;
    expect(bench.map(fd, 0n, BUFFER, PAGE)).toBe(0);
    expect(bench.map(fd, PAGE, BUFFER, PAGE)).toBe(0);
    expect(bench.map(fd, 0n, BUFFER, PAGE)).toBe(-Errno.EEXIST);
    expect(bench.map(fd, 2n * PAGE, BUFFER, PAGE)).toBe(-Errno.ENOSPC);
    expect(bench.type1(fd).dmaAvailable).toBe(0);
    bench.unmap(fd, 0n, PAGE);
    expect(bench.map(fd, 2n * PAGE, BUFFER, PAGE)).toBe(0);
  });

  it('maps one run of consecutive frames with one call, and page by page without huge pages', () => {
    expect(bench.map(fd, 0n, BUFFER, 16n * PAGE)).toBe(0);
    expect(bench.driver.take()).toEqual(['map A 0 10000']);
    bench = new ContainerBench({ type1: { disableHugePages: true } });
    fd = bench.enter(bench.device()).container;
    bench.driver.take();
    bench.map(fd, 0n, BUFFER, 3n * PAGE);
    expect(bench.driver.take()).toEqual(['map A 0 1000', 'map A 1000 1000', 'map A 2000 1000']);
  });

  it('pins what it maps and nothing after a failure', () => {
    expect(bench.map(fd, 0n, BUFFER, 4n * PAGE)).toBe(0);
    expect(bench.pins(BUFFER)).toBe(1);
    expect(bench.map(fd, 0x10_0000n, BUFFER + 0x3f_f000n, 2n * PAGE)).toBe(-Errno.EFAULT);
    expect(bench.pins(BUFFER + 0x3f_f000n)).toBe(0);
    domain().failMapIn = 1;
    expect(bench.map(fd, 0x20_0000n, BUFFER + 0x10_000n, PAGE)).toBe(-Errno.ENOMEM);
    expect(bench.pins(BUFFER + 0x10_000n)).toBe(0);
    expect(domain().pages.size).toBe(4);
    expect(bench.type1(fd).dmas.count).toBe(1);
    expect(bench.process.memory.lockedVm).toBe(4);
  });

  it('charges RLIMIT_MEMLOCK unless the mapper may lock', () => {
    bench.process.canLockMemory = false;
    bench.process.memlockLimit = 3;
    expect(bench.map(fd, 0n, BUFFER, 2n * PAGE)).toBe(0);
    expect(bench.map(fd, 0x10_0000n, BUFFER, 2n * PAGE)).toBe(-Errno.ENOMEM);
    expect(bench.process.memory.lockedVm).toBe(2);
    bench.process.canLockMemory = true;
    expect(bench.map(fd, 0x10_0000n, BUFFER, 2n * PAGE)).toBe(0);
    expect(bench.process.memory.lockedVm).toBe(4);
    bench.unmap(fd, 0n, 0n, 2);
    expect(bench.process.memory.lockedVm).toBe(0);
  });

  it('maps device memory without pinning or charging it', () => {
    const bar = 0x7e00_0000_0000n;
    bench.frames.addDeviceMemory(0xfeb00, 4);
    bench.run(bench.process.memory.map(bar, 4n * PAGE, { devicePfn: 0xfeb00 }));
    expect(bench.map(fd, 0x1000n, bar, 4n * PAGE)).toBe(0);
    expect(bench.driver.take()).toEqual(['map A 1000 4000']);
    expect(domain().pages.get(1n)?.pfn).toBe(0xfeb00);
    expect(bench.process.memory.lockedVm).toBe(0);
    expect(bench.unmap(fd, 0x1000n, 4n * PAGE)).toBe(4n * PAGE);
    expect(bench.frames.pinCount(0xfeb00)).toBe(0);
  });

  it('neither pins nor maps while there is no domain', () => {
    bench = new ContainerBench();
    fd = bench.enter(bench.emulated().device).container;
    expect(bench.map(fd, 0n, 0x1000n, PAGE)).toBe(0);
    expect(bench.process.memory.lockedVm).toBe(0);
    expect(bench.type1(fd).iovaList.nodes).toEqual([]);
  });

  it('never finds a mapping that ends at the last byte again before 6.18', () => {
    const top = 0xffff_ffff_ffff_f000n;
    for (const [version, again] of [
      ['L612', 0],
      ['L73', -Errno.EEXIST],
    ] as const) {
      bench = new ContainerBench({ version });
      fd = bench.enter(bench.emulated().device).container;
      expect(bench.map(fd, top, BUFFER, PAGE)).toBe(0);
      expect(bench.map(fd, top, BUFFER, PAGE)).toBe(again);
      expect(bench.unmap(fd, top, PAGE)).toBe(version === 'L612' ? 0n : PAGE);
    }
  });
});

describe('a user address given up and renewed', () => {
  it('is for the exact mapping, once', () => {
    bench.map(fd, 0n, BUFFER, 2n * PAGE);
    expect(bench.map(fd, 0n, BUFFER, 2n * PAGE, VADDR)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0x10_0000n, BUFFER, 2n * PAGE, VADDR)).toBe(-Errno.ENOENT);
    expect(bench.unmap(fd, 0n, 2n * PAGE, VADDR)).toBe(2n * PAGE);
    expect(bench.unmap(fd, 0n, 2n * PAGE, VADDR)).toBe(-Errno.EINVAL);
    expect(bench.type1(fd).vaddrInvalidCount).toBe(1);
    expect(bench.map(fd, 0n, BUFFER, PAGE, VADDR)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0n, BUFFER + 0x8000n, 2n * PAGE, VADDR)).toBe(0);
    expect(bench.type1(fd).vaddrInvalidCount).toBe(0);
  });

  it('moves the charge to the process that renews it', () => {
    bench.map(fd, 0n, BUFFER, 2n * PAGE);
    bench.unmap(fd, 0n, 2n * PAGE, VADDR);
    const heir = bench.newProcess();
    heir.canLockMemory = false;
    heir.memlockLimit = 1;
    const copy = heir.files.install(bench.process.files.get(fd) as never);
    expect(bench.map(copy, 0n, BUFFER, 2n * PAGE, VADDR, heir)).toBe(-Errno.ENOMEM);
    heir.memlockLimit = 2;
    expect(bench.map(copy, 0n, BUFFER, 2n * PAGE, VADDR, heir)).toBe(0);
    expect(heir.memory.lockedVm).toBe(2);
    expect(bench.process.memory.lockedVm).toBe(0);
  });

  it('keeps further groups out meanwhile, and is undone as a whole when one mapping has been given up already', () => {
    bench.map(fd, 0n, BUFFER, PAGE);
    bench.map(fd, PAGE, BUFFER, PAGE);
    bench.unmap(fd, PAGE, PAGE, VADDR);
    expect(bench.setContainer(bench.openGroup(bench.device()), fd)).toBe(-Errno.EBUSY);
    expect(bench.unmap(fd, 0n, 2n * PAGE, VADDR)).toBe(-Errno.EINVAL);
    expect(bench.type1(fd).vaddrInvalidCount).toBe(1);
    expect(bench.unmap(fd, 0n, 2n * PAGE)).toBe(2n * PAGE);
    expect(bench.type1(fd).vaddrInvalidCount).toBe(0);
  });
});
