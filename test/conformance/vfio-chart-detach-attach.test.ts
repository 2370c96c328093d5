// Sequence chart: DETACH, then ATTACH to another IOAS, on a device that stays bound (Linux drivers/iommu/iommufd/device.c).
// Blocked from the detach on, and with a new page table unmapped until that is filled; never in the default domain.
import { expect, it } from 'vitest';
import { chartSystem } from '../support/chart-system.ts';
import { BUFFER } from '../support/container-bench.ts';

const PAGE = 0x1000n;

function setup() {
  const made = chartSystem();
  const { system, bench, chart } = made;
  const device = bench.device();
  const { fd, iommufd } = system.bound(device);
  const first = system.ioas(iommufd);
  const second = system.ioas(iommufd);
  system.ioasMap(iommufd, first, 0x10_0000n, BUFFER, 2n * PAGE);
  system.ioasMap(iommufd, second, 0x20_0000n, BUFFER, 2n * PAGE);
  system.attach(fd, first);
  chart.take();
  return { ...made, device, fd, iommufd, first, second };
}

it('a detach blocks the group, then drops the automatic page table with its mappings', () => {
  const { system, chart, device, fd } = setup();
  system.detach(fd);
  expect(chart.take()).toEqual([
    'iommufd_device_detach',
    '  iommu_detach_group_handle',
    '    drv.attach d0.0 blocked',
    '  drv.unmap A 100000 2000',
    '  drv.sync A',
    '  drv.free A',
  ]);
  expect(device.group.iommuGroup?.ownerCount).toBe(1);
});

it('an attach to an IOAS without a page table attaches an empty one and fills it then', () => {
  const { system, chart, fd, second } = setup();
  system.detach(fd);
  chart.take();
  system.attach(fd, second);
  expect(chart.take()).toEqual([
    'iommufd_device_attach',
    '  drv.alloc B',
    '  drv.enforce B',
    '  iommu_attach_group_handle',
    '    drv.attach d0.0 B',
    '  drv.map B 200000 2000',
  ]);
});

it('an attach to an IOAS whose page table fits attaches that, full as it is', () => {
  const { system, bench, chart, fd, iommufd, second } = setup();
  system.detach(fd);
  system.attach(system.bound(bench.device(), iommufd).fd, second);
  chart.take();
  system.attach(fd, second);
  expect(chart.take()).toEqual(['iommufd_device_attach', '  iommu_attach_group_handle', '    drv.attach d0.0 B']);
});

it('the mappings of the IOAS outlive the detach', () => {
  const { system, chart, fd, first } = setup();
  system.detach(fd);
  chart.take();
  system.attach(fd, first);
  expect(chart.take().at(-1)).toBe('  drv.map B 100000 2000');
});
