/**
 * Nested page tables of a VT-d unit through iommufd: HWPT_ALLOC with VTD_S1 data, attach, HWPT_INVALIDATE (Linux
 * drivers/iommu/iommufd/hw_pagetable.c over drivers/iommu/intel/nested.c), on kernels with and without PASIDs.
 */
import { expect, test } from 'vitest';
import { attachDevice, replaceDevice } from '../../src/stack/iommufd/auto-domain.ts';
import { IommufdContext } from '../../src/stack/iommufd/context.ts';
import { bindDevice } from '../../src/stack/iommufd/device.ts';
import { allocHwpt } from '../../src/stack/iommufd/hwpt-alloc.ts';
import { invalidateHwpt } from '../../src/stack/iommufd/invalidate.ts';
import { allocIoas } from '../../src/stack/iommufd/ioas-commands.ts';
import { iommufdProfile } from '../../src/stack/iommufd/profile.ts';
import { intelMachine } from '../support/intel-machine.ts';

const NEST_PARENT = 1;
const NO_DATA = { type: 0, lengthBytes: 0, bytes: undefined };
const RID = 0 as never;

test.each(['v6.12', 'v6.15', 'v7.3'])('%s: parent, nested, attach, invalidate, and who keeps whom alive', (kernel) => {
  const machine = intelMachine({ kernel, registers: 'server', probe: { pasidBits: 20 } });
  const { kernel: k, take } = machine;
  const context = new IommufdContext(k, iommufdProfile(k.profile.version));
  const [device, group] = [machine.devices[0] as never, machine.groups[0]];
  const bound = k.run(bindDevice(context, device, group, { allowUnsafeInterrupts: false, holdsFile: false }));
  if (typeof bound === 'number') throw new Error(`bind failed with ${bound}`);
  const ioas = { flags: 0, outIoasId: 0 };
  k.run(allocIoas(context, ioas));
  const hwpt = (
    ptId: number,
    flags: number,
    data: typeof NO_DATA | { type: number; lengthBytes: number; bytes: Uint8Array },
  ) => {
    const command = { flags, reserved: 0, devId: bound.id, ptId, data, faultId: 0, outHwptId: 0 };
    const error = k.run(allocHwpt(context, command as never));
    return error === 0 ? command.outHwptId : error;
  };
  const bytes = new Uint8Array(24);
  new DataView(bytes.buffer).setUint32(16, 48, true);
  const vtdS1 = { type: 1, lengthBytes: 24, bytes };

  const plain = hwpt(ioas.outIoasId, 0, NO_DATA);
  const parent = hwpt(ioas.outIoasId, NEST_PARENT, NO_DATA);
  expect(hwpt(plain, 0, vtdS1)).toBe(-22);
  expect(hwpt(parent, 0, { ...vtdS1, type: 2 })).toBe(-95);
  expect(hwpt(parent, 0, { ...vtdS1, lengthBytes: 16 })).toBe(-22);
  const nested = hwpt(parent, 0, vtdS1);
  expect(nested).toBeGreaterThan(parent);
  expect(k.run(context.objects.destroyId(parent))).toBe(-16);

  expect(k.run(attachDevice(bound, RID, nested)).error).toBe(0);
  take();
  const invalidate = {
    reserved: 0,
    hwptId: nested,
    hasData: true,
    dataType: 0,
    entryLength: 24,
    entryCount: 1,
    bytes: new Uint8Array(24),
  };
  new DataView(invalidate.bytes.buffer).setBigUint64(8, 2n ** 64n - 1n, true);
  expect(k.run(invalidateHwpt(context, invalidate))).toBe(0);
  expect([invalidate.entryCount, take()]).toEqual([1, [['0x20026 0x0 0x0 0x0']]]);
  expect(k.run(context.objects.destroyId(nested))).toBe(-16);
  expect(k.run(replaceDevice(bound, RID, parent)).error).toBe(0);
  expect(k.run(context.objects.destroyId(nested))).toBe(0);
});
