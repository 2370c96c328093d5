// What an injected switch finds when it has waited for the program that it moves.
import { expect, test } from 'vitest';
import type { CallOutcome, ControlCalls } from '../../../../src/replay/control-player.ts';
import { type ControlRow, emptyRow } from '../../../../src/replay/control-row.ts';
import type { MachineDevice } from '../../../../src/replay/machine-devices.ts';
import { ContainerTwins } from '../../../../src/replay/study/container-twins.ts';
import { DomainTwins } from '../../../../src/replay/study/domain-twins.ts';
import type { InjectedMoves } from '../../../../src/replay/study/injected-moves.ts';
import { SpaceTwins } from '../../../../src/replay/study/space-twins.ts';
import type { IntelPagingDomain } from '../../../../src/stack/drivers/intel/domain.ts';
import { setGroupDomain } from '../../../../src/stack/iommu/attach.ts';
import type { Kernel } from '../../../../src/stack/kernel/kernel.ts';
import type { KernelTask } from '../../../../src/stack/kernel/task.ts';
import { intelMachine } from '../../../support/intel-machine.ts';

type Event = Partial<ControlRow> & Pick<ControlRow, 'op'>;

const row = (event: Event): ControlRow => ({ ...emptyRow(), ...event });

/** [ps] Every call takes as long. */
const CALL_PS = 1000;

/** Calls that do nothing but take their time, each by its name. */
function slowCalls(made: string[]): ControlCalls {
  return {
    *perform({ op }): KernelTask<CallOutcome> {
      yield CALL_PS;
      made.push(op);
      return { result: 0 };
    },
  };
}

/** Prepares a move of device 0, and makes it if there is something to move. */
function* moved(moves: InjectedMoves): KernelTask<boolean> {
  if (!(yield* moves.prepare(0, 0))) return false;
  yield* moves.move(0, 0);
  return true;
}

/** Starts a move while `task` is under way; whether it was made. */
function moveDuring(kernel: Kernel, moves: InjectedMoves, task: KernelTask<unknown>): boolean | undefined {
  kernel.scheduler.start(task);
  const move = kernel.scheduler.start(moved(moves), { atTick: (kernel.now + 1) as never });
  while (kernel.timeline.run());
  return move.result;
}

test.each([undefined, 0])('a mediated device that was detached meanwhile is left alone, gap %s', (gapNs) => {
  const { kernel } = intelMachine();
  const made: string[] = [];
  const twins = new SpaceTwins(slowCalls(made), kernel, () => true, gapNs);
  const lane = { device: 0, context: 0 };
  kernel.run(twins.perform(row({ op: 'IOMMU_IOAS_ALLOC', context: 0, recordedObject: 5 })));
  kernel.run(twins.perform(row({ op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', ...lane, target: 5 })));
  made.length = 0;
  const detach = twins.perform(row({ op: 'VFIO_DEVICE_DETACH_IOMMUFD_PT', ...lane }));
  expect(moveDuring(kernel, twins, detach)).toBe(false);
  expect(made).toEqual(['VFIO_DEVICE_DETACH_IOMMUFD_PT']);
  // And its program goes on.
  kernel.run(twins.perform(row({ op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', ...lane, target: 5 })));
  expect(twins.canMove(0, 0)).toBe(true);
});

test.each([undefined, 0])('a group whose devices were closed meanwhile is left alone, gap %s', (gapNs) => {
  const { kernel } = intelMachine();
  const made: string[] = [];
  const twins = new ContainerTwins(slowCalls(made), kernel, (device) => (device === 0 ? 0 : -1), gapNs);
  kernel.run(twins.perform(row({ op: 'open_container', context: 0 })));
  kernel.run(twins.perform(row({ op: 'VFIO_GROUP_SET_CONTAINER', device: 0, context: 0 })));
  kernel.run(twins.perform(row({ op: 'VFIO_GROUP_GET_DEVICE_FD', device: 0 })));
  made.length = 0;
  expect(moveDuring(kernel, twins, twins.perform(row({ op: 'close', device: 0 })))).toBe(false);
  expect(made).toEqual(['close']);
  kernel.run(twins.perform(row({ op: 'VFIO_GROUP_GET_DEVICE_FD', device: 0 })));
  expect(twins.canMove(0, 0)).toBe(true);
});

/** Device 0 on the first of two domains; `exchange` puts it on another as a call would. */
function domainScene() {
  const machine = intelMachine({ kernel: 'v7.3', registers: 'server' });
  const { kernel, driver, devices, groups } = machine;
  const [device, group] = [devices[0]!, groups[0]!];
  const tables = [0, 1].map(() => kernel.run(driver.allocPaging(device, 'user', 0, undefined)) as IntelPagingDomain);
  const exchange = function* (domain: IntelPagingDomain | undefined): KernelTask<void> {
    if (!group.mutex.tryAcquire()) yield group.mutex.queue;
    yield CALL_PS;
    yield* setGroupDomain(group, domain ?? driver.blockedDomain);
    group.mutex.release();
  };
  kernel.run(exchange(tables[0]));
  const deviceAt = () => ({ device, group }) as unknown as MachineDevice;
  const twins = (gapNs: number | undefined) => new DomainTwins({ kernel, driver, deviceAt, withPasid: false, gapNs });
  return { kernel, tables, exchange, twins, group, domain: () => driver.info(device).domain as IntelPagingDomain };
}

test.each([undefined, 0])('a device replaced meanwhile goes to a twin of its new domain, gap %s', (gapNs) => {
  const { kernel, tables, exchange, twins, domain, group } = domainScene();
  expect(moveDuring(kernel, twins(gapNs), exchange(tables[1]))).toBe(true);
  expect(domain()).not.toBe(tables[1]);
  expect(domain().table === tables[1]!.table).toBe(true);
  expect(group.mutex.held).toBe(false);
});

test('a device blocked meanwhile stays blocked', () => {
  const { kernel, exchange, twins, domain, group } = domainScene();
  expect(moveDuring(kernel, twins(undefined), exchange(undefined))).toBe(false);
  expect(domain()).toBe(undefined);
  expect(group.mutex.held).toBe(false);
});
