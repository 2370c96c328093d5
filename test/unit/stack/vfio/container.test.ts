// Containers and the choice of their backend: Linux drivers/vfio/container.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import type { Container } from '../../../../src/stack/vfio/container.ts';
import { ContainerBench } from '../../../support/container-bench.ts';

const TYPE1 = 1;
const DMA_CC = 4;
const NESTING = 6;
const NOIOMMU = 8;
const UNMAP_ALL = 9;
const UPDATE_VADDR = 10;

let bench: ContainerBench;
const containerOf = (fd: number) => bench.process.files.get(fd) as Container;

beforeEach(() => {
  bench = new ContainerBench();
});

describe('a container without backend', () => {
  it('knows its version, extensions and nothing else', () => {
    const fd = bench.openContainer();
    expect(bench.ioctl(fd, 0x3b64)).toBe(0);
    expect(bench.setIommu(fd)).toBe(-Errno.EINVAL);
    expect(bench.map(fd, 0n, 0n, 0n)).toBe(-Errno.EINVAL);
    expect(bench.ioctl(fd, 0x3bff)).toBe(-Errno.EINVAL);
  });

  it('answers for every backend while it is empty and for the allowed ones when it has groups', () => {
    bench = new ContainerBench({ enableUnsafeNoIommu: true });
    const fd = bench.openContainer();
    const ask = (...extensions: number[]) => extensions.map((each) => bench.checkExtension(fd, each));
    expect(ask(TYPE1, DMA_CC, NESTING, NOIOMMU, UNMAP_ALL, UPDATE_VADDR, 99)).toEqual([1, 0, 1, 1, 1, 0, 0]);
    bench.setContainer(bench.openGroup(bench.noIommuDevice()), fd);
    expect(ask(TYPE1, NOIOMMU)).toEqual([0, 1]);
  });

  it('has no nesting from 6.13 on', () => {
    bench = new ContainerBench({ version: 'L73' });
    const fd = bench.openContainer();
    expect(bench.checkExtension(fd, NESTING)).toBe(0);
    bench.setContainer(bench.openGroup(bench.device()), fd);
    expect(bench.setIommu(fd, NESTING)).toBe(-Errno.ENODEV);
  });
});

describe('SET_IOMMU', () => {
  it('takes the first backend that has the type', () => {
    const fd = bench.openContainer();
    bench.setContainer(bench.openGroup(bench.device()), fd);
    expect(bench.setIommu(fd, 99)).toBe(-Errno.ENODEV);
    expect(bench.setIommu(fd, NOIOMMU)).toBe(-Errno.ENODEV);
    expect(bench.setIommu(fd)).toBe(0);
    expect(bench.setIommu(fd)).toBe(-Errno.EINVAL);
    expect(bench.ioctl(fd, 0x3bff)).toBe(-Errno.ENOTTY);
  });

  it('refuses nesting on a driver without it, and can then be asked for another type', () => {
    const fd = bench.openContainer();
    bench.setContainer(bench.openGroup(bench.device()), fd);
    expect(bench.setIommu(fd, NESTING)).toBe(-Errno.EINVAL);
    expect(bench.driver.take().at(-1)).toBe('free A');
    expect(bench.setIommu(fd)).toBe(0);
  });

  it('attaches every group, newest first, and undoes all of them when one is refused', () => {
    const fd = bench.openContainer();
    const unsafe = bench.device({ isolatedMsi: false });
    const safe = bench.device();
    bench.setContainer(bench.openGroup(unsafe), fd);
    bench.setContainer(bench.openGroup(safe), fd);
    bench.driver.take();
    expect(bench.setIommu(fd)).toBe(-Errno.EPERM);
    const attaches = bench.driver.take().filter((call) => call.startsWith('attach'));
    expect(attaches).toEqual([
      `attach ${safe.name} A`,
      `attach ${unsafe.name} B`,
      `attach ${unsafe.name} blocked`,
      `attach ${safe.name} blocked`,
    ]);
    expect(containerOf(fd).backend).toBeUndefined();
  });

  it('gives devices without IOMMU a backend that maps nothing', () => {
    bench = new ContainerBench({ enableUnsafeNoIommu: true });
    const fd = bench.openContainer();
    const bare = bench.noIommuDevice();
    const group = bench.openGroup(bare);
    bench.setContainer(group, fd);
    expect(bench.setIommu(fd, 3)).toBe(-Errno.ENODEV);
    bench.process.canUseRawIo = false;
    expect(bench.setIommu(fd, NOIOMMU)).toBe(-Errno.EPERM);
    bench.process.canUseRawIo = true;
    expect(bench.setIommu(fd, NOIOMMU)).toBe(0);
    expect(bench.map(fd, 0n, 0n, 4096n)).toBe(-Errno.ENOTTY);
    expect(bench.deviceFd(group, bare.name)).toBeGreaterThan(0);
  });
});

describe('groups of a container', () => {
  it('share a backend until the last leaves, and the container can start again', () => {
    const fd = bench.openContainer();
    const one = bench.openGroup(bench.device());
    const two = bench.openGroup(bench.device());
    bench.setContainer(one, fd);
    bench.setIommu(fd);
    bench.setContainer(two, fd);
    bench.unsetContainer(one);
    expect(containerOf(fd).backend).toBeDefined();
    bench.unsetContainer(two);
    expect(containerOf(fd).backend).toBeUndefined();
    expect(bench.setContainer(one, fd)).toBe(0);
    expect(bench.setIommu(fd, TYPE1)).toBe(0);
  });

  it('keep it alive after its descriptor is closed', () => {
    const { group, container } = bench.enter(bench.device());
    expect(bench.map(container, 0n, 0x7f00_0000_0000n, 0x1000n)).toBe(0);
    bench.close(container);
    bench.driver.take();
    bench.unsetContainer(group);
    expect(bench.driver.take()).toContain('unmap A 0 1000');
  });

  it('give ownership back when the backend refuses them', () => {
    const { container } = bench.enter(bench.device());
    const other = bench.device({ isolatedMsi: false });
    expect(bench.setContainer(bench.openGroup(other), container)).toBe(-Errno.EPERM);
    expect(other.group.iommuGroup?.ownerCount).toBe(0);
    expect(other.group.container).toBeUndefined();
  });
});
