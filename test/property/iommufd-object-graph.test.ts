// The object graph of one iommufd context under arbitrary calls: reference counts always equal what the graph holds,
// destruction is refused exactly while somebody holds the object, a failed replace changes nothing, nothing leaks.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/errno.ts';
import { MockDeviceFlag } from '../../src/stack/drivers/mock/constants.ts';
import type { MockDevice } from '../../src/stack/drivers/mock/mock-device.ts';
import { attachDevice, detachDevice, replaceDevice } from '../../src/stack/iommufd/auto-domain.ts';
import { IommufdDevice, unbindDevice } from '../../src/stack/iommufd/device.ts';
import { HwptNested } from '../../src/stack/iommufd/hwpt-nested.ts';
import { HwptPaging } from '../../src/stack/iommufd/hwpt-paging.ts';
import { Ioas } from '../../src/stack/iommufd/ioas.ts';
import { MockMachine } from '../support/mock-machine.ts';

const PASIDS = [0, 1, 1024];

/** A machine with a group of two devices and one device alone, all with PASIDs; and what the test did to it. */
class World {
  readonly machine = new MockMachine('L73');
  readonly hardware: MockDevice[];
  readonly bound: (IommufdDevice | undefined)[] = [undefined, undefined, undefined];

  constructor() {
    const { pasid, noDirty } = MockDeviceFlag;
    this.machine.ioas();
    this.hardware = [...this.machine.group(pasid, pasid).devices, ...this.machine.group(pasid | noDirty).devices];
  }

  /** Id behind a step's target number: one in eight is any object or none, the others can be attached to. */
  idOf(target: number): number {
    const all = [...this.machine.context.objects.objects()];
    const pick = Math.floor(target / 8);
    if (target % 8 === 0) return all[pick % (all.length + 1)]?.id ?? 999;
    const attachable = all.filter((object) => object.type !== 'device');
    return attachable[pick % attachable.length]?.id ?? 999;
  }

  objects(): object[] {
    return [...this.machine.context.objects.objects()];
  }

  /** Slots of every group, once. */
  slots(): { pasid: number; hwpt: object; devices: Set<IommufdDevice> }[] {
    return [...this.machine.context.groups.values()].flatMap((igroup) =>
      [...igroup.slots].map(([pasid, slot]) => ({ pasid, ...slot })),
    );
  }

  /** References the graph holds on an object, counted from the other ends. */
  expectedUsers(object: object): number {
    const all = this.objects();
    const attached = this.slots();
    if (object instanceof IommufdDevice) return 2 + attached.filter((slot) => slot.devices.has(object)).length;
    if (object instanceof Ioas) {
      return 1 + all.filter((other) => other instanceof HwptPaging && other.ioas === object).length;
    }
    const attachments = attached
      .filter((slot) => slot.hwpt === object)
      .reduce((sum, slot) => sum + slot.devices.size, 0);
    const children = all.filter((other) => other instanceof HwptNested && other.parent === object).length;
    return 1 + attachments + children;
  }

  check(): void {
    for (const object of this.machine.context.objects.objects()) {
      expect(object.users, `users of ${object.type} ${object.id}`).toBe(this.expectedUsers(object));
      expect(object.waitCount).toBe(0);
    }
  }

  /** Everything a failed call must leave as it was. */
  snapshot(): unknown {
    return {
      objects: [...this.machine.context.objects.objects()].map((object) => [object.id, object.type, object.users]),
      slots: this.slots().map(({ pasid, hwpt, devices }) => [
        pasid,
        (hwpt as HwptPaging).id,
        [...devices].map((device) => device.id),
      ]),
      domains: [...this.machine.context.groups.keys()].map((group) => [
        group.domain === undefined,
        [...group.pasids.keys()],
        [...group.pasids.values()].map((each) => each.domain === group.domain),
      ]),
    };
  }
}

type Step =
  | { readonly kind: 'ioas' | 'bind' | 'unbind'; readonly device: number }
  | {
      readonly kind: 'hwpt';
      readonly device: number;
      readonly target: number;
      readonly flags: number;
      readonly data: boolean;
    }
  | {
      readonly kind: 'attach' | 'replace' | 'detach';
      readonly device: number;
      readonly pasid: number;
      readonly target: number;
    }
  | { readonly kind: 'destroy'; readonly target: number };

const device = fc.integer({ min: 0, max: 2 });
const target = fc.nat(1000);
const pasid = fc.constantFrom(...PASIDS);
const kinds = <K extends string>(...names: readonly K[]): fc.Arbitrary<K> => fc.constantFrom(...names);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: kinds('ioas', 'bind', 'bind', 'bind', 'bind', 'unbind'), device }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: kinds('hwpt'),
      device,
      target,
      flags: fc.constantFrom(0, 1, 2, 8, 8, 9, 16),
      data: fc.boolean(),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ kind: kinds('attach', 'attach', 'replace', 'replace', 'detach'), device, pasid, target }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kinds('destroy'), target }) },
);

function detachAll(world: World, bound: IommufdDevice): void {
  for (const each of PASIDS) {
    if (bound.igroup.slots.get(each)?.devices.has(bound)) world.machine.kernel.run(detachDevice(bound, each));
  }
}

function run(world: World, each: Step): void {
  const { machine } = world;
  if (each.kind === 'ioas') {
    machine.ioas();
    return;
  }
  if (each.kind === 'destroy') {
    const id = world.idOf(each.target);
    const object = machine.context.objects.peekAny(id);
    const held = object !== undefined && world.expectedUsers(object) !== 1;
    const expected = object === undefined ? -Errno.ENOENT : held ? -Errno.EBUSY : 0;
    expect(machine.destroy(id)).toBe(expected);
    return;
  }
  const bound = world.bound[each.device];
  if (each.kind === 'bind') {
    if (bound === undefined) world.bound[each.device] = machine.bind(world.hardware[each.device] as MockDevice);
    return;
  }
  if (bound === undefined) return;
  if (each.kind === 'unbind') {
    detachAll(world, bound);
    expect(machine.kernel.run(unbindDevice(bound))).toBe(0);
    world.bound[each.device] = undefined;
    return;
  }
  if (each.kind === 'hwpt') {
    const before = world.snapshot();
    const id = machine.hwpt(bound, world.idOf(each.target), each.flags, each.data ? { dataWord: 1 } : {});
    if (id < 0) expect(world.snapshot()).toEqual(before);
    return;
  }
  if (!('pasid' in each)) return;
  const inSlot = bound.igroup.slots.get(each.pasid)?.devices.has(bound) === true;
  if (each.kind === 'detach') {
    if (inSlot || !bound.igroup.slots.has(each.pasid)) machine.kernel.run(detachDevice(bound, each.pasid));
    return;
  }
  const before = world.snapshot();
  const change = each.kind === 'attach' ? attachDevice : replaceDevice;
  const { error } = machine.kernel.run(change(bound, each.pasid, world.idOf(each.target)));
  if (error < 0) expect(world.snapshot()).toEqual(before);
}

describe('the object graph of an iommufd context', () => {
  it('counts every reference, refuses what is held and undoes what fails', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), (steps) => {
        const world = new World();
        for (let index = 0; index < world.hardware.length; index++) run(world, { kind: 'bind', device: index });
        for (const each of steps) {
          run(world, each);
          world.check();
        }
        for (const bound of world.bound) {
          if (bound === undefined) continue;
          detachAll(world, bound);
          expect(world.machine.kernel.run(unbindDevice(bound))).toBe(0);
        }
        expect(world.machine.kernel.run(world.machine.context.release())).toBe(0);
        expect(world.machine.context.objects.isEmpty).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});
