// Attach, replace and detach by id: Linux drivers/iommu/iommufd/device.c.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { MockDeviceFlag } from '../../../../src/stack/drivers/mock/constants.ts';
import type { MockDevice } from '../../../../src/stack/drivers/mock/mock-device.ts';
import { HwptAllocFlag } from '../../../../src/stack/iommu/ops.ts';
import { attachDevice, detachDevice, replaceDevice } from '../../../../src/stack/iommufd/auto-domain.ts';
import { unbindDevice } from '../../../../src/stack/iommufd/device.ts';
import { HwptPaging } from '../../../../src/stack/iommufd/hwpt-paging.ts';
import { Ioas } from '../../../../src/stack/iommufd/ioas.ts';
import { MockMachine } from '../../../support/mock-machine.ts';

const PASID = MockDeviceFlag.pasid;

describe('attach by id', () => {
  it('makes an automatic page table for an IOAS and shares it with the next device', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const first = machine.device();
    const second = machine.device();
    expect(machine.kernel.run(attachDevice(first, 0, ioas))).toEqual({ error: 0, pageTableId: 4 });
    expect(machine.kernel.run(attachDevice(second, 0, ioas))).toEqual({ error: 0, pageTableId: 4 });
    const hwpt = machine.context.objects.peek(4, HwptPaging);
    expect(hwpt?.auto).toBe(true);
    expect(hwpt?.users).toBe(3);
  });

  it('destroys the automatic page table with its last attachment', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const device = machine.device();
    const { pageTableId } = machine.kernel.run(attachDevice(device, 0, ioas));
    machine.kernel.run(detachDevice(device, 0));
    expect(machine.context.objects.peekAny(pageTableId)).toBeUndefined();
    expect(machine.destroy(ioas)).toBe(0);
  });

  it('answers ENOENT for an unknown id and EINVAL for an object that is no page table', () => {
    const machine = new MockMachine();
    const device = machine.device();
    expect(machine.kernel.run(attachDevice(device, 0, 99)).error).toBe(-Errno.ENOENT);
    expect(machine.kernel.run(attachDevice(device, 0, device.id)).error).toBe(-Errno.EINVAL);
    expect(device.users).toBe(2);
  });

  it('refuses a device that is in the slot already: EBUSY since 6.15', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const device = machine.device();
    machine.kernel.run(attachDevice(device, 0, ioas));
    expect(machine.kernel.run(attachDevice(device, 0, ioas)).error).toBe(-Errno.EBUSY);
  });

  it('refuses another page table for the second device of a group', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const [one, two] = machine.group(0, 0).devices as [MockDevice, MockDevice];
    const first = machine.bind(one);
    const second = machine.bind(two);
    const other = machine.hwpt(first, ioas);
    machine.kernel.run(attachDevice(first, 0, ioas));
    expect(machine.kernel.run(attachDevice(second, 0, other)).error).toBe(-Errno.EINVAL);
    expect(machine.kernel.run(attachDevice(second, 0, ioas)).error).toBe(0);
  });

  it('gives the id of a page table back when filling it fails', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const device = machine.device();
    const target = machine.context.objects.peek(ioas, Ioas) as Ioas;
    target.allow([{ start: 0n, last: 0xfffn }]);
    // The mock's aperture starts above: its reservation meets the allowed range.
    expect(machine.kernel.run(attachDevice(device, 0, ioas)).error).toBe(-Errno.EADDRINUSE);
    expect(device.igroup.slots.size).toBe(0);
    expect(device.igroup.group.domain).toBe(machine.driver.blockedDomain);
    expect(machine.ioas()).toBe(3);
  });
});

describe('replace by id', () => {
  it('needs an attachment', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const device = machine.device();
    expect(machine.kernel.run(replaceDevice(device, 0, ioas)).error).toBe(-Errno.EINVAL);
  });

  it('moves every device of the group at once', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const [one, two] = machine.group(0, 0).devices as [MockDevice, MockDevice];
    const first = machine.bind(one);
    const second = machine.bind(two);
    const target = machine.hwpt(first, ioas);
    machine.kernel.run(attachDevice(first, 0, ioas));
    const { pageTableId: auto } = machine.kernel.run(attachDevice(second, 0, ioas));
    expect(machine.kernel.run(replaceDevice(first, 0, target))).toEqual({ error: 0, pageTableId: target });
    expect(machine.context.objects.peekAny(auto)).toBeUndefined();
    const hwpt = machine.context.objects.peek(target, HwptPaging) as HwptPaging;
    expect(hwpt.users).toBe(3);
    expect(first.igroup.group.domain).toBe(hwpt.domain);
  });

  it('is nothing when the page table stays the same', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const device = machine.device();
    const { pageTableId } = machine.kernel.run(attachDevice(device, 0, ioas));
    expect(machine.kernel.run(replaceDevice(device, 0, pageTableId))).toEqual({ error: 0, pageTableId });
  });

  it('keeps the old page table when the driver refuses the new one', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const able = machine.device();
    const unable = machine.device(MockDeviceFlag.noDirty);
    const dirty = machine.hwpt(able, ioas, HwptAllocFlag.dirtyTracking);
    machine.kernel.run(attachDevice(unable, 0, ioas));
    const before = unable.igroup.group.domain;
    expect(machine.kernel.run(replaceDevice(unable, 0, dirty)).error).toBe(-Errno.EINVAL);
    expect(unable.igroup.group.domain).toBe(before);
    expect(machine.destroy(dirty)).toBe(0);
  });
});

describe('PASID slots', () => {
  it('refuse page tables that were not allocated for PASIDs', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const device = machine.device(PASID);
    const plain = machine.hwpt(device, ioas);
    expect(machine.kernel.run(attachDevice(device, 5 as never, plain)).error).toBe(-Errno.EINVAL);
    expect(machine.kernel.run(attachDevice(device, 5 as never, ioas)).error).toBe(-Errno.EINVAL);
    expect(machine.destroy(plain)).toBe(0);
  });

  it('keep the RID on page tables allocated for PASIDs while one is attached', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const device = machine.device(PASID);
    const able = machine.hwpt(device, ioas, HwptAllocFlag.pasid);
    const plain = machine.hwpt(device, ioas);
    machine.kernel.run(attachDevice(device, 0, able));
    machine.kernel.run(attachDevice(device, 5 as never, able));
    expect(machine.kernel.run(replaceDevice(device, 0, plain)).error).toBe(-Errno.EINVAL);
    machine.kernel.run(detachDevice(device, 5 as never));
    expect(machine.kernel.run(replaceDevice(device, 0, plain)).error).toBe(0);
  });

  it('keep the old page table when the driver runs out of memory in a replace', () => {
    const machine = new MockMachine();
    const ioas = machine.ioas();
    const device = machine.device(PASID);
    const a = machine.hwpt(device, ioas, HwptAllocFlag.pasid);
    const b = machine.hwpt(device, ioas, HwptAllocFlag.pasid);
    const failing = 1024 as never;
    machine.kernel.run(attachDevice(device, failing, a));
    expect(machine.kernel.run(replaceDevice(device, failing, b)).error).toBe(-Errno.ENOMEM);
    expect(device.igroup.slots.get(failing)?.hwpt.id).toBe(a);
    expect(machine.destroy(b)).toBe(0);
  });

  it('are silently empty on detach', () => {
    const machine = new MockMachine();
    const device = machine.device(PASID);
    machine.kernel.run(detachDevice(device, 7 as never));
    expect(device.users).toBe(2);
  });
});

describe('unbind', () => {
  it('returns the group to its default domain and forgets the object', () => {
    const machine = new MockMachine();
    const device = machine.device();
    expect(device.igroup.group.ownerCount).toBe(1);
    expect(machine.kernel.run(unbindDevice(device))).toBe(0);
    expect(device.igroup.group.ownerCount).toBe(0);
    expect(machine.context.groups.size).toBe(0);
    expect(machine.context.objects.isEmpty).toBe(true);
  });

  it('leaves a group to its context alone', () => {
    const machine = new MockMachine();
    const [one, two] = machine.group(0, 0).devices as [MockDevice, MockDevice];
    machine.bind(one);
    expect(machine.tryBind(two, machine.newContext())).toBe(-Errno.EPERM);
    expect(machine.tryBind(two)).not.toBe(-Errno.EPERM);
  });
});
