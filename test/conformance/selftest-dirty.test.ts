// Behaviours that the kernel's iommufd self-test names in fixture iommufd_dirty_tracking: which page tables track, and
// bitmaps of ranges of many sizes.
import { expect } from 'vitest';
import { selftest } from '../support/kernel-selftest.ts';
import { APERTURE, MOCK_PAGE, PAGE, type SelftestScene } from '../support/selftest-scene.ts';

const AREA = 0x7f88_0000_0000n;
const BITMAP = 0x7fa0_0000_0000n;
const MARKS = 0x7fb0_0000_0000n;

/** [bytes] of `domain_dirty320k`, `domain_dirty64M_huge`. */
function sizeOf(variant: string): bigint {
  const [, count, unit] = /dirty(\d+)([kM])/.exec(variant) as unknown as [string, string, string];
  return BigInt(count) * (unit === 'k' ? 0x400n : 0x10_0000n);
}

/**
 * Fixture: an IOAS with a device, memory mapped at the aperture's start, a page table that tracks. Where nobody looks at
 * the memory, two megabytes stand for it.
 */
function dirtyWorld(scene: SelftestScene, variant: string, allMemory = false) {
  const size = allMemory ? sizeOf(variant) : 0x20_0000n;
  const huge = variant.endsWith('huge') ? 1 : undefined;
  scene.ok('mmap', { addr: AREA, length: size, huge });
  const bytes = size / MOCK_PAGE / 8n + PAGE;
  for (const addr of [BITMAP, MARKS]) scene.ok('mmap', { addr, length: (bytes / PAGE + 1n) * PAGE });
  const ioas = scene.ioas();
  const { idev, stdev } = scene.device(ioas);
  expect(scene.map(ioas, AREA, size, APERTURE)).toBe('');
  const hwpt = scene.hwpt(idev, ioas, 'DIRTY_TRACKING') as number;
  return { size, ioas, idev, stdev, hwpt };
}

/** Marks every `every`-th bit of pages of `pageSize` and reads the bitmap: whether it comes back, and again. */
function bitmaps(scene: SelftestScene, variant: string, noClear: boolean): void {
  const { size, hwpt } = dirtyWorld(scene, variant, true);
  scene.ok('IOMMU_HWPT_SET_DIRTY_TRACKING', { hwpt, flags: 'ENABLE' });
  const pageSize = PAGE;
  const bits = size / pageSize;
  const bytes = Number((bits + 7n) / 8n);
  for (const shift of [0n, 3n]) {
    // Odd bits, and once more with the bitmap at an address that is not aligned to a word.
    const bitmap = BITMAP + shift;
    scene.ok('fill', { va: MARKS, length: bytes, val: 0 });
    scene.ok('fill', { va: bitmap, length: bytes, val: 0 });
    scene.ok('setbits', { va: MARKS, from: 1, to: bits, step: 2 });
    const range = { iova: APERTURE, length: size, page_size: pageSize };
    const marked = scene.ok('TEST_DIRTY', { id: hwpt, bitmap: MARKS, ...range })['nr_dirty'];
    expect(BigInt(marked)).toBe(bits / 2n);
    const read = (flags: string | number): Uint8Array => {
      scene.ok('fill', { va: bitmap, length: bytes, val: 0 });
      scene.ok('IOMMU_HWPT_GET_DIRTY_BITMAP', { hwpt, data: bitmap, flags, ...range });
      return scene.read(bitmap, bytes);
    };
    const expected = scene.read(MARKS, bytes);
    expect(Buffer.from(read(noClear ? 'NO_CLEAR' : 0)).equals(Buffer.from(expected))).toBe(true);
    const again = read(0);
    if (noClear) expect(Buffer.from(again).equals(Buffer.from(expected))).toBe(true);
    else expect(again.every((byte) => byte === 0)).toBe(true);
  }
}

selftest('iommufd_dirty_tracking', 'enforce_dirty', (scene, variant) => {
  const { ioas, hwpt, stdev } = dirtyWorld(scene, variant);
  const plain = scene.device(scene.ioas(), 1);
  expect(scene.hwpt(plain.idev, ioas, 'DIRTY_TRACKING')).toBe('EOPNOTSUPP');
  expect(scene.errno('TEST_MOCK_DOMAIN_REPLACE', { id: plain.stdev, pt: hwpt })).toBe('EINVAL');
  expect(scene.errno('TEST_MOCK_DOMAIN_FLAGS', { id: hwpt, dev_flags: 'NO_DIRTY' })).toBe('EINVAL');
  expect(scene.errno('TEST_MOCK_DOMAIN_REPLACE', { id: stdev, pt: hwpt })).toBe('');
});

selftest('iommufd_dirty_tracking', 'set_dirty_tracking', (scene, variant) => {
  const { ioas, idev, hwpt } = dirtyWorld(scene, variant);
  const set = (id: number, flags: string | number): string =>
    scene.errno('IOMMU_HWPT_SET_DIRTY_TRACKING', { hwpt: id, flags });
  expect([set(hwpt, 'ENABLE'), set(hwpt, 'ENABLE'), set(hwpt, 0), set(hwpt, 0)]).toEqual(['', '', '', '']);
  expect(set(hwpt, 2)).toBe('EOPNOTSUPP');
  expect(set(scene.hwpt(idev, ioas) as number, 'ENABLE')).toBe('EOPNOTSUPP');
  expect(set(ioas, 'ENABLE')).toBe('ENOENT');
});

selftest('iommufd_dirty_tracking', 'pasid_set_dirty_tracking', (scene, variant) => {
  const { ioas } = dirtyWorld(scene, variant);
  const { idev, stdev } = scene.device(scene.ioas(), 4);
  const hwpt = scene.hwpt(idev, ioas, 'DIRTY_TRACKING|ALLOC_PASID') as number;
  const rid = scene.hwpt(idev, ioas, 'ALLOC_PASID') as number;
  scene.ok('TEST_MOCK_DOMAIN_REPLACE', { id: stdev, pt: rid });
  scene.ok('TEST_PASID_ATTACH', { id: stdev, pasid: 100, pt: hwpt });
  scene.ok('IOMMU_HWPT_SET_DIRTY_TRACKING', { hwpt, flags: 'ENABLE' });
  scene.ok('IOMMU_HWPT_SET_DIRTY_TRACKING', { hwpt, flags: 0 });
  scene.ok('TEST_PASID_DETACH', { id: stdev, pasid: 100 });
  expect(scene.destroy(hwpt)).toBe('');
});

selftest('iommufd_dirty_tracking', 'device_dirty_capability', (scene, variant) => {
  const { idev } = dirtyWorld(scene, variant);
  const capabilities = (dev: number): number => Number(scene.ok('IOMMU_GET_HW_INFO', { dev })['capabilities']);
  expect(capabilities(idev) & 1).toBe(1);
  expect(capabilities(scene.device(scene.ioas(), 1).idev) & 1).toBe(0);
});

selftest('iommufd_dirty_tracking', 'get_dirty_bitmap', (scene, variant) => bitmaps(scene, variant, false));

selftest('iommufd_dirty_tracking', 'get_dirty_bitmap_no_clear', (scene, variant) => bitmaps(scene, variant, true));
