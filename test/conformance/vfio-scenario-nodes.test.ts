// Scenarios on device nodes and hot resets (Linux drivers/vfio/{device_cdev,iommufd}.c, pci/vfio_pci_core.c), numbered as in
// docs/spec-map-vfio.md.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/errno.ts';
import type { VfioDevice } from '../../src/stack/vfio/device.ts';
import { DeviceRequest } from '../../src/stack/vfio/device-ioctl.ts';
import type { VfioPciDriver } from '../../src/stack/vfio/vfio-pci.ts';
import { VfioSystem } from '../support/vfio-system.ts';

const [DEV_ID, DEV_ID_OWNED] = [1, 2];

function setup(options?: ConstructorParameters<typeof VfioSystem>[0]) {
  const system = new VfioSystem(options);
  return { system, bench: system.bench };
}

describe('device nodes', () => {
  it('28: GET_INFO before BIND is EINVAL', () => {
    const { system, bench } = setup();
    const device = bench.device();
    const fd = system.openNode(device);
    expect(system.call(fd, DeviceRequest.getInfo, 24, 0, 0, 0, 0, 0)).toBe(-Errno.EINVAL);
    system.bind(fd, system.openIommufd());
    expect(system.call(fd, DeviceRequest.getInfo, 24, 0, 0, 0, 0, 0)).toBe(0);
  });

  it('29: BIND with a negative, a closed and a group descriptor is EINVAL, EBADF and EBADFD', () => {
    const { system, bench } = setup();
    const fd = system.openNode(bench.device());
    const group = system.openGroup(bench.device());
    expect(system.bind(fd, -1)).toBe(-Errno.EINVAL);
    expect(system.bind(fd, 999)).toBe(-Errno.EBADF);
    expect(system.bind(fd, group)).toBe(-Errno.EBADFD);
  });

  it('30: BIND while the group is open is EBUSY', () => {
    const { system, bench } = setup();
    const device = bench.device();
    const fd = system.openNode(device);
    const group = system.openGroup(device);
    expect(system.bind(fd, system.openIommufd())).toBe(-Errno.EBUSY);
    system.close(group);
    expect(system.bind(fd, system.openIommufd())).toBeGreaterThan(0);
  });

  it('31: BIND twice is EINVAL on one file and on two', () => {
    const { system, bench } = setup();
    const device = bench.device();
    const { fd, iommufd } = system.bound(device);
    expect(system.bind(fd, iommufd)).toBe(-Errno.EINVAL);
    expect(system.bind(system.openNode(device), iommufd)).toBe(-Errno.EINVAL);
    expect(device.openCount).toBe(1);
  });

  it('32: ATTACH on a file made by a group is ENOTTY', () => {
    const { system, bench } = setup();
    const { fd, container } = system.opened(bench.device(), 'iommufd');
    expect(system.attach(fd, system.ioas(container))).toBe(-Errno.ENOTTY);
    expect(system.detach(fd)).toBe(-Errno.ENOTTY);
  });

  it('33: DETACH when nothing is attached is 0', () => {
    const { system, bench } = setup();
    expect(system.detach(system.bound(bench.device()).fd)).toBe(0);
  });

  it('34: ATTACH to an unknown id is ENOENT and to a device object EINVAL', () => {
    const { system, bench } = setup();
    const { fd, id } = system.bound(bench.device());
    expect(system.attach(fd, 999)).toBe(-Errno.ENOENT);
    expect(system.attach(fd, id)).toBe(-Errno.EINVAL);
  });

  it('35: a mediated device attached to a page table is ENOENT', () => {
    const { system, bench } = setup();
    const { iommufd, id } = system.bound(bench.device());
    const ioas = system.ioas(iommufd);
    const hwpt = system.hwpt(iommufd, id, ioas);
    expect(hwpt).toBeGreaterThan(0);
    const { fd } = system.bound(bench.emulated().device, iommufd);
    expect(system.attach(fd, hwpt)).toBe(-Errno.ENOENT);
    expect(system.attach(fd, ioas)).toBe(ioas);
  });
});

/** Functions that one bus reset takes along. */
function shareBus(devices: readonly VfioDevice[]): void {
  const affected = devices.map((device, index) => ({
    segment: 0,
    bus: 1,
    devfn: index,
    groupId: device.group.id,
    device,
  }));
  for (const device of devices) (device.driver as VfioPciDriver).affectedFunctions = () => affected;
}

/** Flags and ids of GET_PCI_HOT_RESET_INFO for two functions. */
function resetInfo(system: VfioSystem, fd: number) {
  const rc = system.call(fd, DeviceRequest.getPciHotResetInfo, 28, 0, 0, 0, 0, 0, 0);
  return { rc, flags: system.word(1), ids: [system.word(3), system.word(5)] };
}

describe('hot resets', () => {
  it('37: a node gives no descriptors and a group at least one: EINVAL', () => {
    const { system, bench } = setup();
    bench.resetKey = 'bus 1';
    const [one, two] = bench.devices({}, {}) as [VfioDevice, VfioDevice];
    shareBus([one, two]);
    const node = system.bound(one);
    expect(system.call(node.fd, DeviceRequest.pciHotReset, 16, 0, 1, node.iommufd)).toBe(-Errno.EINVAL);
    bench.resetKey = undefined;
    const other = bench.device();
    shareBus([other]);
    const opened = system.opened(other);
    expect(system.call(opened.fd, DeviceRequest.pciHotReset, 12, 0, 0)).toBe(-Errno.EINVAL);
    expect(system.call(opened.fd, DeviceRequest.pciHotReset, 16, 0, 1, opened.group)).toBe(0);
  });

  it('38: a sibling bound to another context is not owned', () => {
    const { system, bench } = setup();
    bench.resetKey = 'bus 1';
    const [one, two] = [bench.device(), bench.device()];
    shareBus([one, two]);
    const { fd, id } = system.bound(one);
    system.bound(two);
    expect(resetInfo(system, fd)).toEqual({ rc: 0, flags: DEV_ID, ids: [id, -1] });
    expect(system.call(fd, DeviceRequest.pciHotReset, 12, 0, 0)).toBe(-Errno.EINVAL);
  });

  it('39: an unbound sibling of the same group is owned with id 0', () => {
    const { system, bench } = setup();
    bench.resetKey = 'bus 1';
    const [one, two] = bench.devices({}, {}) as [VfioDevice, VfioDevice];
    shareBus([one, two]);
    const { fd, id } = system.bound(one);
    expect(resetInfo(system, fd)).toEqual({ rc: 0, flags: DEV_ID | DEV_ID_OWNED, ids: [id, 0] });
    expect(system.call(fd, DeviceRequest.pciHotReset, 12, 0, 0)).toBe(0);
  });
});
