/**
 * The modelled driver, unit and queue under random map, unmap, attach, replace and detach with DMA in between: what a call
 * that has returned promised is what DMA sees. Driver defects of kernels, and left-out flushes, are found by it.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DriverOperation, DriverWorld, type DriverWorldOptions } from '../support/driver-world.ts';
import { seeded, seededTitle } from '../support/property-seed.ts';

/** HWPT_ALLOC with dirty tracking: a second-stage domain where both stages exist. */
const SECOND_STAGE = 2;

interface Setting extends DriverWorldOptions {
  readonly name: string;
  readonly runs: number;
}

const settings: readonly Setting[] = [
  {
    name: 'legacy, block then setup',
    kernel: 'v6.12',
    registers: 'legacy',
    hitless: false,
    usesPasids: false,
    runs: 420,
  },
  {
    name: 'legacy, hitless',
    kernel: 'hitless',
    registers: 'legacy',
    hitless: true,
    usesPasids: false,
    runs: 300,
  },
  {
    name: 'legacy, caching mode',
    kernel: 'v7.3',
    registers: 'cachingMode',
    hitless: false,
    usesPasids: false,
    runs: 200,
  },
  {
    name: 'second stage with PASIDs, caching mode',
    kernel: 'v7.3',
    registers: 'serverCachingMode',
    domainFlags: SECOND_STAGE,
    hitless: false,
    usesPasids: true,
    runs: 200,
  },
  {
    name: 'second stage with PASIDs, clear then update',
    kernel: 'v7.3',
    registers: 'server',
    domainFlags: SECOND_STAGE,
    hitless: false,
    usesPasids: true,
    runs: 420,
  },
  {
    name: 'second stage with PASIDs, entry-sync',
    kernel: 'hitless',
    registers: 'server',
    domainFlags: SECOND_STAGE,
    hitless: true,
    usesPasids: true,
    runs: 420,
  },
  {
    name: 'first stage with PASIDs, clear then update',
    kernel: 'v7.3',
    registers: 'server',
    hitless: false,
    usesPasids: true,
    runs: 420,
  },
  {
    name: 'first stage with PASIDs, stored at once',
    kernel: 'v7.3',
    registers: 'server',
    overrides: ['behaviours.pasidReplace=make-before-break', 'behaviours.ridReplace=make-before-break'],
    hitless: true,
    usesPasids: true,
    runs: 300,
  },
];

const device = fc.nat(1);
const pasid = fc.nat(1);
const domain = fc.nat(2);
const operation: fc.Arbitrary<DriverOperation> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      op: fc.constant('dma' as const),
      device,
      pasid,
      sample: fc.nat(12),
      write: fc.boolean(),
      gap: fc.oneof(fc.nat(100), fc.nat(700)),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constantFrom('map', 'unmap' as const),
      domain,
      area: fc.nat(5),
      readOnly: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('attach' as const), device, pasid, domain }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('detach' as const), device, pasid }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('settle' as const) }) },
);

/** Something is mapped and attached from the start on. */
const PRELUDE: readonly DriverOperation[] = [
  ...[0, 1, 2].flatMap((each) =>
    [0, 1, 2, 3].map((area) => ({ op: 'map' as const, domain: each, area, readOnly: false })),
  ),
  ...[0, 1].flatMap((each) => [0, 1].map((of) => ({ op: 'attach' as const, device: each, pasid: of, domain: each }))),
  { op: 'settle' },
];

function property(setting: DriverWorldOptions, seen: Record<string, number>) {
  const operations = fc.array(operation, { minLength: 20, maxLength: 100, size: 'max' });
  return fc.property(operations, (list) => {
    const world = new DriverWorld(setting);
    for (const each of [...PRELUDE, ...list]) world.run(each);
    for (const [how, count] of Object.entries(world.seen)) seen[how] = (seen[how] ?? 0) + count;
  });
}

describe('DMA sees what calls promised', () => {
  for (const setting of settings) {
    test(seededTitle(setting.name, setting.runs), () => {
      const seen: Record<string, number> = {};
      fc.assert(property(setting, seen), seeded(setting.runs));
      for (const how of ['translated', 'fault', 'duringCall']) {
        expect(seen[how], how).toBeGreaterThan(seeded(setting.runs).numRuns);
      }
    });
  }
});

const SERVER: DriverWorldOptions = { kernel: 'v7.3', registers: 'server', hitless: false, usesPasids: true };

/** Drivers that leave something out, and rules of kernels that the specification does not allow. */
const defects: readonly (DriverWorldOptions & { readonly name: string })[] = [
  {
    ...SERVER,
    name: 'a teardown without its IOTLB flush',
    overrides: ['behaviours.omitsFlush=iotlb'],
  },
  {
    ...SERVER,
    name: 'a teardown without its PASID-cache flush',
    overrides: ['behaviours.omitsFlush=pasid-cache'],
  },
  {
    ...SERVER,
    name: 'the in-place replace of 6.15 on second-stage tables, whose flush goes by PASID and misses tags without one',
    kernel: 'v6.15',
    domainFlags: SECOND_STAGE,
  },
  {
    ...SERVER,
    name: 'the in-place replace of 6.15 on first-stage tables, whose torn entry is cached under the new domain id',
    kernel: 'v6.15',
    // Stores so slow that requests fall between them.
    overrides: ['costsNs.entryWrite.value=2000'],
  },
  {
    ...SERVER,
    name: 'a map without its flush in caching mode',
    registers: 'cachingMode',
    usesPasids: false,
    overrides: ['behaviours.omitsFlush=map'],
  },
  {
    ...SERVER,
    name: 'a clear-then-update replace that is said to be hitless',
    hitless: true,
  },
];

describe('the oracle notices', () => {
  for (const { name, ...options } of defects) {
    test(name, () => {
      const found = fc.check(property(options, {}), { ...seeded(1500), endOnFailure: true });
      expect(found.failed).toBe(true);
      expect(found.errorInstance).toMatchObject({ message: expect.stringContaining('which none of') });
    });
  }
});
