// The block index of areas behaves as a sorted list, at every address and across block splits.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Area } from '../../src/stack/iommufd/area.ts';
import { AreaIndex } from '../../src/stack/iommufd/area-index.ts';

/** The readable version: a sorted array searched from the front. */
class SortedList {
  readonly areas: Area[] = [];

  insert(area: Area): void {
    this.areas.push(area);
    this.areas.sort((a, b) => (a.start < b.start ? -1 : 1));
  }

  remove(area: Area): void {
    this.areas.splice(this.areas.indexOf(area), 1);
  }

  first(start: bigint, last: bigint): Area | undefined {
    return this.areas.find((area) => area.start <= last && area.last >= start);
  }
}

/** Slots of 16 bytes at the top of the address space (where doubles cannot tell neighbours apart) or at the bottom. */
const slotAddress = (top: boolean, slot: number): bigint =>
  top ? 0xffff_ffff_ffff_ffffn - BigInt(slot + 1) * 16n + 1n : BigInt(slot) * 16n;

describe('area index', () => {
  it('finds, walks and forgets areas as a sorted list does', () => {
    const command = fc.record({ top: fc.boolean(), slot: fc.nat(2000), lookAt: fc.nat(2000), span: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 1500, size: 'max' }), (commands) => {
        const index = new AreaIndex();
        const list = new SortedList();
        for (const { top, slot, lookAt, span } of commands) {
          const start = slotAddress(top, slot);
          const present = list.first(start, start + 15n);
          if (present === undefined) {
            const area = new Area(start, 16n, 0n, 3);
            index.insert(area);
            list.insert(area);
          } else {
            index.remove(present);
            list.remove(present);
          }
          const from = slotAddress(top, lookAt) + 3n;
          const to = from + BigInt(span);
          expect(index.first(from, to)).toBe(list.first(from, to));
        }
        expect(index.size).toBe(list.areas.length);
        expect([...index.all()]).toEqual(list.areas);
        for (const [at, area] of list.areas.entries()) expect(index.next(area)).toBe(list.areas[at + 1]);
      }),
      { numRuns: 30 },
    );
  });
});
