// Sequence chart: attach, replace and detach at a PASID (Linux 6.15 drivers/vfio/iommufd.c, drivers/iommu/iommufd/pasid.c). The
// attachment without PASID is not touched; closing detaches the lowest PASID first.
import { expect, it } from 'vitest';
import { chartSystem } from '../support/chart-system.ts';

/** IOMMU_HWPT_ALLOC_PASID. */
const FOR_PASIDS = 8;

function setup() {
  const made = chartSystem({ version: 'L615' });
  const { system, bench, chart } = made;
  const device = bench.device({ maxPasids: 1024 });
  const { fd, iommufd, id } = system.bound(device);
  const ioas = system.ioas(iommufd);
  const hwpts = [system.hwpt(iommufd, id, ioas, FOR_PASIDS), system.hwpt(iommufd, id, ioas, FOR_PASIDS)] as const;
  chart.take();
  return { ...made, device, fd, ioas, hwpts };
}

it('attach, replace and detach make one driver call each', () => {
  const { system, chart, fd, hwpts } = setup();
  const [first, second] = hwpts;
  expect(system.attach(fd, first, 5)).toBe(first);
  expect(chart.take()).toEqual(['iommufd_device_attach', '  iommu_attach_device_pasid', '    drv.pasid d0.0 5 A']);
  expect(system.attach(fd, second, 5)).toBe(second);
  expect(chart.take()).toEqual(['iommufd_device_replace', '  iommu_replace_device_pasid', '    drv.pasid d0.0 5 B']);
  expect(system.detach(fd, 5)).toBe(0);
  expect(chart.take()).toEqual([
    'iommufd_device_detach',
    '  iommu_detach_device_pasid',
    '    drv.pasid d0.0 5 blocked',
  ]);
});

it('the attachment without PASID stays as it is', () => {
  const { system, bench, chart, device, fd, hwpts } = setup();
  const [first, second] = hwpts;
  system.attach(fd, first);
  chart.take();
  system.attach(fd, second, 5);
  system.attach(fd, first, 5);
  system.detach(fd, 5);
  expect(chart.take().filter((line) => line.includes('drv.attach'))).toEqual([]);
  expect(device.group.iommuGroup?.domain).toBe(bench.driver.domains[0]);
});

it('an IOAS at a PASID is refused: its automatic page tables are not made for PASIDs', () => {
  const { system, fd, ioas } = setup();
  expect(system.attach(fd, ioas, 5)).toBe(-22);
});

it('closing detaches PASIDs in ascending order, then the rest, then gives up ownership', () => {
  const { system, chart, fd, hwpts } = setup();
  const [first] = hwpts;
  system.attach(fd, first);
  for (const pasid of [9, 7]) system.attach(fd, first, pasid);
  chart.take();
  system.close(fd);
  expect(chart.take()).toEqual([
    'iommufd_device_detach',
    '  iommu_detach_device_pasid',
    '    drv.pasid d0.0 7 blocked',
    'iommufd_device_detach',
    '  iommu_detach_device_pasid',
    '    drv.pasid d0.0 9 blocked',
    'iommufd_device_detach',
    '  iommu_detach_group_handle',
    '    drv.attach d0.0 blocked',
    'iommu_device_release_dma_owner',
    '  drv.attach d0.0 identity',
  ]);
});
