// Behaviours that the kernel's iommufd self-test names in fixture iommufd_ioas: an IOAS without a page table, with one
// mock device, with two. Pins, accesses and processes are in selftest-ioas-access, nesting in selftest-ioas-hwpt.
import { expect } from 'vitest';
import { selftest } from '../support/kernel-selftest.ts';
import { BUFFER, PAGE, U64_MAX } from '../support/selftest-scene.ts';
import { ioasWorld } from '../support/selftest-worlds.ts';

selftest('iommufd_ioas', 'ioas_auto_destroy', (scene, variant) => {
  ioasWorld(scene, variant);
  expect(scene.close()).toBe('');
  expect(scene.file).toBeUndefined();
});

selftest('iommufd_ioas', 'ioas_destroy', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  expect(scene.destroy(ioas)).toBe(devices.length > 0 ? 'EBUSY' : '');
  for (const device of devices) scene.remove(device);
  if (devices.length > 0) expect(scene.destroy(ioas)).toBe('');
});

selftest('iommufd_ioas', 'ioas_area_destroy', (scene, variant) => {
  const { ioas, devices, base } = ioasWorld(scene, variant);
  expect(scene.map(ioas, BUFFER, PAGE, base)).toBe('');
  expect(scene.destroy(ioas)).toBe(devices.length > 0 ? 'EBUSY' : '');
});

selftest('iommufd_ioas', 'ioas_area_auto_destroy', (scene, variant) => {
  const { ioas, base, devices } = ioasWorld(scene, variant);
  for (let i = 0n; i < 10n; i++) expect(scene.map(ioas, BUFFER, PAGE, base + i * PAGE)).toBe('');
  expect(scene.checkRefs(BUFFER, PAGE, devices.length > 0 ? 10 : 0)).toBe('');
  const other = scene.open();
  expect(scene.close()).toBe('');
  scene.fd = other;
  expect(scene.checkRefs(BUFFER, PAGE, 0)).toBe('');
});

selftest('iommufd_ioas', 'area', (scene, variant) => {
  const { ioas, base } = ioasWorld(scene, variant);
  for (let i = 0n; i < 10n; i++) expect(scene.map(ioas, BUFFER, PAGE, base + i * PAGE)).toBe('');
  for (let i = 0n; i < 10n; i++) expect(scene.unmap(ioas, base + i * PAGE, PAGE)).toBe('');
  for (let i = 0n; i < 10n; i++) expect(scene.map(ioas, BUFFER, PAGE * 2n, base + i * PAGE * 2n)).toBe('');
  for (let i = 0n; i < 10n; i++) {
    const at = base + i * PAGE * 2n;
    expect([scene.unmap(ioas, at, PAGE), scene.unmap(ioas, at + PAGE, PAGE)]).toEqual(['ENOENT', 'ENOENT']);
    expect(scene.map(ioas, BUFFER, PAGE, at)).toBe('EEXIST');
    expect(scene.map(ioas, BUFFER, PAGE * 2n, at + PAGE)).toBe('EEXIST');
  }
  expect([scene.unmapAll(ioas), scene.unmapAll(ioas)]).toEqual([20n * PAGE, 0n]);
});

selftest('iommufd_ioas', 'unmap_fully_contained_areas', (scene, variant) => {
  const { ioas, base } = ioasWorld(scene, variant);
  for (let i = 0n; i < 4n; i++) expect(scene.map(ioas, BUFFER, 8n * PAGE, base + i * 16n * PAGE)).toBe('');
  expect(scene.unmap(ioas, base + 3n * 16n * PAGE + 8n * PAGE, 8n * PAGE)).toBe('ENOENT');
  expect(scene.unmap(ioas, base + 3n * 16n * PAGE + PAGE, PAGE)).toBe('ENOENT');
  expect(scene.ok('IOMMU_IOAS_UNMAP', { ioas, iova: base, length: 4n * 16n * PAGE })).toEqual({
    length: `0x${(32n * PAGE).toString(16)}`,
  });
});

selftest('iommufd_ioas', 'area_auto_iova', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  const place = (length: bigint, va: bigint): bigint => {
    const iova = scene.mapAnywhere(ioas, va, length);
    expect(iova % PAGE).toBe(va % PAGE);
    return iova;
  };
  const granule = devices.length > 0 ? 0x800n : 1n;
  const lengths = [PAGE * 3n, PAGE * 2n, PAGE, granule, PAGE * 7n].map((length, index) => ({
    length,
    iova: place(length, BUFFER + BigInt(index) * 16n * PAGE),
  }));
  const ordered = lengths.toSorted((a, b) => (a.iova < b.iova ? -1 : 1));
  for (const [index, { iova, length }] of ordered.entries()) {
    expect(iova + length <= (ordered[index + 1]?.iova ?? U64_MAX)).toBe(true);
  }
  for (const { iova, length } of lengths) expect(scene.unmap(ioas, iova, length)).toBe('');
  // A reservation is stepped around.
  const first = lengths[0]?.iova as bigint;
  scene.ok('TEST_ADD_RESERVED', { id: ioas, start: first, length: PAGE * 4n });
  const around = place(PAGE * 2n, BUFFER);
  expect(around >= first + PAGE * 4n || around + PAGE * 2n <= first).toBe(true);
  expect(scene.unmap(ioas, around, PAGE * 2n)).toBe('');
  // Inside an allowed window and nowhere else; a window over the reservation is refused.
  const window = first + 0x100_0000n;
  expect(scene.errno('IOMMU_IOAS_ALLOW_IOVAS', { ioas, ranges: `${first}-${first + PAGE}` })).toBe('EADDRINUSE');
  scene.ok('IOMMU_IOAS_ALLOW_IOVAS', { ioas, ranges: `${window}-${window + PAGE * 2n - 1n}` });
  expect(place(PAGE * 2n, BUFFER)).toBe(window);
  expect(scene.errno('IOMMU_IOAS_MAP', { ioas, va: BUFFER, length: PAGE, flags: 'READABLE' })).toBe('ENOSPC');
  scene.ok('IOMMU_IOAS_ALLOW_IOVAS', { ioas, ranges: '' });
  expect(place(PAGE, BUFFER)).toBeGreaterThan(0n);
});

selftest('iommufd_ioas', 'reserved_overflow', (scene, variant) => {
  const { ioas, devices, last } = ioasWorld(scene, variant);
  // Everything but the last page and a half is taken: a page fits, two do not, and the search does not wrap around.
  const start = last - 0x17ffn;
  scene.ok('TEST_ADD_RESERVED', { id: ioas, start: 0, length: start });
  const map = (length: bigint): string =>
    scene.errno('IOMMU_IOAS_MAP', { ioas, va: BUFFER, length, flags: 'READABLE' });
  expect(map(PAGE * 2n)).toBe('ENOSPC');
  // Without a page table the topmost page is never chosen.
  expect(map(PAGE)).toBe(devices.length > 0 ? '' : 'ENOSPC');
});

selftest('iommufd_ioas', 'area_allowed', (scene, variant) => {
  const { ioas, devices, base } = ioasWorld(scene, variant);
  const range = `${base}-${base + PAGE - 1n}`;
  scene.ok('TEST_ADD_RESERVED', { id: ioas, start: base, length: PAGE });
  expect(scene.errno('IOMMU_IOAS_ALLOW_IOVAS', { ioas, ranges: range })).toBe('EADDRINUSE');
  const other = base + 16n * PAGE;
  scene.ok('IOMMU_IOAS_ALLOW_IOVAS', { ioas, ranges: `${other}-${other + PAGE - 1n}` });
  expect(scene.errno('TEST_ADD_RESERVED', { id: ioas, start: other, length: PAGE })).toBe('EADDRINUSE');
  // A device whose page table ends before the allowed range cannot join.
  const far = scene.ioas();
  scene.ok('IOMMU_IOAS_ALLOW_IOVAS', { ioas: far, ranges: '0x0-0xffff' });
  expect(scene.errno('TEST_MOCK_DOMAIN', { id: far })).toBe('EADDRINUSE');
  expect(devices.length).toBeLessThan(3);
});

selftest('iommufd_ioas', 'copy_area', (scene, variant) => {
  const { ioas, base } = ioasWorld(scene, variant);
  const source = base + 0x10_0000n;
  expect(scene.map(ioas, BUFFER, PAGE * 2n, source)).toBe('');
  const target = scene.ioas();
  expect(scene.copy(ioas, ioas, source, PAGE, base)).toBe('');
  expect(scene.copy(target, ioas, source, PAGE * 2n, base)).toBe('');
  expect(scene.copy(target, ioas, source + PAGE, PAGE, base + 0x1_0000n)).toBe('');
  expect(scene.copy(target, ioas, source + PAGE, PAGE * 2n, base + 0x2_0000n)).toBe('ENOENT');
  expect(scene.copy(target, ioas, source, PAGE, base)).toBe('EEXIST');
  expect(scene.copy(target, 0, source, PAGE, base)).toBe('ENOENT');
  expect(scene.unmapAll(target)).toBe(PAGE * 3n);
});

selftest('iommufd_ioas', 'copy_sweep', (scene, variant) => {
  const { ioas, base, devices } = ioasWorld(scene, variant);
  for (let i = 0n; i < 3n; i++)
    expect(scene.map(ioas, BUFFER + i * PAGE * 4n, PAGE * 2n, base + i * PAGE * 2n)).toBe('');
  const target = scene.ioas();
  const step = devices.length > 0 ? 0x800n : 511n;
  for (let start = 0n; start < PAGE * 8n; start += step) {
    const length = PAGE;
    const covered = start + length <= PAGE * 6n;
    expect([start, scene.copy(target, ioas, base + start, length, base)]).toEqual([start, covered ? '' : 'ENOENT']);
    expect(scene.unmapAll(target)).toBe(covered ? length : 0n);
  }
});

selftest('iommufd_ioas', 'iova_ranges', (scene, variant) => {
  const { ioas, base, last, devices } = ioasWorld(scene, variant);
  const ranges = (id: number, num?: number) => scene.run('IOMMU_IOAS_IOVA_RANGES', { ioas: id, num });
  const hex = (value: bigint): string => `0x${value.toString(16)}`;
  const alignment = devices.length > 0 ? '0x800' : '0x1';
  expect(ranges(ioas).out).toEqual({ num: 1, ranges: [[hex(base), hex(last)]], alignment });
  scene.ok('TEST_ADD_RESERVED', { id: ioas, start: base + PAGE, length: PAGE });
  const both = [
    [hex(base), hex(base + PAGE - 1n)],
    [hex(base + PAGE * 2n), hex(last)],
  ];
  expect(ranges(ioas).out).toEqual({ num: 2, ranges: both, alignment });
  // Too little room: how many there are, and as many as fit.
  expect(ranges(ioas, 1)).toMatchObject({ rc: -90, out: { num: 2, ranges: both.slice(0, 1) } });
  expect(ranges(ioas, 0)).toMatchObject({ rc: -90, out: { num: 2, ranges: [] } });
});

selftest('iommufd_ioas', 'ioas_option_huge_pages', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  const get = () => scene.ok('IOMMU_OPTION', { option: 'OPT_HUGE_PAGES', op: 'OP_GET', obj: ioas });
  const set = (val: number) => scene.errno('IOMMU_OPTION', { option: 'OPT_HUGE_PAGES', op: 'OP_SET', obj: ioas, val });
  expect(get()).toEqual({ val: '0x1' });
  expect([set(0), get()]).toEqual(['', { val: '0x0' }]);
  expect([set(0), set(1), get()]).toEqual(['', '', { val: '0x1' }]);
  expect(set(2)).toBe('EINVAL');
  expect(devices.length).toBeLessThan(3);
});

selftest('iommufd_ioas', 'ioas_iova_alloc', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  for (let length = 1n; length < PAGE * 2n; length += 97n) {
    const args = { ioas, va: BUFFER, length, flags: 'WRITEABLE|READABLE' };
    const aligned = devices.length === 0 || length % 0x800n === 0n;
    expect([length, scene.errno('IOMMU_IOAS_MAP', args)]).toEqual([length, aligned ? '' : 'EINVAL']);
  }
  for (const length of [0x800n, PAGE, PAGE * 2n]) expect(scene.mapAnywhere(ioas, BUFFER, length)).toBeGreaterThan(0n);
});

selftest('iommufd_ioas', 'ioas_align_change', (scene, variant) => {
  const { ioas, base, devices } = ioasWorld(scene, variant);
  const huge = (val: number) => scene.errno('IOMMU_OPTION', { option: 'OPT_HUGE_PAGES', op: 'OP_SET', obj: ioas, val });
  const start = base + 0x10_0000n;
  if (devices.length > 0) {
    // With a page table the option is fixed once something is mapped.
    expect(scene.map(ioas, BUFFER, 0x800n, start)).toBe('');
    expect(huge(0)).toBe('EINVAL');
    return;
  }
  expect(scene.map(ioas, BUFFER, PAGE / 2n, start)).toBe('');
  expect(huge(0)).toBe('EADDRINUSE');
  expect(scene.unmapAll(ioas)).toBe(PAGE / 2n);
  expect(scene.map(ioas, BUFFER, PAGE, start)).toBe('');
  expect(huge(0)).toBe('');
  expect(scene.map(ioas, BUFFER, PAGE / 2n, start + PAGE)).toBe('EINVAL');
  expect(huge(1)).toBe('');
  expect(scene.map(ioas, BUFFER, PAGE / 2n, start + PAGE)).toBe('');
});
