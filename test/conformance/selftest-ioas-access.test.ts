// Behaviours that the kernel's iommufd self-test names in fixture iommufd_ioas: accesses of kernel drivers (pins, reads and
// writes), owners of memory that are gone, dma-bufs.
import { expect } from 'vitest';
import { DmaBuf } from '../../src/stack/kernel/dma-buf.ts';
import { selftest } from '../support/kernel-selftest.ts';
import { APERTURE, BUFFER, PAGE, type SelftestScene } from '../support/selftest-scene.ts';
import { ioasWorld } from '../support/selftest-worlds.ts';

/** An IOVA that every variant has, also once a page table joins. */
const base = APERTURE;

/** Pins pages through an access: the item, or the name of the error. */
function pin(scene: SelftestScene, access: number, iova: bigint, length: bigint, va: bigint): number | string {
  const args = { id: access, iova, length, va, flags: 'ACCESS_WRITE' };
  const error = scene.errno('TEST_ACCESS_PAGES', args);
  // The call that succeeded made an item already; items are numbered in order.
  return error === '' ? (lastItem(scene) ?? 0) : error;
}

const items = new WeakMap<SelftestScene, number>();
function lastItem(scene: SelftestScene): number {
  const next = (items.get(scene) ?? -1) + 1;
  items.set(scene, next);
  return next;
}

function drop(scene: SelftestScene, access: number, item: number | string): string {
  return scene.errno('TEST_DESTROY_ACCESS_PAGES', { id: access, pages: item });
}

selftest('iommufd_ioas', 'access_domain_destory', (scene, variant) => {
  const { ioas } = ioasWorld(scene, variant);
  const huge = 0x7f80_0000_0000n;
  scene.ok('mmap', { addr: huge, length: 0x20_0000, huge: 1 });
  const at = base + 0x20_0000n;
  expect(scene.map(ioas, huge, 0x20_0000n, at)).toBe('');
  const access = scene.access(ioas) as number;
  const item = pin(scene, access, at + 0x8000n, PAGE * 4n, huge + 0x8000n);
  // A page table comes and goes while pages in the middle stay pinned.
  const device = scene.device(ioas);
  expect(scene.checkMap(device.hwpt, at, 0x20_0000n, huge)).toBe('');
  scene.remove(device);
  expect(scene.checkRefs(huge + 0x8000n, PAGE * 4n, 1)).toBe('');
  expect(scene.checkRefs(huge, PAGE * 8n, variant === 'no_domain' ? 0 : 1)).toBe('');
  expect(drop(scene, access, item)).toBe('');
  expect(scene.errno('close', { fd: access })).toBe('');
});

selftest('iommufd_ioas', 'access_pin', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  const mapped = devices.length > 0 ? 1 : 0;
  expect(scene.map(ioas, BUFFER, PAGE * 4n, base)).toBe('');
  const access = scene.access(ioas) as number;
  const refs = () => [0n, 1n, 2n, 3n].map((page) => (scene.checkRefs(BUFFER + page * PAGE, PAGE, 1) === '' ? 1 : 0));
  expect(refs()).toEqual([mapped, mapped, mapped, mapped]);
  // The same pages twice, then overlapping ones: a page is pinned once, for as long as anybody needs it.
  const first = pin(scene, access, base, PAGE * 2n, BUFFER);
  const again = pin(scene, access, base, PAGE * 2n, BUFFER);
  const overlapping = pin(scene, access, base + PAGE, PAGE * 2n, BUFFER + PAGE);
  expect(refs()).toEqual([1, 1, 1, mapped]);
  // A page table that appears meanwhile pins the rest, and gives it up again.
  const device = scene.device(ioas);
  expect(refs()).toEqual([1, 1, 1, 1]);
  scene.remove(device);
  expect(refs()).toEqual([1, 1, 1, mapped]);
  expect(drop(scene, access, first)).toBe('');
  expect(refs()).toEqual([1, 1, 1, mapped]);
  expect(drop(scene, access, again)).toBe('');
  expect(refs()).toEqual([mapped, 1, 1, mapped]);
  expect(drop(scene, access, overlapping)).toBe('');
  expect(refs()).toEqual([mapped, mapped, mapped, mapped]);
});

selftest('iommufd_ioas', 'access_pin_unmap', (scene, variant) => {
  const { ioas } = ioasWorld(scene, variant);
  expect(scene.map(ioas, BUFFER, PAGE * 4n, base)).toBe('');
  const access = scene.access(ioas) as number;
  const item = pin(scene, access, base, PAGE * 4n, BUFFER);
  // The unmap calls the access back, which gives its pages up; then the item is gone.
  expect(scene.unmap(ioas, base, PAGE * 4n)).toBe('');
  expect(scene.checkRefs(BUFFER, PAGE * 4n, 0)).toBe('');
  expect(drop(scene, access, item)).toBe('ENOENT');
});

selftest('iommufd_ioas', 'access_rw', (scene, variant) => {
  const { ioas } = ioasWorld(scene, variant);
  expect(scene.map(ioas, BUFFER, PAGE * 2n, base)).toBe('');
  const access = scene.access(ioas, 0) as number;
  const own = BUFFER + 0x10_0000n;
  const copy = (iova: bigint, length: number, flags: string | number): string =>
    scene.errno('TEST_ACCESS_RW', { id: access, iova, length, va: own, flags });
  for (const slow of [0, 'RW_SLOW'] as const) {
    for (const [offset, length] of [
      [0n, 1],
      [11n, 23],
      [PAGE - 3n, 7],
      [0n, 0x2000],
    ] as const) {
      const fill = 0x11 + length;
      scene.ok('fill', { va: own, length: 0x2000, val: fill });
      expect(copy(base + offset, length, slow === 0 ? 'RW_WRITE' : 'RW_WRITE|RW_SLOW')).toBe('');
      expect([...scene.read(BUFFER + offset, length)].every((byte) => byte === (fill & 0xff))).toBe(true);
      scene.ok('fill', { va: own, length: 0x2000, val: 0 });
      expect(copy(base + offset, length, slow)).toBe('');
      expect([...scene.read(own, length)].every((byte) => byte === (fill & 0xff))).toBe(true);
    }
  }
  expect(copy(base + PAGE * 2n - 1n, 2, 0)).toBe('ENOENT');
  expect(copy(base, 0, 0)).toBe('EINVAL');
});

selftest('iommufd_ioas', 'access_rw_unaligned', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  // A mock page table takes half pages, nothing finer.
  if (devices.length > 0) expect(scene.map(ioas, BUFFER + 0x400n, PAGE, base + 0x400n)).toBe('EINVAL');
  expect(scene.map(ioas, BUFFER + 0x800n, PAGE, base + 0x800n)).toBe('');
  const access = scene.access(ioas, 0) as number;
  const own = BUFFER + 0x10_0000n;
  scene.ok('fill', { va: own, length: 0x2000, val: 0x5a });
  scene.ok('TEST_ACCESS_RW', { id: access, iova: base + 0x800n, length: PAGE, va: own, flags: 'RW_WRITE' });
  expect([...scene.read(BUFFER + 0x800n, 0x1000)].every((byte) => byte === 0x5a)).toBe(true);
  expect(scene.read(BUFFER + 0x7ffn, 1)[0]).toBe(0);
});

selftest('iommufd_ioas', 'fork_gone', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  // The child maps its memory and is gone. Without a page table nothing was pinned, so nothing can be any more.
  scene.inChild(() => expect(scene.map(ioas, BUFFER, PAGE, base)).toBe(''));
  const attached = scene.errno('TEST_MOCK_DOMAIN', { id: ioas });
  expect(attached).toBe(devices.length > 0 ? '' : 'EFAULT');
  const access = scene.access(ioas) as number;
  const args = { id: access, iova: base, length: PAGE, va: BUFFER };
  // With a page table the frames are known from there.
  expect(scene.errno('TEST_ACCESS_PAGES', args)).toBe(devices.length > 0 ? 'EINVAL' : 'EFAULT');
});

selftest('iommufd_ioas', 'fork_present', (scene, variant) => {
  const { ioas } = ioasWorld(scene, variant);
  const own = 0x7f90_0000_0000n;
  const parent = scene.process;
  scene.inChild(() => {
    scene.ok('mmap', { addr: own, length: PAGE });
    scene.ok('fill', { va: own, length: PAGE, val: 0x77 });
    expect(scene.map(ioas, own, PAGE, base)).toBe('');
    // While the child lives, others of the same context reach its memory.
    const child = scene.process;
    scene.process = parent;
    const device = scene.device(ioas);
    const access = scene.access(ioas, 0) as number;
    scene.ok('TEST_ACCESS_RW', { id: access, iova: base, length: 64, va: BUFFER });
    expect([...scene.read(BUFFER, 64)].every((byte) => byte === 0x77)).toBe(true);
    scene.process = child;
    expect(scene.checkRefs(own, PAGE, 1)).toBe('');
    expect(scene.checkMap(device.hwpt, base, PAGE, own)).toBe('');
    scene.process = parent;
    scene.remove(device);
    scene.process = child;
  });
});

/** A dma-buf of two pages in the process's files. */
function dmaBuf(scene: SelftestScene): { readonly fd: number; readonly buffer: DmaBuf } {
  const buffer = new DmaBuf(PAGE * 2n, 0x9_0000, true);
  return { fd: scene.process.files.install(buffer), buffer };
}

function mapBuffer(
  scene: SelftestScene,
  ioas: number,
  fd: number,
  iova: bigint,
  start: bigint,
  length: bigint,
): string {
  const flags = 'FIXED_IOVA|WRITEABLE|READABLE';
  return scene.errno('IOMMU_IOAS_MAP_FILE', { ioas, file: fd, start, length, iova, flags });
}

selftest('iommufd_ioas', 'dmabuf_simple', (scene, variant) => {
  const { ioas } = ioasWorld(scene, variant);
  const { fd } = dmaBuf(scene);
  expect(mapBuffer(scene, ioas, fd, base, 0n, PAGE * 3n)).toBe('EINVAL');
  expect(mapBuffer(scene, ioas, fd, base, PAGE, PAGE * 2n)).toBe('EINVAL');
  expect(mapBuffer(scene, ioas, fd, base, 0n, PAGE * 2n)).toBe('');
  expect(mapBuffer(scene, ioas, fd, base + PAGE * 2n, PAGE, PAGE)).toBe('');
  expect(scene.unmapAll(ioas)).toBe(PAGE * 3n);
});

selftest('iommufd_ioas', 'dmabuf_revoke', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  const { fd, buffer } = dmaBuf(scene);
  expect(mapBuffer(scene, ioas, fd, base, 0n, PAGE * 2n)).toBe('');
  scene.machine.run(buffer.revoke());
  expect(mapBuffer(scene, ioas, fd, base + PAGE * 2n, 0n, PAGE)).toBe('ENODEV');
  // The area is still there, without a translation; made usable again, the buffer can be mapped anew.
  buffer.restore();
  expect(mapBuffer(scene, ioas, fd, base, 0n, PAGE)).toBe('EEXIST');
  expect(mapBuffer(scene, ioas, fd, base + PAGE * 2n, 0n, PAGE)).toBe('');
  expect(scene.unmapAll(ioas)).toBe(PAGE * 3n);
  expect(devices.length).toBeLessThan(3);
});
