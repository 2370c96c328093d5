/** The driver's page table against a plain map from page to page. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PhysicalMemory } from '../../src/hw/memory.ts';
import { secondStageFormat } from '../../src/stack/drivers/intel/entry-format.ts';
import { PageTable } from '../../src/stack/drivers/intel/page-table.ts';
import { KERNEL_PROFILES } from '../../src/stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../src/stack/profiles/schema.ts';

const { profile } = resolveKernelProfile(KERNEL_PROFILES['v7.3']);

/** Pages near the borders of 2 MiB and 1 GiB regions, where tables and superpages begin. */
const page = fc
  .tuple(fc.constantFrom(0, 512, 1024, 262144 - 512, 262144, 2 * 262144), fc.integer({ min: 0, max: 520 }))
  .map(([base, offset]) => base + offset);
const length = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(512, 513, 1024, 1536));
/** Physical pages with the same alignment as the IOVA (superpages possible) or not. */
const command = fc.record({
  kind: fc.constantFrom('map', 'map', 'clear'),
  iovaPfn: page,
  pageCount: length,
  shift: fc.constantFrom(0, 512, 262144, 7),
});

test('lookups equal the oracle after any sequence of maps and clears, and no frame is lost', () => {
  fc.assert(
    fc.property(fc.array(command, { minLength: 1, maxLength: 12 }), fc.constantFrom(1, 2, 3), (commands, maxLeaf) => {
      const memory = new PhysicalMemory();
      const table = new PageTable(memory, 4, secondStageFormat(profile), maxLeaf);
      const oracle = new Map<number, number>();
      for (const { kind, iovaPfn, pageCount, shift } of commands) {
        const freed: number[] = [];
        if (kind === 'map') {
          const pfn = iovaPfn + 4 * 262144 + shift;
          const done = table.map(iovaPfn, pfn, pageCount, 3, true, freed);
          let free = 0;
          while (free < pageCount && !oracle.has(iovaPfn + free)) free++;
          if (free === pageCount) expect(done).toBe(pageCount);
          expect(done).toBeLessThanOrEqual(free);
          for (let index = 0; index < done; index++) oracle.set(iovaPfn + index, pfn + index);
        } else {
          // A clear never cuts a superpage: its callers widen.
          const first = widen(table, iovaPfn, 'start');
          const last = widen(table, iovaPfn + pageCount - 1, 'end');
          table.clear(first, last, freed);
          if (last - first > 4096) for (const key of oracle.keys()) if (key >= first && key <= last) oracle.delete(key);
          for (let at = first; at <= Math.min(last, first + 4096); at++) oracle.delete(at);
        }
        table.release(freed);
      }
      for (const [iovaPfn, pfn] of sample(oracle)) expect(table.lookup(iovaPfn)?.pfn).toBe(pfn);
      let mapped = 0;
      table.forEachLeaf(0, 4 * 262144, (first, count) => {
        expect(oracle.has(first)).toBe(true);
        mapped += count;
      });
      expect(mapped).toBe(oracle.size);
      table.free();
      expect(memory.liveFrames).toBe(0);
    }),
    { numRuns: 120 },
  );
});

test('the mapped extent ends at the first hole', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 1, max: 600 }), (hole, count) => {
      const table = new PageTable(new PhysicalMemory(), 3, secondStageFormat(profile), 1);
      table.map(1000, 5000, hole, 3, true, []);
      table.map(1000 + hole + 1, 9000, 700, 3, true, []);
      expect(table.mappedExtent(1000, count)).toBe(Math.min(hole, count));
    }),
    { numRuns: 50 },
  );
});

function widen(table: PageTable, iovaPfn: number, side: 'start' | 'end'): number {
  const level = table.lookup(iovaPfn)?.level ?? 1;
  const span = level === 3 ? 262144 : level === 2 ? 512 : 1;
  const start = iovaPfn - (iovaPfn % span);
  return side === 'start' ? start : start + span - 1;
}

function* sample(map: ReadonlyMap<number, number>): Generator<[number, number]> {
  const step = Math.max(1, Math.floor(map.size / 2000));
  let index = 0;
  for (const pair of map) if (index++ % step === 0) yield pair;
}
