// Behaviours that the kernel's iommufd self-test names in fixture iommufd_viommu: virtual IOMMUs on a nest parent, their
// devices, events, invalidation and hardware queues. `no_viommu` has no vIOMMU: everything is refused for want of one.
import { expect } from 'vitest';
import { selftest } from '../support/kernel-selftest.ts';
import { APERTURE, BUFFER, PAGE, type SelftestScene } from '../support/selftest-scene.ts';

/** Fixture: a device, a nest parent, and in the other variant a vIOMMU on it. */
function viommuWorld(scene: SelftestScene, variant: string) {
  const ioas = scene.ioas();
  const device = scene.device(ioas);
  const parent = scene.hwpt(device.idev, ioas, 'NEST_PARENT') as number;
  const args = { type: 'VIOMMU_SELFTEST', dev: device.idev, hwpt: parent };
  const viommu = variant === 'no_viommu' ? 0 : (scene.ok('IOMMU_VIOMMU_ALLOC', args)['viommu'] as number);
  const vdevice = (virtId: number | bigint, dev = device.idev) =>
    scene.run('IOMMU_VDEVICE_ALLOC', { viommu, dev, virt_id: virtId });
  return { ioas, device, parent, viommu, args, vdevice };
}

selftest('iommufd_viommu', 'viommu_auto_destroy', (scene, variant) => {
  viommuWorld(scene, variant);
  expect(scene.close()).toBe('');
});

selftest('iommufd_viommu', 'viommu_negative_tests', (scene, variant) => {
  const { ioas, device, parent, viommu, args } = viommuWorld(scene, variant);
  const alloc = (change: Record<string, string | number>): string =>
    scene.errno('IOMMU_VIOMMU_ALLOC', { ...args, ...change });
  expect(alloc({ hwpt: 0 })).toBe('ENOENT');
  expect(alloc({ dev: 0 })).toBe('ENOENT');
  expect(alloc({ hwpt: device.hwpt })).toBe('EINVAL');
  expect(alloc({ type: 0 })).toBe('EOPNOTSUPP');
  expect(alloc({ flags: 1 })).toBe('EOPNOTSUPP');
  if (viommu === 0) return;
  // Parent and vIOMMU hold each other's lives: nested page tables above, the parent below.
  expect(scene.destroy(parent)).toBe('EBUSY');
  const data = scene.nestedData();
  const nested = scene.hwpt(device.idev, viommu, 0, data) as number;
  expect(scene.destroy(viommu)).toBe('EBUSY');
  expect(scene.hwpt(device.idev, viommu)).toBe('EOPNOTSUPP');
  expect([scene.destroy(nested), scene.destroy(viommu), scene.destroy(parent)]).toEqual(['', '', '']);
  expect(scene.hwpt(device.idev, ioas)).toBeGreaterThan(0);
});

selftest('iommufd_viommu', 'viommu_alloc_nested_iopf', (scene, variant) => {
  const { device, viommu, vdevice } = viommuWorld(scene, variant);
  const data = scene.nestedData();
  const { fault, fault_fd } = scene.ok('IOMMU_FAULT_QUEUE_ALLOC');
  expect(scene.hwpt(device.idev, viommu, 'FAULT_ID_VALID', { ...data, fault: 0 })).toBe('ENOENT');
  expect(scene.hwpt(device.idev, viommu, 0x8000_0000, { ...data, fault })).toBe('EOPNOTSUPP');
  const nested = scene.hwpt(device.idev, viommu, 'FAULT_ID_VALID', { ...data, fault }) as number;
  const attach = (): string => scene.errno('TEST_MOCK_DOMAIN_REPLACE', { id: device.stdev, pt: nested });
  // The virtual stage needs to know the device.
  expect(attach()).toBe('ENOENT');
  expect(vdevice(0x99).rc).toBe(0);
  expect([attach(), scene.destroy(nested)]).toEqual(['', 'EBUSY']);
  scene.ok('TEST_TRIGGER_IOPF', { dev: device.idev, pasid: 0, grpid: 7, perm: 2, addr: 0x4000 });
  expect(scene.ok('fault_read', { fd: fault_fd })['faults']).toHaveLength(1);
});

selftest('iommufd_viommu', 'viommu_alloc_with_data', (scene, variant) => {
  const { args } = viommuWorld(scene, variant);
  scene.ok('poke32', { va: BUFFER, val: 0xbeef });
  const { viommu } = scene.ok('IOMMU_VIOMMU_ALLOC', { ...args, data_len: 24, data_uptr: BUFFER });
  // The driver gives the input back, and tells where to map two pages of its own.
  const reply = new DataView(Uint8Array.from(scene.read(BUFFER, 24)).buffer);
  expect(reply.getUint32(4, true)).toBe(0xbeef);
  const offset = reply.getBigUint64(8, true);
  expect(reply.getBigUint64(16, true)).toBe(PAGE * 2n);
  const at = 0x7f30_0000_0000n;
  const map = (from: bigint, length: bigint): string =>
    scene.errno('mmap_fd', { fd: scene.fd, addr: at, offset: from, length });
  expect([map(offset, PAGE), map(offset + PAGE, PAGE), map(0n, PAGE * 2n)]).toEqual(['ENXIO', 'ENXIO', 'ENXIO']);
  expect(map(offset, PAGE * 2n)).toBe('');
  expect(new DataView(Uint8Array.from(scene.read(at, 4)).buffer).getUint32(0, true)).toBe(0xbeef);
  expect(scene.destroy(viommu)).toBe('EBUSY');
  scene.ok('munmap', { va: at, length: PAGE * 2n });
  expect(scene.destroy(viommu)).toBe('');
});

selftest('iommufd_viommu', 'vdevice_alloc', (scene, variant) => {
  const { device, viommu, vdevice } = viommuWorld(scene, variant);
  if (viommu === 0) {
    expect(scene.errno('IOMMU_VDEVICE_ALLOC', { viommu: 0, dev: device.idev, virt_id: 0x99 })).toBe('ENOENT');
    return;
  }
  const queue = { viommu, type: 'VEVENTQ_SELFTEST' };
  expect(scene.errno('TEST_TRIGGER_VEVENT', { dev: device.idev })).toBe('ENOENT');
  expect(scene.errno('IOMMU_VEVENTQ_ALLOC', { ...queue, depth: 0 })).toBe('EINVAL');
  expect(scene.errno('IOMMU_VEVENTQ_ALLOC', { ...queue, type: 0, depth: 3 })).toBe('EOPNOTSUPP');
  const { veventq, veventq_fd: fd } = scene.ok('IOMMU_VEVENTQ_ALLOC', { ...queue, depth: 3 });
  expect(scene.errno('IOMMU_VEVENTQ_ALLOC', { ...queue, depth: 3 })).toBe('EEXIST');
  expect(vdevice(0x99).rc).toBe(0);
  expect(vdevice(0x99).rc).toBe(-17);
  // Events need the device attached through its vIOMMU. They carry the virtual id and a number each; too many of them
  // leave a mark instead.
  const nested = scene.hwpt(device.idev, viommu, 0, scene.nestedData()) as number;
  scene.ok('TEST_MOCK_DOMAIN_REPLACE', { id: device.stdev, pt: nested });
  const trigger = (count: number): void => {
    for (let i = 0; i < count; i++) scene.ok('TEST_TRIGGER_VEVENT', { dev: device.idev });
  };
  trigger(1);
  expect(scene.errno('vevent_read', { fd, length: 4 })).toBe('EINVAL');
  expect(scene.ok('vevent_read', { fd })['events']).toEqual([{ flags: 0, sequence: 0, virt_id: '0x99' }]);
  trigger(4);
  const { events } = scene.ok('vevent_read', { fd });
  expect(events.map(({ sequence }: { sequence: number }) => sequence)).toEqual([1, 2, 3, 4]);
  expect(events.at(-1)).toEqual({ flags: 1, sequence: 4 });
  expect(scene.errno('vevent_read', { fd })).toBe('EAGAIN');
  expect(scene.destroy(veventq)).toBe('EBUSY');
});

selftest('iommufd_viommu', 'vdevice_cache', (scene, variant) => {
  const { device, viommu, vdevice } = viommuWorld(scene, variant);
  const array = BUFFER + 0x2000n;
  const invalidate = (entries: number[][], more: Record<string, string | number> = {}) => {
    for (const [index, word] of entries.flat().entries()) {
      scene.ok('poke32', { va: array + BigInt(4 * index), val: word });
    }
    const args = { hwpt: viommu, data_uptr: array, data_type: 'VINV_SELFTEST', entry_len: 12, ...more };
    const { rc, out } = scene.run('IOMMU_HWPT_INVALIDATE', { entry_num: entries.length, ...args });
    return [rc, out?.['entry_num']];
  };
  const cache = (id: number, value: number | string): string =>
    scene.errno('TEST_DEV_CHECK_CACHE', { dev: device.idev, cache_id: id, cache: value });
  expect(vdevice(0x99).rc).toBe(0);
  expect([0, 1, 2, 3].map((id) => cache(id, 'CACHE_DEFAULT'))).toEqual(['', '', '', '']);
  expect(invalidate([])).toEqual([0, '0x0']);
  expect(invalidate([[0, 0x99, 0]], { data_uptr: 0 })).toEqual([-22, '0x0']);
  expect(invalidate([[0, 0x99, 0]], { entry_len: 0 })).toEqual([-22, '0x0']);
  expect(invalidate([[0, 0x99, 0]], { data_type: 1 })).toEqual([-22, '0x0']);
  expect(invalidate([[0xffff_ffff, 0x99, 0]])).toEqual([-95, '0x0']);
  expect(invalidate([[0, 0x99, 4]])).toEqual([-22, '0x0']);
  expect(invalidate([[0, 0x98, 0]])).toEqual([-22, '0x0']);
  expect(
    invalidate([
      [0, 0x99, 0],
      [0, 0x98, 1],
    ]),
  ).toEqual([-22, '0x1']);
  expect([cache(0, 0), cache(1, 'CACHE_DEFAULT')]).toEqual(['', '']);
  expect(invalidate([[1, 0x99, 0]])).toEqual([0, '0x1']);
  expect([1, 2, 3].map((id) => cache(id, 0))).toEqual(['', '', '']);
});

selftest('iommufd_viommu', 'hw_queue', (scene, variant) => {
  const { ioas, device, parent, viommu } = viommuWorld(scene, variant);
  const alloc = (index: number, more: Record<string, string | number | bigint> = {}) =>
    scene.run('IOMMU_HW_QUEUE_ALLOC', { viommu, type: 'HWQ_SELFTEST', index, base: APERTURE, length: PAGE, ...more });
  expect(alloc(0, { viommu: 0 }).rc).toBe(-2);
  expect(alloc(0, { type: 0 }).rc).toBe(-95);
  expect(alloc(0, { length: 0 }).rc).toBe(-22);
  expect(alloc(0, { base: 'U64MAX' }).rc).toBe(-75);
  // Nothing mapped there; then only up to the number of queues, and in order.
  expect(alloc(0).rc).toBe(-2);
  expect(scene.map(ioas, BUFFER, PAGE, APERTURE)).toBe('');
  expect(scene.map(ioas, BUFFER + PAGE, PAGE, APERTURE + PAGE)).toBe('');
  expect([alloc(1).rc, alloc(2).rc]).toEqual([-5, -22]);
  const first = Number(alloc(0).out?.['hw_queue']);
  expect(alloc(0).rc).toBe(-17);
  // The queue's memory cannot be unmapped, and queue 1 keeps queue 0.
  const second = Number(alloc(1, { base: APERTURE + PAGE }).out?.['hw_queue']);
  expect([scene.unmap(ioas, APERTURE, PAGE), scene.destroy(first)]).toEqual(['EBUSY', 'EBUSY']);
  expect([scene.destroy(second), scene.destroy(first), scene.unmap(ioas, APERTURE, PAGE)]).toEqual(['', '', '']);
  expect([scene.destroy(viommu), scene.destroy(parent)]).toEqual(['', '']);
  expect(device.idev).toBeGreaterThan(0);
});

selftest('iommufd_viommu', 'vdevice_tombstone', (scene, variant) => {
  const { device, viommu, vdevice } = viommuWorld(scene, variant);
  const id = Number(vdevice(0x99).out?.['vdevice']);
  // The device goes and takes its virtual one along; the id is not given to anybody else.
  scene.remove(device);
  expect(scene.destroy(id)).toBe('ENOENT');
  expect(scene.ioas()).not.toBe(id);
  expect(scene.destroy(viommu)).toBe('');
});
