import { describe, expect, test } from 'vitest';
import { Mutex, RwSemaphore } from '../../../../src/stack/kernel/locks.ts';
import { Scheduler } from '../../../../src/stack/kernel/scheduler.ts';
import type { Condition, KernelTask } from '../../../../src/stack/kernel/task.ts';
import { Timeline } from '../../../../src/timeline.ts';
import type { Tick } from '../../../../src/units.ts';

function* work(...ticks: number[]): KernelTask<string> {
  for (const deltaTicks of ticks) yield deltaTicks;
  return 'done';
}

function drain(timeline: Timeline): void {
  while (timeline.run());
}

describe('Scheduler', () => {
  test('a task ends after the sum of its charges and keeps its result', () => {
    const timeline = new Timeline();
    const handle = new Scheduler(timeline).start(work(100, 0, 50), { atTick: 1000 as Tick });
    expect(handle.done).toBe(false);
    drain(timeline);
    expect(handle).toMatchObject({ done: true, result: 'done', startTick: 1000, endTick: 1150 });
    expect(handle.account.other).toBe(150);
  });

  test('charges are booked under their bucket', () => {
    const timeline = new Timeline();
    const task = function* (): KernelTask {
      yield { deltaTicks: 7, bucket: 'table' };
      yield { deltaTicks: 5, bucket: 'submit' };
      yield { deltaTicks: 6, bucket: 'table' };
      return 0;
    };
    const handle = new Scheduler(timeline).start(task());
    drain(timeline);
    expect(handle.account).toEqual({ iova: 0, table: 13, submit: 5, wait: 0, lock: 0, other: 0 });
  });

  test('a charge of zero schedules no event', () => {
    const timeline = new Timeline();
    const handle = new Scheduler(timeline).start(work(0, 0, 0));
    expect(timeline.pending).toBe(1);
    timeline.run();
    expect(handle.done).toBe(true);
    expect(timeline.pending).toBe(0);
  });

  test('tasks of one CPU run one after the other, those of two CPUs at once', () => {
    const timeline = new Timeline();
    const scheduler = new Scheduler(timeline);
    const first = scheduler.start(work(100), { cpu: 0, atTick: 10 as Tick });
    const second = scheduler.start(work(100), { cpu: 0, atTick: 20 as Tick });
    const other = scheduler.start(work(100), { cpu: 1, atTick: 20 as Tick });
    const late = scheduler.start(work(1), { cpu: 0, atTick: 500 as Tick });
    drain(timeline);
    expect([first.endTick, second.startTick, second.endTick]).toEqual([110, 110, 210]);
    expect([other.startTick, other.endTick]).toEqual([20, 120]);
    expect(late.startTick).toBe(500);
    expect(scheduler.running).toBe(0);
  });

  test('a parked task resumes at the tick it is told and the time counts as the bucket of what it waited for', () => {
    const timeline = new Timeline();
    const condition: Condition = {
      ready: false,
      bucket: 'wait',
      park: (resume) => timeline.schedule(400 as Tick, resume),
    };
    const handle = new Scheduler(timeline).start(
      (function* (): KernelTask {
        yield condition;
        return 0;
      })(),
      { atTick: 100 as Tick },
    );
    drain(timeline);
    expect(handle.endTick).toBe(400);
    expect(handle.account.wait).toBe(300);
  });

  test('a condition that is ready does not park', () => {
    const park = (): never => {
      throw new Error('parked');
    };
    const task = function* (): KernelTask {
      yield { ready: true, park };
      return 3;
    };
    expect(new Scheduler(new Timeline()).runToCompletion(task())).toBe(3);
  });

  test('runToCompletion runs other events at their ticks before it passes them', () => {
    const timeline = new Timeline();
    const seen: number[] = [];
    timeline.schedule(50 as Tick, (atTick) => void seen.push(atTick));
    timeline.schedule(500 as Tick, (atTick) => void seen.push(atTick));
    new Scheduler(timeline).runToCompletion(work(40, 40, 40));
    expect(seen).toEqual([50]);
    expect(timeline.now).toBe(120);
  });

  test('runToCompletion reports a task that waits for nothing', () => {
    const never: Condition = { ready: false, park: () => {} };
    const task = function* (): KernelTask {
      yield never;
      return 0;
    };
    expect(() => new Scheduler(new Timeline()).runToCompletion(task())).toThrow(/no progress/);
  });
});

describe('Mutex', () => {
  function* holder(mutex: Mutex, holdTicks: number): KernelTask<number> {
    if (!mutex.tryAcquire()) yield mutex.queue;
    yield holdTicks;
    mutex.release();
    return 0;
  }

  test('hands over in order of arrival at the tick of the release and books the wait as lock time', () => {
    const timeline = new Timeline();
    const scheduler = new Scheduler(timeline);
    const mutex = new Mutex(timeline, 'm');
    const handles = [0, 1, 2].map((at) => scheduler.start(holder(mutex, 100), { atTick: at as Tick }));
    drain(timeline);
    expect(handles.map((handle) => handle.endTick)).toEqual([100, 200, 300]);
    expect(handles.map((handle) => handle.account.lock)).toEqual([0, 99, 198]);
    expect(mutex.held).toBe(false);
  });

  test('releasing a free lock is a defect', () => {
    expect(() => new Mutex(new Timeline(), 'm').release()).toThrow(/released while free/);
  });
});

describe('RwSemaphore', () => {
  function* reader(lock: RwSemaphore): KernelTask<number> {
    if (!lock.tryAcquireShared()) yield lock.sharedQueue;
    yield 100;
    lock.releaseShared();
    return 0;
  }
  function* writer(lock: RwSemaphore): KernelTask<number> {
    if (!lock.tryAcquireExclusive()) yield lock.exclusiveQueue;
    yield 100;
    lock.releaseExclusive();
    return 0;
  }

  test('readers share, a writer waits for them, later readers wait for the writer', () => {
    const timeline = new Timeline();
    const scheduler = new Scheduler(timeline);
    const lock = new RwSemaphore(timeline, 'rw');
    const start = (task: KernelTask<number>, at: number) => scheduler.start(task, { atTick: at as Tick });
    const handles = [
      start(reader(lock), 0),
      start(reader(lock), 10),
      start(writer(lock), 20),
      start(reader(lock), 30),
      start(reader(lock), 40),
      start(writer(lock), 50),
    ];
    drain(timeline);
    expect(handles.map((handle) => handle.endTick)).toEqual([100, 110, 210, 310, 310, 410]);
    expect(lock.held).toBe('free');
  });
});
