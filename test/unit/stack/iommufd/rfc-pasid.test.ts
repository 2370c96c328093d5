// PASID attachment as proposed in 2023, where it differs from what was merged.
import { expect, it } from 'vitest';
import type { Pasid } from '../../../../src/address.ts';
import { Errno } from '../../../../src/errno.ts';
import { MockDeviceFlag } from '../../../../src/stack/drivers/mock/constants.ts';
import { RfcPasidTable } from '../../../../src/stack/iommufd/rfc-pasid.ts';
import { MockMachine } from '../../../support/mock-machine.ts';

const FIVE = 5 as Pasid;

function setup() {
  const machine = new MockMachine('L615');
  const ioas = machine.ioas();
  const device = machine.device(MockDeviceFlag.pasid);
  return { machine, ioas, device, table: new RfcPasidTable(device) };
}

it('takes an IOAS and puts it on an automatic page table', () => {
  const { machine, ioas, table } = setup();
  const change = machine.kernel.run(table.attach(FIVE, ioas));
  expect(change.error).toBe(0);
  expect(table.at(FIVE)?.id).toBe(change.pageTableId);
  machine.kernel.run(table.detach(FIVE));
  expect(machine.context.objects.peekAny(change.pageTableId)).toBeUndefined();
});

it('takes the same page table again without counting it, and refuses another', () => {
  const { machine, ioas, device, table } = setup();
  const a = machine.hwpt(device, ioas);
  const b = machine.hwpt(device, ioas);
  const users = device.users;
  expect(machine.kernel.run(table.attach(FIVE, a)).error).toBe(0);
  expect(machine.kernel.run(table.attach(FIVE, a)).error).toBe(0);
  expect(table.at(FIVE)?.users).toBe(2);
  expect(device.users).toBe(users);
  expect(machine.kernel.run(table.attach(FIVE, b)).error).toBe(-Errno.EINVAL);
});

it('replaces only what is attached', () => {
  const { machine, ioas, device, table } = setup();
  const a = machine.hwpt(device, ioas);
  const b = machine.hwpt(device, ioas);
  expect(machine.kernel.run(table.replace(FIVE, a)).error).toBe(-Errno.EINVAL);
  machine.kernel.run(table.attach(FIVE, a));
  expect(machine.kernel.run(table.replace(FIVE, b)).error).toBe(0);
  expect(machine.destroy(a)).toBe(0);
  expect(machine.destroy(b)).toBe(-Errno.EBUSY);
});
