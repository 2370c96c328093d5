// Access of emulated devices to user memory: vfio_pin_pages, vfio_unpin_pages, vfio_dma_rw of Linux drivers/vfio.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import type { VfioDevice } from '../../../../src/stack/vfio/device.ts';
import { dmaReadWrite, pinPages, unpinPages } from '../../../../src/stack/vfio/pin-pages.ts';
import { pinUserPages } from '../../../../src/stack/vfio/pin-pages-legacy.ts';
import { BUFFER, ContainerBench, type PinningDriver } from '../../../support/container-bench.ts';

const PAGE = 0x1000n;
const [READ, WRITE] = [1, 2];

let bench: ContainerBench;
let device: VfioDevice;
let driver: PinningDriver;
let fd: number;
let file: number;

const pin = (iova: bigint, count: number, prot = READ, pfns: number[] = []) =>
  bench.run(pinPages(device, iova, count, prot, pfns));
const rw = (iova: bigint, data: Uint8Array, write: boolean) =>
  bench.run(dmaReadWrite(device, bench.process, iova, data, write));

/** Opens the emulated device in a container, or over an iommufd. */
function open(over: 'container' | 'iommufd', version: 'L612' | 'L73' = 'L612'): void {
  bench = new ContainerBench({ version });
  ({ device, driver } = bench.emulated());
  if (over === 'container') {
    const entered = bench.enter(device);
    fd = entered.container;
    file = bench.deviceFd(entered.group, device.name);
  } else {
    fd = bench.openIommufd();
    const group = bench.openGroup(device);
    bench.setContainer(group, fd);
    file = bench.deviceFd(group, device.name);
  }
  bench.map(fd, 0n, BUFFER, 8n * PAGE);
}

beforeEach(() => open('container'));

describe('pinning', () => {
  it('is for open devices whose drivers can be told', () => {
    expect(pin(0n, 0)).toBe(-Errno.EINVAL);
    expect(pin(0n, 1)).toBe(1);
    bench.close(file);
    expect(pin(0n, 1)).toBe(-Errno.EINVAL);
    const physical = bench.device();
    const group = bench.openGroup(physical);
    bench.setContainer(group, fd);
    bench.deviceFd(group, physical.name);
    expect(bench.run(pinPages(physical, 0n, 1, READ, []))).toBe(-Errno.EINVAL);
  });

  it('is bounded, and absent in version 1', () => {
    expect(pin(0n, 513)).toBe(-Errno.E2BIG);
    bench = new ContainerBench();
    ({ device } = bench.emulated());
    const entered = bench.enter(device, 1);
    bench.deviceFd(entered.group, device.name);
    expect(pin(0n, 1)).toBe(-Errno.EACCES);
  });

  it('answers by page: no mapping, permission, memory', () => {
    bench.map(fd, 0x10_000n, BUFFER, PAGE, READ);
    bench.map(fd, 0x20_000n, 0x1000n, PAGE);
    expect(pin(0x30_000n, 1)).toBe(-Errno.EINVAL);
    expect(pin(0x10_000n, 1, WRITE)).toBe(-Errno.EPERM);
    expect(pin(0x20_000n, 1)).toBe(-Errno.EFAULT);
    expect(pin(6n * PAGE, 3)).toBe(-Errno.EINVAL);
    expect(bench.pins(BUFFER + 6n * PAGE)).toBe(0);
    expect(bench.process.memory.lockedVm).toBe(0);
  });

  it('counts pins of one page and charges it once', () => {
    const pfns: number[] = [];
    expect(pin(0n, 2, READ, pfns)).toBe(2);
    expect(pin(0n, 1)).toBe(1);
    expect(pfns).toEqual([
      bench.process.memory.frameAt(BUFFER, false),
      bench.process.memory.frameAt(BUFFER + PAGE, false),
    ]);
    expect(bench.pins(BUFFER)).toBe(1);
    expect(bench.process.memory.lockedVm).toBe(2);
    bench.run(unpinPages(device, 0n, 1));
    expect(bench.pins(BUFFER)).toBe(1);
    bench.run(unpinPages(device, 0n, 2));
    expect(bench.pins(BUFFER)).toBe(0);
    expect(bench.process.memory.lockedVm).toBe(0);
  });

  it('is limited by RLIMIT_MEMLOCK where no domain has pinned', () => {
    bench.unmap(fd, 0n, 0n, 2);
    bench.process.canLockMemory = false;
    bench.process.memlockLimit = 1;
    bench.map(fd, 0n, BUFFER, 8n * PAGE);
    expect(pin(0n, 2)).toBe(-Errno.ENOMEM);
    expect(bench.pins(BUFFER)).toBe(0);
    expect(pin(0n, 1)).toBe(1);
  });

  it('needs the memory of the mapping to be there', () => {
    const other = bench.newProcess();
    const copy = other.files.install(bench.process.files.get(fd) as never);
    bench.map(copy, 0x10_0000n, BUFFER, PAGE, 3, other);
    bench.run(other.memory.exit());
    expect(pin(0x10_0000n, 1)).toBe(-Errno.ENODEV);
  });

  it('has range rules of its own from 6.18 on', () => {
    open('container', 'L73');
    expect(pin(0xffff_ffff_ffff_f000n, 2)).toBe(-Errno.EOVERFLOW);
  });
});

describe('access by CPU', () => {
  it('writes only with read permission in a container, and without through an iommufd', () => {
    for (const [over, expected] of [
      ['container', -Errno.EPERM],
      ['iommufd', 0],
    ] as const) {
      open(over);
      bench.map(fd, 0x10_000n, BUFFER, PAGE, WRITE);
      expect(rw(0x10_000n, Uint8Array.of(7), true)).toBe(expected);
    }
  });

  it('crosses mappings and stops at a hole with the bytes before it done', () => {
    bench.map(fd, 8n * PAGE, BUFFER + 0x10_0000n, PAGE);
    const data = new Uint8Array(0x2000).fill(9);
    expect(rw(7n * PAGE, data, true)).toBe(0);
    expect(bench.process.memory.read(BUFFER + 0x10_0000n, 1)?.[0]).toBe(9);
    expect(rw(8n * PAGE, new Uint8Array(0x2000).fill(5), true)).toBe(-Errno.EINVAL);
    expect(bench.process.memory.read(BUFFER + 0x10_0000n, 1)?.[0]).toBe(5);
    const back = new Uint8Array(4);
    expect(rw(8n * PAGE, back, false)).toBe(0);
    expect([...back]).toEqual([5, 5, 5, 5]);
  });

  it('is for the owner of the memory and for kernel threads', () => {
    const run = (caller: typeof bench.process | undefined) =>
      bench.run(dmaReadWrite(device, caller, 0n, new Uint8Array(1), false));
    expect(run(bench.newProcess())).toBe(-Errno.EFAULT);
    expect(run(undefined)).toBe(0);
    expect(rw(0n, new Uint8Array(0), false)).toBe(-Errno.EINVAL);
    bench.unmap(fd, 0n, 0n, 2);
    bench.map(fd, 0n, 0x1000n, PAGE);
    expect(run(undefined)).toBe(-Errno.EFAULT);
  });
});

describe('through an iommufd', () => {
  it('pins whole pages, and gives back exactly what was pinned', () => {
    open('iommufd');
    expect(pin(0x1080n, 2)).toBe(2);
    expect(bench.pins(BUFFER + PAGE)).toBe(1);
    expect(pin(0x30_000n, 1)).toBe(-Errno.ENOENT);
    bench.run(unpinPages(device, 0x1080n, 2));
    expect(bench.pins(BUFFER + PAGE)).toBe(0);
  });

  it('loses all pins when the file is closed', () => {
    open('iommufd');
    pin(0n, 1);
    driver.onUnmap = (iova) => unpinPages(device, iova, 1);
    bench.close(file);
    expect(driver.unmaps).toEqual(['0 ffffffffffffffff']);
  });
});

describe('pinning by user page numbers (until 5.19)', () => {
  it('takes any pages and checks the group first', () => {
    const call = (pfns: number[]) => bench.run(pinUserPages(device, pfns, READ, []));
    expect(call([])).toBe(-Errno.EINVAL);
    expect(call(new Array(513).fill(0))).toBe(-Errno.E2BIG);
    expect(call([5, 1, 3])).toBe(3);
    expect(bench.pins(BUFFER + 3n * PAGE)).toBe(1);
    expect(call([0, 99])).toBe(-Errno.EINVAL);
    expect(bench.pins(BUFFER)).toBe(0);
  });
});
