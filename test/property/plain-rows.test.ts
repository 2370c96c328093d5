/**
 * The compiled loop of the data plane against the data plane without it: same outcomes, ticks, counters and sums, to the
 * bit, for any rows, tables, invalidations and profiles.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TimePart } from '../../src/hw/vtd/counters.ts';
import { PasidEntry } from '../../src/hw/vtd/layout.ts';
import { DeviceUnderTest, descriptors, type TestDma, type TestOutcome } from '../support/device-under-test.ts';

const DEVICES = 3;
/** Device 1 also issues with PASIDs from this one on. */
const FIRST_PASID = 5;
/** Pages of the pool: neighbours, other regions of every size, and the interrupt range. */
const POOL = [0x1000, 0x1001, 0x1002, 0x11ff, 0x1200, 0x3000, 0x41000, 0xfee01, 0x8001000];
/** 2 MiB and 1 GiB pages. */
const LARGE = 0x100000;
const HUGE = 0x4000000;
/** What they lead to: away from all other frames. */
const LARGE_PFN = 0x2000000;
const HUGE_PFN = 0x1000000;

const pageOf = (index: number, within: number): number => {
  if (index < POOL.length) return POOL[index] as number;
  return index === POOL.length ? LARGE + (within % 512) : HUGE + within;
};

const dmaRow = fc.record({
  device: fc.nat(DEVICES - 1),
  pasid: fc.nat(200),
  index: fc.nat(POOL.length + 1),
  within: fc.nat(2000),
  offset: fc.nat(63).map((line) => line * 64),
  bytes: fc.constantFrom(1, 64, 64, 64, 128, 256, 500, 512, 1500, 4096, 9000),
  write: fc.boolean(),
  gap: fc.nat(400),
});
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('dma' as const), rows: fc.array(dmaRow, { maxLength: 40 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('map' as const), index: fc.nat(POOL.length - 1), prot: fc.nat(3) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('pages' as const), index: fc.nat(POOL.length - 1), mask: fc.nat(10) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('domain' as const), index: fc.nat(DEVICES - 1) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('context' as const), index: fc.nat(DEVICES - 1) }) },
);

type Stage = 'first' | 'second';
interface Shape {
  readonly name: string;
  readonly set: readonly string[];
  readonly stage: Stage;
  readonly levels: number;
  readonly scalable: boolean;
  readonly dirty?: boolean;
  /** PASIDs of device 1; each has a space of its own where entries are tagged with it. */
  readonly pasids?: number;
  /** The tables are first stages on a second stage that maps every page to itself. */
  readonly nested?: boolean;
}

const SMALL = [
  'device.readWindow=[2,3,1,4]',
  'device.writeWindow=[3,2,2,5]',
  'device.readIntervalNs=[3,5,9,9]',
  'translation.walkIntervalNs=13',
  'link.readPortLineNs=3.7',
  'link.readPortLeastNs=6.5',
  'link.readPortDelayNs=26',
];
const shapes: readonly Shape[] = [
  { name: 'legacy, fully associative', set: SMALL, stage: 'second', levels: 4, scalable: false },
  {
    name: 'legacy, 3 x 5 ways, tiny paging-structure caches',
    set: ['iotlb.entries=15', 'iotlb.ways=5', 'pagingCaches.region2m.entries=2', 'pagingCaches.region1g.entries=1'],
    stage: 'second',
    levels: 4,
    scalable: false,
  },
  {
    name: 'legacy, low-bits index, one slow walker',
    set: ['iotlb.entries=8', 'iotlb.ways=2', 'iotlb.indexing=low-bits', 'translation.walkers=1', ...SMALL],
    stage: 'second',
    levels: 3,
    scalable: false,
  },
  {
    name: 'second stage with accessed and dirty bits, FIFO',
    set: [
      'iotlb.entries=6',
      'iotlb.policy=fifo',
      'translation.walkIntervalNs=40',
      'translation.busyExtraNs=7',
      'link.readPortLineNs=11',
      'link.readPortLeastNs=30',
      'link.readPortDelayNs=45',
    ],
    stage: 'second',
    levels: 5,
    scalable: true,
    dirty: true,
  },
  {
    name: 'first stage without 1 GiB pages',
    set: ['iotlb.entries=24', 'iotlb.ways=3', 'registers.cap=18d2078c10780e66'],
    stage: 'first',
    levels: 4,
    scalable: true,
  },
  {
    name: 'second stage without 1 GiB pages',
    set: ['iotlb.entries=24', 'registers.cap=19d2078410780e66'],
    stage: 'second',
    levels: 4,
    scalable: true,
  },
  {
    name: 'first stage of 5 levels, no paging-structure caches',
    set: ['iotlb.entries=40', 'pagingCaches.region2m.entries=0', 'pagingCaches.region1g.entries=0', ...SMALL],
    stage: 'first',
    levels: 5,
    scalable: true,
  },
  {
    name: 'more PASIDs than there is room for at first',
    set: ['iotlb.entries=48', 'pasidCache.entries=128'],
    stage: 'first',
    levels: 4,
    scalable: true,
    pasids: 150,
  },
  {
    name: 'caching mode',
    set: ['iotlb.entries=12', 'registers.cap=19d2078c10780ee6', ...SMALL],
    stage: 'second',
    levels: 4,
    scalable: false,
  },
  { name: 'nested', set: ['iotlb.entries=20'], stage: 'first', levels: 4, scalable: true, nested: true },
  {
    name: 'regions one by one',
    set: ['translation.serialiseRegion=true', 'iotlb.entries=4', 'iotlb.ways=4'],
    stage: 'second',
    levels: 4,
    scalable: false,
  },
  {
    name: 'paging-structure caches that the loop does not know',
    set: ['pagingCaches.region2m.entries=4', 'pagingCaches.region2m.ways=4', 'pagingCaches.region2m.policy=tree-plru'],
    stage: 'second',
    levels: 4,
    scalable: false,
  },
];

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
interface Way {
  readonly plainRows: boolean;
  readonly unitColumns: boolean;
}

/** Replays the steps; everything that can be seen of the unit afterwards, and how many rows were answered how. */
function replay(shape: Shape, steps: readonly Step[], way: Way) {
  const dut = new DeviceUnderTest({ scalable: shape.scalable, set: shape.set, devices: DEVICES, ...way });
  const tables = Array.from({ length: DEVICES - 1 }, () => dut.table(shape.levels, shape.stage));
  const second = dut.table(4);
  const mapSecond = (pfn: number, size = 0): void => {
    if (shape.nested === true) second.map(pfn, pfn, 3, size);
  };
  const pasids = shape.pasids ?? 1;
  tables.forEach((table, index) => {
    for (const page of POOL) {
      if (page >= 512 ** shape.levels) continue;
      table.map(page, 0x700 + page, 3);
      mapSecond(0x700 + page);
    }
    table.map(LARGE, LARGE_PFN, 3, 1);
    mapSecond(LARGE_PFN, 1);
    table.map(HUGE, HUGE_PFN, 3, 2);
    mapSecond(HUGE_PFN, 2);
    for (const frame of table.frames) mapSecond(frame);
    const source = dut.sourceIds[index] as number;
    const flags = shape.dirty === true ? PasidEntry.ssade : 0;
    if (shape.nested === true) dut.contexts.setNested(source, 0, table, second, 10 + index);
    else if (shape.scalable) dut.contexts.setPasid(source, 0, table, 10 + index, flags);
    else dut.contexts.setLegacy(source, table, 10 + index);
    for (let at = 0; at < pasids && shape.scalable; at++) {
      dut.contexts.setPasid(source, FIRST_PASID + at, tables[0], 10 + index, shape.nested === true ? 0 : flags);
    }
  });
  // The last device is passed through.
  const last = dut.sourceIds[DEVICES - 1] as number;
  if (shape.scalable) dut.contexts.setPasid(last, 0, undefined, 9);
  else dut.contexts.setLegacy(last, tables[0] as (typeof tables)[number], 9, 2);

  const outcomes: TestOutcome[] = [];
  let now = 1000;
  for (const one of steps) {
    now = Math.max(now, Math.ceil(dut.timeline.now / 1000)) + 10;
    dut.timeline.runUntil(now * 1000);
    if (one.op === 'dma') {
      const rows: TestDma[] = one.rows.map(({ device, pasid, index, within, offset, bytes, write, gap }) => {
        now += gap;
        // Half of the device's requests have one.
        const withPasid = pasid >= 100 && device === 1 && shape.scalable && shape.nested !== true;
        return {
          at: now,
          device,
          pasid: withPasid ? FIRST_PASID + ((pasid * 7) % pasids) : 0,
          page: pageOf(index, within),
          offset,
          bytes,
          write,
        };
      });
      outcomes.push(...dut.run(rows));
    } else if (one.op === 'map') {
      const page = POOL[one.index] as number;
      if (page >= 512 ** shape.levels) continue;
      for (const table of tables) table.map(page, 0x900 + now, shape.stage === 'first' ? one.prot | 1 : one.prot);
      mapSecond(0x900 + now);
    } else if (one.op === 'pages') {
      const page = POOL[one.index] as number;
      dut.submit(now, [
        shape.stage === 'first'
          ? descriptors.pasidIotlbPages(10, 0, page, one.mask)
          : descriptors.iotlbPages(10, page, one.mask),
      ]);
    } else if (one.op === 'domain') {
      dut.submit(now, [
        shape.stage === 'first' ? descriptors.pasidIotlb(10 + one.index, 0) : descriptors.iotlbDomain(10 + one.index),
      ]);
    } else {
      dut.submit(now, [descriptors.contextDevice(dut.sourceIds[one.index] as number)]);
    }
  }
  dut.settle();
  const { unit } = dut;
  const times = Object.entries(TimePart).map(([name, part]) => [name, unit.times.total(part)]);
  const { words } = dut.memory;
  return { outcomes, counters: unit.counters(), times, memory: words.slice(0, dut.memory.frameCount * 1024) };
}

test.each(shapes)('$name: the compiled loop changes nothing', (shape) => {
  const kinds = new Set<string>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
      const seen = replay(shape, steps, { plainRows: true, unitColumns: true });
      for (const { outcome } of seen.outcomes) kinds.add(outcome);
      expect(seen).toEqual(replay(shape, steps, { plainRows: false, unitColumns: false }));
      expect(seen).toEqual(replay(shape, steps, { plainRows: true, unitColumns: false }));
    }),
    { numRuns: 40, seed: 20260 },
  );
  expect([...kinds].sort()).toEqual(['fault', 'hit', 'mergedMiss', 'miss', 'passThrough']);
});
