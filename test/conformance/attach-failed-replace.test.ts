// What a refused replace leaves behind: Linux drivers/iommu/iommufd/device.c and drivers/iommu/intel/iommu.c.
import { expect, it } from 'vitest';
import { Errno } from '../../src/errno.ts';
import { MockDeviceFlag } from '../../src/stack/drivers/mock/constants.ts';
import type { MockDevice } from '../../src/stack/drivers/mock/mock-device.ts';
import { HwptAllocFlag } from '../../src/stack/iommu/ops.ts';
import { attachDevice, replaceDevice } from '../../src/stack/iommufd/auto-domain.ts';
import { Ioas } from '../../src/stack/iommufd/ioas.ts';
import { MockMachine } from '../support/mock-machine.ts';

const MSI = { start: 0x4000_0000n, last: 0x400f_ffffn, type: 'msi' } as const;

function setup() {
  const machine = new MockMachine('L73');
  // A mock device reserves nothing by itself.
  machine.driver.reservedRegions = () => [MSI];
  const [one, two] = machine.group(MockDeviceFlag.noDirty, 0).devices as [MockDevice, MockDevice];
  const ioasId = machine.ioas();
  const first = machine.bind(one);
  const second = machine.bind(two);
  const ioas = machine.context.objects.peek(ioasId, Ioas) as Ioas;
  const dirty = machine.hwpt(second, ioasId, HwptAllocFlag.dirtyTracking);
  return { machine, ioasId, ioas, first, second, dirty };
}

const reservesMsi = (ioas: Ioas): boolean => ioas.reserved.some((range) => range.start === MSI.start);

it('a refused replace within one IOAS drops the device regions although the device stays attached', () => {
  const { machine, ioasId, ioas, first, dirty } = setup();
  expect(machine.kernel.run(attachDevice(first, 0, ioasId)).error).toBe(0);
  expect(reservesMsi(ioas)).toBe(true);
  const before = first.igroup.slots.get(0)?.hwpt;
  expect(machine.kernel.run(replaceDevice(first, 0, dirty)).error).toBe(-Errno.EINVAL);
  expect(first.igroup.slots.get(0)?.hwpt).toBe(before);
  expect(reservesMsi(ioas)).toBe(false);
});

it('a refused replace towards another IOAS leaves no region there and keeps those of the old one', () => {
  const { machine, ioasId, ioas, first, second } = setup();
  machine.kernel.run(attachDevice(first, 0, ioasId));
  const otherId = machine.ioas();
  const other = machine.context.objects.peek(otherId, Ioas) as Ioas;
  const elsewhere = machine.hwpt(second, otherId, HwptAllocFlag.dirtyTracking);
  expect(machine.kernel.run(replaceDevice(first, 0, elsewhere)).error).toBe(-Errno.EINVAL);
  expect(reservesMsi(other)).toBe(false);
  expect(reservesMsi(ioas)).toBe(true);
});

it('a replace that succeeds moves the regions of every device of the group', () => {
  const { machine, ioasId, ioas, first, second } = setup();
  machine.kernel.run(attachDevice(first, 0, ioasId));
  machine.kernel.run(attachDevice(second, 0, ioasId));
  const otherId = machine.ioas();
  const other = machine.context.objects.peek(otherId, Ioas) as Ioas;
  expect(machine.kernel.run(replaceDevice(second, 0, otherId)).error).toBe(0);
  expect(reservesMsi(ioas)).toBe(false);
  expect(other.reserved.filter((range) => range.start === MSI.start)).toHaveLength(2);
});
