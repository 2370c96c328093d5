/** Nested translation: reads, time, page size, permissions, tags, invalidation, guest table bits (VT-d spec 3.8, 6.5.2). */
import { describe, expect, test } from 'vitest';
import { descriptors } from '../../../support/device-under-test.ts';
import { GUEST_OFFSET, NESTED_DID, NestedScene, NO_PAGING_CACHES } from '../../../support/nested-scene.ts';
import { TestPageTable } from '../../../support/table-builder.ts';

const PAGE = 0x12345;
const GUEST_PAGE = 0x777;
const HOST_PAGE = 0x4242;

function simple(options: ConstructorParameters<typeof NestedScene>[0] = {}): NestedScene {
  const scene = new NestedScene(options);
  scene.mapGuest(PAGE, GUEST_PAGE);
  scene.host.map(GUEST_PAGE, HOST_PAGE);
  return scene;
}

describe('a walk', () => {
  test.each([
    [4, 4, 24],
    [5, 5, 35],
    [4, 3, 19],
    [5, 4, 29],
  ])(
    'over %i and %i levels with nothing cached reads (m + 1) * (n + 1) - 1 = %i words',
    (firstLevels, secondLevels, reads) => {
      const scene = simple({ firstLevels, secondLevels, set: NO_PAGING_CACHES });
      scene.mapGuest(PAGE + 1, GUEST_PAGE);
      const [first, second] = [scene.issue(PAGE, 0), scene.issue(PAGE + 1, 100_000)];
      expect([first.pfn, second.pfn]).toEqual([HOST_PAGE, HOST_PAGE]);
      // The first one also read root, context, PASID directory and PASID entries.
      expect([first.reads, second.reads]).toEqual([reads + 4, reads]);
      expect(second.ready - second.arrive).toBe(20 + 100 * reads);
    },
  );

  test('reads the last table of each stage when the caches know the way', () => {
    const scene = simple();
    scene.mapGuest(PAGE + 1, GUEST_PAGE + 1);
    scene.host.map(GUEST_PAGE + 1, HOST_PAGE + 9);
    scene.issue(PAGE, 0);
    const second = scene.issue(PAGE + 1, 100_000);
    expect([second.pfn, second.reads]).toEqual([HOST_PAGE + 9, 2]);
  });

  test('counts both stages', () => {
    const scene = simple();
    scene.issue(PAGE, 0);
    // The second stage is consulted for four tables and the page.
    expect(scene.dut.unit.counters()).toMatchObject({ fs_nonleaf_lookup: 1, ss_nonleaf_lookup: 5, iommu_mrds: 28 });
  });

  test('is answered by the IOTLB afterwards, until a permission is missing there', () => {
    const scene = simple();
    scene.issue(PAGE, 0);
    const hit = scene.issue(PAGE, 100_000);
    expect([hit.outcome, hit.pfn, hit.reads]).toEqual(['hit', HOST_PAGE, 0]);
    // Cached clean: the first write walks again, sets the guest's dirty bit, and is cached as writable.
    const write = scene.issue(PAGE, 200_000, true);
    expect([write.outcome, write.pfn]).toEqual(['miss', HOST_PAGE]);
    expect(scene.guest.leafLow(PAGE) & 0x60).toBe(0x60);
    expect(scene.issue(PAGE, 300_000, true).outcome).toBe('hit');
  });

  test('that is only probed changes nothing and says the same', () => {
    const scene = simple();
    const before = scene.dut.unit.counters();
    const { sourceIds, unit } = scene.dut;
    expect(unit.probe(sourceIds[0] as never, 0 as never, PAGE, 1)).toMatchObject({ pfn: HOST_PAGE, fault: 0 });
    expect(unit.counters()).toEqual(before);
    expect(scene.guest.leafLow(PAGE) & 0x60).toBe(0);
    expect(scene.issue(PAGE, 0).reads).toBe(28);
  });
});

describe('page size', () => {
  test.each([
    [1, 1, 21],
    [1, 0, 12],
    [0, 1, 12],
    [2, 1, 21],
    [1, 2, 21],
    [2, 2, 30],
  ])('is the smaller one: 512^%i and 512^%i pages', (firstSize, secondSize, shift) => {
    const scene = new NestedScene();
    const [page, guestPage, hostPage] = [3 * 512 ** firstSize, 0x140000, 0x900000];
    scene.mapGuest(page, guestPage, 3, firstSize);
    scene.host.map(guestPage, hostPage, 3, secondSize);
    expect(scene.issue(page, 0)).toMatchObject({ pfn: hostPage, pageShift: shift });
    const inside = page + 512 ** Math.min(firstSize, secondSize) - 1;
    expect(scene.issue(inside, 100_000)).toMatchObject({ outcome: 'hit', pfn: hostPage + inside - page });
  });

  test('a page inside both large leaves takes its offset from each', () => {
    const scene = new NestedScene();
    scene.mapGuest(0x600, 0x140200, 3, 1);
    scene.host.map(0x140000, 0x1c0000, 3, 2);
    expect(scene.issue(0x6ab, 0).pfn).toBe(0x1c02ab);
  });
});

describe('permissions are those of both stages', () => {
  test.each([
    // guest, host, write, fault reason
    [3, 3, true, 0],
    [1, 3, true, 0x85],
    [3, 1, true, 5],
    [3, 2, false, 6],
    [1, 1, false, 0],
  ])('guest %i, host %i, write %s: %i', (guest, host, write, fault) => {
    const scene = new NestedScene();
    scene.mapGuest(PAGE, GUEST_PAGE, guest);
    scene.host.map(GUEST_PAGE, HOST_PAGE, host);
    expect(scene.issue(PAGE, 0, write).fault).toBe(
      fault === 5 ? SS_WRITE(scene) : fault === 6 ? SS_READ(scene) : fault,
    );
  });

  const SS_WRITE = (scene: NestedScene): number => reference(scene, true);
  const SS_READ = (scene: NestedScene): number => reference(scene, false);

  /** What a second-stage walk of the same unit says of a page that is not mapped. */
  function reference({ dut }: NestedScene, write: boolean): number {
    dut.contexts.setPasid(dut.sourceIds[1] as number, 0, dut.table(), 99);
    return dut.issue({ device: 1, page: 1, write, at: 500_000 }).fault;
  }

  test('a guest page without anything behind it faults in the second stage, an unmapped one in the first', () => {
    const scene = new NestedScene();
    scene.mapGuest(PAGE, GUEST_PAGE);
    expect(scene.issue(PAGE, 0).fault).toBe(reference(scene, false));
    expect(scene.issue(PAGE + 1, 100_000).fault).toBe(0x71);
  });

  test('a guest table that the second stage does not map stops the walk there', () => {
    const scene = simple();
    const leafTable = scene.guest.frames.at(-1) as number;
    scene.host.unmap(leafTable);
    expect(scene.issue(PAGE, 0).fault).toBe(reference(scene, false));
  });

  test('a guest table outside memory is not accessible', () => {
    const scene = simple();
    scene.host.map(scene.guest.frames.at(-1) as number, 0x1234);
    expect(scene.issue(PAGE, 0).fault).toBe(0x70);
  });

  test('a guest table that may not be written cannot take an accessed bit', () => {
    const scene = simple();
    const leafTable = scene.guest.frames.at(-1) as number;
    scene.host.map(leafTable, leafTable + GUEST_OFFSET, 1);
    expect(scene.issue(PAGE, 0).fault).toBe(reference(scene, true));
    scene.mapGuest(PAGE, GUEST_PAGE);
    const entry = scene.guest.leafLow(PAGE);
    expect(entry & 0x20).toBe(0);
  });

  test('an address beyond the first stage is not canonical, a guest page beyond the second has no translation', () => {
    const scene = new NestedScene({ secondLevels: 3 });
    scene.mapGuest(PAGE, 2 ** 27);
    expect([scene.issue(PAGE, 0).fault, scene.issue(2 ** 36, 100_000).fault]).toEqual([0x84, 0x80]);
  });

  test('the second stage keeps its own accessed and dirty bits when asked to', () => {
    const scene = simple();
    scene.bind(0, scene.guest, 0x200);
    scene.issue(PAGE, 0, true);
    expect(scene.host.leafLow(GUEST_PAGE) & 0x300).toBe(0x300);
  });
});

describe('tags', () => {
  test('are domain id and PASID: two PASIDs on one second stage do not mix', () => {
    const scene = simple();
    const other = new TestPageTable(scene.dut.memory, 4, 'first', GUEST_OFFSET);
    other.map(PAGE, GUEST_PAGE + 1);
    scene.host.map(GUEST_PAGE + 1, HOST_PAGE + 1);
    scene.bind(9, other);
    scene.mapTables(other);
    const dma = (pasid: number, at: number) => scene.dut.issue({ page: PAGE, pasid, at });
    expect([dma(0, 0).pfn, dma(9, 100_000).pfn]).toEqual([HOST_PAGE, HOST_PAGE + 1]);
    const handle = scene.dut.submit(200_000, [descriptors.pasidIotlb(NESTED_DID, 9)]);
    scene.dut.settle();
    expect(handle.doneNs).toBeDefined();
    expect([dma(0, 300_000).outcome, dma(9, 400_000).outcome]).toEqual(['hit', 'miss']);
  });
});

describe('invalidation', () => {
  function flush(scene: NestedScene, at: number, words: number[]): void {
    scene.dut.submit(at, [words]);
    scene.dut.settle();
  }

  test('of a second-stage page, whatever the address, drops all that went through both stages', () => {
    const scene = simple();
    scene.issue(PAGE, 0);
    flush(scene, 100_000, descriptors.iotlbPages(NESTED_DID, GUEST_PAGE + 55));
    const again = scene.issue(PAGE, 200_000);
    expect(again.outcome).toBe('miss');
    // Nothing of the first stage is left; the second stage's caches still know every table but the flushed region's.
    expect(again.reads).toBeGreaterThanOrEqual(4 + 5);
  });

  test('of a first-stage page leaves other pages', () => {
    const scene = simple();
    scene.mapGuest(PAGE + 1, GUEST_PAGE);
    scene.issue(PAGE, 0);
    scene.issue(PAGE + 1, 100_000);
    flush(scene, 200_000, descriptors.pasidIotlbPages(NESTED_DID, 0, PAGE));
    expect(scene.issue(PAGE + 1, 300_000).outcome).toBe('hit');
    expect(scene.issue(PAGE, 400_000).outcome).toBe('miss');
  });

  test('of another domain id leaves it alone', () => {
    const scene = simple();
    scene.issue(PAGE, 0);
    flush(scene, 100_000, descriptors.iotlbPages(NESTED_DID + 1, GUEST_PAGE));
    expect(scene.issue(PAGE, 200_000).outcome).toBe('hit');
  });

  test('with the leaf-only hint still finds a guest table that moved', () => {
    const scene = simple();
    scene.issue(PAGE, 0);
    const leafTable = scene.guest.frames.at(-1) as number;
    const { memory } = scene.dut;
    // The host moves the guest's leaf table to another frame with other contents.
    const moved = memory.allocFrame();
    memory.writeQword(moved, (PAGE % 512) * 2, (GUEST_PAGE + 1) * 4096 + 0x67, 0);
    scene.host.map(leafTable, moved);
    scene.host.map(GUEST_PAGE + 1, HOST_PAGE + 1);
    flush(scene, 100_000, descriptors.iotlbPages(NESTED_DID, leafTable, 0, true));
    expect(scene.issue(PAGE, 200_000).pfn).toBe(HOST_PAGE + 1);
  });

  test('is waited for until DMA that used the translation is done', () => {
    const scene = simple();
    const dma = scene.issue(PAGE, 0, true);
    const words = descriptors.iotlbPages(NESTED_DID, GUEST_PAGE);
    // The drain bits of the descriptor: reads and writes.
    expect((words[0] as number) & 0xc0).toBe(0xc0);
    const handle = scene.dut.submit(0, [words]);
    scene.dut.settle();
    expect(handle.doneNs as number).toBeGreaterThan(dma.ready);
  });
});
