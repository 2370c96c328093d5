import { describe, expect, test } from 'vitest';
import { DmaApi, DmaDirection, protOfDirection } from '../../../../src/stack/iommu/dma-api.ts';
import type { PagingDomain } from '../../../../src/stack/iommu/ops.ts';
import type { Tick } from '../../../../src/units.ts';
import { intelMachine, type MachineOptions } from '../../../support/intel-machine.ts';

const MS = 1_000_000_000;
const FLUSH = ['0x200e2 0x0 0x0 0x0'];

function setUp(options: MachineOptions, queue: ConstructorParameters<typeof DmaApi>[2] = {}) {
  const machine = intelMachine({ kernel: 'v7.3', ...options });
  const domain = machine.groups[0]?.defaultDomain as PagingDomain;
  const api = new DmaApi(machine.kernel, domain, queue);
  const page = (index: number): bigint => BigInt(0xf0000 + index) << 12n;
  const map = (index: number): number =>
    machine.kernel.run(api.map(page(index), [{ paddr: BigInt(index) << 12n, lengthBytes: 0x1000n }], 3));
  const unmap = (index: number, cpu = 0): number => machine.kernel.run(api.unmap(cpu, page(index), 0x1000n));
  return { ...machine, domain, api, map, unmap, page };
}

describe('strict', () => {
  test('every unmap flushes its pages and gives the IOVA back at once', () => {
    const { map, unmap, take, api } = setUp({ defaultDomain: 'dma' });
    map(0);
    map(1);
    unmap(1);
    expect(take()).toEqual([['0x200f2 0xf0001040 0x0 0x0']]);
    expect(api.lazy).toBe(false);
    expect(api.awaitsFlush(0xf0001)).toBe(false);
  });

  test('a scatter list maps run by run and is flushed as one range in caching mode', () => {
    const { kernel, api, page, domain, take } = setUp({ defaultDomain: 'dma-fq', registers: 'cachingMode' });
    expect(domain.type).toBe('dma');
    const runs = [
      { paddr: 0x9000n, lengthBytes: 0x1000n },
      { paddr: 0x4000n, lengthBytes: 0x3000n },
    ];
    expect(kernel.run(api.map(page(0), runs, 3))).toBe(0);
    expect(take()).toEqual([['0x200f2 0xf0000002 0x0 0x0']]);
    expect(domain.iovaToPhys(page(2) + 5n)).toBe(0x5005n);
  });

  test('a scatter list that fails half-way leaves nothing mapped', () => {
    const { kernel, api, map, page, domain, take } = setUp({ defaultDomain: 'dma' });
    map(2);
    const runs = [
      { paddr: 0x9000n, lengthBytes: 0x1000n },
      { paddr: 0x4000n, lengthBytes: 0x3000n },
    ];
    expect(kernel.run(api.map(page(0), runs, 3))).toBe(-98);
    expect(domain.iovaToPhys(page(0))).toBeUndefined();
    expect(domain.iovaToPhys(page(1))).toBeUndefined();
    expect(domain.iovaToPhys(page(2))).toBe(0x2000n);
    take();
  });

  test('unmapping what is not mapped is counted', () => {
    const { unmap, api } = setUp({ defaultDomain: 'dma' });
    unmap(3);
    expect(api.counters.shortUnmaps).toBe(1);
  });
});

describe('lazy', () => {
  test('255 ranges wait; the 256th flushes the domain once and frees all of them', () => {
    const { map, unmap, take, api } = setUp({ defaultDomain: 'dma-fq' });
    for (let index = 0; index < 256; index++) map(index);
    for (let index = 0; index < 255; index++) unmap(index);
    expect(take()).toEqual([]);
    expect(api.pendingFlush).toBe(255);
    expect(api.awaitsFlush(0xf0000)).toBe(true);
    unmap(255);
    expect(take()).toEqual([FLUSH]);
    expect(api.pendingFlush).toBe(1);
    expect(api.awaitsFlush(0xf0000)).toBe(false);
    expect(api.awaitsFlush(0xf00ff)).toBe(true);
  });

  test('each CPU has its own ring; a flush for one frees the others when they look', () => {
    const { map, unmap, take, api } = setUp({ defaultDomain: 'dma-fq' });
    for (let index = 0; index < 400; index++) map(index);
    for (let index = 0; index < 100; index++) unmap(index, 1);
    for (let index = 100; index < 356; index++) unmap(index, 0);
    expect(take()).toEqual([FLUSH]);
    expect(api.pendingFlush).toBe(101);
    unmap(356, 1);
    expect(api.pendingFlush).toBe(2);
  });

  test('the timer flushes what waits: 10 ms later, on the jiffy after', () => {
    const { kernel, map, unmap, take, api } = setUp({ defaultDomain: 'dma-fq' });
    kernel.timeline.runUntil((101 * MS) as Tick);
    map(0);
    unmap(0);
    kernel.timeline.runUntil((116 * MS - 1) as Tick);
    expect(take()).toEqual([]);
    kernel.timeline.runUntil((117 * MS) as Tick);
    expect(take()).toEqual([FLUSH]);
    expect(api.pendingFlush).toBe(0);
    expect(api.counters).toMatchObject({ timerFlushes: 1, fullFlushes: 0, entriesFreed: 1 });
    kernel.timeline.runUntil((300 * MS) as Tick);
    expect(take()).toEqual([]);
  });

  test('without jiffies the timer is exact', () => {
    const { kernel, map, unmap, take } = setUp({ defaultDomain: 'dma-fq', overrides: ['costsNs.jiffy.value=0'] });
    map(0);
    unmap(0);
    const armed = kernel.now;
    kernel.timeline.runUntil((armed + 10 * MS - 1) as Tick);
    expect(take()).toEqual([]);
    kernel.timeline.runUntil((armed + 11 * MS) as Tick);
    expect(take()).toEqual([FLUSH]);
  });

  test('a caller may fire the timer itself', () => {
    const { kernel, map, unmap, take, api } = setUp({ defaultDomain: 'dma-fq' }, { timer: 'caller' });
    map(0);
    unmap(0);
    kernel.timeline.runUntil((500 * MS) as Tick);
    expect(take()).toEqual([]);
    expect(api.flushQueue?.timerArmed).toBe(true);
    kernel.run(api.flushQueue?.expireTimer() as never);
    expect(take()).toEqual([FLUSH]);
    expect(api.flushQueue?.timerArmed).toBe(false);
  });

  test('an entry queued while a flush runs is not freed by it', () => {
    const { kernel, api, map, page } = setUp({ defaultDomain: 'dma-fq', queueDelayTicks: 5_000_000 });
    for (let index = 0; index < 2; index++) map(index);
    kernel.run(api.unmap(0, page(0), 0x1000n));
    const flush = kernel.scheduler.start(api.flushQueue?.force() as never);
    const late = kernel.scheduler.start(api.unmap(1, page(1), 0x1000n), {
      atTick: (kernel.now + 1_000_000) as Tick,
    });
    kernel.timeline.runUntil((kernel.now + 8_000_000) as Tick);
    expect([flush.done, late.done]).toEqual([true, true]);
    expect(api.awaitsFlush(0xf0000)).toBe(false);
    expect(api.awaitsFlush(0xf0001)).toBe(true);
  });

  test('a page that comes back too early forces a flush first', () => {
    const { map, unmap, take, api } = setUp({ defaultDomain: 'dma-fq' });
    map(0);
    unmap(0);
    map(0);
    expect(take()).toEqual([FLUSH]);
    expect(api.counters.forcedFlushes).toBe(1);
  });

  test('table pages of a queued range are released only after the flush', () => {
    const { kernel, memory, api } = setUp({ defaultDomain: 'dma-fq' });
    const run = { paddr: 0x1000n, lengthBytes: 0x20_0000n };
    kernel.run(api.map(0x4000_0000n, [run], 3));
    const before = memory.liveFrames;
    kernel.run(api.unmap(0, 0x4000_0000n, 0x20_0000n));
    expect(memory.liveFrames).toBe(before);
    kernel.run(api.flushQueue?.force() as never);
    expect(memory.liveFrames).toBe(before - 1);
  });

  test('the single queue holds 32767 ranges of all CPUs', () => {
    const { map, unmap, take, api } = setUp({ defaultDomain: 'dma-fq' }, { kind: 'single' });
    for (let index = 0; index < 300; index++) {
      map(index);
      unmap(index, index % 4);
    }
    expect(take()).toEqual([]);
    expect(api.pendingFlush).toBe(300);
  });
});

test('directions become permissions as the device sees them', () => {
  expect(protOfDirection(DmaDirection.toDevice)).toBe(5);
  expect(protOfDirection(DmaDirection.fromDevice)).toBe(6);
  expect(protOfDirection(DmaDirection.bidirectional)).toBe(7);
  expect(protOfDirection(DmaDirection.none)).toBe(0);
});
