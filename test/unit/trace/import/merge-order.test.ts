import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MergeBounds, mergeRanks, preferredRanks } from '../../../../src/trace/import/merge-order.ts';

describe('merging two exact orders', () => {
  it('puts guest events by the clocks when nothing bounds them', () => {
    const preferred = preferredRanks(Float64Array.of(5, 15, 15, 99), Float64Array.of(10, 20, 30));
    expect([...preferred]).toEqual([0, 1, 1, 3]);
    expect([...mergeRanks(preferred, new MergeBounds(4, 3)).ranks]).toEqual([0, 1, 1, 3]);
  });

  it('moves a map before the use that the clocks put first, and what precedes it with it', () => {
    const bounds = new MergeBounds(3, 5);
    bounds.before(2, 1);
    const merged = mergeRanks(Int32Array.of(0, 3, 4), bounds);
    expect([...merged.ranks]).toEqual([0, 1, 1]);
    expect(merged).toMatchObject({ conflicts: 0, moved: 2 });
  });

  it('moves an unmap behind the fill that still read its entry, and what follows it with it', () => {
    const bounds = new MergeBounds(3, 5);
    bounds.after(0, 3);
    expect([...mergeRanks(Int32Array.of(1, 2, 5), bounds).ranks]).toEqual([4, 4, 5]);
  });

  it('counts contradictions and still gives an order', () => {
    const bounds = new MergeBounds(2, 5);
    bounds.after(0, 3);
    bounds.before(1, 1);
    const merged = mergeRanks(Int32Array.of(0, 0), bounds);
    expect(merged.conflicts).toBe(2);
    expect([...merged.ranks]).toEqual([4, 4]);
  });

  it('keeps every bound that some order can keep', () => {
    const scenario = fc
      .record({ guests: fc.integer({ min: 1, max: 20 }), devices: fc.integer({ min: 1, max: 20 }) })
      .chain(({ guests, devices }) =>
        fc.record({
          devices: fc.constant(devices),
          truth: fc.array(fc.integer({ min: 0, max: devices }), { minLength: guests, maxLength: guests }),
          believed: fc.array(fc.integer({ min: 0, max: devices }), { minLength: guests, maxLength: guests }),
          bounded: fc.array(fc.tuple(fc.nat(guests - 1), fc.nat(devices - 1)), { maxLength: 30 }),
        }),
      );
    fc.assert(
      fc.property(scenario, ({ devices, truth, believed, bounded }) => {
        const ranks = truth.toSorted((a, b) => a - b);
        const bounds = new MergeBounds(ranks.length, devices);
        for (const [guest, device] of bounded) {
          if ((ranks[guest] as number) <= device) bounds.before(guest, device);
          else bounds.after(guest, device);
        }
        const merged = mergeRanks(Int32Array.from(believed.toSorted((a, b) => a - b)), bounds);
        expect(merged.conflicts).toBe(0);
        for (const [guest, device] of bounded) {
          expect((merged.ranks[guest] as number) <= device).toBe((ranks[guest] as number) <= device);
        }
        expect([...merged.ranks]).toEqual([...merged.ranks].sort((a, b) => a - b));
      }),
    );
  });
});
