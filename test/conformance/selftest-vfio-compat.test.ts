// Behaviours that the kernel's iommufd self-test names in fixture vfio_compat_mock_domain: VFIO's type1 calls served by
// an iommufd, version 1 (`Ver1v0`) and version 2 (`Ver1v2`), on a mock device.
import { expect } from 'vitest';
import { errnoName } from '../../src/errno.ts';
import { selftest } from '../support/kernel-selftest.ts';
import { APERTURE, APERTURE_LAST, BUFFER, PAGE, type SelftestScene } from '../support/selftest-scene.ts';

const Request = { setIommu: 0x3b66, getInfo: 0x3b70, mapDma: 0x3b71, unmapDma: 0x3b72 } as const;
/** Where structures are put. */
const STRUCT = BUFFER + 0xe0_0000n;
/** [bytes] Huge page of the mock: 512 of its pages. */
const MOCK_HUGE = 0x10_0000n;

/** Fixture: an IOAS made the compatible one, the version set, a mock device on it. */
function compatWorld(scene: SelftestScene, variant: string) {
  const version = variant === 'Ver1v2' ? 3n : 1n;
  const ioas = scene.ioas();
  scene.ok('IOMMU_VFIO_IOAS', { op: 'VFIO_IOAS_SET', ioas });
  const ioctl = (request: number, argument: bigint): string => {
    const rc = scene.machine.run(scene.file.ioctl(scene.process, request, argument));
    return rc < 0 ? errnoName(rc) : '';
  };
  expect(ioctl(Request.setIommu, version)).toBe('');
  const device = scene.device(ioas);
  const call = (request: number, words: readonly number[], quads: readonly bigint[]): string => {
    const view = new DataView(new ArrayBuffer(words.length * 4 + quads.length * 8));
    for (const [index, word] of words.entries()) view.setUint32(4 * index, word, true);
    for (const [index, quad] of quads.entries()) view.setBigUint64(4 * words.length + 8 * index, quad, true);
    scene.process.memory.write(STRUCT, new Uint8Array(view.buffer));
    return ioctl(request, STRUCT);
  };
  const view = (length: number): DataView => new DataView(Uint8Array.from(scene.read(STRUCT, length)).buffer);
  return {
    ioas,
    device,
    version,
    call,
    view,
    map: (va: bigint, length: bigint, iova: bigint): string => call(Request.mapDma, [32, 3], [va, iova, length]),
    /** The error, and the bytes that the kernel says it unmapped. */
    unmap(iova: bigint, length: bigint): readonly [string, bigint] {
      const error = call(Request.unmapDma, [24, 0], [iova, length]);
      return [error, view(24).getBigUint64(16, true)];
    },
  };
}

selftest('vfio_compat_mock_domain', 'simple_close', (scene, variant) => {
  compatWorld(scene, variant);
  expect(scene.close()).toBe('');
});

selftest('vfio_compat_mock_domain', 'option_huge_pages', (scene, variant) => {
  const { ioas, version } = compatWorld(scene, variant);
  // Version 1 splits areas, so that nothing may be mapped in pieces larger than a page.
  const value = scene.ok('IOMMU_OPTION', { option: 'OPT_HUGE_PAGES', op: 'OP_GET', obj: ioas })['val'];
  expect(value).toBe(version === 3n ? '0x1' : '0x0');
});

selftest('vfio_compat_mock_domain', 'get_info', (scene, variant) => {
  const { call, view } = compatWorld(scene, variant);
  expect(call(Request.getInfo, [16, 0], [0n])).toBe('');
  const needed = view(4).getUint32(0, true);
  expect(needed).toBeGreaterThan(24);
  // With room: the usable range is the aperture, the number of mappings has no limit; a tail stays as it is.
  scene.ok('fill', { va: STRUCT, length: 256, val: 0x42 });
  expect(call(Request.getInfo, [256, 0], [0n, 0n])).toBe('');
  const info = view(256);
  const found = new Map<number, number>();
  for (let at = info.getUint32(16, true); at !== 0; at = info.getUint32(at + 4, true)) {
    found.set(info.getUint16(at, true), at);
  }
  expect([...found.keys()].sort()).toEqual([1, 3]);
  const range = found.get(1) as number;
  expect(info.getUint32(range + 8, true)).toBe(1);
  expect([info.getBigUint64(range + 16, true), info.getBigUint64(range + 24, true)]).toEqual([APERTURE, APERTURE_LAST]);
  expect(info.getUint32((found.get(3) as number) + 8, true)).toBe(0xffff_ffff);
  expect([...scene.read(STRUCT + BigInt(needed), 256 - needed)].every((byte) => byte === 0x42)).toBe(true);
});

selftest('vfio_compat_mock_domain', 'map', (scene, variant) => {
  const { map, unmap, device, version } = compatWorld(scene, variant);
  expect(map(BUFFER, PAGE * 8n, APERTURE)).toBe('');
  expect(scene.checkMap(device.hwpt, APERTURE, PAGE * 8n, BUFFER)).toBe('');
  expect(map(BUFFER, PAGE, APERTURE + PAGE)).toBe('EEXIST');
  expect(unmap(APERTURE, PAGE * 8n)).toEqual(['', PAGE * 8n]);
  // Nothing there: fine, and nothing done.
  expect(unmap(APERTURE, PAGE * 8n)).toEqual(['', 0n]);
  // A piece of a mapping: version 2 refuses, version 1 cuts it out.
  expect(map(BUFFER, PAGE * 8n, APERTURE)).toBe('');
  const cut = unmap(APERTURE + PAGE * 2n, PAGE);
  if (version === 3n) {
    expect(cut).toEqual(['ENOENT', 0n]);
    expect(scene.checkMap(device.hwpt, APERTURE, PAGE * 8n, BUFFER)).toBe('');
  } else {
    expect(cut).toEqual(['', PAGE]);
    expect(scene.checkMap(device.hwpt, APERTURE, PAGE * 2n, BUFFER)).toBe('');
    expect(scene.checkMap(device.hwpt, APERTURE + PAGE * 2n, PAGE, BUFFER + PAGE * 2n)).toBe('EINVAL');
    expect(scene.checkMap(device.hwpt, APERTURE + PAGE * 3n, PAGE * 5n, BUFFER + PAGE * 3n)).toBe('');
    expect(unmap(APERTURE, PAGE * 8n)).toEqual(['', PAGE * 7n]);
  }
});

selftest('vfio_compat_mock_domain', 'huge_map', (scene, variant) => {
  const { map, unmap, device, version } = compatWorld(scene, variant);
  const huge = 0x7f80_0000_0000n;
  scene.ok('mmap', { addr: huge, length: MOCK_HUGE * 4n, huge: 1 });
  const at = APERTURE + MOCK_HUGE;
  expect(map(huge, MOCK_HUGE * 2n, at)).toBe('');
  expect(scene.checkMap(device.hwpt, at, MOCK_HUGE * 2n, huge)).toBe('');
  if (version === 3n) {
    expect(unmap(at, MOCK_HUGE / 2n)).toEqual(['ENOENT', 0n]);
    expect(unmap(at, MOCK_HUGE * 2n)).toEqual(['', MOCK_HUGE * 2n]);
    return;
  }
  // A quarter from each end of the huge pages, then what is left in one call.
  for (const part of [0n, 3n, 5n]) {
    const [error, done] = unmap(at + (part * MOCK_HUGE) / 4n, MOCK_HUGE / 4n);
    expect([error, done]).toEqual(['', MOCK_HUGE / 4n]);
  }
  expect(scene.checkMap(device.hwpt, at + MOCK_HUGE / 4n, MOCK_HUGE / 2n, huge + MOCK_HUGE / 4n)).toBe('');
  expect(unmap(at, MOCK_HUGE * 2n)).toEqual(['', (MOCK_HUGE * 5n) / 4n]);
});
