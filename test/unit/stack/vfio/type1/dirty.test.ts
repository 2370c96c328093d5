// Dirty tracking of a type1 container: VFIO_IOMMU_DIRTY_PAGES of Linux drivers/vfio/vfio_iommu_type1.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../../src/errno.ts';
import type { VfioDevice } from '../../../../../src/stack/vfio/device.ts';
import { dmaReadWrite, pinPages, unpinPages } from '../../../../../src/stack/vfio/pin-pages.ts';
import { BUFFER, ContainerBench } from '../../../../support/container-bench.ts';

const PAGE = 0x1000n;
const [START, STOP, GET] = [1, 2, 4];
/** User memory for bitmaps. */
const BITMAP = BUFFER + 0x20_0000n;

let bench: ContainerBench;
let fd: number;
let device: VfioDevice;

const get = (iova: bigint, length: bigint, overrides: Readonly<Record<string, bigint>> = {}, argsz?: number) =>
  bench.dirty(fd, GET, { iova, length, pageSize: PAGE, bytes: 8n, data: BITMAP, ...overrides }, argsz);
const bits = () => new DataView((bench.process.memory.read(BITMAP, 8) as Uint8Array).buffer).getBigUint64(0, true);

/** A container with an emulated device only: nothing is dirty that nobody pinned. */
beforeEach(() => {
  bench = new ContainerBench();
  device = bench.emulated().device;
  const entered = bench.enter(device);
  fd = entered.container;
  bench.deviceFd(entered.group, device.name);
  bench.map(fd, 0x10_000n, BUFFER, 8n * PAGE);
});

describe('DIRTY_PAGES', () => {
  it('is EACCES in version 1 before anything is read', () => {
    bench = new ContainerBench();
    fd = bench.enter(bench.device(), 1).container;
    expect(bench.ioctl(fd, 0x3b75, 1n)).toBe(-Errno.EACCES);
  });

  it('takes exactly one flag', () => {
    expect(bench.ioctl(fd, 0x3b75, 1n)).toBe(-Errno.EFAULT);
    expect(bench.dirty(fd, START, {}, 7)).toBe(-Errno.EINVAL);
    for (const flags of [0, START | STOP, 8, GET | START]) expect(bench.dirty(fd, flags)).toBe(-Errno.EINVAL);
    expect(bench.dirty(fd, START)).toBe(0);
    expect(bench.dirty(fd, START)).toBe(0);
    expect(bench.dirty(fd, STOP)).toBe(0);
    expect(bench.dirty(fd, STOP)).toBe(0);
  });

  it('checks the range and the bitmap', () => {
    bench.dirty(fd, START);
    expect(get(0x10_000n, 8n * PAGE, {}, 47)).toBe(-Errno.EINVAL);
    expect(get(0x10_000n, 8n * PAGE, { pageSize: 0x2000n })).toBe(-Errno.EINVAL);
    expect(get(0x10_000n, 8n * PAGE, { bytes: 0n })).toBe(-Errno.EINVAL);
    expect(get(0x10_000n, 0x10_0000n, { bytes: 8n })).toBe(-Errno.EINVAL);
    expect(get(0x10_000n, 8n * PAGE, { bytes: 0x1000_0001n })).toBe(-Errno.EINVAL);
    expect(get(0x10_000n, 8n * PAGE, { data: 1n << 63n })).toBe(-Errno.EINVAL);
    expect(get(0x10_000n, 8n * PAGE, { data: 0x1000n })).toBe(-Errno.EFAULT);
    expect(get(0x10_001n, 8n * PAGE)).toBe(-Errno.EINVAL);
    expect(get(0x10_000n, 0n)).toBe(-Errno.EINVAL);
    expect(get(0x10_000n, PAGE)).toBe(-Errno.EINVAL);
    expect(get(0xffff_ffff_ffff_f000n, PAGE)).toBe(-Errno.EINVAL);
    bench.dirty(fd, STOP);
    expect(get(0x10_000n, 8n * PAGE)).toBe(-Errno.EINVAL);
  });

  it('shows what was pinned until it is unpinned, and what was written once', () => {
    bench.run(pinPages(device, 0x12_000n, 2, 3, []));
    bench.dirty(fd, START);
    bench.run(dmaReadWrite(device, bench.process, 0x15_ff0n, new Uint8Array(32), true));
    expect(get(0x10_000n, 8n * PAGE)).toBe(0);
    expect(bits()).toBe(0b0110_1100n);
    bench.run(unpinPages(device, 0x12_000n, 1));
    // It was still pinned when the last question was answered.
    get(0x10_000n, 8n * PAGE);
    expect(bits()).toBe(0b1100n);
    bench.process.memory.write(BITMAP, new Uint8Array(8));
    get(0x8_000n, 16n * PAGE);
    expect(bits()).toBe(0b1000n << 8n);
  });

  it('keeps the bits of the mapping before at the seam of a word', () => {
    bench.map(fd, 0x18_000n, BUFFER, 2n * PAGE);
    bench.dirty(fd, START);
    bench.run(pinPages(device, 0x11_000n, 1, 3, []));
    bench.run(pinPages(device, 0x19_000n, 1, 3, []));
    expect(get(0x10_000n, 10n * PAGE)).toBe(0);
    expect(bits()).toBe(0b10_0000_0010n);
  });

  it('has everything dirty while a group may write without pinning, and after such a group has left', () => {
    const physical = bench.openGroup(bench.device());
    bench.setContainer(physical, fd);
    bench.dirty(fd, START);
    get(0x10_000n, 8n * PAGE);
    expect(bits()).toBe(0xffn);
    bench.unsetContainer(physical);
    get(0x10_000n, 8n * PAGE);
    expect(bits()).toBe(0xffn);
    get(0x10_000n, 8n * PAGE);
    expect(bits()).toBe(0n);
  });

  it('gives new mappings bitmaps and tells what an unmapped one had', () => {
    bench.dirty(fd, START);
    bench.map(fd, 0x40_000n, BUFFER, 4n * PAGE);
    bench.run(dmaReadWrite(device, undefined, 0x41_000n, new Uint8Array(1), true));
    expect(bench.unmapDirty(fd, 0x40_000n, 4n * PAGE, 0x2000n, 8n, BITMAP)).toBe(-Errno.EINVAL);
    expect(bench.unmapDirty(fd, 0x40_000n, 4n * PAGE, PAGE, 8n, 0x1000n)).toBe(-Errno.EFAULT);
    expect(bench.unmapDirty(fd, 0x40_000n, 4n * PAGE, PAGE, 8n, BITMAP)).toBe(0);
    expect(bits()).toBe(0b10n);
    bench.dirty(fd, STOP);
    expect(bench.unmapDirty(fd, 0x10_000n, 8n * PAGE, PAGE, 8n, BITMAP)).toBe(-Errno.EINVAL);
  });
});
