/**
 * PASID entries: attach, detach and the three ways to replace (Linux drivers/iommu/intel/pasid.c of 6.15 and 7.3, and the
 * entry-sync proposal; VT-d spec 6.5.3.3). Second-stage and first-stage domains differ in the IOTLB descriptor.
 */
import { describe, expect, test } from 'vitest';
import type { Pasid } from '../../src/address.ts';
import { contextPlace } from '../../src/stack/drivers/intel/context-table.ts';
import { pasidPlace, readPasidEntry } from '../../src/stack/drivers/intel/pasid-table.ts';
import type { IommuDomain, PagingDomain } from '../../src/stack/iommu/ops.ts';
import { intelMachine } from '../support/intel-machine.ts';

const PASID = 5 as Pasid;
const DIRTY = 2;

function setUp(kernel: string, options: { ats?: boolean; overrides?: string[] } = {}) {
  const machine = intelMachine({
    kernel,
    registers: 'server',
    overrides: options.overrides ?? [],
    probe: { pasidBits: 20, ats: options.ats ?? false },
  });
  const device = machine.devices[0] as (typeof machine.devices)[number];
  const { kernel: k, driver, memory } = machine;
  const info = driver.info(device);
  // Dirty tracking makes a second-stage domain where both stages exist.
  const alloc = (flags = 0): PagingDomain =>
    k.run(driver.allocPaging(device, 'user', flags, undefined)) as PagingDomain;
  const set = (domain: IommuDomain, old?: IommuDomain): number => k.run(driver.setPasid(device, PASID, domain, old));
  const entry = (): Uint32Array => {
    const place = pasidPlace(info, PASID);
    return readPasidEntry(info, place as NonNullable<typeof place>);
  };
  return { ...machine, k, device, info, alloc, set, entry, memory };
}

test('the scalable context entry points to a directory of 2^14 entries and enables PASID', () => {
  const { driver, device, memory } = setUp('v7.3', { ats: true });
  const unit = driver.info(device).unit;
  const place = contextPlace(unit, device.sourceIds[0] as never, false);
  const low = memory.readWord(place?.frame as never, place?.word as number);
  expect(low & 0xfff).toBe((7 << 9) | 0x8 | 0x4 | 0x1);
});

describe.each(['v6.15', 'v7.3', 'hitless'])('%s', (kernel) => {
  test('attach sends nothing, detach tears down with the descriptors of the entry type', () => {
    const { alloc, set, driver, take, entry, info } = setUp(kernel);
    expect(set(alloc())).toBe(0);
    expect(take()).toEqual([]);
    expect((entry()[0] as number) & 0x1c1).toBe(0x41);
    expect(set(driver.blockedDomain, info.pasids.get(PASID)?.domain)).toBe(0);
    expect(take()).toEqual([['0x500030017 0x0 0x0 0x0'], ['0x500030026 0x0 0x0 0x0']]);
    expect([...entry()].every((word) => word === 0)).toBe(true);
    expect(set(alloc(DIRTY))).toBe(0);
    expect((entry()[0] as number) & 0x1c1).toBe(0x81);
    set(driver.blockedDomain, info.pasids.get(PASID)?.domain);
    expect(take()).toEqual([['0x500030017 0x0 0x0 0x0'], ['0x300e2 0x0 0x0 0x0']]);
  });

  test('attaching over a present entry is EBUSY and keeps it', () => {
    const { alloc, set, entry } = setUp(kernel);
    set(alloc());
    const before = entry();
    expect(set(alloc())).toBe(-16);
    expect(entry()).toEqual(before);
  });

  test('with ATS each teardown also flushes the device TLB of the PASID', () => {
    const { alloc, set, driver, take, info } = setUp(kernel, { ats: true });
    set(alloc());
    take();
    set(driver.blockedDomain, info.pasids.get(PASID)?.domain);
    expect(take()[2]).toEqual(['0x501000008 0x7ffffffffffff800 0x0 0x0']);
  });
});

describe('replace', () => {
  test('in place: overwrites, then flushes with the old domain id, PASID-based even for second stage', () => {
    const { alloc, set, take, entry } = setUp('v6.15');
    const old = alloc(DIRTY);
    set(old);
    const next = alloc(DIRTY);
    expect(set(next, old)).toBe(0);
    expect(take()).toEqual([['0x500030017 0x0 0x0 0x0'], ['0x500030026 0x0 0x0 0x0']]);
    expect((entry()[2] as number) & 0xffff).toBe(4);
  });

  test('in place: the entry is torn between its 128-bit pieces', () => {
    const { k, driver, device, alloc, set, entry } = setUp('v6.15');
    const old = alloc();
    set(old);
    const oldWords = entry();
    const handle = k.scheduler.start(driver.setPasid(device, PASID, alloc(), old));
    let torn = false;
    while (!handle.done && k.timeline.run()) {
      const now = entry();
      // New domain id, old table: neither the old translation nor the new one.
      torn ||= now[2] !== oldWords[2] && now[4] === oldWords[4];
    }
    expect(torn).toBe(true);
  });

  test('clear then update: tears down, then sets up; the entry is absent in between', () => {
    const { k, driver, device, alloc, set, take, entry } = setUp('v7.3');
    const old = alloc();
    set(old);
    const handle = k.scheduler.start(driver.setPasid(device, PASID, alloc(), old));
    let absent = false;
    while (!handle.done && k.timeline.run()) absent ||= ((entry()[0] as number) & 1) === 0;
    expect(handle.result).toBe(0);
    expect(absent).toBe(true);
    expect(take()).toEqual([['0x500030017 0x0 0x0 0x0'], ['0x500030026 0x0 0x0 0x0']]);
  });

  test.each([
    ['second to second stage', DIRTY, DIRTY, false],
    ['second to first stage', DIRTY, 0, false],
    ['first to second stage', 0, DIRTY, false],
    ['first to first stage with another domain id', 0, 0, true],
  ])('entry-sync, %s: entry absent meanwhile: %s', (_name, oldFlags, newFlags, expectAbsent) => {
    const { k, driver, device, alloc, set, entry } = setUp('hitless');
    const old = alloc(oldFlags);
    set(old);
    const before = entry();
    const next = alloc(newFlags);
    const handle = k.scheduler.start(driver.setPasid(device, PASID, next, old));
    let absent = false;
    let torn = false;
    while (!handle.done && k.timeline.run()) {
      const now = entry();
      absent ||= ((now[0] as number) & 1) === 0;
      const isOld = now[0] === before[0] && now[2] === before[2];
      torn ||= isOld && oldFlags === 0 && now[4] !== before[4];
    }
    expect(handle.result).toBe(0);
    expect([absent, torn]).toEqual([expectAbsent, false]);
    expect((entry()[2] as number) & 0xffff).toBe(4);
  });

  test('an incompatible domain is refused before anything is touched', () => {
    const { alloc, set, take, entry } = setUp('v7.3');
    const old = alloc();
    set(old);
    const before = entry();
    const next = alloc() as PagingDomain & { walkCoherent: boolean };
    next.walkCoherent = false;
    take();
    expect(set(next, old)).toBe(-22);
    expect(take()).toEqual([]);
    expect(entry()).toEqual(before);
  });
});

describe('dirty tracking', () => {
  test('toggling flips the bit in every live entry: PASID cache, domain IOTLB', () => {
    const { k, driver, device, alloc, set, take, entry } = setUp('v7.3');
    const domain = alloc(DIRTY);
    k.run(driver.attach(device, driver.blockedDomain, undefined));
    k.run(driver.attach(device, domain, undefined));
    set(domain);
    take();
    expect(k.run(domain.dirty?.setTracking(true) as never)).toBe(0);
    expect(take()).toEqual([
      ['0x20017 0x0 0x0 0x0'],
      ['0x200e2 0x0 0x0 0x0'],
      ['0x500020017 0x0 0x0 0x0'],
      ['0x200e2 0x0 0x0 0x0'],
    ]);
    expect((entry()[0] as number) & 0x200).toBe(0x200);
    expect(k.run(domain.dirty?.setTracking(true) as never)).toBe(0);
    expect(take()).toEqual([]);
  });
});

describe('hitless RID replace', () => {
  test('a second-stage replace of the RID never leaves the entry absent and flushes the old domain', () => {
    const { k, driver, device, alloc, take, info } = setUp('hitless');
    const old = alloc(DIRTY);
    k.run(driver.attach(device, driver.blockedDomain, undefined));
    k.run(driver.attach(device, old, undefined));
    const oldDid = (old as never as { domainId(unit: unknown): number }).domainId(info.unit);
    take();
    const place = pasidPlace(info, 0);
    const handle = k.scheduler.start(driver.attach(device, alloc(DIRTY), old));
    let absent = false;
    while (!handle.done && k.timeline.run()) {
      absent ||= ((readPasidEntry(info, place as NonNullable<typeof place>)[0] as number) & 1) === 0;
    }
    expect([handle.result, absent]).toEqual([0, false]);
    const did = `0x${oldDid.toString(16)}`;
    expect(take()).toEqual([[`${did}0017 0x0 0x0 0x0`], [`${did}00e2 0x0 0x0 0x0`]]);
  });
});
