// Unmapping from a type1 container: vfio_dma_do_unmap, vfio_unmap_unpin of Linux drivers/vfio/vfio_iommu_type1.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { InvariantError } from '../../../../../src/assert.ts';
import { Errno } from '../../../../../src/errno.ts';
import { pinPages, unpinPages } from '../../../../../src/stack/vfio/pin-pages.ts';
import { BUFFER, ContainerBench } from '../../../../support/container-bench.ts';

const PAGE = 0x1000n;
const ALL = 2;
const VADDR = 4;

let bench: ContainerBench;
let fd: number;

beforeEach(() => {
  bench = new ContainerBench();
  fd = bench.enter(bench.device()).container;
});

describe('UNMAP_DMA', () => {
  it('checks flags, alignment, the shape of ALL, length and wrap', () => {
    expect(bench.unmap(fd, 0n, PAGE, 8)).toBe(-Errno.EINVAL);
    expect(bench.unmap(fd, 1n, PAGE)).toBe(-Errno.EINVAL);
    expect(bench.unmap(fd, 0n, PAGE, ALL)).toBe(-Errno.EINVAL);
    expect(bench.unmap(fd, PAGE, 0n, ALL)).toBe(-Errno.EINVAL);
    expect(bench.unmap(fd, 0n, 0n)).toBe(-Errno.EINVAL);
    expect(bench.unmap(fd, 0n, 1n)).toBe(-Errno.EINVAL);
    expect(bench.unmap(fd, 0xffff_ffff_ffff_f000n, 2n * PAGE)).toBe(-Errno.EINVAL);
    expect(bench.unmap(fd, 0n, PAGE)).toBe(0n);
  });

  it('never cuts a mapping in version 2', () => {
    bench.map(fd, 0x10_000n, BUFFER, 4n * PAGE);
    bench.map(fd, 0x20_000n, BUFFER, 4n * PAGE);
    expect(bench.unmap(fd, 0x10_000n, PAGE)).toBe(-Errno.EINVAL);
    expect(bench.unmap(fd, 0x12_000n, 0x20_000n)).toBe(-Errno.EINVAL);
    expect(bench.unmap(fd, 0n, 0x21_000n)).toBe(-Errno.EINVAL);
    expect(bench.type1(fd).dmas.count).toBe(2);
    expect(bench.unmap(fd, 0n, 0x30_000n)).toBe(8n * PAGE);
  });

  it('takes whole mappings in version 1, from one that begins in the range on', () => {
    bench = new ContainerBench();
    fd = bench.enter(bench.device(), 1).container;
    bench.map(fd, 0x10_000n, BUFFER, 4n * PAGE);
    expect(bench.unmap(fd, 0x12_000n, 2n * PAGE)).toBe(0n);
    expect(bench.unmap(fd, 0x10_000n, PAGE)).toBe(4n * PAGE);
  });

  it('flushes before it unpins, and once for many runs', () => {
    bench.map(fd, 0n, BUFFER, 4n * PAGE);
    bench.map(fd, 0x10_0000n, BUFFER, 4n * PAGE);
    bench.driver.take();
    expect(bench.unmap(fd, 0n, 0n, ALL)).toBe(8n * PAGE);
    expect(bench.driver.take()).toEqual(['unmap A 0 4000', 'sync A', 'unmap A 100000 4000', 'sync A']);
    expect(bench.pins(BUFFER)).toBe(0);
    expect(bench.process.memory.lockedVm).toBe(0);
  });

  it('leaves the pages pinned that another mapping holds', () => {
    bench.map(fd, 0n, BUFFER, PAGE);
    bench.map(fd, PAGE, BUFFER, PAGE);
    bench.unmap(fd, 0n, PAGE);
    expect(bench.pins(BUFFER)).toBe(1);
    expect(bench.process.memory.lockedVm).toBe(1);
  });

  it('works when the memory and its process are gone', () => {
    bench.map(fd, 0n, BUFFER, 4n * PAGE);
    bench.run(bench.process.memory.exit());
    bench.run(bench.process.files.closeAll());
    expect(bench.driver.domains[0]?.pages.size).toBe(0);
  });
});

describe('mappings with pages pinned by emulated devices', () => {
  it('ask their drivers to unpin first, as often as it takes', () => {
    bench = new ContainerBench();
    const { device, driver } = bench.emulated();
    const entered = bench.enter(device);
    fd = entered.container;
    bench.deviceFd(entered.group, device.name);
    bench.map(fd, 0n, BUFFER, 4n * PAGE);
    const pfns: number[] = [];
    expect(bench.run(pinPages(device, PAGE, 2, 3, pfns))).toBe(2);
    expect(bench.pins(BUFFER + PAGE)).toBe(1);
    let rounds = 0;
    driver.onUnmap = function* () {
      yield 0;
      rounds++;
      yield* unpinPages(device, BigInt(rounds) * PAGE, 1);
    };
    expect(bench.unmap(fd, 0n, 4n * PAGE)).toBe(4n * PAGE);
    expect(rounds).toBe(2);
    expect(driver.unmaps).toEqual(['0 4000', '0 4000']);
    expect(bench.pins(BUFFER + PAGE)).toBe(0);
  });

  it('end the kernel when a driver keeps its pins', () => {
    bench = new ContainerBench();
    const { device, driver } = bench.emulated();
    const entered = bench.enter(device);
    bench.deviceFd(entered.group, device.name);
    bench.map(entered.container, 0n, BUFFER, PAGE);
    bench.run(pinPages(device, 0n, 1, 3, []));
    expect(() => bench.unmap(entered.container, 0n, PAGE)).toThrow(InvariantError);
    expect(driver.unmaps.length).toBeGreaterThan(10);
  });

  it('cannot give up their user address', () => {
    bench = new ContainerBench();
    fd = bench.enter(bench.emulated().device).container;
    bench.map(fd, 0n, BUFFER, PAGE);
    expect(bench.unmap(fd, 0n, PAGE, VADDR)).toBe(-Errno.EBUSY);
    expect(bench.checkExtension(fd, 10)).toBe(0);
  });
});
