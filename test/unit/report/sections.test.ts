import { expect, test } from 'vitest';
import { FaultReason } from '../../../src/hw/vtd/fault-reasons.ts';
import { controlClass, shortOpName } from '../../../src/report/sections/control-class.ts';
import { faultReasonText } from '../../../src/report/sections/faults.ts';
import { modelCardSection } from '../../../src/report/sections/model-card.ts';
import { CONTROL_OPS } from '../../../src/trace/schema/control-ops.ts';
import { profileCards } from '../../support/run-result-builder.ts';

test('every fault that the model can raise has words of its own', () => {
  for (const [name, reason] of Object.entries(FaultReason)) {
    if (name !== 'none') expect(faultReasonText(reason), name).not.toMatch(/^reason/);
  }
  expect(faultReasonText(0xee)).toBe('reason 0xee');
});

test.each([
  ['IOMMU_IOAS_MAP', 'map'],
  ['dma_map', 'map'],
  ['dma_alloc', 'map'],
  ['IOMMU_IOAS_UNMAP', 'unmap'],
  ['VFIO_IOMMU_UNMAP_DMA', 'unmap'],
  ['dma_free', 'unmap'],
  ['IOMMU_HWPT_INVALIDATE', 'unmap'],
  ['user_store', 'map'],
  ['VFIO_DEVICE_ATTACH_IOMMUFD_PT', 'domain change'],
  ['VFIO_DEVICE_DETACH_IOMMUFD_PT', 'domain change'],
  ['VFIO_GROUP_SET_CONTAINER', 'domain change'],
  ['IOMMU_HWPT_SET_DIRTY_TRACKING', 'dirty tracking'],
  ['VFIO_DEVICE_BIND_IOMMUFD', 'object'],
  ['open_cdev', 'object'],
  // Takes or gives back the right to do DMA; the domain stays.
  ['driver_bind', 'object'],
  ['marker', 'other'],
])('%s is of the class %s', (op, name) => {
  expect(controlClass(op)).toBe(name);
});

test('only events that change nothing in the IOMMU have no class', () => {
  expect(CONTROL_OPS.filter((op) => controlClass(op) === 'other')).toEqual([
    'marker',
    'lost_events',
    'device_dma',
    'vfio_pin_pages',
    'vfio_unpin_pages',
    'vfio_dma_rw',
  ]);
});

test('short names stay unique', () => {
  const names = CONTROL_OPS.map(shortOpName);
  expect(new Set(names).size).toBe(names.length);
});

test('a number that rests on anything and an assumption is an assumption', () => {
  const [card] = profileCards();
  const number = { path: 'a', value: 1, unit: '', source: '' };
  const bases = ['M', 'M/A', 'X', 'assumption', 'P2'].map((basis) => ({ ...number, basis }));
  const { by_basis, assumption_share } = modelCardSection([{ ...card!, numbers: bases }]);
  expect(by_basis.map(({ basis, count }) => [basis, count])).toEqual([
    ['M', 1],
    ['P', 1],
    ['X', 1],
    ['A', 2],
  ]);
  expect(assumption_share).toBe(0.4);
});
