// Slot and bus resets: VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and VFIO_DEVICE_PCI_HOT_RESET of Linux
// drivers/vfio/pci/vfio_pci_core.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { bindIommufd, openCdev } from '../../../../src/stack/vfio/cdev.ts';
import type { VfioDevice } from '../../../../src/stack/vfio/device.ts';
import type { VfioDeviceFile } from '../../../../src/stack/vfio/device-file.ts';
import { type AffectedFunction, getHotResetInfo, hotReset } from '../../../../src/stack/vfio/hot-reset.ts';
import { VfioPciDriver } from '../../../../src/stack/vfio/vfio-pci.ts';
import { ContainerBench } from '../../../support/container-bench.ts';

const SCRATCH = 0x7ffc_0000_0000n;
const NO_MEMORY = 1n;

let bench: ContainerBench;
let devices: VfioDevice[];
/** Extra functions of the bus that VFIO does not have. */
let strangers: AffectedFunction[];

/** Two groups of two devices each, all on one bus and in one set. */
beforeEach(() => {
  bench = new ContainerBench();
  strangers = [];
  const made = [...bench.devices({}, {}), ...bench.devices({}, {})];
  // One set: the reset of one takes all along.
  const set = made[0]?.set;
  for (const device of made.slice(1)) {
    device.set.devices.length = 0;
    set?.devices.push(device);
    Object.assign(device, { set });
  }
  devices = made;
  const affected = () => [
    ...made.map((device, index) => ({ segment: 0, bus: 1, devfn: index, groupId: device.group.id, device })),
    ...strangers,
  ];
  for (const { driver } of made) if (driver instanceof VfioPciDriver) driver.affectedFunctions = affected;
});

function info(device: VfioDevice, argsz = 256): { rc: number; flags: number; count: number; ids: number[] } {
  const sent = new DataView(new ArrayBuffer(256));
  sent.setUint32(0, argsz, true);
  bench.process.memory.write(SCRATCH, new Uint8Array(sent.buffer));
  const rc = bench.run(getHotResetInfo(device, bench.process, SCRATCH));
  const reply = new DataView((bench.process.memory.read(SCRATCH, 256) as Uint8Array).buffer);
  const count = reply.getUint32(8, true);
  const ids = rc === 0 ? Array.from({ length: count }, (_, index) => reply.getInt32(12 + 8 * index, true)) : [];
  return { rc, flags: reply.getUint32(4, true), count, ids };
}

function reset(device: VfioDevice, fds: number[] = [], flags = 0, argsz = 12 + 4 * fds.length): number {
  const words = Int32Array.of(argsz, flags, fds.length, ...fds);
  bench.process.memory.write(SCRATCH, new Uint8Array(words.buffer));
  return bench.run(hotReset(device, bench.process, SCRATCH));
}

/** Binds a device to an iommufd through its node. */
function bind(index: number, iommufd: number): number {
  const device = devices[index] as VfioDevice;
  const file = openCdev(device) as VfioDeviceFile;
  const command = { argsz: 16, flags: 0, iommufd, token: undefined, hasUnknownTail: false, copyOut: () => 0 };
  const error = bench.run(bindIommufd(file, bench.profile, command, bench.process.files));
  if (error !== 0) throw new Error(`bind failed with ${error}`);
  return device.iommufdDevice?.id ?? 0;
}

describe('what a reset affects', () => {
  it('is told by group for files made through groups', () => {
    const device = devices[0] as VfioDevice;
    expect(info(device)).toEqual({ rc: 0, flags: 0, count: 4, ids: [0, 0, 1, 1] });
    expect(info(device, 11).rc).toBe(-Errno.EINVAL);
    expect(info(device, 12 + 31)).toMatchObject({ rc: -Errno.ENOSPC, flags: 0, count: 4 });
    expect(bench.run(getHotResetInfo(device, bench.process, NO_MEMORY))).toBe(-Errno.EFAULT);
    strangers = [{ segment: 0, bus: 1, devfn: 9, groupId: undefined, device: undefined }];
    expect(info(device).rc).toBe(-Errno.EPERM);
  });

  it('is told by device id for bound nodes: own id, owned through the group, or not owned', () => {
    const mine = bench.openIommufd();
    const id = bind(0, mine);
    const device = devices[0] as VfioDevice;
    // The second device is unbound but in the owned group; the others are nobody's.
    expect(info(device)).toMatchObject({ flags: 1, ids: [id, 0, -1, -1] });
    bind(2, mine);
    expect(info(device)).toMatchObject({ flags: 3, ids: [id, 0, devices[2]?.iommufdDevice?.id, 0] });
    strangers = [{ segment: 0, bus: 1, devfn: 9, groupId: 7, device: undefined }];
    expect(info(device)).toMatchObject({ flags: 1, count: 5 });
  });

  it('is not owned where another context has it', () => {
    bind(0, bench.openIommufd());
    bind(2, bench.openIommufd());
    expect(info(devices[0] as VfioDevice).ids.slice(2)).toEqual([-1, -1]);
  });

  it('is nothing where neither slot nor bus can be reset', () => {
    const device = devices[0] as VfioDevice;
    (device.driver as VfioPciDriver).affectedFunctions = undefined;
    expect(info(device).rc).toBe(-Errno.ENODEV);
    expect(reset(device, [1])).toBe(-Errno.ENODEV);
  });
});

describe('the reset', () => {
  it('needs the groups of every device of the set', () => {
    const device = devices[0] as VfioDevice;
    const one = bench.openGroup(device);
    const two = bench.openGroup(devices[2] as VfioDevice);
    expect(reset(device, [])).toBe(-Errno.EINVAL);
    expect(reset(device, [one], 1)).toBe(-Errno.EINVAL);
    expect(reset(device, [one], 0, 11)).toBe(-Errno.EINVAL);
    expect(reset(device, [one])).toBe(-Errno.EINVAL);
    expect(reset(device, [one, 99])).toBe(-Errno.EBADF);
    expect(reset(device, [one, bench.openContainer()])).toBe(-Errno.EINVAL);
    expect(reset(device, [one, two, one, two, one])).toBe(-Errno.EINVAL);
    expect(reset(device, [one, two])).toBe(0);
  });

  it('is impossible while a function of the bus is not VFIO’s', () => {
    const fds = [bench.openGroup(devices[0] as VfioDevice), bench.openGroup(devices[2] as VfioDevice)];
    strangers = [{ segment: 0, bus: 1, devfn: 9, groupId: 7, device: undefined }];
    expect(reset(devices[0] as VfioDevice, fds)).toBe(-Errno.EINVAL);
  });

  it('goes by the iommufd on the device-node path, and takes no descriptors there', () => {
    const mine = bench.openIommufd();
    bind(0, mine);
    const device = devices[0] as VfioDevice;
    expect(reset(device, [mine])).toBe(-Errno.EINVAL);
    expect(reset(device)).toBe(-Errno.EINVAL);
    bind(2, mine);
    expect(reset(device)).toBe(0);
  });
});
