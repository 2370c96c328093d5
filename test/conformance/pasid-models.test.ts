/**
 * The ways a PASID got, or was proposed to get, a page table, by kernel profile: one script of calls on the same VT-d
 * machine, and what each kernel answers. Sources: Linux 6.15 drivers/iommu/iommufd/device.c; the RFC of September 2023;
 * drivers/iommu/iommu.c of 5.10 (auxiliary domains); the /dev/ioasid proposal of May 2021.
 */
import { describe, expect, it } from 'vitest';
import type { Pasid } from '../../src/address.ts';
import { pasidPlace, readPasidEntry } from '../../src/stack/drivers/intel/pasid-table.ts';
import { AuxDomains } from '../../src/stack/iommu/aux-domain.ts';
import type { PagingDomain } from '../../src/stack/iommu/ops.ts';
import { IommufdContext } from '../../src/stack/iommufd/context.ts';
import { bindDevice } from '../../src/stack/iommufd/device.ts';
import { allocHwpt } from '../../src/stack/iommufd/hwpt-alloc.ts';
import { allocIoas } from '../../src/stack/iommufd/ioas-commands.ts';
import { Ioasid } from '../../src/stack/iommufd/ioasid-2021.ts';
import { pasidCalls } from '../../src/stack/iommufd/pasid-calls.ts';
import { iommufdProfile } from '../../src/stack/iommufd/profile.ts';
import { KERNEL_PROFILES } from '../../src/stack/profiles/kernels.ts';
import { intelMachine } from '../support/intel-machine.ts';

const FIVE = 5 as Pasid;
const RID = 0 as Pasid;
const ALLOC_PASID = 8;
/** Ids of two page tables (domains, address spaces) and of an IOAS; an id that names nothing. */
const NOTHING = 999;

function machineOf(kernel: string) {
  const machine = intelMachine({ kernel, registers: 'server', probe: { pasidBits: 20 } });
  const { kernel: k, driver } = machine;
  const device = machine.devices[0] as (typeof machine.devices)[number];
  const group = machine.groups[0] as (typeof machine.groups)[number];
  const info = driver.info(device);
  const present = (pasid: number): boolean => {
    const place = pasidPlace(info, pasid);
    return ((readPasidEntry(info, place as NonNullable<typeof place>)[0] as number) & 1) === 1;
  };
  return { ...machine, k, device, group, present };
}

/** A device bound to an iommufd with an IOAS and two page tables. */
function iommufdWorld(kernel: string) {
  const machine = machineOf(kernel);
  const { k, device, group } = machine;
  const context = new IommufdContext(k, iommufdProfile(k.profile.version));
  const bound = k.run(bindDevice(context, device, group, { allowUnsafeInterrupts: false, holdsFile: false }));
  if (typeof bound === 'number') throw new Error(`bind failed with ${bound}`);
  const ioas = { flags: 0, outIoasId: 0 };
  k.run(allocIoas(context, ioas));
  const hwpt = (): number => {
    const flags = context.profile.hwptPasid ? ALLOC_PASID : 0;
    const data = { type: 0, lengthBytes: 0, bytes: undefined };
    const ptId = ioas.outIoasId;
    const command = { flags, reserved: 0, devId: bound.id, ptId, data, faultId: 0, outHwptId: 0 };
    const error = k.run(allocHwpt(context, command));
    if (error !== 0) throw new Error(`HWPT_ALLOC failed with ${error}`);
    return command.outHwptId;
  };
  const calls = pasidCalls(k.profile, { bound });
  return { ...machine, calls, ids: { a: hwpt(), b: hwpt(), ioas: ioas.outIoasId } };
}

/** A device under auxiliary domains, with two of them and two address-space ids. */
function auxWorld(kernel: string) {
  const machine = machineOf(kernel);
  const { k, driver, device, group } = machine;
  const domains = new AuxDomains(2 ** 20);
  const target = { device, group, capability: { scalableWithPasid: true, pasidUsable: true, siov: true } };
  domains.enableFeature(target);
  const alloc = (): PagingDomain => k.run(driver.allocPaging(device, 'user', 0, undefined)) as PagingDomain;
  const known = new Map([1, 2].map((id) => [id, alloc()]));
  const ioasids = new Map([1, 2].map((id) => [id, new Ioasid(domains)]));
  const calls = pasidCalls(k.profile, {
    aux: { domains, target },
    domainOf: (id) => known.get(id),
    ioasidOf: (id) => ioasids.get(id),
  });
  return { ...machine, calls, domains, known, ids: { a: 1, b: 2, ioas: NOTHING } };
}

type World = ReturnType<typeof iommufdWorld> | ReturnType<typeof auxWorld>;

/** Attach A, A again, B; replace by B; attach an IOAS elsewhere; detach twice; the PASID entry's presence in between. */
function script(world: World): (number | boolean)[] {
  const { k, calls, ids, present } = world;
  return [
    k.run(calls.replace(FIVE, ids.a)),
    k.run(calls.attach(FIVE, NOTHING)),
    k.run(calls.attach(FIVE, ids.a)),
    k.run(calls.attach(FIVE, ids.a)),
    k.run(calls.attach(FIVE, ids.b)),
    k.run(calls.replace(FIVE, ids.b)),
    k.run(calls.attach(6 as Pasid, ids.ioas)),
    present(5),
    k.run(calls.detach(FIVE)),
    present(5),
    k.run(calls.detach(FIVE)),
  ];
}

const [EINVAL, EBUSY, ENOENT, EOPNOTSUPP] = [-22, -16, -2, -95];

describe('the same calls', () => {
  it.each([
    [
      'v6.12',
      [
        EOPNOTSUPP,
        EOPNOTSUPP,
        EOPNOTSUPP,
        EOPNOTSUPP,
        EOPNOTSUPP,
        EOPNOTSUPP,
        EOPNOTSUPP,
        false,
        EOPNOTSUPP,
        false,
        EOPNOTSUPP,
      ],
    ],
    ['v6.15', [EINVAL, ENOENT, 0, EBUSY, EBUSY, 0, EINVAL, true, 0, false, 0]],
    ['v7.3', [EINVAL, ENOENT, 0, EBUSY, EBUSY, 0, EINVAL, true, 0, false, 0]],
    ['rfc-2023', [EINVAL, ENOENT, 0, 0, EINVAL, 0, 0, true, 0, false, 0]],
  ])('on a device bound to an iommufd of %s', (kernel, answers) => {
    expect(script(iommufdWorld(kernel))).toEqual(answers);
  });

  it('on a device with auxiliary domains: the domain brings the PASID, a pair is counted, nothing replaces', () => {
    const world = auxWorld('aux-5.10');
    const { k, calls, domains, known, present } = world;
    expect(k.run(calls.attach(FIVE, 1))).toBe(0);
    expect(domains.pasidOf(known.get(1) as PagingDomain)).toBe(1);
    expect([present(1), present(5)]).toEqual([true, false]);
    expect(k.run(calls.replace(FIVE, 2))).toBe(EOPNOTSUPP);
    expect(k.run(calls.attach(FIVE, NOTHING))).toBe(ENOENT);
    expect(k.run(calls.attach(RID, 2))).toBe(-1);
    expect(k.run(calls.detach(FIVE))).toBe(0);
    expect(present(1)).toBe(false);
  });

  it('on address-space ids: the domain comes and goes with the devices', () => {
    const { k, calls, present } = auxWorld('ioasid-2021');
    expect(k.run(calls.attach(FIVE, 1))).toBe(0);
    expect(present(1)).toBe(true);
    expect(k.run(calls.replace(FIVE, 2))).toBe(EOPNOTSUPP);
    expect(k.run(calls.attach(FIVE, NOTHING))).toBe(ENOENT);
    expect(k.run(calls.detach(FIVE))).toBe(0);
    expect(present(1)).toBe(false);
    expect(k.run(calls.detach(FIVE))).toBe(ENOENT);
  });
});

describe('profiles', () => {
  it('say which model they have', () => {
    const models = Object.fromEntries(
      Object.values(KERNEL_PROFILES).map(({ name, behaviours }) => [name, behaviours.pasidModel]),
    );
    expect(models).toMatchObject({
      'v6.12': 'none',
      'v6.15': 'slots',
      'v7.3': 'slots',
      hitless: 'slots',
      'rfc-2023': 'rfc-2023',
      'aux-5.10': 'aux-5.10',
      'ioasid-2021': 'ioasid-2021',
    });
  });

  it('of kernels before 6.12 submit each descriptor by itself', () => {
    for (const name of ['rfc-2023', 'aux-5.10', 'ioasid-2021']) {
      expect(KERNEL_PROFILES[name]?.behaviours).toMatchObject({ qiMaxBatch: 1, ssIhIgnored: true });
    }
  });
});
