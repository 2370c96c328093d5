// Device nodes: Linux drivers/vfio/{device_cdev,vfio_main,iommufd}.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { HwptAllocFlag } from '../../../../src/stack/iommu/ops.ts';
import type { IommufdFile } from '../../../../src/stack/iommufd/iommufd-file.ts';
import type { VfioDevice } from '../../../../src/stack/vfio/device.ts';
import { VfioBench } from '../../../support/vfio-node.ts';

let bench: VfioBench;
let device: VfioDevice;
let iommufd: number;

const context = () => (bench.files.get(iommufd) as IommufdFile).context;

beforeEach(() => {
  bench = new VfioBench('L73');
  device = bench.device();
  iommufd = bench.openIommufd();
});

describe('BIND_IOMMUFD', () => {
  it('checks size, flags, descriptor and earlier binds in that order', () => {
    const { file } = bench.open(device);
    expect(bench.bind(file, iommufd, { argsz: 15 })).toBe(-Errno.EINVAL);
    expect(bench.bind(file, iommufd, { argsz: 64, hasUnknownTail: true })).toBe(-Errno.E2BIG);
    expect(bench.bind(file, -1)).toBe(-Errno.EINVAL);
    expect(bench.bind(file, iommufd, { flags: 2 })).toBe(-Errno.EINVAL);
    expect(bench.bind(file, iommufd, { flags: 1 })).toBe(-Errno.EFAULT);
    expect(bench.bind(file, iommufd, { flags: 1, token: new Uint8Array(16) })).toBe(-Errno.EINVAL);
    expect(bench.bind(file, 99)).toBe(-Errno.EBADF);
    expect(bench.bind(file, bench.open(device).fd)).toBe(-Errno.EBADFD);
    expect(bench.bind(file, iommufd)).toBe(0);
    expect(bench.bind(file, iommufd)).toBe(-Errno.EINVAL);
  });

  it('is refused while the group file is open, and counts only while it may succeed', () => {
    const { file, fd } = bench.open(device);
    device.group.openedFile = {} as never;
    expect(bench.bind(file, iommufd)).toBe(-Errno.EBUSY);
    device.group.openedFile = undefined;
    expect(bench.bind(file, 99)).toBe(-Errno.EBADF);
    expect(device.group.cdevOpenCount).toBe(0);
    bench.bind(file, iommufd);
    expect(device.group.cdevOpenCount).toBe(1);
    bench.close(fd);
    expect(device.group.cdevOpenCount).toBe(0);
  });

  it('lets one file have the device and leaves the others without access', () => {
    const one = bench.open(device);
    const two = bench.open(device);
    expect(bench.bind(one.file, iommufd)).toBe(0);
    expect(bench.bind(two.file, iommufd)).toBe(-Errno.EINVAL);
    expect(two.file.accessGranted).toBe(false);
    bench.close(one.fd);
    expect(bench.bind(two.file, iommufd)).toBe(0);
  });

  it('keeps a group with one context', () => {
    const [one, two] = bench.devices(0, 0) as [VfioDevice, VfioDevice];
    expect(bench.bind(bench.open(one).file, iommufd)).toBe(0);
    expect(bench.bind(bench.open(two).file, bench.openIommufd())).toBe(-Errno.EPERM);
    expect(bench.bind(bench.open(two).file, iommufd)).toBe(0);
  });

  it('closes the device again when the id cannot be written back', () => {
    const { file } = bench.open(device);
    expect(bench.bind(file, iommufd, { copyOut: () => -Errno.EFAULT })).toBe(-Errno.EFAULT);
    expect(device.openCount).toBe(0);
    expect(context().objects.isEmpty).toBe(true);
    expect(bench.bind(file, iommufd)).toBe(0);
  });

  it('outlives the descriptor of the iommufd', () => {
    const { file, fd } = bench.open(device);
    bench.bind(file, iommufd);
    const bound = context();
    bench.close(iommufd);
    expect(bound.objects.isEmpty).toBe(false);
    bench.close(fd);
    expect(bound.objects.isEmpty).toBe(true);
  });
});

describe('ATTACH_IOMMUFD_PT', () => {
  it('replaces when VFIO remembers an attachment', () => {
    const { file } = bench.open(device);
    bench.bind(file, iommufd);
    const one = bench.machine.ioas(context());
    const two = bench.machine.ioas(context());
    const first = bench.attach(file, one);
    const second = bench.attach(file, two);
    expect(second).not.toBe(first);
    expect(context().objects.peekAny(first)).toBeUndefined();
    expect(bench.detach(file)).toBe(0);
    expect(bench.detach(file)).toBe(0);
  });

  it('detaches when the id cannot be written back, also after a replace', () => {
    const { file } = bench.open(device);
    bench.bind(file, iommufd);
    const ioas = bench.machine.ioas(context());
    bench.attach(file, ioas);
    const other = bench.machine.ioas(context());
    expect(bench.attach(file, other, undefined, () => -Errno.EFAULT)).toBe(-Errno.EFAULT);
    expect(device.iommufdAttached).toBe(false);
    expect(device.iommufdDevice?.igroup.slots.size).toBe(0);
  });

  it('forgets a PASID whose first attach failed and takes PASID 0 for the RID behind its back', () => {
    const { file } = bench.open(device);
    bench.bind(file, iommufd);
    const ioas = bench.machine.ioas(context());
    expect(bench.attach(file, ioas, 3)).toBe(-Errno.EINVAL);
    expect(device.pasids.size).toBe(0);
    expect(bench.attach(file, ioas, 2 ** 31)).toBe(-Errno.ENOSPC);
    expect(bench.attach(file, ioas, 0)).toBeGreaterThan(0);
    expect(bench.attach(file, ioas)).toBe(-Errno.EBUSY);
    expect(bench.detach(file)).toBe(0);
    expect(device.iommufdDevice?.igroup.slots.size).toBe(1);
    expect(bench.detach(file, 0)).toBe(0);
    expect(device.iommufdDevice?.igroup.slots.size).toBe(0);
  });

  it('knows no PASID flag before 6.15', () => {
    bench = new VfioBench('L612');
    device = bench.device();
    iommufd = bench.openIommufd();
    const { file } = bench.open(device);
    bench.bind(file, iommufd);
    expect(bench.attach(file, bench.machine.ioas(context()), 1)).toBe(-Errno.EINVAL);
  });
});

it('closing detaches PASIDs and the RID before it unbinds', () => {
  const { file, fd } = bench.open(device);
  bench.bind(file, iommufd);
  const bound = device.iommufdDevice;
  if (bound === undefined) throw new Error('not bound');
  const ioas = bench.machine.ioas(context());
  const table = bench.machine.hwpt(bound, ioas, HwptAllocFlag.pasid);
  expect(bench.attach(file, table)).toBe(table);
  expect(bench.attach(file, table, 9)).toBe(table);
  bench.close(fd);
  expect(bound.igroup.slots.size).toBe(0);
  expect(bound.igroup.group.ownerCount).toBe(0);
  expect(bench.machine.destroy(table, context())).toBe(0);
  expect(bench.machine.destroy(ioas, context())).toBe(0);
});
