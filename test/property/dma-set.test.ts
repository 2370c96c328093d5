// The ordered mappings of a type1 container against a plain list.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressSpace } from '../../src/stack/kernel/address-space.ts';
import { PageFrames } from '../../src/stack/kernel/page-frames.ts';
import { Process, UserAccount } from '../../src/stack/kernel/process.ts';
import { Dma } from '../../src/stack/vfio/type1/dma.ts';
import { DmaSet } from '../../src/stack/vfio/type1/dma-set.ts';

const PAGE = 0x1000n;
const owner = new Process('user', new AddressSpace(new PageFrames()), new UserAccount());

/** Mappings of 1 .. 4 pages in slots of 4 pages; slot 0 is IOVA 0. */
const slots = fc.array(fc.record({ slot: fc.nat(1499), pages: fc.integer({ min: 1, max: 4 }) }), {
  minLength: 600,
  maxLength: 1200,
});
const ranges = fc.array(fc.record({ page: fc.nat(6000), pages: fc.integer({ min: 0, max: 40 }) }), {
  minLength: 1,
  maxLength: 20,
});

function dmaAt(slot: number, pages: number): Dma {
  const dma = new Dma(BigInt(slot) * 4n * PAGE, 0n, 3, owner);
  dma.sizeBytes = BigInt(pages) * PAGE;
  return dma;
}

test('look-ups, walks and order are those of a sorted list, after any additions and removals', () => {
  fc.assert(
    fc.property(fc.boolean(), slots, fc.array(fc.nat(1499)), ranges, (inclusive, additions, removals, questions) => {
      const set = new DmaSet(inclusive);
      const plain = new Map<number, Dma>();
      for (const { slot, pages } of additions) {
        if (plain.has(slot)) continue;
        const dma = dmaAt(slot, pages);
        plain.set(slot, dma);
        set.add(dma);
      }
      for (const slot of removals) {
        const dma = plain.get(slot);
        if (dma === undefined) continue;
        plain.delete(slot);
        set.remove(dma);
      }
      const sorted = [...plain.values()].sort((a, b) => Number(a.iova - b.iova));
      expect([...set]).toEqual(sorted);
      expect(set.count).toBe(sorted.length);
      expect(set.first).toBe(sorted[0]);
      for (const { page, pages } of questions) {
        const start = BigInt(page) * PAGE;
        const length = BigInt(pages) * PAGE;
        const hits = sorted.filter((dma) => dma.iova < start + length && dma.iova + dma.sizeBytes > start);
        if (pages > 0) {
          expect(set.inRange(start, length)).toEqual(hits);
          expect(set.find(start, length)).toBe(hits[0]);
        } else {
          const across = sorted.find((dma) => dma.iova < start && dma.iova + dma.sizeBytes > start);
          expect(set.find(start, 0n)).toBe(across);
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('mappings that end with the address space are found only where ends are inclusive, and always removed', () => {
  for (const inclusive of [false, true]) {
    const set = new DmaSet(inclusive);
    const top = 0xffff_ffff_ffff_f000n;
    const made = Array.from({ length: 600 }, () => {
      const dma = new Dma(top, 0n, 3, owner);
      dma.sizeBytes = PAGE;
      set.add(dma);
      return dma;
    });
    expect(set.find(top, PAGE) !== undefined).toBe(inclusive);
    expect(set.inRange(0n, top + PAGE - 1n).length).toBe(inclusive ? 600 : 0);
    for (const dma of made) set.remove(dma);
    expect(set.count).toBe(0);
  }
});
