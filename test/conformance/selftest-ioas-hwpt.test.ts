// Behaviours that the kernel's iommufd self-test names in fixture iommufd_ioas: page tables attached by their id, nested
// ones with user data and invalidation, hardware information.
import { expect } from 'vitest';
import { selftest } from '../support/kernel-selftest.ts';
import { BUFFER, type SceneDevice } from '../support/selftest-scene.ts';
import { ioasWorld } from '../support/selftest-worlds.ts';

selftest('iommufd_ioas', 'hwpt_attach', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  const [first] = devices;
  if (first === undefined) {
    expect(scene.hwpt(0, ioas)).toBe('ENOENT');
    return;
  }
  const hwpt = scene.hwpt(first.idev, ioas) as number;
  const device = scene.device(hwpt);
  expect(device.hwpt).toBe(hwpt);
  expect(scene.destroy(hwpt)).toBe('EBUSY');
  scene.remove(device);
  expect(scene.destroy(hwpt)).toBe('');
});

selftest('iommufd_ioas', 'get_hw_info', (scene, variant) => {
  const { devices } = ioasWorld(scene, variant);
  const dev = devices[0]?.idev ?? 0;
  const info = (length: number) => scene.run('IOMMU_GET_HW_INFO', { dev, data_len: length, data_uptr: BUFFER });
  if (devices.length === 0) {
    expect(scene.errno('IOMMU_GET_HW_INFO', { dev, data_len: 8, data_uptr: BUFFER })).toBe('ENOENT');
    return;
  }
  for (const length of [0, 4, 8, 64]) {
    scene.ok('fill', { va: BUFFER, length: 128, val: 0xff });
    expect(info(length)).toMatchObject({ rc: 0, out: { data_len: '0x8', data_type: '0xfeedbeef' } });
    const bytes = [...scene.read(BUFFER, 128)];
    // Flags and the mock's register, as much as fits; zeros up to the length given; nothing behind it.
    const known = [0, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde];
    expect(bytes.slice(0, length)).toEqual([...known, ...new Array(56).fill(0)].slice(0, length));
    expect(bytes.slice(length).every((byte) => byte === 0xff)).toBe(true);
  }
  const typed = (type: string | number) =>
    scene.errno('IOMMU_GET_HW_INFO', { dev, flags: 'HWINFO_INPUT_TYPE', in_data_type: type });
  expect(typed('HWINFO_SELFTEST')).toBe(scene.newer ? '' : 'EOPNOTSUPP');
  expect(typed('HWINFO_VTD')).toBe('EOPNOTSUPP');
  if (!scene.newer) return;
  const wide = scene.device(scene.ioas(), 4);
  expect(scene.ok('IOMMU_GET_HW_INFO', { dev: wide.idev })).toMatchObject({ max_pasid_log2: '0x14' });
});

selftest('iommufd_ioas', 'alloc_hwpt_nested', (scene, variant) => {
  const { ioas, devices } = ioasWorld(scene, variant);
  const data = scene.nestedData();
  const [device] = devices;
  if (device === undefined) {
    expect(scene.hwpt(0, ioas, 'NEST_PARENT')).toBe('ENOENT');
    expect(scene.hwpt(0, ioas, 0, data)).toBe('ENOENT');
    return;
  }
  const { idev, stdev, hwpt: auto } = device as SceneDevice;
  const parent = scene.hwpt(idev, ioas, 'NEST_PARENT') as number;
  const plain = scene.hwpt(idev, ioas) as number;

  // What is refused.
  expect(scene.hwpt(idev, ioas, 0x8000_0000)).toBe('EOPNOTSUPP');
  expect(scene.hwpt(idev, 0, 'NEST_PARENT')).toBe('EINVAL');
  expect(scene.hwpt(idev, parent, 0, { data_type: 'DATA_NONE', data_len: 4, data_uptr: BUFFER })).toBe('EINVAL');
  expect(scene.hwpt(idev, parent, 0, { ...data, data_len: 0 })).toBe('EINVAL');
  expect(scene.hwpt(idev, parent, 0, { ...data, data_len: 3 })).toBe('EINVAL');
  expect(scene.hwpt(idev, parent, 0, { ...data, data_type: 'DATA_VTD_S1' })).toBe('EOPNOTSUPP');
  expect(scene.hwpt(idev, parent, 0, { ...data, data_uptr: 0 })).toBe('EFAULT');
  expect(scene.hwpt(idev, parent, 'NEST_PARENT', data)).toBe('EOPNOTSUPP');
  expect(scene.hwpt(idev, plain, 0, data)).toBe('EINVAL');
  expect(scene.hwpt(idev, auto, 0, data)).toBe('EINVAL');
  expect(scene.hwpt(idev, parent, 'FAULT_ID_VALID', { ...data, fault: 0xfff })).toBe('ENOENT');

  // Two nested page tables and one that takes faults; none nests on another, and the parent stays.
  const nested = [0, 1].map(() => scene.hwpt(idev, parent, 0, data) as number) as [number, number];
  const { fault, fault_fd } = scene.ok('IOMMU_FAULT_QUEUE_ALLOC');
  const faulty = scene.hwpt(idev, parent, 'FAULT_ID_VALID', { ...data, fault }) as number;
  expect(scene.hwpt(idev, nested[0], 0, data)).toBe('EINVAL');
  expect(scene.destroy(parent)).toBe('EBUSY');
  expect(scene.destroy(fault)).toBe('EBUSY');
  for (const iotlb_id of [0, 1, 2, 3]) scene.ok('TEST_MD_CHECK_IOTLB', { id: nested[0], iotlb_id, iotlb: 0xbad_beef });

  // Invalidation: rules on the array, entries done so far, what they did.
  const array = BUFFER + 0x2000n;
  const invalidate = (entries: number[][], more: Record<string, string | number> = {}) => {
    for (const [index, word] of entries.flat().entries()) {
      scene.ok('poke32', { va: array + BigInt(4 * index), val: word });
    }
    const args = { hwpt: nested[0], data_uptr: array, data_type: 'VINV_SELFTEST', entry_len: 8, ...more };
    const { rc, out } = scene.run('IOMMU_HWPT_INVALIDATE', { entry_num: entries.length, ...args });
    return [rc, out?.['entry_num']];
  };
  expect(invalidate([], { data_uptr: 0, entry_len: 0 })).toEqual([0, '0x0']);
  expect(invalidate([[0, 0]], { data_uptr: 0 })).toEqual([-22, '0x0']);
  expect(invalidate([[0, 0]], { entry_len: 0 })).toEqual([-22, '0x0']);
  expect(invalidate([[0, 0]], { entry_len: 4 })).toEqual([-22, '0x0']);
  expect(invalidate([[0, 0]], { data_type: 1 })).toEqual([-22, '0x0']);
  expect(invalidate([[0xffff_ffff, 0]])).toEqual([-95, '0x0']);
  expect(invalidate([[0, 0xff]])).toEqual([-22, '0x0']);
  const iotlb = (id: number, value: number) =>
    scene.errno('TEST_MD_CHECK_IOTLB', { id: nested[0], iotlb_id: id, iotlb: value });
  expect([
    invalidate([
      [0, 0],
      [0x8000_0000, 0],
    ])[1],
    iotlb(0, 0),
    iotlb(1, 0xbad_beef),
  ]).toEqual(['0x1', '', '']);
  expect(
    invalidate([
      [0, 1],
      [0, 2],
    ]),
  ).toEqual([0, '0x2']);
  expect([iotlb(1, 0), iotlb(2, 0), iotlb(3, 0xbad_beef)]).toEqual(['', '', '']);
  expect(invalidate([[1, 0]])).toEqual([0, '0x1']);
  expect(iotlb(3, 0)).toBe('');

  // Replaces among them; the one in use cannot go.
  const replace = (pt: number) => scene.errno('TEST_MOCK_DOMAIN_REPLACE', { id: stdev, pt });
  expect([replace(nested[0]), scene.destroy(nested[0])]).toEqual(['', 'EBUSY']);
  expect([replace(nested[1]), scene.destroy(nested[1]), scene.destroy(nested[0])]).toEqual(['', 'EBUSY', '']);
  expect(replace(faulty)).toBe('');
  scene.ok('TEST_TRIGGER_IOPF', { dev: idev, pasid: 0, grpid: 2, perm: 1, addr: 0xdead_0000 });
  const { faults } = scene.ok('fault_read', { fd: fault_fd });
  expect(faults).toEqual([expect.objectContaining({ grpid: 2, perm: 1, addr: '0xdead0000' })]);
  scene.ok('fault_write', { fd: fault_fd, cookie: faults[0].cookie, code: 0 });
  expect([replace(parent), scene.destroy(faulty), scene.destroy(parent)]).toEqual(['', '', 'EBUSY']);
  expect(replace(ioas)).toBe('');
  expect([scene.destroy(nested[1]), scene.destroy(parent)]).toEqual(['', '']);
});
