// Ids and lifetimes: Linux drivers/iommu/iommufd/main.c.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { Ioas } from '../../../../src/stack/iommufd/ioas.ts';
import { type IommufdObject, ObjectTable } from '../../../../src/stack/iommufd/object-table.ts';
import type { KernelTask } from '../../../../src/stack/kernel/task.ts';
import { bootKernel } from '../../../support/mock-machine.ts';

/** An object that may hold another one and says when it goes. */
class Thing implements IommufdObject {
  readonly type = 'selftest';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly name: string;
  readonly #log: string[];
  readonly #holds: IommufdObject | undefined;

  constructor(name: string, log: string[], holds?: IommufdObject) {
    this.name = name;
    this.#log = log;
    this.#holds = holds;
    if (holds !== undefined) holds.users++;
  }

  *destroy(): KernelTask<void> {
    yield 0;
    this.#log.push(this.name);
    if (this.#holds !== undefined) this.#holds.users--;
  }
}

function scene() {
  const kernel = bootKernel('L73');
  const table = new ObjectTable(kernel.timeline);
  const log: string[] = [];
  const add = (name: string, holds?: IommufdObject): Thing => {
    const thing = new Thing(name, log, holds);
    expect(table.reserve(thing)).toBe(0);
    table.publish(thing);
    return thing;
  };
  return { kernel, table, log, add };
}

describe('object ids', () => {
  it('are the lowest free ones from 1 and are reused at once', () => {
    const { kernel, table, add } = scene();
    expect([add('a').id, add('b').id, add('c').id]).toEqual([1, 2, 3]);
    expect(kernel.run(table.destroyId(2))).toBe(0);
    expect(kernel.run(table.destroyId(1))).toBe(0);
    expect([add('d').id, add('e').id, add('f').id]).toEqual([1, 2, 4]);
  });

  it('show nothing while reserved, and come back when the creation fails', () => {
    const { kernel, table, log } = scene();
    const thing = new Thing('a', log);
    table.reserve(thing);
    expect([table.peekAny(1), table.acquire(1, Thing), table.isEmpty]).toEqual([undefined, undefined, false]);
    expect(kernel.run(table.destroyId(1))).toBe(-Errno.ENOENT);
    table.abort(thing);
    expect([table.isEmpty, log]).toEqual([true, []]);
    table.reserve(thing);
    kernel.run(table.abortAndDestroy(thing));
    expect([table.isEmpty, log]).toEqual([true, ['a']]);
  });

  it('answer only for the class that is asked for', () => {
    const { table, add } = scene();
    const thing = add('a');
    expect(table.peek(1, Ioas)).toBeUndefined();
    expect(table.acquire(1, Ioas)).toBeUndefined();
    expect(table.acquire(1, Thing)).toBe(thing);
    expect([thing.users, thing.waitCount]).toEqual([2, 1]);
    table.release(thing);
    expect([thing.users, thing.waitCount]).toEqual([1, 0]);
  });

  it('stay taken by a tombstone', () => {
    const { kernel, table, add } = scene();
    const thing = add('a');
    thing.users++;
    expect(kernel.run(table.destroyByOwner(thing, true))).toBe(0);
    expect(kernel.run(table.destroyId(1))).toBe(-Errno.ENOENT);
    expect([table.isEmpty, add('b').id]).toEqual([false, 2]);
  });
});

describe('destruction', () => {
  it('is refused while anybody holds the object', () => {
    const { kernel, table, add, log } = scene();
    const parent = add('parent');
    const child = add('child', parent);
    expect(kernel.run(table.destroyId(parent.id))).toBe(-Errno.EBUSY);
    expect(kernel.run(table.destroyId(child.id))).toBe(0);
    expect(kernel.run(table.destroyId(parent.id))).toBe(0);
    expect(log).toEqual(['child', 'parent']);
  });

  it('by the last reference leaves an object that somebody else holds', () => {
    const { kernel, table, add, log } = scene();
    const auto = add('auto');
    auto.users += 2;
    expect(kernel.run(table.putAndTryDestroy(auto))).toBe(-Errno.EBUSY);
    expect(kernel.run(table.putAndTryDestroy(auto))).toBe(0);
    expect(log).toEqual(['auto']);
  });

  it('by the owner waits for calls inside the object', () => {
    const { kernel, table, add, log } = scene();
    const device = add('device');
    device.users++;
    table.acquire(device.id, Thing);
    const handle = kernel.scheduler.start(table.destroyByOwner(device));
    while (kernel.timeline.run());
    expect([handle.done, log]).toEqual([false, []]);
    table.release(device);
    while (kernel.timeline.run());
    expect([handle.done, handle.result, log]).toEqual([true, 0, ['device']]);
  });

  it('of everything passes over ascending ids until nothing is left', () => {
    const { kernel, table, add, log } = scene();
    const low = add('low parent');
    const child = add('child', low);
    const high = add('high parent');
    add('grandchild', child);
    add('other', high);
    expect(kernel.run(table.releaseAll())).toBe(0);
    // First pass: only the leaves; a parent with a lower id than its last leaf waits for the next pass.
    expect(log).toEqual(['grandchild', 'other', 'child', 'high parent', 'low parent']);
  });

  it('of everything stops and counts what a lost reference keeps alive', () => {
    const { kernel, table, add } = scene();
    add('leaked').users++;
    add('fine');
    expect(kernel.run(table.releaseAll())).toBe(1);
  });
});
