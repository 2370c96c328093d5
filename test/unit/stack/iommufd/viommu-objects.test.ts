// vIOMMU, vDEVICE, event queue and hardware queue objects: Linux drivers/iommu/iommufd/{viommu,eventq,driver}.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import {
  MOCK_HW_QUEUE_TYPE,
  MOCK_INVALIDATE_TYPE,
  MOCK_VEVENTQ_TYPE,
  MOCK_VIOMMU_TYPE,
} from '../../../../src/stack/drivers/mock/constants.ts';
import type { MockDevice } from '../../../../src/stack/drivers/mock/mock-device.ts';
import { triggerVevent } from '../../../../src/stack/drivers/mock/selftest/selftest-checks.ts';
import { HwptAllocFlag } from '../../../../src/stack/iommu/ops.ts';
import { attachDevice, detachDevice, replaceDevice } from '../../../../src/stack/iommufd/auto-domain.ts';
import { type IommufdDevice, unbindDevice } from '../../../../src/stack/iommufd/device.ts';
import { allocHwQueue } from '../../../../src/stack/iommufd/hw-queue.ts';
import { invalidateHwpt } from '../../../../src/stack/iommufd/invalidate.ts';
import { allocVdevice } from '../../../../src/stack/iommufd/vdevice.ts';
import { allocVeventq, type VeventQueue } from '../../../../src/stack/iommufd/veventq.ts';
import { allocViommu, Viommu } from '../../../../src/stack/iommufd/viommu.ts';
import { FileTable } from '../../../../src/stack/kernel/file-table.ts';
import { MockMachine } from '../../../support/mock-machine.ts';

let machine: MockMachine;
let device: IommufdDevice;
let viommu: number;
let files: FileTable;

function makeViommu(target: IommufdDevice, hwptId: number, type = MOCK_VIOMMU_TYPE): number {
  const command = {
    flags: 0,
    type,
    devId: target.id,
    hwptId,
    data: undefined,
    copyDataOut: () => 0,
    outViommuId: 0,
  };
  const error = machine.kernel.run(allocViommu(machine.context, command));
  return error === 0 ? command.outViommuId : error;
}

function makeVdevice(target: IommufdDevice, virtualId: bigint, viommuId = viommu): number {
  const command = { viommuId, devId: target.id, virtualId, outVdeviceId: 0 };
  const error = machine.kernel.run(allocVdevice(machine.context, command));
  return error === 0 ? command.outVdeviceId : error;
}

function makeQueue(depth: number, type = MOCK_VEVENTQ_TYPE): number {
  const command = { flags: 0, reserved: 0, viommuId: viommu, type, depth, outVeventqId: 0, outVeventqFd: 0 };
  const error = machine.kernel.run(allocVeventq(machine.context, command, files));
  return error === 0 ? command.outVeventqId : error;
}

beforeEach(() => {
  machine = new MockMachine('L73');
  files = new FileTable();
  const ioas = machine.ioas();
  device = machine.device();
  machine.kernel.run(attachDevice(device, 0, ioas));
  const parent = machine.hwpt(device, ioas, HwptAllocFlag.nestParent);
  viommu = makeViommu(device, parent);
});

describe('a vIOMMU', () => {
  it('wants a known type before it looks at the page table', () => {
    expect(makeViommu(device, 999, 0x1234)).toBe(-Errno.EOPNOTSUPP);
    expect(makeViommu(device, 999)).toBe(-Errno.ENOENT);
  });

  it('takes nested page tables that a device can only join with a virtual id', () => {
    const nested = machine.hwpt(device, viommu, 0, { dataWord: 7 });
    expect(machine.kernel.run(replaceDevice(device, 0, nested)).error).toBe(-Errno.ENOENT);
    expect(makeVdevice(device, 0x98n)).toBeGreaterThan(0);
    expect(machine.kernel.run(replaceDevice(device, 0, nested)).error).toBe(0);
    expect(machine.destroy(viommu)).toBe(-Errno.EBUSY);
  });

  it('clears the device cache that an invalidation names by virtual id', () => {
    makeVdevice(device, 0x98n);
    const bytes = new Uint8Array(12);
    const view = new DataView(bytes.buffer);
    view.setUint32(4, 0x98, true);
    view.setUint32(8, 2, true);
    const command = {
      reserved: 0,
      hwptId: viommu,
      hasData: true,
      dataType: MOCK_INVALIDATE_TYPE,
      entryLength: 12,
      entryCount: 1,
      bytes,
    };
    expect(machine.kernel.run(invalidateHwpt(machine.context, command))).toBe(0);
    expect(command.entryCount).toBe(1);
    expect((device.device as MockDevice).cache[2]).toBe(0);
    expect((device.device as MockDevice).cache[1]).not.toBe(0);
    view.setUint32(4, 0x99, true);
    expect(machine.kernel.run(invalidateHwpt(machine.context, { ...command, bytes }))).toBe(-Errno.EINVAL);
  });
});

describe('a vDEVICE', () => {
  it('is one per device, with a virtual id of its own', () => {
    const other = machine.device();
    expect(makeVdevice(device, 1n)).toBeGreaterThan(0);
    expect(makeVdevice(device, 2n)).toBe(-Errno.EEXIST);
    expect(makeVdevice(other, 1n)).toBe(-Errno.EEXIST);
    expect(makeVdevice(other, 2n)).toBeGreaterThan(0);
  });

  it('goes with its device and leaves its id taken', () => {
    const id = makeVdevice(device, 1n);
    machine.kernel.run(detachDevice(device, 0));
    expect(machine.kernel.run(unbindDevice(device))).toBe(0);
    expect(machine.destroy(id)).toBe(-Errno.ENOENT);
    const ids = [machine.ioas(), machine.ioas(), machine.ioas(), machine.ioas()];
    expect(ids).not.toContain(id);
    expect((machine.context.objects.peek(viommu, Viommu) as Viommu).vdevices.size).toBe(0);
  });
});

describe('an event queue', () => {
  it('keeps events up to its depth, then one mark that says some were lost', () => {
    const queueId = makeQueue(2);
    const nested = machine.hwpt(device, viommu, 0, { dataWord: 7 });
    expect(triggerVevent(machine.context, device.id)).toBe(-Errno.ENOENT);
    makeVdevice(device, 0x98n);
    machine.kernel.run(replaceDevice(device, 0, nested));
    for (let i = 0; i < 4; i++) expect(triggerVevent(machine.context, device.id)).toBe(0);
    const queue = machine.context.objects.peekAny(queueId) as VeventQueue;
    expect(queue.read(4)).toBe(-Errno.EINVAL);
    expect(queue.read(8)).toBe(-Errno.EINVAL);
    const view = new DataView((queue.read(64) as Uint8Array).buffer);
    // Two events of twelve bytes, then a bare header with the sequence of the last lost one.
    expect(view.byteLength).toBe(32);
    expect([view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)]).toEqual([0, 0, 0x98]);
    expect([view.getUint32(24, true), view.getUint32(28, true)]).toEqual([1, 3]);
    expect(queue.readable).toBe(false);
  });

  it('is one per type and holds its vIOMMU while its file is open', () => {
    const id = makeQueue(1);
    expect(makeQueue(1)).toBe(-Errno.EEXIST);
    expect(makeQueue(0, 5)).toBe(-Errno.EINVAL);
    expect(machine.destroy(id)).toBe(-Errno.EBUSY);
    machine.kernel.run(files.closeAll());
    expect(machine.destroy(id)).toBe(0);
    expect(machine.destroy(viommu)).toBe(0);
  });
});

describe('a hardware queue', () => {
  it('needs mapped memory and gives both ids back when it cannot be made', () => {
    const command = {
      flags: 0,
      viommuId: viommu,
      type: MOCK_HW_QUEUE_TYPE,
      index: 0,
      baseAddress: 0x200_0000n,
      lengthBytes: 0x1000n,
      outHwQueueId: 0,
    };
    const before = machine.ioas();
    expect(machine.kernel.run(allocHwQueue(machine.context, command))).toBe(-Errno.ENOENT);
    expect(machine.ioas()).toBe(before + 1);
    expect(machine.kernel.run(allocHwQueue(machine.context, { ...command, lengthBytes: 0n }))).toBe(-Errno.EINVAL);
    const wrapping = { ...command, baseAddress: 0xffff_ffff_ffff_ffffn };
    expect(machine.kernel.run(allocHwQueue(machine.context, wrapping))).toBe(-Errno.EOVERFLOW);
  });
});
