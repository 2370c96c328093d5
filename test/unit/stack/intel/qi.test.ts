import { describe, expect, test } from 'vitest';
import { PhysicalMemory } from '../../../../src/hw/memory.ts';
import {
  DescriptorBatch,
  pushDeviceTlb,
  pushIotlbDomain,
  pushIotlbPages,
  pushPasidDeviceTlb,
} from '../../../../src/stack/drivers/intel/descriptors.ts';
import { InvalidationQueue } from '../../../../src/stack/drivers/intel/qi.ts';
import { Kernel } from '../../../../src/stack/kernel/kernel.ts';
import type { KernelTask } from '../../../../src/stack/kernel/task.ts';
import { KERNEL_PROFILES } from '../../../../src/stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../../../src/stack/profiles/schema.ts';
import { formatDescriptor } from '../../../support/intel-machine.ts';
import { QueueUnit } from '../../../support/queue-unit.ts';

function setUp(wide: boolean, delayTicks: number) {
  const kernel = new Kernel(resolveKernelProfile(KERNEL_PROFILES['v7.3']).profile);
  const memory = new PhysicalMemory();
  const unit = new QueueUnit(memory, kernel.timeline, 'd2008c222f0606', wide ? '480080f00f4a' : 'f00f4a', delayTicks);
  const order: number[] = [];
  const queue = new InvalidationQueue(kernel, memory, unit, 'dmar0', wide, ({ words }) => {
    order.push((words[0] as number) >>> 16);
  });
  queue.program();
  function* submit(did: number, count = 1): KernelTask<number> {
    const batch = new DescriptorBatch(count);
    for (let index = 0; index < count; index++) pushIotlbDomain(batch, 0xc0, did);
    yield* queue.submit(batch);
    return did;
  }
  return { kernel, memory, unit, order, submit };
}

describe('InvalidationQueue', () => {
  test.each([false, true])('hardware finds every descriptor in order around the ring (256-bit: %s)', (wide) => {
    const { kernel, unit, submit } = setUp(wide, 1000);
    for (let did = 2; did < 1002; did++) kernel.run(submit(did, (did % 16) + 1));
    const dids = unit.fetched.map((words) => (words[0] as number) >>> 16);
    const expected: number[] = [];
    for (let did = 2; did < 1002; did++) for (let index = 0; index <= did % 16; index++) expected.push(did);
    expect(dids).toEqual(expected);
  });

  test('a submission returns when the status word is written, and the wait is booked as waiting', () => {
    const { kernel, submit } = setUp(false, 700_000);
    const { costs } = kernel.profile;
    const handle = kernel.scheduler.runForHandle(submit(2));
    expect(handle.account.wait).toBe(700_000);
    expect(handle.account.submit).toBe(costs.qiSubmit + costs.qiDescriptor + costs.mmioWrite);
    expect(handle.endTick).toBe(700_000 + handle.account.submit);
  });

  test('submissions of several CPUs take the queue lock in turn but wait together', () => {
    const { kernel, order, submit } = setUp(false, 5_000_000);
    const handles = [2, 3, 4].map((did, cpu) => kernel.scheduler.start(submit(did), { cpu }));
    while (kernel.timeline.run());
    const submitTicks = handles[0]?.account.submit as number;
    expect(order).toEqual([2, 3, 4]);
    expect(handles.map((handle) => handle.account.lock)).toEqual([0, submitTicks, 2 * submitTicks]);
    expect(handles.map((handle) => handle.endTick)).toEqual([1, 2, 3].map((turn) => 5_000_000 + turn * submitTicks));
  });

  test('a full ring holds submissions back until slots are released, and none is lost', () => {
    const { kernel, unit, submit } = setUp(false, 50_000_000);
    const handles = Array.from({ length: 40 }, (_, cpu) => kernel.scheduler.start(submit(2 + cpu, 16), { cpu }));
    while (kernel.timeline.run());
    expect(handles.every((handle) => handle.done)).toBe(true);
    expect(unit.fetched.length).toBe(640);
    const latest = Math.max(...handles.map((handle) => handle.endTick));
    expect(latest).toBeGreaterThan(100_000_000);
  });
});

describe('descriptors', () => {
  test('words are those of the recordings and of Linux', () => {
    const batch = new DescriptorBatch(8);
    pushIotlbPages(batch, 0xc0, 11, 0xfffb8000, 0, 2, true);
    pushIotlbPages(batch, 0xc0, 0xa001, 0x00400000, 0x80, 9, false);
    const target = { sourceId: 0x0208, pfSourceId: 0, queueDepth: 32 };
    pushDeviceTlb(batch, target, 0xfffb8000, 0, 0);
    pushDeviceTlb(batch, target, 0xfffb8000, 0, 2);
    pushDeviceTlb(batch, { ...target, queueDepth: 4 }, 0, 0, 52);
    pushPasidDeviceTlb(batch, target, 5, 0, 0, 52);
    pushPasidDeviceTlb(batch, { ...target, pfSourceId: 0x210 }, 5, 0x1000, 0, 0);
    const lines = Array.from({ length: batch.count }, (_, index) => formatDescriptor(batch.words, index * 8));
    expect(lines).toEqual([
      '0xb00f2 0xfffb8042 0x0 0x0',
      '0xa00100f2 0x8000400009 0x0 0x0',
      '0x20800000003 0xfffb8000 0x0 0x0',
      '0x20800000003 0xfffb9001 0x0 0x0',
      '0x20800040003 0x7ffffffffffff001 0x0 0x0',
      '0x502080008 0x7ffffffffffff800 0x0 0x0',
      '0x210000502080008 0x1000 0x0 0x0',
    ]);
  });
});
