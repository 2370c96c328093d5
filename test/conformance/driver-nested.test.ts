/**
 * Nested domains of the VT-d driver: allocation, attach at RID and PASID, the entry in memory, tags on the parent, user
 * invalidation, dirty tracking of the parent (Linux drivers/iommu/intel/nested.c, intel_pasid_setup_nested of pasid.c,
 * cache_tag_assign_domain of cache.c). Submissions are the words of qi_submit, one inner list a submission.
 */
import { describe, expect, test } from 'vitest';
import type { Pasid } from '../../src/address.ts';
import { IntelNestedDomain } from '../../src/stack/drivers/intel/nested-domain.ts';
import { pasidPlace, readPasidEntry } from '../../src/stack/drivers/intel/pasid-table.ts';
import type { IommuDomain, NestedDomain, PagingDomain, UserInvalidation } from '../../src/stack/iommu/ops.ts';
import { emptyGather } from '../../src/stack/iommu/ops.ts';
import { intelMachine, type MachineOptions } from '../support/intel-machine.ts';

const NEST_PARENT = 1;
const NEST_PARENT_DIRTY = 3;
const PASID = 5 as Pasid;
/** Address of the user's top table, in the parent's address space. */
const TABLE = 0x12_3456_7000n;

/** struct iommu_hwpt_vtd_s1. */
function vtdS1(options: { flags?: bigint; table?: bigint; width?: number; bytes?: number; type?: number } = {}) {
  const bytes = new Uint8Array(options.bytes ?? 24);
  const view = new DataView(new ArrayBuffer(64));
  view.setBigUint64(0, options.flags ?? 0n, true);
  view.setBigUint64(8, options.table ?? TABLE, true);
  view.setUint32(16, options.width ?? 48, true);
  bytes.set(new Uint8Array(view.buffer, 0, bytes.length));
  return { type: options.type ?? 1, lengthBytes: bytes.length, bytes };
}

/** An array of struct iommu_hwpt_vtd_s1_invalidate. */
function invalidation(
  ...entries: { addr?: bigint; npages?: bigint; flags?: number; reserved?: number }[]
): UserInvalidation {
  const view = new DataView(new ArrayBuffer(24 * entries.length));
  entries.forEach(({ addr, npages, flags, reserved }, index) => {
    view.setBigUint64(24 * index, addr ?? 0n, true);
    view.setBigUint64(24 * index + 8, npages ?? 1n, true);
    view.setUint32(24 * index + 16, flags ?? 0, true);
    view.setUint32(24 * index + 20, reserved ?? 0, true);
  });
  const bytes = new Uint8Array(view.buffer);
  return { type: 0, entryLength: 24, entryCount: entries.length, bytes, done: 0 };
}

function setUp(options: MachineOptions = {}) {
  const probe = { pasidBits: 20, ats: options.probe?.ats ?? false };
  const machine = intelMachine({ kernel: 'v7.3', registers: 'server', ...options, probe });
  const { kernel: k, driver, take } = machine;
  const device = machine.devices[0] as (typeof machine.devices)[number];
  const info = driver.info(device);
  k.run(driver.attach(device, driver.blockedDomain, undefined));
  const parent = (flags = NEST_PARENT): PagingDomain =>
    k.run(driver.allocPaging(device, 'user', flags, undefined)) as PagingDomain;
  const tryNested = (on: PagingDomain, data = vtdS1(), flags = 0) =>
    k.run(driver.allocNested(device, on, flags, data)) as NestedDomain | number;
  const nested = (on: PagingDomain, data = vtdS1()): IntelNestedDomain => {
    const made = tryNested(on, data);
    if (!(made instanceof IntelNestedDomain)) throw new Error(`no nested domain: ${String(made)}`);
    return made;
  };
  const attach = (domain: IommuDomain): number => k.run(driver.attach(device, domain, undefined));
  const set = (domain: IommuDomain, old?: IommuDomain): number => k.run(driver.setPasid(device, PASID, domain, old));
  const entry = (pasid: number): number[] => {
    const place = pasidPlace(info, pasid);
    return [...readPasidEntry(info, place as NonNullable<typeof place>)];
  };
  take();
  return { ...machine, k, device, info, parent, tryNested, nested, attach, set, entry };
}

describe('allocation', () => {
  test('needs nesting hardware in scalable mode', () => {
    const { driver, devices, kernel } = intelMachine({ kernel: 'v7.3', registers: 'scalable' });
    const device = devices[0] as (typeof devices)[number];
    const parent = kernel.run(driver.allocPaging(device, 'user', 0, undefined)) as PagingDomain;
    expect(kernel.run(driver.allocNested(device, parent, 0, vtdS1()))).toBe(-95);
  });

  test('takes the PASID flag from 6.15 on and no other', () => {
    for (const [kernel, flag, error] of [
      ['v7.3', 8, undefined],
      ['v7.3', 1, -95],
      ['v6.12', 8, -95],
    ] as const) {
      const { parent, tryNested } = setUp({ kernel });
      const made = tryNested(parent(), vtdS1(), flag);
      expect(typeof made === 'number' ? made : undefined).toBe(error);
    }
  });

  test('refuses another type of data before it looks at the parent, and a plain parent before it reads the data', () => {
    const { parent, tryNested } = setUp();
    expect(tryNested(parent(0), vtdS1({ type: 2 }))).toBe(-95);
    expect(tryNested(parent(2), vtdS1({ bytes: 8 }))).toBe(-22);
    expect(tryNested(parent(), vtdS1({ bytes: 8 }))).toBe(-22);
    expect(tryNested(parent(), vtdS1({ bytes: 32 }))).toBe(-22);
    expect(tryNested(parent(), { type: 1, lengthBytes: 24, bytes: undefined as never })).toBe(-14);
  });
});

describe.each(['v6.12', 'v7.3'])('%s: the RID', (kernel) => {
  test('gets an entry with both tables, the parent is told by tags with the same domain id', () => {
    const { parent, nested, attach, entry, take, info } = setUp({ kernel });
    const below = parent();
    const domain = nested(below);
    expect(attach(domain)).toBe(0);
    expect(take()).toEqual([]);
    const words = entry(0);
    const did = domain.domainId(info.unit);
    const root = (below as never as { table: { root: number } }).table.root;
    // P, AW 2 (four levels), PGTT 3; second-stage pointer; domain id, page-walk snoop; first-stage pointer, four levels.
    expect((words[0] as number) & 0xfff).toBe(0x1 | (2 << 2) | (3 << 6));
    expect((words[1] as number) * 2 ** 20 + ((words[0] as number) >>> 12)).toBe(root);
    expect(words[2]).toBe((did | 0x80_0000) >>> 0);
    expect([words[4], words[5]]).toEqual([Number(TABLE & 0xffff_ffffn), Number(TABLE >> 32n)]);
    expect((below as never as { tags: { count: number } }).tags.count).toBe(1);
    expect(domain.tags.count).toBe(1);
  });

  test('leaves it with the flushes of a second-stage entry', () => {
    const { parent, nested, attach, take, driver, entry, info } = setUp({ kernel });
    const below = parent();
    const domain = nested(below);
    attach(domain);
    const did = domain.domainId(info.unit).toString(16);
    take();
    attach(driver.blockedDomain);
    expect(take()).toEqual([[`0x${did}0017 0x0 0x0 0x0`], [`0x${did}00e2 0x0 0x0 0x0`]]);
    expect(entry(0).every((word) => word === 0)).toBe(true);
    expect((below as never as { tags: { count: number } }).tags.count).toBe(0);
  });

  test('is blocked by a refused attach: address width, flags without hardware', () => {
    const { parent, nested, attach, info } = setUp({ kernel });
    for (const data of [vtdS1({ width: 57 }), vtdS1({ width: 39 }), vtdS1({ flags: 2n })]) {
      expect(attach(nested(parent(), data))).toBe(-22);
      expect(info.domain).toBeUndefined();
    }
  });

  test('takes supervisor requests with write protection where the unit has them', () => {
    const { parent, nested, attach, entry } = setUp({ kernel });
    expect(attach(nested(parent(), vtdS1({ flags: 5n })))).toBe(0);
    expect((entry(0)[4] as number) & 0xfff).toBe(0x11);
  });
});

describe('a PASID', () => {
  test('gets a nested entry, and gives way to another by tear-down and set-up', () => {
    const { parent, nested, set, entry, take, info } = setUp();
    const below = parent();
    const [one, two] = [nested(below), nested(below, vtdS1({ table: 0x8000n }))];
    expect(set(one)).toBe(0);
    expect(take()).toEqual([]);
    expect(((entry(5)[0] as number) >>> 6) & 7).toBe(3);
    const did = one.domainId(info.unit).toString(16);
    expect(set(two, one)).toBe(0);
    expect(take()).toEqual([[`0x5000${did}0017 0x0 0x0 0x0`], [`0x${did}00e2 0x0 0x0 0x0`]]);
    expect(entry(5)[4]).toBe(0x8000);
    expect(one.pasidUsers).toEqual([]);
    expect((below as never as { tags: { count: number } }).tags.count).toBe(1);
  });

  test('cannot take one on 6.12: the domain has no such operation', () => {
    const { parent, nested, driver } = setUp({ kernel: 'v6.12' });
    expect(driver.supportsPasid(nested(parent()))).toBe(false);
  });
});

describe('a change of the parent', () => {
  test('flushes the nested domain id by pages', () => {
    const { k, parent, nested, attach, take, info } = setUp();
    const below = parent();
    const domain = nested(below);
    attach(domain);
    k.run(below.map(0x10_0000n, 0x8000_0000n, 0x2000n, 3));
    const gather = emptyGather(false);
    take();
    k.run(below.unmap(0x10_0000n, 0x1000n, gather));
    k.run(below.sync(gather));
    expect(take()).toEqual([[`0x${domain.domainId(info.unit).toString(16)}00f2 0x100040 0x0 0x0`]]);
  });

  test('flushes all of a device TLB, since nobody knows which addresses led there', () => {
    const { k, parent, nested, attach, take, info } = setUp({ probe: { ats: true } });
    const below = parent();
    attach(nested(below));
    k.run(below.map(0x10_0000n, 0x8000_0000n, 0x2000n, 3));
    const gather = emptyGather(false);
    take();
    k.run(below.unmap(0x10_0000n, 0x1000n, gather));
    k.run(below.sync(gather));
    const [flush] = take();
    expect(info.atsEnabled).toBe(true);
    expect(flush).toHaveLength(2);
    expect(flush?.[1]).toMatch(/^0x100\S*3 0x7ffffffffffff001 /);
  });

  test('reaches the entries of its children when dirty tracking is toggled', () => {
    const { k, parent, nested, attach, set, entry, take } = setUp();
    const below = parent(NEST_PARENT_DIRTY);
    const domain = nested(below);
    attach(domain);
    set(domain);
    take();
    expect(k.run(below.dirty?.setTracking(true) as never)).toBe(0);
    expect([entry(0)[0], entry(5)[0]].map((word) => (word as number) & 0x200)).toEqual([0x200, 0x200]);
    expect(take()).toHaveLength(4);
    const later = nested(below);
    attach(later);
    expect((entry(0)[0] as number) & 0x200).toBe(0x200);
  });
});

describe('user invalidation', () => {
  test('is one PASID-based flush an entry, with the leaf hint when asked for', () => {
    const { k, parent, nested, attach, take, info } = setUp();
    const domain = nested(parent());
    attach(domain);
    take();
    const did = domain.domainId(info.unit).toString(16);
    const request = invalidation(
      { addr: 0x20_0000n, npages: 4n, flags: 1 },
      { addr: 0x1000n },
      { npages: 2n ** 64n - 1n },
    );
    expect(k.run(domain.invalidateUser(request))).toBe(0);
    expect(request.done).toBe(3);
    expect(take()).toEqual([
      [`0x${did}0036 0x200042 0x0 0x0`],
      [`0x${did}0036 0x1000 0x0 0x0`],
      [`0x${did}0026 0x0 0x0 0x0`],
    ]);
  });

  test('does nothing for a domain that is attached nowhere', () => {
    const { k, parent, nested, take } = setUp();
    const domain = nested(parent());
    expect(k.run(domain.invalidateUser(invalidation({})))).toBe(0);
    expect(take()).toEqual([]);
  });

  test.each([
    ['an unknown flag', invalidation({}, { flags: 2 }), -95, 1],
    ['a reserved field', invalidation({}, {}, { reserved: 1 }), -95, 2],
    ['an unaligned address', invalidation({ addr: 8n }), -22, 0],
    ['all pages from an address on', invalidation({ addr: 0x1000n, npages: 2n ** 64n - 1n }), -22, 0],
    ['another type', { ...invalidation({}), type: 1 }, -22, 0],
    ['a short entry', { ...invalidation({}), entryLength: 16 }, -22, 0],
    ['unreadable memory', { ...invalidation({}), bytes: undefined }, -14, 0],
  ])('refuses %s and counts what was done before', (_name, request, error, done) => {
    const { k, parent, nested, attach } = setUp();
    const domain = nested(parent());
    attach(domain);
    expect(k.run(domain.invalidateUser(request))).toBe(error);
    expect(request.done).toBe(done);
  });
});
