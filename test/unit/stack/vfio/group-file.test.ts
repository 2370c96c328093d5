// The group node: Linux drivers/vfio/group.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { claimGroupOwner, releaseGroupOwner, useDefaultDomain } from '../../../../src/stack/iommu/dma-owner.ts';
import type { IommuGroup } from '../../../../src/stack/iommu/group.ts';
import type { IommufdFile } from '../../../../src/stack/iommufd/iommufd-file.ts';
import { openCdev } from '../../../../src/stack/vfio/cdev.ts';
import type { VfioDevice } from '../../../../src/stack/vfio/device.ts';
import { VfioDeviceFile } from '../../../../src/stack/vfio/device-file.ts';
import { LEGACY_5_10_PROFILE } from '../../../../src/stack/vfio/profile.ts';
import { ContainerBench } from '../../../support/container-bench.ts';

let bench: ContainerBench;
let device: VfioDevice;

const iommuGroup = (): IommuGroup => device.group.iommuGroup as IommuGroup;
const fileOf = (fd: number) => bench.process.files.get(fd) as VfioDeviceFile;

beforeEach(() => {
  bench = new ContainerBench();
  device = bench.device();
});

describe('opening a group', () => {
  it('is for one file at a time, whoever opened it', () => {
    const fd = bench.openGroup(device);
    expect(bench.openGroup(device)).toBe(-Errno.EBUSY);
    expect(bench.openGroup(device, bench.newProcess())).toBe(-Errno.EBUSY);
    bench.close(fd);
    expect(bench.openGroup(device)).toBeGreaterThan(0);
  });

  it('waits for the last descriptor of the file', () => {
    const fd = bench.openGroup(device);
    const copy = bench.process.files.duplicate(fd);
    bench.close(fd);
    expect(bench.openGroup(device)).toBe(-Errno.EBUSY);
    bench.close(copy);
    expect(bench.openGroup(device)).toBeGreaterThan(0);
  });

  it('needs CAP_SYS_RAWIO without IOMMU', () => {
    bench = new ContainerBench({ enableUnsafeNoIommu: true });
    const bare = bench.noIommuDevice();
    bench.process.canUseRawIo = false;
    expect(bench.openGroup(bare)).toBe(-Errno.EPERM);
    bench.process.canUseRawIo = true;
    expect(bench.openGroup(bare)).toBeGreaterThan(0);
  });
});

describe('GET_STATUS', () => {
  it('is viable while nobody owns the DMA of the group', () => {
    const fd = bench.openGroup(device);
    expect(bench.status(fd)).toBe(1);
    bench.run(useDefaultDomain(iommuGroup()));
    expect(bench.status(fd)).toBe(0);
  });

  it('says nothing about ownership once an iommufd is the container', () => {
    const fd = bench.openGroup(device);
    bench.setContainer(fd, bench.openIommufd());
    bench.run(claimGroupOwner(iommuGroup(), bench));
    expect(bench.status(fd)).toBe(3);
    bench.run(releaseGroupOwner(iommuGroup()));
  });

  it('checks argsz', () => {
    const fd = bench.openGroup(device);
    expect(bench.ioctl(fd, 0x3b67, 1n)).toBe(-Errno.EFAULT);
    bench.process.memory.write(0x7ffc_0000_0000n, Uint8Array.of(7, 0, 0, 0));
    expect(bench.ioctl(fd, 0x3b67)).toBe(-Errno.EINVAL);
    expect(bench.ioctl(fd, 0x3bff)).toBe(-Errno.ENOTTY);
  });
});

describe('SET_CONTAINER and UNSET_CONTAINER', () => {
  it('take containers and iommufds, once', () => {
    const fd = bench.openGroup(device);
    expect(bench.setContainer(fd, 99)).toBe(-Errno.EBADF);
    expect(bench.setContainer(fd, fd)).toBe(-Errno.EBADFD);
    expect(bench.unsetContainer(fd)).toBe(-Errno.EINVAL);
    const container = bench.openContainer();
    expect(bench.setContainer(fd, container)).toBe(0);
    expect(bench.setContainer(fd, bench.openIommufd())).toBe(-Errno.EINVAL);
    expect(bench.unsetContainer(fd)).toBe(0);
    expect(bench.setContainer(fd, bench.openIommufd())).toBe(0);
  });

  it('block the devices of the group and give them back to the default domain', () => {
    const fd = bench.openGroup(device);
    bench.setContainer(fd, bench.openContainer());
    expect(bench.driver.take()).toEqual([`attach ${device.name} blocked`]);
    expect(iommuGroup().ownerCount).toBe(1);
    bench.unsetContainer(fd);
    expect(bench.driver.take()).toEqual([`attach ${device.name} identity`]);
    expect(iommuGroup().ownerCount).toBe(0);
  });

  it('are refused when a kernel driver uses the group; an iommufd notices only when a device is opened', () => {
    bench.run(useDefaultDomain(iommuGroup()));
    const fd = bench.openGroup(device);
    expect(bench.setContainer(fd, bench.openContainer())).toBe(-Errno.EPERM);
    expect(bench.setContainer(fd, bench.openIommufd())).toBe(0);
    expect(bench.deviceFd(fd, device.name)).toBe(-Errno.EPERM);
  });

  it('keep groups with and without IOMMU apart', () => {
    bench = new ContainerBench({ enableUnsafeNoIommu: true });
    const bare = bench.noIommuDevice();
    const real = bench.device();
    const container = bench.openContainer();
    const one = bench.openGroup(bare);
    const two = bench.openGroup(real);
    bench.process.canUseRawIo = false;
    expect(bench.setContainer(one, container)).toBe(-Errno.EPERM);
    bench.process.canUseRawIo = true;
    expect(bench.setContainer(one, container)).toBe(0);
    expect(bench.setContainer(two, container)).toBe(-Errno.EPERM);
    const iommufd = bench.openIommufd();
    expect(bench.setContainer(two, iommufd)).toBe(0);
    bench.unsetContainer(one);
    expect(bench.setContainer(one, iommufd)).toBe(-Errno.EINVAL);
  });
});

describe('GET_DEVICE_FD', () => {
  it('needs an address space and a known name', () => {
    const fd = bench.openGroup(device);
    expect(bench.deviceFd(fd, 'nobody')).toBe(-Errno.ENODEV);
    expect(bench.deviceFd(fd, device.name)).toBe(-Errno.EINVAL);
    bench.setContainer(fd, bench.openContainer());
    expect(bench.deviceFd(fd, device.name)).toBe(-Errno.EINVAL);
    expect(device.fileCount).toBe(0);
  });

  it('looks for a descriptor before it opens', () => {
    const { group } = bench.enter(device);
    bench.process.files.limit = 3;
    expect(bench.deviceFd(group, device.name)).toBe(-Errno.EMFILE);
    expect(device.openCount).toBe(0);
  });

  it('opens the device once for any number of files, and keeps the group in the container until the last', () => {
    const { group } = bench.enter(device);
    const one = bench.deviceFd(group, device.name);
    const two = bench.deviceFd(group, device.name);
    expect(device.openCount).toBe(2);
    expect(device.group.containerUsers).toBe(2);
    expect(bench.unsetContainer(group)).toBe(-Errno.EBUSY);
    bench.close(one);
    expect(bench.unsetContainer(group)).toBe(-Errno.EBUSY);
    bench.close(two);
    expect(bench.unsetContainer(group)).toBe(0);
  });

  it('holds the group file, so that its container stays until the device is closed', () => {
    const { group } = bench.enter(device);
    const fd = bench.deviceFd(group, device.name);
    bench.close(group);
    expect(device.group.openedFile).toBeDefined();
    bench.close(fd);
    expect(device.group.openedFile).toBeUndefined();
    expect(device.group.container).toBeUndefined();
    expect(iommuGroup().ownerCount).toBe(0);
  });

  it('attaches to the compatible IOAS of an iommufd, which lets go of the group at once', () => {
    const group = bench.openGroup(device);
    const iommufd = bench.openIommufd();
    bench.setContainer(group, iommufd);
    const fd = bench.deviceFd(group, device.name);
    expect(fileOf(fd).accessGranted).toBe(true);
    expect(device.iommufdAttached).toBe(true);
    expect(bench.unsetContainer(group)).toBe(0);
    bench.close(group);
    const again = bench.openGroup(device);
    expect(again).toBeGreaterThan(0);
    expect(bench.deviceFd(again, device.name)).toBe(-Errno.EINVAL);
    bench.setContainer(again, bench.openIommufd());
    const second = bench.deviceFd(again, device.name);
    expect(device.openCount).toBe(2);
    const { context } = bench.process.files.get(iommufd) as IommufdFile;
    expect(device.iommufdDevice?.context).toBe(context);
    bench.close(second);
    bench.close(fd);
    expect(device.openCount).toBe(0);
    expect(iommuGroup().ownerCount).toBe(0);
  });

  it('is ENODEV without compatible IOAS, and the device is closed again', () => {
    const group = bench.openGroup(device);
    const iommufd = bench.openIommufd();
    bench.setContainer(group, iommufd);
    (bench.process.files.get(iommufd) as IommufdFile).context.vfioIoas = undefined;
    expect(bench.deviceFd(group, device.name)).toBe(-Errno.ENODEV);
    expect(device.openCount).toBe(0);
    expect(device.iommufdDevice).toBeUndefined();
    expect(iommuGroup().ownerCount).toBe(0);
  });

  it('opens a device without IOMMU only where nothing promises translation', () => {
    bench = new ContainerBench({ enableUnsafeNoIommu: true });
    const bare = bench.noIommuDevice();
    const group = bench.openGroup(bare);
    bench.setContainer(group, bench.openIommufd());
    bench.process.canUseRawIo = false;
    expect(bench.deviceFd(group, bare.name)).toBe(-Errno.EPERM);
    bench.process.canUseRawIo = true;
    expect(bench.deviceFd(group, bare.name)).toBeGreaterThan(0);
    expect(bare.iommufdDevice).toBeUndefined();
  });

  it('makes files that do not bind, while the group excludes device nodes', () => {
    const { group } = bench.enter(device);
    bench.deviceFd(group, device.name);
    const node = openCdev(device);
    expect(node).toBeInstanceOf(VfioDeviceFile);
    expect(device.fileCount).toBe(2);
  });
});

describe('groups before DMA had owners (5.10)', () => {
  beforeEach(() => {
    bench = new ContainerBench({ profile: LEGACY_5_10_PROFILE });
    device = bench.device();
  });

  it('judge viability by the drivers of the group, independently of the container', () => {
    const group = bench.openGroup(device);
    device.group.members = () => [
      { driver: 'vfio-pci', isBridge: false },
      { driver: 'pcieport', isBridge: true },
      { driver: 'pci-stub', isBridge: false },
      { driver: undefined, isBridge: false },
    ];
    expect(bench.status(group)).toBe(1);
    device.group.members = () => [{ driver: 'e1000e', isBridge: false }];
    expect(bench.status(group)).toBe(0);
    const container = bench.openContainer();
    expect(bench.setContainer(group, container)).toBe(0);
    expect(bench.status(group)).toBe(2);
    bench.setIommu(container);
    expect(bench.deviceFd(group, device.name)).toBe(-Errno.EINVAL);
  });

  it('go from the default domain straight to the container and back', () => {
    const { group } = bench.enter(device);
    expect(bench.driver.take().filter((call) => call.startsWith('attach'))).toEqual([`attach ${device.name} A`]);
    bench.unsetContainer(group);
    expect(bench.driver.take().filter((call) => call.startsWith('attach'))).toEqual([`attach ${device.name} identity`]);
  });

  it('answer EINVAL for a file that is no container, after EBADF and the group having one', () => {
    const group = bench.openGroup(device);
    expect(bench.setContainer(group, 99)).toBe(-Errno.EBADF);
    expect(bench.setContainer(group, bench.openIommufd())).toBe(-Errno.EINVAL);
    expect(bench.setContainer(group, bench.openContainer())).toBe(0);
    expect(bench.setContainer(group, 99)).toBe(-Errno.EINVAL);
    expect(bench.deviceFd(group, 'nobody')).toBe(-Errno.EINVAL);
  });
});
