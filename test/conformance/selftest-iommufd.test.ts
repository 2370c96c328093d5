// Behaviours that the kernel's iommufd self-test names in fixtures iommufd and change_process: files, structure sizes,
// options, the VFIO interface without an IOAS.
import { expect } from 'vitest';
import { errnoName } from '../../src/errno.ts';
import { selftest } from '../support/kernel-selftest.ts';
import { BUFFER, PAGE, type SelftestScene } from '../support/selftest-scene.ts';

/** Known and smallest size of every ioctl of the kernel's table. */
const SIZES: Readonly<Record<string, readonly [known: number, smallest: number]>> = {
  IOMMU_DESTROY: [8, 8],
  IOMMU_IOAS_ALLOC: [12, 12],
  IOMMU_IOAS_ALLOW_IOVAS: [24, 24],
  IOMMU_IOAS_COPY: [40, 40],
  IOMMU_IOAS_IOVA_RANGES: [32, 32],
  IOMMU_IOAS_MAP: [40, 40],
  IOMMU_IOAS_UNMAP: [24, 24],
  IOMMU_OPTION: [24, 24],
  IOMMU_VFIO_IOAS: [12, 12],
  IOMMU_HWPT_ALLOC: [48, 24],
  IOMMU_GET_HW_INFO: [40, 32],
  IOMMU_HWPT_SET_DIRTY_TRACKING: [16, 16],
  IOMMU_HWPT_GET_DIRTY_BITMAP: [48, 48],
  IOMMU_HWPT_INVALIDATE: [32, 32],
  IOMMU_FAULT_QUEUE_ALLOC: [16, 16],
};
const NEWER_SIZES: typeof SIZES = {
  IOMMU_IOAS_MAP_FILE: [40, 40],
  IOMMU_VIOMMU_ALLOC: [40, 24],
  IOMMU_VDEVICE_ALLOC: [24, 24],
  IOMMU_IOAS_CHANGE_PROCESS: [8, 8],
  IOMMU_VEVENTQ_ALLOC: [32, 28],
  IOMMU_HW_QUEUE_ALLOC: [40, 40],
};

/** A VFIO ioctl with a structure of u32 and u64 words. */
function vfio(scene: SelftestScene, request: number, argument: bigint | readonly [number[], bigint[]]): string {
  let address = argument as bigint;
  if (typeof argument !== 'bigint') {
    const [words, quads] = argument;
    const view = new DataView(new ArrayBuffer(words.length * 4 + quads.length * 8));
    for (const [index, word] of words.entries()) view.setUint32(4 * index, word, true);
    for (const [index, quad] of quads.entries()) view.setBigUint64(4 * words.length + 8 * index, quad, true);
    address = BUFFER + 0xe0_0000n;
    scene.process.memory.write(address, new Uint8Array(view.buffer));
  }
  const rc = scene.machine.run(scene.file.ioctl(scene.process, request, address));
  return rc < 0 ? errnoName(rc) : '';
}

const CHECK_EXTENSION = 0x3b65;
const SET_IOMMU = 0x3b66;
const GET_INFO = 0x3b70;
const MAP_DMA = 0x3b71;
const UNMAP_DMA = 0x3b72;

selftest('iommufd', 'simple_close', (scene) => {
  expect(scene.close()).toBe('');
  expect(scene.errno('IOMMU_IOAS_ALLOC')).toBe('EBADF');
});

selftest('iommufd', 'cmd_fail', (scene) => {
  expect(scene.destroy(0)).toBe('ENOENT');
  expect(scene.errno('IOMMU_DESTROY', { nullptr: 1 })).toBe('EFAULT');
  // Below the table's first number, where the VFIO interface is, and an unknown one of another type.
  expect(scene.errno('rawioctl', { fd: scene.fd, nr: 0x3b7f, size: 8 })).toBe('ENOTTY');
});

selftest('iommufd', 'cmd_length', (scene) => {
  const sizes = scene.newer ? { ...SIZES, ...NEWER_SIZES } : SIZES;
  for (const [op, [known, smallest]] of Object.entries(sizes)) {
    expect([op, scene.errno(op, { size: smallest - 1 })]).toEqual([op, 'EINVAL']);
    expect([op, scene.errno(op, { size: known + 1, tail: 1 })]).toEqual([op, 'E2BIG']);
    const exact = scene.errno(op);
    expect([op, scene.errno(op, { size: known + 1 })]).toEqual([op, exact]);
  }
});

selftest('iommufd', 'cmd_ex_fail', (scene) => {
  expect(scene.errno('IOMMU_DESTROY', { id: 0, size: 16 })).toBe('ENOENT');
  expect(scene.errno('IOMMU_DESTROY', { id: 0, size: 16, tail: 1 })).toBe('E2BIG');
  expect(scene.errno('IOMMU_DESTROY', { id: 0, size: 4 })).toBe('EINVAL');
});

selftest('iommufd', 'global_options', (scene) => {
  const option = (args: Record<string, string | number>) => scene.run('IOMMU_OPTION', args);
  expect(option({ option: 'OPT_RLIMIT_MODE', op: 'OP_GET' }).out).toEqual({ val: '0x0' });
  expect(option({ option: 'OPT_RLIMIT_MODE', op: 'OP_SET', val: 1 }).rc).toBe(0);
  expect(option({ option: 'OPT_RLIMIT_MODE', op: 'OP_GET' }).out).toEqual({ val: '0x1' });
  expect(scene.errno('IOMMU_OPTION', { option: 'OPT_RLIMIT_MODE', op: 'OP_SET', val: 2 })).toBe('EINVAL');
  expect(option({ option: 'OPT_RLIMIT_MODE', op: 'OP_SET', val: 0 }).rc).toBe(0);
  expect(scene.errno('IOMMU_OPTION', { option: 'OPT_HUGE_PAGES', op: 'OP_GET' })).toBe('ENOENT');
});

selftest('iommufd', 'simple_ioctls', (scene) => {
  expect(vfio(scene, 0x3b64, 0n)).toBe('');
  const extension = (number: bigint): number =>
    scene.machine.run(scene.file.ioctl(scene.process, CHECK_EXTENSION, number));
  expect([1n, 3n, 9n].map(extension)).toEqual([1, 1, 1]);
});

selftest('iommufd', 'unmap_cmd', (scene) => {
  expect(
    vfio(scene, UNMAP_DMA, [
      [1, 0],
      [PAGE, PAGE],
    ]),
  ).toBe('EINVAL');
  expect(
    vfio(scene, UNMAP_DMA, [
      [24, 1 << 31],
      [PAGE, PAGE],
    ]),
  ).toBe('EINVAL');
  expect(
    vfio(scene, UNMAP_DMA, [
      [24, 0],
      [PAGE, PAGE],
    ]),
  ).toBe('ENODEV');
});

selftest('iommufd', 'map_cmd', (scene) => {
  expect(
    vfio(scene, MAP_DMA, [
      [1, 0],
      [BUFFER, PAGE, PAGE],
    ]),
  ).toBe('EINVAL');
  expect(
    vfio(scene, MAP_DMA, [
      [32, 1 << 31],
      [BUFFER, PAGE, PAGE],
    ]),
  ).toBe('EINVAL');
  expect(
    vfio(scene, MAP_DMA, [
      [32, 3],
      [BUFFER, PAGE, PAGE],
    ]),
  ).toBe('ENODEV');
});

selftest('iommufd', 'info_cmd', (scene) => {
  expect(
    vfio(scene, GET_INFO, [
      [1, 0],
      [0n, 0n],
    ]),
  ).toBe('EINVAL');
  expect(
    vfio(scene, GET_INFO, [
      [24, 0],
      [0n, 0n],
    ]),
  ).toBe('ENODEV');
});

selftest('iommufd', 'set_iommu_cmd', (scene) => {
  expect(vfio(scene, SET_IOMMU, 3n)).toBe('ENODEV');
  expect(vfio(scene, SET_IOMMU, 2n)).toBe('EINVAL');
});

selftest('iommufd', 'vfio_ioas', (scene) => {
  const ioas = scene.ioas();
  const call = (op: string, id = 0) => scene.run('IOMMU_VFIO_IOAS', { op, ioas: id });
  expect(scene.errno('IOMMU_VFIO_IOAS', { op: 'VFIO_IOAS_GET' })).toBe('ENODEV');
  expect(scene.errno('IOMMU_VFIO_IOAS', { op: 'VFIO_IOAS_SET', ioas: 0 })).toBe('ENOENT');
  expect(call('VFIO_IOAS_SET', ioas).rc).toBe(0);
  expect(call('VFIO_IOAS_GET').out).toEqual({ ioas });
  expect(call('VFIO_IOAS_CLEAR').rc).toBe(0);
  expect(scene.errno('IOMMU_VFIO_IOAS', { op: 'VFIO_IOAS_GET' })).toBe('ENODEV');
});

selftest('change_process', 'basic', (scene, variant) => {
  const mode = variant.replace('account_', '');
  if (mode === 'mm') scene.ok('IOMMU_OPTION', { option: 'OPT_RLIMIT_MODE', op: 'OP_SET', val: 1 });
  if (mode !== 'none') scene.ok('drop_ipc_lock');
  const ioas = scene.ioas();
  scene.device(ioas);
  const pins = () => scene.ok('locked_vm');
  const counted = (kb: number) => ({ VmLck_kB: mode === 'mm' ? kb : 0, VmPin_kB: kb });
  expect(scene.map(ioas, BUFFER, PAGE, 0x100_0000n)).toBe('');
  expect(scene.errno('IOMMU_IOAS_CHANGE_PROCESS')).toBe('EINVAL');
  expect(scene.unmapAll(ioas)).toBe(PAGE);
  const fd = Number(scene.run('memfd', { length: 0x2000 }).values?.[0]);
  const flags = 'FIXED_IOVA|WRITEABLE|READABLE';
  scene.ok('IOMMU_IOAS_MAP_FILE', { ioas, flags, file: fd, start: 0, length: 0x2000, iova: 0x100_0000 });
  expect(pins()).toEqual(counted(8));
  scene.inChild(() => {
    scene.ok('IOMMU_IOAS_CHANGE_PROCESS');
    // Pages that were never charged to anybody have nobody to move from.
    expect(pins()).toEqual(counted(mode === 'none' ? 0 : 8));
  });
  expect(pins()).toEqual(counted(mode === 'none' ? 8 : 0));
});
