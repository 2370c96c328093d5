/** The shard plan depends on rows, not on names: permuting indices permutes the plan and changes nothing else. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planShards, type ShardFacts } from '../../src/replay/shards.ts';

const facts: fc.Arbitrary<ShardFacts> = fc
  .record({
    unitCount: fc.integer({ min: 1, max: 5 }),
    devices: fc.array(fc.record({ unit: fc.integer({ min: -1, max: 4 }), group: fc.nat(6) }), { maxLength: 8 }),
    dma: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
    references: fc.array(fc.record({ context: fc.nat(4), device: fc.nat(7) }), { maxLength: 8 }),
  })
  .map(({ unitCount, devices, dma, references }) => ({
    unitCount,
    devices: devices.map(({ unit, group }) => ({ unit: Math.min(unit, unitCount - 1), group })),
    firstDma: Array.from({ length: unitCount }, (_, unit) => (dma[unit] === true ? 1000 + unit * 10 : undefined)),
    references: references.map((reference, index) => ({ ...reference, sequence: index })),
  }));

/** Renames everything: index i becomes `permutation[i]`. */
function rename(plan: ShardFacts, seed: number): { renamed: ShardFacts; unit: number[]; device: number[] } {
  const permutation = (count: number): number[] =>
    Array.from({ length: count }, (_, index) => index).sort(
      (a, b) => ((a * 7919 + seed) % 101) - ((b * 7919 + seed) % 101) || a - b,
    );
  const unit = permutation(plan.unitCount);
  const device = permutation(plan.devices.length);
  const devices: { unit: number; group: number }[] = [];
  for (const [index, { unit: u, group }] of plan.devices.entries()) {
    devices[device[index]!] = { unit: u < 0 ? -1 : unit[u]!, group: group + 50 };
  }
  const firstDma: (number | undefined)[] = [];
  for (const [index, sequence] of plan.firstDma.entries()) firstDma[unit[index]!] = sequence;
  const references = plan.references.map((reference) => ({
    ...reference,
    context: 90 - reference.context,
    device: device[reference.device] ?? reference.device,
  }));
  return { renamed: { unitCount: plan.unitCount, devices, firstDma, references }, unit, device };
}

const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

test('renaming units, devices, groups and contexts renames the plan', () => {
  fc.assert(
    fc.property(facts, fc.nat(100), (plan, seed) => {
      const { renamed, unit, device } = rename(plan, seed);
      const expected = planShards(plan).map((world) => ({
        units: ascending(world.units.map((index) => unit[index]!)),
        devices: ascending(world.devices.map((index) => device[index]!)),
        contexts: ascending(world.contexts.map((context) => 90 - context)),
      }));
      expect(planShards(renamed)).toEqual(expected);
    }),
  );
});

test('every device with a row is in exactly one world, together with its unit and its group', () => {
  fc.assert(
    fc.property(facts, (plan) => {
      const worlds = planShards(plan);
      const seen = worlds.flatMap((world) => world.devices);
      expect(new Set(seen).size).toBe(seen.length);
      for (const world of worlds) {
        for (const device of world.devices) {
          const { unit, group } = plan.devices[device]!;
          if (unit >= 0) expect(world.units).toContain(unit);
          for (const [other, entry] of plan.devices.entries()) {
            if (entry.group === group) expect(world.devices).toContain(other);
          }
        }
      }
    }),
  );
});
