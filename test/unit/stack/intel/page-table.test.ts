import { describe, expect, test } from 'vitest';
import { PhysicalMemory } from '../../../../src/hw/memory.ts';
import { firstStageFormat, secondStageFormat } from '../../../../src/stack/drivers/intel/entry-format.ts';
import { nextPiece } from '../../../../src/stack/drivers/intel/page-size.ts';
import { PageTable } from '../../../../src/stack/drivers/intel/page-table.ts';
import { KERNEL_PROFILES } from '../../../../src/stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../../../src/stack/profiles/schema.ts';

const profile = (name: string) => resolveKernelProfile(KERNEL_PROFILES[name]).profile;
const GIB = 262144;

function table(maxLeaf = 3, levels = 4): { memory: PhysicalMemory; table: PageTable } {
  const memory = new PhysicalMemory();
  return { memory, table: new PageTable(memory, levels, secondStageFormat(profile('v7.3')), maxLeaf) };
}

describe('PageTable', () => {
  test('a run aligned on both sides uses the largest leaves, small ones at its ends', () => {
    const { table: t } = table();
    t.map(GIB - 512 - 1, 8 * GIB - 512 - 1, GIB + 1024 + 2, 3, true, []);
    const leaves: [number, number][] = [];
    t.forEachLeaf(0, 4 * GIB, (first, count) => leaves.push([first, count]));
    expect(leaves).toEqual([
      [GIB - 513, 1],
      [GIB - 512, 512],
      [GIB, GIB],
      [2 * GIB, 512],
      [2 * GIB + 512, 1],
    ]);
  });

  test('a run that is not equally aligned in physical memory gets small leaves', () => {
    const { table: t } = table();
    t.map(512, 1025, 512, 3, true, []);
    expect(t.lookup(600)).toEqual({ pfn: 1025 + 88, level: 1, bits: 3 });
  });

  test('without superpages in the hardware all leaves are small', () => {
    const { table: t } = table(1);
    t.map(512, 1024, 512, 3, true, []);
    expect(t.lookup(512)?.level).toBe(1);
  });

  test('clearing a whole table frees it, clearing its pages one by one does not', () => {
    const { memory, table: t } = table(1);
    t.map(0, 5000, 512, 3, true, []);
    const before = memory.liveFrames;
    const freed: number[] = [];
    for (let page = 0; page < 512; page++) t.clear(page, page, freed);
    expect(freed).toEqual([]);
    t.map(0, 5000, 512, 3, true, []);
    t.clear(0, 511, freed);
    expect(freed.length).toBe(1);
    t.release(freed);
    expect(memory.liveFrames).toBe(before - 1);
  });

  test('a superpage replaces an empty table and hands its page over', () => {
    const { table: t } = table();
    t.map(0, 5000, 512, 3, true, []);
    const freed: number[] = [];
    for (let page = 0; page < 512; page++) t.clear(page, page, freed);
    expect(t.map(0, 1024, 512, 3, true, freed)).toBe(512);
    expect(freed.length).toBe(1);
    expect(t.lookup(3)).toEqual({ pfn: 1027, level: 2, bits: 0x83 });
  });

  test('a superpage over a table in use is a conflict, or drops what it maps, as the kernel has it', () => {
    const { table: t } = table();
    t.map(7, 5000, 1, 3, true, []);
    expect(t.map(0, 1024, 512, 3, true, [])).toBe(0);
    const freed: number[] = [];
    expect(t.map(0, 1024, 512, 3, false, freed)).toBe(512);
    expect(freed.length).toBe(1);
    expect(t.lookup(7)?.pfn).toBe(1031);
  });

  test('a present leaf stops the map, or stays while the map goes on', () => {
    const { table: t } = table();
    t.map(5, 5000, 1, 3, true, []);
    expect(t.map(0, 100, 10, 3, true, [])).toBe(5);
    expect(t.map(0, 100, 10, 3, false, [])).toBe(10);
    expect(t.lookup(5)?.pfn).toBe(5000);
    expect(t.lookup(9)?.pfn).toBe(109);
  });

  test('physical pages beyond 32 bits of address survive', () => {
    const { table: t } = table();
    const pfn = 2 ** 36 + 12345;
    t.map(1, pfn, 1, 3, true, []);
    expect(t.lookup(1)?.pfn).toBe(pfn);
  });

  test('dirty bits are read once when cleared', () => {
    const { memory, table: t } = table();
    t.map(0, 512, 513, 3, true, []);
    t.forEachLeaf(0, 600, (_first, _count, word) => {
      memory.words[word] = (memory.words[word] as number) | 0x200;
    });
    const read = (clear: boolean): number => {
      let dirty = 0;
      t.forEachLeaf(0, 600, (_first, count, word) => {
        if (t.testDirty(word, clear)) dirty += count;
      });
      return dirty;
    };
    expect([read(false), read(true), read(true)]).toEqual([513, 513, 0]);
  });
});

describe('entry formats', () => {
  test.each([
    ['v6.12', 3],
    ['v7.3', 2],
  ])('write-only second-stage leaves on %s have bits %i', (name, bits) => {
    expect(secondStageFormat(profile(name)).leafBits(2, false)).toBe(bits);
  });

  test('first-stage leaves look as in the recorded tables', () => {
    expect(firstStageFormat(profile('v7.3')).leafBits(3, false)).toBe(0x67);
    expect(firstStageFormat(profile('v6.12')).leafBits(1, false)).toBe(0x25);
  });
});

describe('nextPiece', () => {
  test.each([
    [3, 0, 100, 100],
    [3, 0, 512, 512],
    [3, 0, 700, 512],
    [3, 511, 513, 1],
    [3, 511, 512, 512],
    [3, 512, 1536, 1536],
    [3, GIB - 512, GIB + 512, 512],
    [1, 0, 2000, 2000],
  ])('max level %i, page %i, %i pages left: %i', (maxLevel, at, left, expected) => {
    expect(nextPiece(maxLevel, at, left)).toBe(expected);
  });
});
