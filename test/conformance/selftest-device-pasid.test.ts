// Behaviours that the kernel's iommufd self-test names in fixture iommufd_device_pasid: page tables at PASIDs of a device
// that has them, and of one that has none.
import { expect } from 'vitest';
import { selftest } from '../support/kernel-selftest.ts';

const PASID = 100;

selftest('iommufd_device_pasid', 'pasid_attach', (scene, variant) => {
  const ioas = scene.ioas();
  const { stdev, idev, hwpt: auto } = scene.device(ioas, variant === 'has_pasid' ? 4 : 0);
  const call =
    (op: string) =>
    (pt: number, pasid: number | string = PASID): string =>
      scene.errno(`TEST_PASID_${op}`, { id: stdev, pasid, pt });
  const [attach, replace] = [call('ATTACH'), call('REPLACE')];
  const at = (hwpt: number, pasid = PASID): string => scene.errno('TEST_PASID_CHECK_HWPT', { id: stdev, pasid, hwpt });
  const detach = (pasid: number | string = PASID): string => scene.errno('TEST_PASID_DETACH', { id: stdev, pasid });
  const rid = (pt: number): string => scene.errno('TEST_MOCK_DOMAIN_REPLACE', { id: stdev, pt });

  const parent = scene.hwpt(idev, ioas, 'NEST_PARENT|ALLOC_PASID') as number;
  const data = scene.nestedData();
  const plain = scene.hwpt(idev, parent, 0, data) as number;
  const [one, two] = [0, 1].map(() => scene.hwpt(idev, parent, 'ALLOC_PASID', data) as number) as [number, number];

  // Nothing there: detach is fine, replace is not.
  expect([detach(), at(0), replace(one)]).toEqual(['', '', 'EINVAL']);
  // The RID is on an automatic page table, which is not made for PASIDs; then on one that is.
  expect(attach(one)).toBe('EINVAL');
  expect(rid(parent)).toBe('');
  if (variant === 'no_pasid') {
    expect(attach(one)).toBe('EINVAL');
    return;
  }
  expect(attach(plain)).toBe('EINVAL');
  expect(attach(ioas)).toBe('EINVAL');
  expect([attach(one), at(one), attach(one), attach(two), at(one)]).toEqual(['', '', 'EBUSY', 'EBUSY', '']);
  // While a PASID is in use the RID keeps to the rule as well.
  expect([rid(plain), rid(auto), rid(ioas)]).toEqual(['EINVAL', 'ENOENT', 'EINVAL']);
  expect([rid(two), rid(parent)]).toEqual(['', '']);
  expect([replace(two), at(two), replace(two), replace(plain), at(two)]).toEqual(['', '', '', 'EINVAL', '']);
  expect([scene.destroy(two), scene.destroy(parent)]).toEqual(['EBUSY', 'EBUSY']);
  expect([replace(parent), at(parent), detach(), at(0), detach()]).toEqual(['', '', '', '', '']);

  // The driver refuses every second time at one PASID: the old page table stays.
  expect([attach(one, 'PASID_FAILING'), replace(two, 'PASID_FAILING'), at(one, 1024)]).toEqual(['', 'ENOMEM', '']);
  expect([detach('PASID_FAILING'), at(0, 1024)]).toEqual(['', '']);

  // Faults of a PASID go to the queue of its page table.
  const { fault, fault_fd } = scene.ok('IOMMU_FAULT_QUEUE_ALLOC');
  const faulty = scene.hwpt(idev, parent, 'FAULT_ID_VALID|ALLOC_PASID', { ...data, fault }) as number;
  expect(attach(faulty)).toBe('');
  scene.ok('TEST_TRIGGER_IOPF', { dev: idev, pasid: PASID, grpid: 3, perm: 1, addr: 0x1000 });
  expect(scene.ok('fault_read', { fd: fault_fd })['faults']).toEqual([expect.objectContaining({ pasid: PASID })]);
  expect([detach(), scene.destroy(faulty)]).toEqual(['', '']);
});
