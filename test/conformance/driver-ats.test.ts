/**
 * ATS and page requests of the driver on a modelled unit: when the device's own TLB is on (Linux switches it at attach, at
 * probe, or around a teardown, by version and mode), what a flush means for it, devices that do not answer, and I/O page
 * faults from the device to whoever attached and back.
 */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../src/errno.ts';
import { ATS_ENABLE, PciRegister } from '../../src/hw/pci-function.ts';
import { DmaOutcome } from '../../src/hw/unit.ts';
import { DescriptorBatch, pushDeviceTlb, pushIotlbDomain } from '../../src/stack/drivers/intel/descriptors.ts';
import { attachGroupHandle } from '../../src/stack/iommu/attach.ts';
import { emptyGather, type PageRequestGroup, type PagingDomain } from '../../src/stack/iommu/ops.ts';
import { columns, emptyResults, type TestDma } from '../support/device-under-test.ts';
import { intelMachine, type MachineOptions } from '../support/intel-machine.ts';

const DEVICE_TLB = /^0x[0-9a-f]*3 /;

function setUp(options: MachineOptions) {
  const machine = intelMachine({ hardware: 'vtd-emr', endpoints: { pri: false }, ...options });
  const { kernel, driver, devices } = machine;
  const device = devices[0] as (typeof devices)[number];
  const hardware = machine.hardware as NonNullable<typeof machine.hardware>;
  const endpoint = hardware.functionAt(0) as NonNullable<ReturnType<typeof hardware.functionAt>>;
  const alloc = (): PagingDomain => kernel.run(driver.allocPaging(device, 'user', 0, undefined)) as PagingDomain;
  const map = (domain: PagingDomain, page: number, pfn: number): number =>
    kernel.run(domain.map(BigInt(page) << 12n, BigInt(pfn) << 12n, 0x1000n, 3));
  /** Runs a DMA from now on to its end, with the events that come meanwhile. */
  const dma = (row: TestDma) => {
    const at = Math.ceil(kernel.now / 1000) + 100;
    const { input } = columns([{ at, ...row }]);
    const out = emptyResults(1);
    while (hardware.translate(input, 0, 1, kernel.timeline.next, out) === 0) kernel.timeline.run();
    kernel.timeline.runUntil(out.doneTick[0] as never);
    return { outcome: out.outcome[0], pfn: out.pfn[0], fault: out.fault[0], doneTick: out.doneTick[0] as number };
  };
  const isOn = (): boolean => endpoint.read(PciRegister.atsControl) === ATS_ENABLE;
  return { ...machine, device, hardware, endpoint, alloc, map, dma, isOn };
}

/** Device-TLB descriptors among submissions. */
function deviceTlbs(submissions: readonly (readonly string[])[]): number {
  return submissions.flat().filter((line) => DEVICE_TLB.test(line)).length;
}

describe('ATS of the device', () => {
  test('6.12: on with each attach; a block turns it off first and flushes no device TLB', () => {
    const { kernel, driver, device, alloc, isOn, take } = setUp({ kernel: 'v6.12', registers: 'server' });
    expect(isOn()).toBe(true);
    take();
    kernel.run(driver.attach(device, driver.blockedDomain, undefined));
    expect([isOn(), deviceTlbs(take())]).toEqual([false, 0]);
    kernel.run(driver.attach(device, alloc(), undefined));
    expect(isOn()).toBe(true);
  });

  test('7.3, scalable: on from the probe on, also while blocked; a block flushes the device TLB', () => {
    const { kernel, driver, device, isOn, take } = setUp({ kernel: 'v7.3', registers: 'server' });
    take();
    kernel.run(driver.attach(device, driver.blockedDomain, undefined));
    expect([isOn(), deviceTlbs(take())]).toEqual([true, 1]);
  });

  test('7.3, legacy: off after the teardown, which flushes the device TLB', () => {
    // Legacy mode of a unit with device TLBs.
    const { kernel, driver, device, alloc, isOn, take } = setUp({ kernel: 'v7.3', registers: 'legacyDeviceTlb' });
    expect(isOn()).toBe(true);
    take();
    kernel.run(driver.attach(device, driver.blockedDomain, undefined));
    expect([isOn(), deviceTlbs(take())]).toEqual([false, 1]);
    kernel.run(driver.attach(device, alloc(), undefined));
    expect(isOn()).toBe(true);
  });

  test('a unit without device TLBs leaves it off', () => {
    const { isOn, dma, alloc, map, kernel, driver, device } = setUp({ kernel: 'v7.3', registers: 'scalable' });
    expect(isOn()).toBe(false);
    const domain = alloc();
    kernel.run(driver.attach(device, domain, undefined));
    map(domain, 0x100, 0x8000);
    expect(dma({ page: 0x100 }).outcome).toBe(DmaOutcome.miss);
  });
});

describe.each([
  ['v6.12', 'server'],
  ['v7.3', 'server'],
  ['v7.3', 'legacyDeviceTlb'],
] as const)('%s, %s', (kernelName, registers) => {
  test('the device uses an unmapped page from its own TLB until the flush, and not longer', () => {
    const { kernel, driver, device, alloc, map, dma } = setUp({ kernel: kernelName, registers });
    const domain = alloc();
    kernel.run(driver.attach(device, domain, undefined));
    map(domain, 0x100, 0x8000);
    map(domain, 0x101, 0x8001);
    expect(dma({ page: 0x100 })).toMatchObject({ outcome: DmaOutcome.miss, pfn: 0x8000 });
    expect(dma({ page: 0x101 })).toMatchObject({ outcome: DmaOutcome.miss, pfn: 0x8001 });
    const gather = emptyGather(false);
    kernel.run(domain.unmap(0x10_0000n, 0x1000n, gather));
    expect(dma({ page: 0x100 })).toMatchObject({ outcome: DmaOutcome.deviceHit, pfn: 0x8000 });
    kernel.run(domain.sync(gather));
    expect(dma({ page: 0x100 }).outcome).toBe(DmaOutcome.fault);
    expect(dma({ page: 0x101 })).toMatchObject({ outcome: DmaOutcome.deviceHit, pfn: 0x8001 });
  });

  test('after a replace nothing of the old table is left in the device', () => {
    const { kernel, driver, device, alloc, map, dma } = setUp({ kernel: kernelName, registers });
    const [first, second] = [alloc(), alloc()];
    map(first, 0x100, 0x8000);
    map(second, 0x100, 0x9000);
    kernel.run(driver.attach(device, first, undefined));
    expect(dma({ page: 0x100 }).pfn).toBe(0x8000);
    kernel.run(driver.attach(device, second, first));
    expect(dma({ page: 0x100 })).toMatchObject({ outcome: DmaOutcome.miss, pfn: 0x9000 });
    kernel.run(driver.attach(device, driver.blockedDomain, second));
    expect(dma({ page: 0x100 }).outcome).toBe(DmaOutcome.fault);
  });
});

describe('a device that does not answer', () => {
  const TIMEOUT_TICKS = 60e12;

  function batchFor(sourceId: number): DescriptorBatch {
    const batch = new DescriptorBatch(2);
    pushIotlbDomain(batch, 0, 5);
    pushDeviceTlb(batch, { sourceId, pfSourceId: 0, queueDepth: 32 }, 0, 0, 0);
    return batch;
  }

  test('gone: the submission that names it gives up after the time-out, others are made again', () => {
    const { kernel, driver, device, endpoint } = setUp({ kernel: 'v7.3', registers: 'server' });
    const { queue } = driver.units[0] as (typeof driver.units)[number];
    endpoint.present = false;
    const begin = kernel.now;
    const lost = kernel.scheduler.start(queue.submit(batchFor(device.sourceIds[0] as number)));
    const other = new DescriptorBatch(1);
    pushIotlbDomain(other, 0, 6);
    const kept = kernel.scheduler.start(queue.submit(other));
    while (kernel.timeline.run());
    expect(lost.result).toBe(-Errno.ETIMEDOUT);
    expect(kept.result).toBe(0);
    expect(lost.endTick - begin).toBeGreaterThan(TIMEOUT_TICKS);
    expect(lost.endTick - begin).toBeLessThan(TIMEOUT_TICKS * 1.001);
    // The queue is as good as new.
    const again = new DescriptorBatch(1);
    pushIotlbDomain(again, 0, 7);
    expect(kernel.run(queue.submit(again))).toBe(0);
  });

  test('back again: the submission is repeated and succeeds', () => {
    const { kernel, driver, device, endpoint, take } = setUp({ kernel: 'v7.3', registers: 'server' });
    const { queue } = driver.units[0] as (typeof driver.units)[number];
    endpoint.present = false;
    kernel.timeline.schedule((kernel.now + TIMEOUT_TICKS / 2) as never, () => {
      endpoint.present = true;
    });
    take();
    const handle = kernel.scheduler.start(queue.submit(batchFor(device.sourceIds[0] as number)));
    while (kernel.timeline.run());
    expect(handle.result).toBe(0);
    expect(take()).toHaveLength(2);
  });

  test('known to be gone: a teardown does not ask it', () => {
    const { kernel, driver, device, endpoint, take } = setUp({ kernel: 'v7.3', registers: 'server' });
    endpoint.present = false;
    take();
    kernel.run(driver.attach(device, driver.blockedDomain, undefined));
    expect(deviceTlbs(take())).toBe(0);
  });
});

describe('I/O page faults', () => {
  function faulting(kernelName: string) {
    const machine = setUp({ kernel: kernelName, registers: 'server', endpoints: { pri: true } });
    const { kernel, driver, device, alloc, groups } = machine;
    const group = groups[0] as (typeof groups)[number];
    const domain = alloc();
    domain.faultCapable = true;
    const delivered: PageRequestGroup[] = [];
    // The group is owned, so that a domain of a user may be attached.
    group.owner = domain;
    kernel.run(driver.attach(device, driver.blockedDomain, undefined));
    group.domain = driver.blockedDomain;
    group.blockingDomain = driver.blockedDomain;
    expect(driver.enableIopf(device)).toBe(0);
    const handle = {
      domain,
      deliverFaults: (faults: PageRequestGroup) => {
        delivered.push(faults);
        onFault(faults);
      },
    };
    let onFault = (_faults: PageRequestGroup): void => {};
    expect(kernel.run(attachGroupHandle(group, domain, handle))).toBe(0);
    return {
      ...machine,
      group,
      domain,
      delivered,
      respond: (handler: (faults: PageRequestGroup) => void) => {
        onFault = handler;
      },
    };
  }

  test('a fault reaches whoever attached; the answer lets the DMA go on', () => {
    const { kernel, driver, domain, delivered, respond, dma } = faulting('v7.3');
    respond((faults) => {
      kernel.scheduler.start(
        (function* () {
          yield* domain.map(0x10_0000n, 0x800_0000n, 0x1000n, 3);
          driver.respondToPageRequests(faults, 'success');
        })(),
      );
    });
    const row = dma({ page: 0x100, write: true });
    expect(row).toMatchObject({ outcome: DmaOutcome.miss, pfn: 0x8000 });
    expect(delivered).toHaveLength(1);
    expect(delivered[0]?.requests).toEqual([
      { pasid: undefined, groupId: 1, last: true, permission: 2, address: 0x10_0000n },
    ]);
  });

  test.each(['invalid', 'failure'] as const)('answered %s: the DMA fails, and no fault record is made', (code) => {
    const { driver, respond, dma, hardware } = faulting('v7.3');
    respond((faults) => driver.respondToPageRequests(faults, code));
    expect(dma({ page: 0x100 }).outcome).toBe(DmaOutcome.fault);
    expect(hardware.counters()['model.fault_records']).toBe(0);
  });

  test('pages of one row arrive as one group', () => {
    const { driver, respond, delivered, dma } = faulting('v7.3');
    respond((faults) => driver.respondToPageRequests(faults, 'invalid'));
    dma({ page: 0x100, bytes: 12288 });
    expect(delivered[0]?.requests.map(({ last, address }) => [last, address])).toEqual([
      [false, 0x10_0000n],
      [false, 0x10_1000n],
      [true, 0x10_2000n],
    ]);
  });

  test('nobody is attached: INVALID at once', () => {
    const { group, dma, delivered } = faulting('v7.3');
    group.pasids.clear();
    expect(dma({ page: 0x100 }).outcome).toBe(DmaOutcome.fault);
    expect(delivered).toHaveLength(0);
  });

  test('a detach while a request is in the ring waits for the thread, then drains', () => {
    const { kernel, driver, device, domain, respond, delivered, take, hardware } = faulting('v7.3');
    respond((faults) => driver.respondToPageRequests(faults, 'invalid'));
    const { input } = columns([{ at: Math.ceil(kernel.now / 1000), page: 0x100 }]);
    const out = emptyResults(1);
    // Up to the request's entry in the ring; the thread has not run yet.
    while (hardware.counters()['pg_req_posted'] === 0) {
      hardware.translate(input, 0, 1, kernel.timeline.next, out);
      kernel.timeline.run();
    }
    take();
    const detach = kernel.scheduler.start(driver.attach(device, driver.blockedDomain, domain));
    while (!detach.done) kernel.timeline.run();
    expect(delivered).toHaveLength(1);
    // Teardown, response, then the drain: fence, IOTLB and device TLB with a wait for page requests.
    expect(take().map((lines) => lines.length)).toEqual([1, 1, 1, 1, 3]);
    while (hardware.translate(input, 0, 1, kernel.timeline.next, out) === 0) kernel.timeline.run();
    expect(out.outcome[0]).toBe(DmaOutcome.fault);
  });

  test('an overflow of the ring: nothing is lost, the device asks again', () => {
    const { kernel, driver, domain, respond, dma, hardware } = faulting('v7.3');
    respond((faults) => {
      kernel.scheduler.start(
        (function* () {
          for (const { address } of faults.requests) yield* domain.map(address, 0x800_0000n + address, 0x1000n, 3);
          driver.respondToPageRequests(faults, 'success');
        })(),
      );
    });
    // A ring that looks full: the head lies just behind the tail.
    hardware.mmioWrite(0xc0, 32, 0, kernel.now);
    expect(dma({ page: 0x100 })).toMatchObject({ outcome: DmaOutcome.miss });
    expect(hardware.counters()['model.pg_req_discarded']).toBeGreaterThan(0);
  });
});
