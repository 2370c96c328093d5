/**
 * Rules around attach and detach (Linux drivers/iommu/intel/iommu.c): domain ids, aliases, ATS order, refused replaces,
 * allocation flags, what GET_HW_INFO and the reserved regions say.
 */
import { describe, expect, test } from 'vitest';
import { contextPlace, isPresent } from '../../src/stack/drivers/intel/context-table.ts';
import type { IntelPagingDomain } from '../../src/stack/drivers/intel/domain.ts';
import type { PagingDomain } from '../../src/stack/iommu/ops.ts';
import { intelMachine, type MachineOptions } from '../support/intel-machine.ts';

function setUp(options: MachineOptions = {}) {
  const machine = intelMachine(options);
  const { kernel, driver, devices } = machine;
  const alloc = (index = 0, flags = 0): PagingDomain | number =>
    kernel.run(driver.allocPaging(devices[index] as never, 'user', flags, undefined));
  const attach = (index: number, domain: unknown): number =>
    kernel.run(driver.attach(devices[index] as never, domain as never, undefined));
  return { ...machine, alloc, attach, unit0: driver.units[0] as (typeof driver.units)[number] };
}

describe('domain ids', () => {
  test('groups get 2, 3, 4 … at boot; a released id is the next one given out', () => {
    const { driver, devices, attach, alloc, unit0 } = setUp({ deviceCount: 4 });
    const idOf = (index: number): number =>
      (driver.info(devices[index] as never).domain as IntelPagingDomain).domainId(unit0);
    expect([0, 1, 2, 3].map(idOf)).toEqual([2, 3, 4, 5]);
    attach(1, driver.blockedDomain);
    attach(1, alloc(1));
    expect(idOf(1)).toBe(3);
  });

  test('one domain on several devices of a unit has one id, released with the last', () => {
    const { driver, attach, alloc, unit0 } = setUp({ deviceCount: 2 });
    const shared = alloc() as IntelPagingDomain;
    attach(0, shared);
    attach(1, shared);
    expect(shared.domainId(unit0)).toBe(2);
    attach(0, driver.blockedDomain);
    expect(shared.units).toEqual([unit0]);
    attach(1, driver.blockedDomain);
    expect(shared.units).toEqual([]);
  });

  test('when all ids are taken an attach is ENOSPC and the device stays blocked', () => {
    const { driver, devices, attach, alloc, unit0 } = setUp({ deviceCount: 2 });
    attach(0, driver.blockedDomain);
    while (unit0.allocDomainId() >= 0);
    expect(attach(0, alloc())).toBe(-28);
    expect(driver.info(devices[0] as never).domain).toBeUndefined();
  });
});

describe.each(['v6.12', 'v7.3'])('%s', (kernel) => {
  test('a refused RID replace leaves the device blocked', () => {
    const { driver, devices, attach, alloc, take } = setUp({ kernel });
    const wider = alloc() as unknown as { addressWidth: number };
    wider.addressWidth = 57;
    take();
    expect(attach(0, wider)).toBe(-22);
    expect(take().length).toBe(2);
    expect(driver.info(devices[0] as never).domain).toBeUndefined();
  });

  test('legacy mode sets up and clears the entries of all aliases, naming the device itself', () => {
    const { driver, attach, take, memory, unit0 } = setUp({ kernel, aliases: [0x0900] });
    const present = (id: number): boolean => {
      const place = contextPlace(unit0, id as never, false);
      return place !== undefined && isPresent(memory, place);
    };
    expect([present(0x100), present(0x900)]).toEqual([true, true]);
    attach(0, driver.blockedDomain);
    expect([present(0x100), present(0x900)]).toEqual([false, false]);
    expect(take()).toEqual([
      ['0x10000020031 0x0 0x0 0x0'],
      ['0x200e2 0x0 0x0 0x0'],
      ['0x10000020031 0x0 0x0 0x0'],
      ['0x200e2 0x0 0x0 0x0'],
    ]);
  });

  test('scalable mode leaves aliases without a PASID table', () => {
    const { memory, unit0 } = setUp({ kernel, registers: 'scalable', aliases: [0x0900] });
    expect(isPresent(memory, contextPlace(unit0, 0x100 as never, false) as never)).toBe(true);
    expect(contextPlace(unit0, 0x900 as never, false)).toBeUndefined();
  });

  test('a device that is blocked twice is torn down once', () => {
    const { driver, attach, take } = setUp({ kernel, registers: 'scalable' });
    attach(0, driver.blockedDomain);
    expect(take().length).toBe(2);
    attach(0, driver.blockedDomain);
    expect(take()).toEqual([]);
  });

  test('the interrupt window is reserved and GET_HW_INFO returns the registers', () => {
    const { driver, devices } = setUp({ kernel });
    const device = devices[0] as never;
    expect(driver.reservedRegions(device)).toEqual([{ start: 0xfee0_0000n, last: 0xfeef_ffffn, type: 'msi' }]);
    const info = driver.hwInfo(device, 0) as { type: number; data: Uint8Array };
    expect(info.type).toBe(1);
    expect(Buffer.from(info.data).toString('hex')).toBe('0100000000000000' + '06062f228c00d200' + '4a0ff00000000000');
    expect(driver.hwInfo(device, 9)).toBe(-95);
  });

  test('recorded machines offer neither nesting nor dirty tracking', () => {
    const { driver, devices, alloc } = setUp({ kernel });
    expect([alloc(0, 1), alloc(0, 2), alloc(0, 4), alloc(0, 16)]).toEqual([-95, -95, -95, -95]);
    expect(driver.capable(devices[0] as never, 'dirty-tracking')).toBe(false);
    expect(driver.capable(devices[0] as never, 'enforce-cache-coherency')).toBe(false);
    expect((alloc() as PagingDomain).enforceCacheCoherency()).toBe(true);
  });

  test('an attached domain cannot enforce coherency that its unit lacks', () => {
    const { attach, alloc } = setUp({ kernel });
    const domain = alloc() as PagingDomain;
    attach(0, domain);
    expect(domain.enforceCacheCoherency()).toBe(false);
  });

  test('aperture and page sizes follow the stage', () => {
    const second = setUp({ kernel }).alloc() as PagingDomain;
    expect([second.apertureEnd, second.pageSizeBitmap]).toEqual([0xffff_ffff_ffffn, 0x4020_1000n]);
    const first = setUp({ kernel, registers: 'firstStage' }).groups[0]?.defaultDomain as PagingDomain;
    expect([first.apertureEnd, first.pageSizeBitmap]).toEqual([0x7fff_ffff_ffffn, 0x4020_1000n]);
  });
});

describe('stage of user domains', () => {
  test('6.12 insists on the second stage and fails at attach where there is none', () => {
    const { alloc, attach } = setUp({ kernel: 'v6.12', registers: 'firstStage' });
    const domain = alloc() as IntelPagingDomain;
    expect(domain.stage).toBe('second');
    expect(attach(0, domain)).toBe(-22);
  });

  test('7.3 prefers the first stage and the second only when flags ask for it', () => {
    const { alloc } = setUp({ kernel: 'v7.3', registers: 'server' });
    expect((alloc() as IntelPagingDomain).stage).toBe('first');
    expect((alloc(0, 8) as IntelPagingDomain).stage).toBe('first');
    expect((alloc(0, 1) as IntelPagingDomain).stage).toBe('second');
    expect(setUp({ kernel: 'v7.3', registers: 'firstStage' }).alloc(0, 2)).toBe(-95);
  });
});

describe('ATS', () => {
  test('6.12 turns it off before the teardown, so no device-TLB descriptor is sent', () => {
    const { driver, attach, take, devices } = setUp({ kernel: 'v6.12', registers: 'server', probe: { ats: true } });
    expect(driver.info(devices[0] as never).atsEnabled).toBe(true);
    attach(0, driver.blockedDomain);
    expect(take().length).toBe(2);
    expect(driver.info(devices[0] as never).atsEnabled).toBe(false);
  });

  test('7.3 keeps it on in scalable mode and flushes the device TLB', () => {
    const { driver, attach, take, devices } = setUp({ kernel: 'v7.3', registers: 'server', probe: { ats: true } });
    attach(0, driver.blockedDomain);
    expect(take()).toEqual([
      ['0x20017 0x0 0x0 0x0'],
      ['0x20026 0x0 0x0 0x0'],
      ['0x10000000003 0x7ffffffffffff001 0x0 0x0'],
    ]);
    expect(driver.info(devices[0] as never).atsEnabled).toBe(true);
  });
});

describe('identity', () => {
  test.each([
    ['legacy', ['0x10000010031 0x0 0x0 0x0'], ['0x100e2 0x0 0x0 0x0']],
    ['scalable', ['0x10017 0x0 0x0 0x0'], ['0x10026 0x0 0x0 0x0']],
  ] as const)('pass-through uses domain id 1 (%s)', (registers, first, second) => {
    const { driver, attach, take, booted } = setUp({ kernel: 'v7.3', registers, defaultDomain: 'identity' });
    expect(booted).toBe(0);
    attach(0, driver.blockedDomain);
    expect(take()).toEqual([first, second]);
  });
});

describe('map errors', () => {
  const MAPS = [
    ['no permission', 0x1000n, 0x1000n, 0x1000n, 0, -22, -22],
    ['unaligned', 0x1800n, 0x1000n, 0x1000n, 3, -22, -6],
    ['beyond the width', 0xffff_ffff_f000n, 0x1000n, 0x2000n, 3, -14, -34],
  ] as const;
  test.each(MAPS)('%s', (_name, iova, paddr, length, prot, old, current) => {
    for (const [kernel, expected] of [
      ['v6.12', old],
      ['v7.3', current],
    ] as const) {
      const { kernel: k, alloc } = setUp({ kernel });
      expect(k.run((alloc() as PagingDomain).map(iova, paddr, length, prot))).toBe(expected);
    }
  });

  test('mapping twice: 6.12 keeps the old page and succeeds, 7.3 refuses and undoes', () => {
    for (const [kernel, expected] of [
      ['v6.12', 0],
      ['v7.3', -98],
    ] as const) {
      const { kernel: k, alloc } = setUp({ kernel });
      const domain = alloc() as PagingDomain;
      k.run(domain.map(0x2000n, 0x5000n, 0x1000n, 3));
      expect(k.run(domain.map(0x1000n, 0x8000n, 0x2000n, 3))).toBe(expected);
      expect(domain.iovaToPhys(0x2000n)).toBe(0x5000n);
      expect(domain.iovaToPhys(0x1000n)).toBe(kernel === 'v6.12' ? 0x8000n : undefined);
    }
  });
});
