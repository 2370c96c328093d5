// A device leaves VFIO while it is in use: vfio_unregister_group_dev of Linux drivers/vfio/vfio_main.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { bindIommufd, openCdev } from '../../../../src/stack/vfio/cdev.ts';
import type { VfioDevice } from '../../../../src/stack/vfio/device.ts';
import type { VfioDeviceFile } from '../../../../src/stack/vfio/device-file.ts';
import { deviceNode, groupNode } from '../../../../src/stack/vfio/node-names.ts';
import { CDEV_V11_PROFILE } from '../../../../src/stack/vfio/profile.ts';
import { unregisterDevice } from '../../../../src/stack/vfio/unregistration.ts';
import { ContainerBench } from '../../../support/container-bench.ts';

let bench: ContainerBench;
let device: VfioDevice;

beforeEach(() => {
  bench = new ContainerBench();
  device = bench.device();
});

describe('unregistering a device', () => {
  it('waits for every file, bound or not, and is found by nobody meanwhile', () => {
    const { group } = bench.enter(device);
    const first = bench.deviceFd(group, device.name);
    const node = bench.process.files.install(openCdev(device) as VfioDeviceFile);
    let asked = 0;
    Object.assign(device.driver, { request: () => asked++ });
    let done = false;
    bench.kernel.scheduler.start(
      (function* () {
        yield* unregisterDevice(bench.registry, device);
        done = true;
      })(),
    );
    bench.run(nothing());
    expect(asked).toBe(1);
    expect(bench.deviceFd(group, device.name)).toBe(-Errno.ENODEV);
    expect(openCdev(device)).toBe(-Errno.ENODEV);
    expect(bench.status(group)).toBe(3);
    bench.close(first);
    expect(done).toBe(false);
    bench.close(node);
    bench.run(nothing());
    expect(done).toBe(true);
    // With the last device, the group has left its container, and its file is good for nothing.
    expect(device.group.container).toBeUndefined();
    expect(bench.status(group)).toBe(-Errno.ENODEV);
    expect(bench.setContainer(group, bench.openContainer())).toBe(-Errno.ENODEV);
    bench.close(group);
    expect(bench.openGroup(device)).toBe(-Errno.ENODEV);
  });

  it('leaves the group to the other devices', () => {
    const [one, two] = bench.devices({}, {}) as [VfioDevice, VfioDevice];
    bench.run(unregisterDevice(bench.registry, one));
    expect(bench.openGroup(two)).toBeGreaterThan(0);
    expect([...bench.registry.devices()]).not.toContain(one);
  });

  it('frees the number of the node for the next device', () => {
    bench.run(unregisterDevice(bench.registry, device));
    expect(bench.device().index).toBe(device.index);
  });
});

function* nothing(): Generator<number, void, undefined> {
  yield 1_000_000;
}

describe('node names', () => {
  it('tell devices without IOMMU apart', () => {
    bench = new ContainerBench({ enableUnsafeNoIommu: true });
    const real = bench.device();
    const bare = bench.noIommuDevice();
    const { group } = bench.emulated().device;
    expect(groupNode(real.group)).toBe('/dev/vfio/0');
    expect(groupNode(bare.group)).toMatch(/^\/dev\/vfio\/noiommu-\d+$/);
    expect(groupNode(group)).toBe(`/dev/vfio/${group.id}`);
    expect(deviceNode(real, bench.profile)).toBe('/dev/vfio/devices/vfio0');
    expect(deviceNode(bare, bench.profile)).toBeUndefined();
    expect(deviceNode(bare, CDEV_V11_PROFILE)).toBe('/dev/vfio/devices/noiommu-vfio1');
  });
});

describe('a device without IOMMU in the last version of the device-node series', () => {
  it('binds to an access with CAP_SYS_RAWIO, before the group is looked at, and attaches nothing', () => {
    bench = new ContainerBench({ enableUnsafeNoIommu: true, profile: CDEV_V11_PROFILE });
    const bare = bench.noIommuDevice();
    const iommufd = bench.openIommufd();
    const file = openCdev(bare) as VfioDeviceFile;
    const bind = (canUseRawIo: boolean) => {
      const command = { argsz: 16, flags: 0, iommufd, canUseRawIo, token: undefined, hasUnknownTail: false };
      const task = bindIommufd(file, bench.profile, { ...command, copyOut: () => 0 }, bench.process.files);
      return bench.run(task);
    };
    const group = bench.openGroup(bare);
    expect(bind(false)).toBe(-Errno.EPERM);
    expect(bind(true)).toBe(-Errno.EBUSY);
    bench.close(group);
    expect(bind(true)).toBe(0);
    expect(file.deviceId).toBe(bare.iommufdAccess?.id);
    expect(bench.run(bare.driver.attachIoas(bare, 77))).toEqual({ error: 0, pageTableId: 77 });
    bench.run(bare.driver.detachIoas(bare));
    bench.run(file.file.put());
    expect(bare.iommufdAccess).toBeUndefined();
  });
});
