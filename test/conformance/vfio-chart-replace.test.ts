// Sequence chart: a second ATTACH without DETACH (Linux drivers/iommu/iommufd/device.c iommufd_device_replace). The new page
// table is filled first, the group goes straight from old to new, and a failure leaves the old one.
import { expect, it } from 'vitest';
import { chartSystem } from '../support/chart-system.ts';
import { BUFFER } from '../support/container-bench.ts';
import type { TableDeviceTraits } from '../support/table-driver.ts';

const PAGE = 0x1000n;

function setup(...traits: TableDeviceTraits[]) {
  const made = chartSystem();
  const { system, bench, chart } = made;
  const devices = bench.devices(...(traits.length === 0 ? [{}] : traits));
  const device = devices[0] as (typeof devices)[number];
  const { fd, iommufd } = system.bound(device);
  const first = system.ioas(iommufd);
  const second = system.ioas(iommufd);
  system.ioasMap(iommufd, first, 0x10_0000n, BUFFER, 2n * PAGE);
  system.ioasMap(iommufd, second, 0x20_0000n, BUFFER, 2n * PAGE);
  const hwpt = system.attach(fd, first);
  chart.take();
  return { ...made, device, devices, fd, iommufd, first, second, hwpt };
}

it('fills the new page table, switches once, and drops the old one', () => {
  const { system, chart, fd, second } = setup();
  system.attach(fd, second);
  expect(chart.take()).toEqual([
    'iommufd_device_replace',
    '  drv.alloc B',
    '  drv.enforce B',
    '  drv.map B 200000 2000',
    '  iommu_replace_group_handle',
    '    drv.attach d0.0 B',
    '  drv.unmap A 100000 2000',
    '  drv.sync A',
    '  drv.free A',
  ]);
});

it('takes the page table that the other IOAS has', () => {
  const { system, bench, chart, fd, iommufd, second } = setup();
  system.attach(system.bound(bench.device(), iommufd).fd, second);
  chart.take();
  system.attach(fd, second);
  expect(chart.take()).toEqual([
    'iommufd_device_replace',
    '  iommu_replace_group_handle',
    '    drv.attach d0.0 B',
    '  drv.unmap A 100000 2000',
    '  drv.sync A',
    '  drv.free A',
  ]);
});

it('calls nothing when the page table is the same', () => {
  const { system, chart, fd, first, hwpt } = setup();
  expect(system.attach(fd, hwpt)).toBe(hwpt);
  expect(system.attach(fd, first)).toBe(hwpt);
  expect(chart.take()).toEqual(['iommufd_device_replace', 'iommufd_device_replace']);
});

it('moves every device of the group with one call', () => {
  const { system, chart, devices, iommufd, first, fd, second } = setup({}, {});
  system.attach(system.bound(devices[1] as (typeof devices)[number], iommufd).fd, first);
  chart.take();
  system.attach(fd, second);
  const attaches = chart.take().filter((line) => line.includes('drv.attach'));
  expect(attaches).toEqual(['    drv.attach d0.0 B', '    drv.attach d0.1 B']);
});

it('leaves the old page table attached when the driver refuses the new one', () => {
  const { system, bench, chart, device, fd, iommufd, hwpt } = setup({ exclusive: true });
  const other = system.bound(bench.device(), iommufd);
  const foreign = system.hwpt(iommufd, other.id, system.ioas(iommufd));
  chart.take();
  expect(system.attach(fd, foreign)).toBe(-22);
  expect(chart.take()).toEqual(['iommufd_device_replace', '  iommu_replace_group_handle', '    drv.attach d0.0 B']);
  expect(device.group.iommuGroup?.domain).toBe(bench.driver.domains[0]);
  expect(system.attach(fd, hwpt)).toBe(hwpt);
  expect(bench.driver.domains[0]?.pages.size).toBe(2);
});
