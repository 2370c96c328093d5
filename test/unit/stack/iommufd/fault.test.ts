// Fault queues: Linux drivers/iommu/iommufd/eventq.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import type { MockDevice } from '../../../../src/stack/drivers/mock/mock-device.ts';
import { triggerIopf } from '../../../../src/stack/drivers/mock/selftest/selftest-checks.ts';
import { HwptAllocFlag } from '../../../../src/stack/iommu/ops.ts';
import { attachDevice, detachDevice, replaceDevice } from '../../../../src/stack/iommufd/auto-domain.ts';
import type { IommufdDevice } from '../../../../src/stack/iommufd/device.ts';
import { allocFaultQueue, type Fault } from '../../../../src/stack/iommufd/fault.ts';
import { FileTable } from '../../../../src/stack/kernel/file-table.ts';
import { MockMachine } from '../../../support/mock-machine.ts';

let machine: MockMachine;
let device: IommufdDevice;
let fault: Fault;
let ioas: number;
let hwpt: number;
const files = new FileTable();

beforeEach(() => {
  machine = new MockMachine('L73');
  ioas = machine.ioas();
  device = machine.device();
  const command = { flags: 0, outFaultId: 0, outFaultFd: 0 };
  machine.kernel.run(allocFaultQueue(machine.context, command, files));
  fault = machine.context.objects.peekAny(command.outFaultId) as Fault;
  hwpt = machine.hwpt(device, ioas, HwptAllocFlag.faultIdValid, { faultId: fault.id });
  machine.kernel.run(attachDevice(device, 0, hwpt));
});

const inject = (groupId: number): number =>
  triggerIopf(machine.context, { deviceId: device.id, pasid: 0, groupId, permission: 1, address: 0x5000n });

function response(cookie: number, code: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, cookie, true);
  view.setUint32(4, code, true);
  return new Uint8Array(view.buffer);
}

describe('a fault queue', () => {
  it('hands out whole groups with a cookie that the answer must name', () => {
    expect(inject(11)).toBe(0);
    expect(fault.readable).toBe(true);
    const view = new DataView((fault.read(40) as Uint8Array).buffer);
    expect(view.getUint32(4, true)).toBe(device.id);
    expect(view.getUint32(12, true)).toBe(11);
    expect(view.getBigUint64(24, true)).toBe(0x5000n);
    expect(view.getUint32(36, true)).toBe(1);
    expect(fault.write(response(2, 0))).toBe(-Errno.EINVAL);
    expect(fault.write(response(1, 2))).toBe(-Errno.EINVAL);
    expect(fault.write(response(1, 0))).toBe(8);
    expect(fault.write(response(1, 0))).toBe(-Errno.EINVAL);
  });

  it('refuses odd counts and returns nothing when nothing waits', () => {
    expect(fault.read(41)).toBe(-Errno.ESPIPE);
    expect(fault.write(new Uint8Array(7))).toBe(-Errno.ESPIPE);
    expect(fault.read(40)).toHaveLength(0);
  });

  it('counts the answers before a bad one as written', () => {
    inject(1);
    inject(2);
    fault.read(80);
    expect(fault.write(Uint8Array.from([...response(1, 0), ...response(9, 0)]))).toBe(8);
  });

  it('forgets the faults of an attachment that goes', () => {
    inject(1);
    inject(2);
    fault.read(40);
    machine.kernel.run(detachDevice(device, 0));
    expect(fault.readable).toBe(false);
    expect(fault.write(response(1, 0))).toBe(-Errno.EINVAL);
  });

  it('switches page faults of the device with the attachment', () => {
    expect((device.device as MockDevice).iopfUsers).toBe(1);
    machine.kernel.run(replaceDevice(device, 0, ioas));
    expect((device.device as MockDevice).iopfUsers).toBe(0);
    inject(1);
    expect(fault.readable).toBe(false);
  });

  it('lives as long as its file or a page table uses it', () => {
    expect(machine.destroy(fault.id)).toBe(-Errno.EBUSY);
    machine.kernel.run(files.closeAll());
    expect(machine.destroy(fault.id)).toBe(-Errno.EBUSY);
    machine.kernel.run(detachDevice(device, 0));
    expect(machine.destroy(hwpt)).toBe(0);
    expect(machine.destroy(fault.id)).toBe(0);
  });
});
