/**
 * Golden descriptor sequences of every kernel profile: attach, detach and replace of RID and PASID, map in caching mode,
 * strict and lazy unmap, dirty-tracking toggles. Expected words are put together here from the field layout of VT-d spec
 * 6.5.2 and the order of Linux drivers/iommu/intel/{iommu,pasid,cache}.c. Each inner list is one submission.
 *
 * That 6.12 and 7.3 really do this is held by recordings of those kernels: verify-recordings.test.ts compares every
 * qi_submit of their RID attaches, detaches and replaces (vfio-*), caching-mode maps (nvme-seqread128k-cachingmode), strict
 * unmaps (nvme-randread4k-strict) and lazy flushes (nvme-randread4k-lazy-*, virtio-blk-platform-lazy) with the model.
 */
import { describe, expect, test } from 'vitest';
import type { Pasid } from '../../src/address.ts';
import { DmaApi } from '../../src/stack/iommu/dma-api.ts';
import { emptyGather, type IommuDomain, type PagingDomain } from '../../src/stack/iommu/ops.ts';
import { intelMachine, type MachineOptions } from '../support/intel-machine.ts';

/** Requester id of the device, 01:00.0, its PASID, and the flag that makes a domain second stage. */
const SID = 0x100n;
const PASID = 5 as Pasid;
const DIRTY = 2;
const KERNELS = ['v6.12', 'v6.15', 'v7.3', 'hitless'] as const;

const words = (q0: bigint, q1 = 0n): string => `0x${q0.toString(16)} 0x${q1.toString(16)} 0x0 0x0`;
const did16 = (did: number): bigint => BigInt(did) << 16n;
const high = (value: number | bigint): bigint => BigInt(value) << 32n;
/** Context cache, device-selective. */
const cc = (did: number, sid = SID): string => words(high(sid) | did16(did) | 0x31n);
/** PASID cache, PASID-selective within the domain. */
const pc = (did: number, pasid: number): string => words(high(pasid) | did16(did) | 0x17n);
/** IOTLB, domain-selective and page-selective, with both drains. */
const iotlb = (did: number): string => words(did16(did) | 0xe2n);
const iotlbPages = (did: number, address: bigint, order: number, hint: boolean): string =>
  words(did16(did) | 0xf2n, address | BigInt(order) | (hint ? 0x40n : 0n));
/** PASID-based IOTLB. */
const piotlb = (did: number, pasid: number): string => words(high(pasid) | did16(did) | 0x26n);
const piotlbPages = (did: number, pasid: number, address: bigint, order: number, hint: boolean): string =>
  words(high(pasid) | did16(did) | 0x36n, address | BigInt(order) | (hint ? 0x40n : 0n));
/** Device TLB: all of it; a page; all of a PASID. */
const dtlb = (): string => words(high(SID) | 0x3n, 0x7fff_ffff_ffff_f001n);
const dtlbPage = (address: bigint): string => words(high(SID) | 0x3n, address);
const pdtlb = (pasid: number): string => words(high(pasid) | (SID << 16n) | 0x8n, 0x7fff_ffff_ffff_f800n);

/** One submission a descriptor. */
const each = (...descriptors: string[]): string[][] => descriptors.map((descriptor) => [descriptor]);

function setUp(options: MachineOptions) {
  const machine = intelMachine(options);
  const { kernel: k, driver, take } = machine;
  const device = machine.devices[0] as (typeof machine.devices)[number];
  const defaultDomain = machine.groups[0]?.defaultDomain as PagingDomain;
  const alloc = (flags = 0): PagingDomain =>
    k.run(driver.allocPaging(device, 'user', flags, undefined)) as PagingDomain;
  let current: IommuDomain | undefined;
  /** Installs a domain, or the blocked one, and returns what was submitted. */
  const rid = (domain: IommuDomain = driver.blockedDomain): string[][] => {
    expect(k.run(driver.attach(device, domain, undefined))).toBe(0);
    return take();
  };
  const pasid = (domain: IommuDomain = driver.blockedDomain): string[][] => {
    expect(k.run(driver.setPasid(device, PASID, domain, current))).toBe(0);
    current = domain === driver.blockedDomain ? undefined : domain;
    return take();
  };
  const unmap = (domain: PagingDomain, iova: bigint, length: bigint): string[][] => {
    const gather = emptyGather(false);
    k.run(domain.unmap(iova, length, gather));
    k.run(domain.sync(gather));
    return take();
  };
  const map = (domain: PagingDomain, iova: bigint, paddr: bigint, length: bigint): string[][] => {
    expect(k.run(domain.map(iova, paddr, length, 3))).toBe(0);
    return take();
  };
  take();
  return { ...machine, k, device, defaultDomain, alloc, rid, pasid, map, unmap };
}

describe.each(KERNELS)('%s: the RID', (kernel) => {
  const hitless = kernel === 'hitless';
  // A replace that blocks first gives the old domain id back before the new domain takes one.
  const next = hitless ? 3 : 2;

  test('legacy mode', () => {
    const { rid, alloc } = setUp({ kernel, registers: 'legacy' });
    expect(rid()).toEqual(each(cc(2), iotlb(2)));
    expect(rid(alloc())).toEqual([]);
    expect(rid(alloc())).toEqual(each(cc(2), iotlb(2)));
    expect(rid()).toEqual(each(cc(next), iotlb(next)));
  });

  test('legacy mode with caching mode: new entries are announced', () => {
    const { rid, alloc } = setUp({ kernel, registers: 'cachingMode' });
    rid();
    expect(rid(alloc())).toEqual(each(cc(0), iotlb(2)));
    expect(rid(alloc())).toEqual(hitless ? each(cc(2), iotlb(2)) : each(cc(2), iotlb(2), cc(0), iotlb(2)));
  });

  test('scalable mode, second stage', () => {
    const { rid, alloc } = setUp({ kernel, registers: 'scalable' });
    expect(rid()).toEqual(each(pc(2, 0), iotlb(2)));
    expect(rid(alloc())).toEqual([]);
    expect(rid(alloc())).toEqual(each(pc(2, 0), iotlb(2)));
    expect(rid()).toEqual(each(pc(next, 0), iotlb(next)));
  });

  test('scalable mode, second stage, caching mode', () => {
    const { rid, alloc } = setUp({ kernel, registers: 'scalableCachingMode' });
    rid();
    expect(rid(alloc())).toEqual(each(pc(2, 0), piotlb(2, 0)));
    const replaced = each(pc(2, 0), iotlb(2));
    expect(rid(alloc())).toEqual(hitless ? replaced : [...replaced, ...each(pc(2, 0), piotlb(2, 0))]);
  });

  test('scalable mode, first stage: domain ids differ, so even the entry-sync proposal tears down', () => {
    const { rid, alloc, defaultDomain } = setUp({ kernel, registers: 'firstStage' });
    expect(rid()).toEqual(each(pc(2, 0), piotlb(2, 0)));
    expect(rid(defaultDomain)).toEqual([]);
    if (kernel === 'v6.12') return; // Its user domains are second stage, which this unit does not have.
    expect(rid(alloc())).toEqual(each(pc(2, 0), piotlb(2, 0)));
  });

  test('with ATS the device TLB goes too, but on 6.12, which turns ATS off first', () => {
    const { rid, alloc } = setUp({ kernel, registers: 'server', probe: { ats: true, pasidBits: 20 } });
    rid();
    rid(alloc(DIRTY));
    expect(rid()).toEqual(each(pc(2, 0), iotlb(2), ...(kernel === 'v6.12' ? [] : [dtlb()])));
  });
});

describe.each(KERNELS)('%s: a PASID', (kernel) => {
  const probe = { pasidBits: 20 };
  // 6.12 refuses domains with dirty tracking at PASIDs, and its plain ones are second stage; later plain ones are first.
  const secondStage = kernel === 'v6.12' ? 0 : DIRTY;
  // The default domain of the device holds id 2.
  const [first, second] = [3, 4];

  test('attach and detach', () => {
    const { pasid, alloc } = setUp({ kernel, registers: 'server', probe });
    expect(pasid(alloc(secondStage))).toEqual([]);
    expect(pasid()).toEqual(each(pc(first, 5), iotlb(first)));
    if (kernel === 'v6.12') return;
    expect(pasid(alloc())).toEqual([]);
    expect(pasid()).toEqual(each(pc(first, 5), piotlb(first, 5)));
  });

  test('attach in caching mode announces the entry', () => {
    const { pasid, alloc } = setUp({ kernel, registers: 'serverCachingMode', probe });
    expect(pasid(alloc(secondStage))).toEqual(each(pc(first, 5), piotlb(first, 5)));
  });

  test('detach with ATS flushes the device TLB of the PASID', () => {
    const { rid, pasid, alloc } = setUp({ kernel, registers: 'server', probe: { ...probe, ats: true } });
    // On 6.12 ATS is on only while the RID is attached.
    rid();
    rid(alloc(secondStage));
    pasid(alloc(secondStage));
    expect(pasid()).toEqual(each(pc(3, 5), iotlb(3), pdtlb(5)));
  });

  if (kernel === 'v6.12') return; // Nothing can replace there.

  const replaced: Readonly<Record<string, Readonly<Record<string, string[][]>>>> = {
    'second by second': {
      'v6.15': each(pc(first, 5), piotlb(first, 5)),
      'v7.3': each(pc(first, 5), iotlb(first)),
      hitless: each(pc(first, 5), iotlb(first)),
    },
    'first by first': {
      'v6.15': each(pc(first, 5), piotlb(first, 5)),
      'v7.3': each(pc(first, 5), piotlb(first, 5)),
      hitless: each(pc(first, 5), piotlb(first, 5)),
    },
    // Entry-sync: the pieces that the old type ignores, then the one that switches, a flush after each.
    'second by first': {
      'v6.15': each(pc(first, 5), piotlb(first, 5)),
      'v7.3': each(pc(first, 5), iotlb(first)),
      hitless: each(pc(first, 5), iotlb(first), pc(first, 5), iotlb(first)),
    },
    'first by second': {
      'v6.15': each(pc(first, 5), piotlb(first, 5)),
      'v7.3': each(pc(first, 5), piotlb(first, 5)),
      hitless: each(pc(first, 5), piotlb(first, 5), pc(first, 5), piotlb(first, 5)),
    },
  };
  test.each(Object.keys(replaced))('replace of %s stage', (stages) => {
    const { pasid, alloc } = setUp({ kernel, registers: 'server', probe });
    const [old, fresh] = stages.split(' by ').map((stage) => alloc(stage === 'second' ? DIRTY : 0));
    pasid(old as PagingDomain);
    expect(pasid(fresh as PagingDomain)).toEqual(replaced[stages]?.[kernel]);
    // The new domain had its id before the old one gave its own up.
    expect(pasid()[0]).toEqual([pc(second, 5)]);
  });

  test('replace in caching mode: only a set-up after a tear-down is announced', () => {
    const { pasid, alloc } = setUp({ kernel, registers: 'serverCachingMode', probe });
    pasid(alloc(DIRTY));
    const sequences: Readonly<Record<string, string[][]>> = {
      'v6.15': each(pc(first, 5), piotlb(first, 5)),
      'v7.3': each(pc(first, 5), iotlb(first), pc(second, 5), piotlb(second, 5)),
      hitless: each(pc(first, 5), iotlb(first)),
    };
    expect(pasid(alloc(DIRTY))).toEqual(sequences[kernel]);
  });
});

describe.each(KERNELS)('%s: mappings', (kernel) => {
  test('map in caching mode flushes each run without the leaf-only hint; elsewhere nothing', () => {
    for (const [registers, expected] of [
      ['legacy', []],
      ['scalable', []],
      ['cachingMode', [[iotlbPages(2, 0x10_0000n, 2, false)]]],
      ['scalableCachingMode', [[iotlbPages(2, 0x10_0000n, 2, false)]]],
    ] as const) {
      const { map, rid, alloc } = setUp({ kernel, registers });
      const domain = alloc();
      rid();
      rid(domain);
      expect([registers, map(domain, 0x10_0000n, 0x8000_0000n, 0x3000n)]).toEqual([registers, expected]);
    }
  });

  test.runIf(kernel !== 'v6.12')('map of a first-stage domain flushes nothing, in caching mode too', () => {
    const { map, pasid, alloc } = setUp({ kernel, registers: 'serverCachingMode', probe: { pasidBits: 20 } });
    const domain = alloc();
    pasid(domain);
    expect(map(domain, 0x10_0000n, 0x8000_0000n, 0x3000n)).toEqual([]);
  });

  test('strict unmap of a page: one submission with the leaf-only hint, RID and PASID', () => {
    const { map, unmap, rid, pasid, alloc } = setUp({ kernel, registers: 'server', probe: { pasidBits: 20 } });
    const domain = alloc(kernel === 'v6.12' ? 0 : DIRTY);
    rid();
    rid(domain);
    map(domain, 0x10_0000n, 0x8000_0000n, 0x3000n);
    expect(unmap(domain, 0x10_0000n, 0x1000n)).toEqual([[iotlbPages(2, 0x10_0000n, 0, true)]]);
    pasid(domain);
    // A tag of its own for the PASID, in the same submission: the hardware does not know PASIDs in second-stage entries.
    const page = iotlbPages(2, 0x10_1000n, 0, true);
    expect(unmap(domain, 0x10_1000n, 0x1000n)).toEqual([[page, page]]);
  });

  test.runIf(kernel !== 'v6.12')('strict unmap of a first-stage domain names the PASID', () => {
    const { map, unmap, pasid, alloc } = setUp({ kernel, registers: 'server', probe: { pasidBits: 20 } });
    const domain = alloc();
    pasid(domain);
    map(domain, 0x10_0000n, 0x8000_0000n, 0x2000n);
    expect(unmap(domain, 0x10_0000n, 0x1000n)).toEqual([[piotlbPages(3, 5, 0x10_0000n, 0, true)]]);
  });

  test('strict unmap with ATS: IOTLB and device TLB in one submission', () => {
    const { map, unmap, rid, alloc } = setUp({ kernel, registers: 'server', probe: { ats: true, pasidBits: 20 } });
    const domain = alloc(DIRTY);
    rid();
    rid(domain);
    map(domain, 0x10_0000n, 0x8000_0000n, 0x2000n);
    const flush = [iotlbPages(2, 0x10_0000n, 0, true), dtlbPage(0x10_0000n)];
    expect(unmap(domain, 0x10_0000n, 0x1000n)).toEqual([flush]);
  });

  test.each([
    ['legacy', iotlb(2)],
    ['scalable', iotlb(2)],
    ['firstStage', piotlb(2, 0)],
  ] as const)('lazy unmaps in %s: nothing, then one flush of the domain when the queue is full', (registers, flush) => {
    const { k, defaultDomain, take } = setUp({ kernel, registers, defaultDomain: 'dma-fq' });
    const api = new DmaApi(k, defaultDomain);
    const one = (index: bigint): void => {
      k.run(api.map(index << 12n, [{ paddr: index << 12n, lengthBytes: 0x1000n }], 3));
      k.run(api.unmap(0, index << 12n, 0x1000n));
    };
    for (let index = 0n; index < 255n; index++) one(index);
    expect(take()).toEqual([]);
    one(255n);
    expect(take()).toEqual([[flush]]);
  });
});

describe.each(KERNELS)('%s: dirty tracking', (kernel) => {
  test.each([false, true])('toggles each entry with PASID cache and domain flush (ATS: %s)', (ats) => {
    const { k, rid, pasid, alloc, take } = setUp({ kernel, registers: 'server', probe: { ats, pasidBits: 20 } });
    const domain = alloc(DIRTY);
    rid();
    rid(domain);
    const withPasid = kernel !== 'v6.12';
    if (withPasid) pasid(domain);
    const onRid = [pc(2, 0), iotlb(2), ...(ats ? [dtlb()] : [])];
    const onPasid = withPasid ? [pc(2, 5), iotlb(2), ...(ats ? [pdtlb(5)] : [])] : [];
    for (const enable of [true, false]) {
      expect(k.run(domain.dirty?.setTracking(enable) as never)).toBe(0);
      expect(take()).toEqual(each(...onRid, ...onPasid));
      expect(k.run(domain.dirty?.setTracking(enable) as never)).toBe(0);
      expect(take()).toEqual([]);
    }
  });
});
