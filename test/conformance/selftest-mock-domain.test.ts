// Behaviours that the kernel's iommufd self-test names in fixture iommufd_mock_domain: what ends up in page tables, with
// small and huge pages of anonymous memory and of files.
import { expect } from 'vitest';
import { selftest } from '../support/kernel-selftest.ts';
import { APERTURE, MOCK_PAGE, PAGE, type SceneDevice, type SelftestScene } from '../support/selftest-scene.ts';

const AREA = 0x7f88_0000_0000n;
const AREA_BYTES = 0x40_0000n;
const FLAGS = 'FIXED_IOVA|WRITEABLE|READABLE';

/** Fixture: one IOAS, one or two mock devices, memory that is mapped through its address or through its file. */
function mockWorld(scene: SelftestScene, variant: string) {
  const ioas = scene.ioas();
  const devices: SceneDevice[] = [scene.device(ioas)];
  // Two page tables on one IOAS: devices that differ in dirty tracking share none of the automatic ones' users.
  if (variant.startsWith('two_')) {
    const hwpt = scene.hwpt((devices[0] as SceneDevice).idev, ioas) as number;
    devices.push(scene.device(hwpt));
  }
  const huge = variant.includes('hugepage') ? 1 : undefined;
  let file: number | undefined;
  if (variant.includes('file')) {
    file = Number(scene.run('memfd', { length: AREA_BYTES, huge }).values?.[0]);
    scene.ok('mmap_fd', { fd: file, addr: AREA, length: AREA_BYTES });
  } else {
    scene.ok('mmap', { addr: AREA, length: AREA_BYTES, huge });
  }
  const map = (offset: bigint, length: bigint, iova: bigint): string =>
    file === undefined
      ? scene.map(ioas, AREA + offset, length, iova)
      : scene.errno('IOMMU_IOAS_MAP_FILE', { ioas, file, start: offset, length, iova, flags: FLAGS });
  /** Every page table translates the range to the memory from `offset` on. */
  const check = (iova: bigint, length: bigint, offset: bigint): void => {
    for (const { hwpt } of devices) expect(scene.checkMap(hwpt, iova, length, AREA + offset)).toBe('');
  };
  return { ioas, devices, file, map, check, stdev: (devices[0] as SceneDevice).stdev };
}

selftest('iommufd_mock_domain', 'basic', (scene, variant) => {
  const { ioas, devices, file, map, check } = mockWorld(scene, variant);
  expect(map(0n, AREA_BYTES, APERTURE)).toBe('');
  check(APERTURE, AREA_BYTES, 0n);
  expect(new Set(devices.map(({ hwpt }) => hwpt)).size).toBe(devices.length);
  expect(scene.unmapAll(ioas)).toBe(AREA_BYTES);
  expect(scene.checkRefs(AREA, AREA_BYTES, 0)).toBe('');
  if (file !== undefined) {
    expect(map(AREA_BYTES, PAGE, APERTURE)).toBe('EINVAL');
    return;
  }
  // Memory that ends in the middle, and that is not there at all: nothing is left behind.
  scene.ok('munmap', { va: AREA + AREA_BYTES / 2n, length: AREA_BYTES / 2n });
  expect(map(0n, AREA_BYTES, APERTURE)).toBe('EFAULT');
  expect(map(AREA_BYTES / 2n, AREA_BYTES / 2n, APERTURE)).toBe('EFAULT');
  expect(scene.checkRefs(AREA, AREA_BYTES / 2n, 0)).toBe('');
  expect(scene.unmapAll(ioas)).toBe(0n);
});

selftest('iommufd_mock_domain', 'ro_unshare', (scene, variant) => {
  const { ioas, devices } = mockWorld(scene, variant);
  // A read-only map of a page that a child still shares keeps its frame when the parent writes.
  const va = 0x7f98_0000_0000n;
  scene.ok('mmap', { addr: va, length: PAGE });
  scene.ok('fill', { va, length: PAGE, val: 1 });
  scene.inChild(() => {
    expect(scene.map(ioas, va, PAGE, APERTURE, 'READABLE')).toBe('');
    scene.ok('fill', { va, length: PAGE, val: 2 });
    for (const { hwpt } of devices) expect(scene.checkMap(hwpt, APERTURE, PAGE, va)).toBe('');
  });
});

selftest('iommufd_mock_domain', 'all_aligns', (scene, variant) => {
  const { ioas, map, check } = mockWorld(scene, variant);
  // Every start and length around a huge page of the mock, in its own steps and larger ones.
  const step = 7n * MOCK_PAGE;
  for (let start = 0n; start < PAGE * 8n; start += step) {
    for (let end = start + MOCK_PAGE; end <= PAGE * 8n; end += step) {
      expect([start, end, map(start, end - start, APERTURE + start)]).toEqual([start, end, '']);
      check(APERTURE + start, end - start, start);
      expect(scene.unmap(ioas, APERTURE + start, end - start)).toBe('');
    }
  }
  expect(scene.checkRefs(AREA, PAGE * 8n, 0)).toBe('');
});

selftest('iommufd_mock_domain', 'all_aligns_copy', (scene, variant) => {
  const { ioas, devices, map } = mockWorld(scene, variant);
  const step = 11n * MOCK_PAGE;
  for (let start = 0n; start < PAGE * 8n; start += step) {
    for (let end = start + MOCK_PAGE; end <= PAGE * 8n; end += step) {
      const length = end - start;
      expect(map(start, length, APERTURE + start)).toBe('');
      // A page table that joins is filled from the ones there are, and leaves nothing when it goes.
      const extra = scene.device(scene.hwpt((devices[0] as SceneDevice).idev, ioas) as number);
      expect(scene.checkMap(extra.hwpt, APERTURE + start, length, AREA + start)).toBe('');
      scene.remove(extra);
      expect(scene.destroy(extra.hwpt)).toBe('');
      expect(scene.unmap(ioas, APERTURE + start, length)).toBe('');
    }
  }
  expect(scene.checkRefs(AREA, PAGE * 8n, 0)).toBe('');
});

selftest('iommufd_mock_domain', 'user_copy', (scene, variant) => {
  const { ioas, check, file } = mockWorld(scene, variant);
  // Memory of an IOAS without page table, pinned by an access, copied into the one with.
  const source = scene.ioas();
  const at = 0x200_0000n;
  const error =
    file === undefined
      ? scene.map(source, AREA, AREA_BYTES, at)
      : scene.errno('IOMMU_IOAS_MAP_FILE', {
          ioas: source,
          file,
          start: 0,
          length: AREA_BYTES,
          iova: at,
          flags: FLAGS,
        });
  expect(error).toBe('');
  const access = scene.access(source) as number;
  scene.ok('TEST_ACCESS_PAGES', { id: access, iova: at, length: AREA_BYTES, va: AREA });
  expect(scene.copy(ioas, source, at, AREA_BYTES, APERTURE)).toBe('');
  check(APERTURE, AREA_BYTES, 0n);
  expect(scene.destroy(source)).toBe('EBUSY');
  // The access moves on: what it pinned is given back, and the source can go while the copy stays.
  const elsewhere = scene.ioas();
  scene.ok('TEST_ACCESS_REPLACE_IOAS', { id: access, ioas: elsewhere });
  expect(scene.destroy(source)).toBe('');
  check(APERTURE, AREA_BYTES, 0n);
  expect(scene.unmapAll(ioas)).toBe(AREA_BYTES);
  expect(scene.checkRefs(AREA, AREA_BYTES, 0)).toBe('');
});

selftest('iommufd_mock_domain', 'replace', (scene, variant) => {
  const { ioas, devices, stdev } = mockWorld(scene, variant);
  const other = scene.ioas();
  const replace = (pt: number): number => scene.ok('TEST_MOCK_DOMAIN_REPLACE', { id: stdev, pt })['pt'];
  const before = (devices[0] as SceneDevice).hwpt;
  const after = replace(other);
  // The automatic page table that nobody uses is gone.
  expect(scene.destroy(before)).toBe('ENOENT');
  expect(replace(other)).toBe(after);
  expect(scene.destroy(after)).toBe('EBUSY');
  const back = replace(ioas);
  if (devices.length === 2) {
    expect(scene.destroy((devices[1] as SceneDevice).hwpt)).toBe('EBUSY');
    expect(replace((devices[1] as SceneDevice).hwpt)).toBe((devices[1] as SceneDevice).hwpt);
    expect(scene.destroy(back)).toBe('ENOENT');
  }
});

selftest('iommufd_mock_domain', 'alloc_hwpt', (scene, variant) => {
  const { ioas, devices } = mockWorld(scene, variant);
  for (const { idev, stdev } of devices) {
    expect(scene.hwpt(idev, ioas, 0x8000_0000)).toBe('EOPNOTSUPP');
    const [one, two] = [scene.hwpt(idev, ioas) as number, scene.hwpt(idev, ioas, 'NEST_PARENT') as number];
    const replace = (pt: number): string => scene.errno('TEST_MOCK_DOMAIN_REPLACE', { id: stdev, pt });
    expect([replace(one), scene.destroy(one), replace(two), scene.destroy(one)]).toEqual(['', 'EBUSY', '', '']);
    expect([scene.destroy(two), replace(ioas), scene.destroy(two)]).toEqual(['EBUSY', '', '']);
  }
});
