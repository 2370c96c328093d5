/**
 * Structure by structure: not ready one picosecond before its tick, ready at it. Link 100 ns one way, hit 2, walk 20 + 100 a
 * read, four walkers; device 1 shares device 0's domain and is warm, so that its requests meet what device 0 is doing.
 */
import { describe, expect, test } from 'vitest';
import { Counter } from '../../../../src/hw/vtd/counters.ts';
import { type ArrivedOutcome, DeviceUnderTest, descriptors } from '../../../support/device-under-test.ts';
import { NESTED_DID, NestedScene } from '../../../support/nested-scene.ts';

const DID = 7;
const [HIT, FIXED, READ] = [2_000, 20_000, 100_000];
/** [ps] Long after everything that warms up. */
const T0 = 50_000_000;
/** A page, and pages that share with it the tables down to the level named (1: the leaf table). */
const PAGE = 0x12_3456_7000;
const SHARES = { 1: PAGE + 1, 2: PAGE + 2 ** 9, 3: PAGE + 2 ** 18, 4: PAGE + 2 ** 27 } as const;
/** Shares no table but the root with {@link PAGE}. */
const ELSEWHERE = 0x1000;

interface BenchOptions {
  readonly stage?: 'first' | 'second';
  readonly levels?: number;
  readonly set?: readonly string[];
}

/** Both devices bound to one table and warm; everything else about {@link PAGE} is cold. */
function bench({ stage = 'second', levels = 5, set = [] }: BenchOptions = {}): DeviceUnderTest {
  const scalable = stage === 'first';
  const dut = new DeviceUnderTest({ scalable, set: ['pagingCaches.region256t.entries=16', ...set] });
  const table = dut.table(levels, stage);
  const limit = 512 ** levels / (scalable ? 2 : 1);
  for (const page of [PAGE, ...Object.values(SHARES), ELSEWHERE, ELSEWHERE + 1])
    if (page < limit) table.map(page, 0x500);
  for (const source of dut.sourceIds) {
    if (scalable) dut.contexts.setPasid(source, 0, table, DID);
    else dut.contexts.setLegacy(source, table, DID);
  }
  dut.run([{ page: ELSEWHERE }, { page: ELSEWHERE, device: 1, at: 5000 }]);
  return dut;
}

/** [ps] When a walk that begins at {@link T0} has made `reads` reads. */
const walked = (reads: number): number => T0 + FIXED + reads * READ;

/** What `observe` says one picosecond before `tick`, and at it; each on a bench of its own. */
function around<T>(tick: number, observe: (arriveTick: number) => T): { readonly before: T; readonly at: T } {
  return { before: observe(tick - 1), at: observe(tick) };
}

describe('IOTLB', () => {
  test('a hit is ready after the hit time', () => {
    const dut = bench();
    expect(dut.issueToArrive(T0, { page: ELSEWHERE, device: 1 })).toMatchObject({
      outcome: 'hit',
      readyTick: T0 + HIT,
    });
  });

  test('a request joins a walk under way, and hits from the fill on', () => {
    const fill = walked(5);
    const seen = around(fill, (tick) => {
      const dut = bench();
      expect(dut.issueToArrive(T0, { page: PAGE }).readyTick).toBe(fill);
      return dut.issueToArrive(tick, { page: PAGE, device: 1 });
    });
    expect(seen.before).toMatchObject({ outcome: 'mergedMiss', readyTick: fill + HIT });
    expect(seen.at).toMatchObject({ outcome: 'hit', readyTick: fill + HIT });
  });
});

describe.each(['second', 'first'] as const)('paging-structure caches of the %s stage', (stage) => {
  // The pointer read at level n leads to the table of level n - 1; pages share it when they share that table.
  test.each([5, 4, 3, 2] as const)('level %i: usable from the end of its own read on', (level) => {
    const readsUntilKnown = 5 - level + 1;
    const seen = around(walked(readsUntilKnown), (tick) => {
      const dut = bench({ stage });
      dut.issueToArrive(T0, { page: PAGE });
      return dut.issueToArrive(tick, { page: SHARES[(level - 1) as 1 | 2 | 3 | 4], device: 1 });
    });
    expect(seen.before.reads).toBe(level);
    expect(seen.at.reads).toBe(level - 1);
    expect(seen.at.readyTick).toBe(walked(readsUntilKnown) + FIXED + (level - 1) * READ);
  });
});

describe('paging-structure caches under nested translation', () => {
  /** Guest page tables of 4 levels on 4 levels; nothing cached: 24 reads, 5 for each guest level, 4 for the page. */
  function scene(): NestedScene {
    const nested = new NestedScene();
    for (const [index, page] of [0x1234567000 % 2 ** 35, 0x1000].entries())
      nested.mapGuest(page, 0x500 + index * 2 ** 18);
    for (const page of [0x500, 0x500 + 2 ** 18]) nested.host.map(page, 0x9000 + page);
    nested.issue(0x1000, 10);
    nested.dut.settle();
    return nested;
  }

  test('a first-stage pointer is usable once the second stage has said where it leads', () => {
    const page = 0x1234567000 % 2 ** 35;
    const probeReads = (tick: number): { first: number; second: number } => {
      const { dut, guest, host } = scene();
      guest.map(page + 1, 0x501);
      host.map(0x501, 0x9501);
      dut.submit(20_000, [descriptors.pasidIotlb(NESTED_DID, 0)]);
      dut.settle();
      const first = dut.issueToArrive(T0, { page });
      return { first: first.reads, second: dut.issueToArrive(tick, { page: page + 1 }).reads };
    };
    const whole = probeReads(T0 + 10_000_000);
    // The last pointer is known when all but the leaf's read and the walk for its page are done.
    const known = ((): number => {
      let [low, high] = [0, whole.first];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (probeReads(walked(middle)).second === whole.second) high = middle;
        else low = middle;
      }
      return high;
    })();
    expect(probeReads(walked(known)).second).toBe(whole.second);
    expect(probeReads(walked(known) - 1).second).toBeGreaterThan(whole.second);
    expect(known).toBeLessThan(whole.first);
  });
});

describe('context and PASID entries', () => {
  test.each([
    ['context cache, legacy', 'second', 2],
    ['context and PASID cache, scalable', 'first', 4],
  ] as const)('%s: others of the requester walk from the end of the reads on', (_name, stage, contextReads) => {
    const bound = walked(contextReads);
    const walk = (tick: number): ArrivedOutcome => {
      const dut = bench({ stage });
      const forget = [descriptors.contextGlobal(), descriptors.pasidCacheGlobal()];
      dut.submit(30_000, stage === 'first' ? forget : forget.slice(0, 1));
      dut.settle();
      const first = dut.issueToArrive(T0, { page: PAGE });
      expect(first.reads).toBe(contextReads + 5);
      return dut.issueToArrive(tick, { page: ELSEWHERE + 1 });
    };
    // One read of the leaf, wanted before the entries are there, at that tick, and after it.
    expect(walk(bound - 1)).toMatchObject({ reads: 1, readyTick: bound + FIXED + READ });
    expect(walk(bound)).toMatchObject({ reads: 1, readyTick: bound + FIXED + READ });
    expect(walk(bound + 1)).toMatchObject({ reads: 1, readyTick: bound + 1 + FIXED + READ });
  });

  test('a context entry on its way serves another PASID of the device from the end of its read on', () => {
    const known = walked(2);
    const walk = (tick: number): ArrivedOutcome => {
      const dut = bench({ stage: 'first' });
      const table = dut.table(5, 'first');
      table.map(PAGE, 0x600);
      dut.contexts.setPasid(dut.sourceIds[0] as number, 3, table, DID + 1);
      dut.submit(30_000, [descriptors.contextGlobal()]);
      dut.settle();
      dut.issueToArrive(T0, { page: PAGE });
      return dut.issueToArrive(tick, { page: PAGE, pasid: 3 });
    };
    // Two reads for the PASID entry, five for the page.
    expect(walk(known - 1).readyTick).toBe(known + FIXED + 7 * READ);
    expect(walk(known).readyTick).toBe(known + FIXED + 7 * READ);
    expect(walk(known + 1).readyTick).toBe(known + 1 + FIXED + 7 * READ);
  });
});

describe('walkers', () => {
  test('a walk takes the walker that is free first, when it is free', () => {
    const free = walked(5);
    const walk = (tick: number): ArrivedOutcome => {
      const dut = bench({ set: ['translation.walkers=1'] });
      dut.issueToArrive(T0, { page: PAGE });
      return dut.issueToArrive(tick, { page: ELSEWHERE + 1, device: 1 });
    };
    expect(walk(free - 1).readyTick).toBe(free + FIXED + READ);
    expect(walk(free).readyTick).toBe(free + FIXED + READ);
    expect(walk(free + 1).readyTick).toBe(free + 1 + FIXED + READ);
  });

  test('a walker is busy longer than its walk takes, by what the profile says', () => {
    const dut = bench({ set: ['translation.walkers=1', 'translation.busyExtraNs=7'] });
    dut.issueToArrive(T0, { page: PAGE });
    expect(dut.issueToArrive(T0 + 1000, { page: ELSEWHERE + 1, device: 1 }).readyTick).toBe(
      walked(5) + 7000 + FIXED + READ,
    );
  });

  test('as many walks run at once as there are walkers', () => {
    for (const walkers of [1, 2, 4, 7]) {
      const dut = bench({ set: [`translation.walkers=${walkers}`] });
      const table = dut.table(5);
      const pages = Array.from({ length: walkers + 1 }, (_, index) => ELSEWHERE + 0x2000 + index * 2 ** 27);
      for (const page of pages) table.map(page, 0x700);
      dut.contexts.setLegacy(dut.sourceIds[0] as number, table, DID + 1);
      dut.submit(30_000, [descriptors.contextDevice(dut.sourceIds[0] as number)]);
      dut.settle();
      dut.run([{ page: PAGE, at: 40_000 }]);
      const outcomes = dut.run(pages.map((page) => ({ page, atTick: T0 })));
      const starts = outcomes.map((row) => Math.round((row.ready - (FIXED + row.reads * READ) / 1000) * 1000));
      const [last, first] = [starts.pop() as number, starts[0] as number];
      expect(starts.every((start) => start < first + 100_000)).toBe(true);
      expect(last).toBe(Math.round((outcomes[0] as { ready: number }).ready * 1000));
    }
  });

  test('walks start at least an interval apart', () => {
    const interval = 45_000;
    const walk = (tick: number): ArrivedOutcome => {
      const dut = bench({ set: ['translation.walkIntervalNs=45'] });
      dut.issueToArrive(T0, { page: PAGE });
      return dut.issueToArrive(tick, { page: ELSEWHERE + 1, device: 1 });
    };
    const start = T0 + interval;
    expect(walk(start - 1).readyTick).toBe(start + FIXED + READ);
    expect(walk(start).readyTick).toBe(start + FIXED + READ);
    expect(walk(start + 1).readyTick).toBe(start + 1 + FIXED + READ);
  });

  test.each([
    // Three lines of 4 ns, then the least that a read takes.
    ['link.readPortLineNs=4', 192, 12_000],
    ['link.readPortLeastNs=9', 192, 9_000],
    ['link.readPortLineNs=400', 192, 50_000],
  ])(
    'a walk starts behind the lines of a read that hits, and waits for them 50 ns at most: %s',
    (set, bytes, taken) => {
      const walk = (tick: number): ArrivedOutcome => {
        const dut = bench({ set: [set, 'link.readPortDelayNs=50'] });
        // Device 1 is warm on device 0's space.
        dut.issueToArrive(T0, { page: ELSEWHERE, device: 1, bytes });
        return dut.issueToArrive(tick, { page: PAGE });
      };
      const start = T0 + taken;
      expect(walk(start - 1).readyTick).toBe(start + FIXED + 5 * READ);
      expect(walk(start).readyTick).toBe(start + FIXED + 5 * READ);
      expect(walk(start + 1).readyTick).toBe(start + 1 + FIXED + 5 * READ);
    },
  );

  test('a write takes nothing of the port', () => {
    const dut = bench({ set: ['link.readPortLineNs=4', 'link.readPortDelayNs=50'] });
    dut.issueToArrive(T0, { page: ELSEWHERE, device: 1, write: true });
    expect(dut.issueToArrive(T0 + 1, { page: PAGE }).readyTick).toBe(T0 + 1 + FIXED + 5 * READ);
  });

  test('no number of reads keeps a walk waiting longer than the port allows', () => {
    // Eight lines take 320 ns of the port, and the link brings them every 70 ns or so.
    const dut = bench({ set: ['link.readPortLineNs=40', 'link.readPortDelayNs=50'] });
    const reads = dut.run(Array.from({ length: 500 }, () => ({ page: ELSEWHERE, device: 1, bytes: 512, atTick: T0 })));
    const tick = Math.round((reads.at(-1) as { arrive: number }).arrive * 1000) + 1;
    const waited = dut.issueToArrive(tick, { page: PAGE }).readyTick - tick - FIXED - 5 * READ;
    expect(waited).toBe(50_000 - 1);
  });

  test('a region is walked again when its walk is over, where regions are walked one by one', () => {
    const free = walked(5);
    const walk = (tick: number, page: number): ArrivedOutcome => {
      const dut = bench({ set: ['translation.serialiseRegion=true'] });
      dut.issueToArrive(T0, { page: PAGE });
      return dut.issueToArrive(tick, { page, device: 1 });
    };
    expect(walk(free - 1, SHARES[1]).readyTick).toBe(free + FIXED + READ);
    expect(walk(free, SHARES[1]).readyTick).toBe(free + FIXED + READ);
    expect(walk(free + 1, SHARES[1]).readyTick).toBe(free + 1 + FIXED + READ);
    expect(walk(T0 + 1, ELSEWHERE + 1).readyTick).toBe(T0 + 1 + FIXED + READ);
  });
});

describe('release in order', () => {
  test('a hit is released when the miss before it is, not earlier, and later only by itself', () => {
    const released = walked(5);
    const hit = (tick: number): ArrivedOutcome => {
      const dut = bench({ set: ['translation.releaseInOrder=true'] });
      dut.issueToArrive(T0, { page: PAGE });
      return dut.issueToArrive(tick, { page: ELSEWHERE });
    };
    expect(hit(released - HIT - 1).readyTick).toBe(released);
    expect(hit(released - HIT).readyTick).toBe(released);
    expect(hit(released - HIT + 1).readyTick).toBe(released + 1);
  });
});

describe('invalidation queue', () => {
  const [DOORBELL, FETCH, EXECUTE, STATUS] = [200_000, 200_000, 100_000, 200_000];

  test.each([0, 1, 15])('the %i-th descriptor takes effect when it has been executed', (before) => {
    const effect = T0 + DOORBELL + FETCH + (before + 1) * EXECUTE;
    const seen = around(effect, (tick) => {
      const dut = bench();
      const others = Array.from({ length: before }, () => descriptors.iotlbDomain(99));
      dut.submit(T0 / 1000, [...others, descriptors.iotlbPages(DID, ELSEWHERE)]);
      return dut.issueToArrive(tick, { page: ELSEWHERE, device: 1 }).outcome;
    });
    expect(seen).toEqual({ before: 'hit', at: 'miss' });
  });

  test('software sees the status after the last descriptor and the status write', () => {
    const dut = bench();
    const handle = dut.submit(T0 / 1000, [descriptors.iotlbDomain(99), descriptors.iotlbDomain(98)]);
    const visible = T0 + DOORBELL + FETCH + 2 * EXECUTE + STATUS;
    dut.timeline.runUntil((visible - 1) as never);
    expect(handle.doneNs).toBeUndefined();
    dut.timeline.runUntil(visible as never);
    expect(handle.doneNs).toBe(visible / 1000);
  });

  test('a descriptor behind a fence begins when the wait is complete', () => {
    const fence = 0x40;
    const dut = bench();
    dut.submit(T0 / 1000, [descriptors.iotlbPages(DID, ELSEWHERE)], fence);
    const dma = dut.issueToArrive(T0 + DOORBELL + FETCH + EXECUTE - 1, { page: ELSEWHERE, write: true });
    const second = dut.submit(T0 / 1000 + 1, [descriptors.iotlbDomain(98)]);
    dut.settle();
    expect((second.doneNs as number) * 1000).toBe(dma.doneTick + EXECUTE + STATUS);
  });

  test('a wait drains: complete when the last DMA of the tag has reached memory', () => {
    const effect = T0 + DOORBELL + FETCH + EXECUTE;
    const status = (tick: number, page = ELSEWHERE): { readonly visible: number; readonly memory: number } => {
      const dut = bench();
      const handle = dut.submit(T0 / 1000, [descriptors.iotlbPages(DID, ELSEWHERE)]);
      const { doneTick } = dut.issueToArrive(tick, { page, write: true });
      dut.settle();
      return { visible: (handle.doneNs as number) * 1000, memory: doneTick };
    };
    // 52 ns from arrival to memory: the write's data are there before the effect, at it, one tick after it.
    const inTime = effect - HIT - 50_000;
    expect(status(inTime - 1).visible).toBe(effect + STATUS);
    expect(status(inTime).visible).toBe(effect + STATUS);
    expect(status(inTime + 1).visible).toBe(effect + 1 + STATUS);
    const late = status(effect - 1);
    expect(late.visible).toBe(late.memory + STATUS);
    // What arrives at the effect or later does not use what was dropped.
    expect(status(effect).visible).toBe(effect + STATUS);
  });
});

describe('faults', () => {
  test('the fault event comes when the walk has ended', () => {
    const dut = bench();
    const events: number[] = [];
    dut.unit.onFaultEvent((atTick) => events.push(atTick));
    // Shares the leaf table with nothing: the walk ends at the entry that is absent.
    const missing = dut.issueToArrive(T0, { page: PAGE + 2 });
    expect(missing).toMatchObject({ outcome: 'fault', readyTick: walked(5) });
    expect(events).toEqual([walked(5)]);
    expect(dut.unit.translator.counters.values[Counter['model.fault_records']]).toBe(1);
  });
});

describe('window of the device', () => {
  test('a request beyond the window is issued when the first tag is back, and not a tick earlier', () => {
    const dut = bench({ set: ['device.readWindow=[4,4,4,4]'] });
    const rows = dut.run(Array.from({ length: 5 }, () => ({ page: ELSEWHERE, atTick: T0 })));
    const done = rows.map((row) => Math.round(row.done * 1000));
    expect(Math.round((rows[4]?.issue ?? 0) * 1000)).toBe(done[0]);
    for (const [late, expected] of [
      [-1, 0],
      [0, 0],
      [1, 1],
    ] as const) {
      const again = bench({ set: ['device.readWindow=[4,4,4,4]'] });
      again.run(Array.from({ length: 4 }, () => ({ page: ELSEWHERE, atTick: T0 })));
      const fifth = again.run([{ page: ELSEWHERE, atTick: (done[0] as number) + late }])[0];
      expect(Math.round((fifth?.issue ?? 0) * 1000) - (done[0] as number)).toBe(expected);
    }
  });
});
