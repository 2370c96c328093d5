// Sequence chart: a group moves from one container to another (Linux drivers/vfio/{group,container,vfio_iommu_type1}.c).
// The device is blocked, back in the default domain between the containers, and never on both sets of mappings.
import { expect, it } from 'vitest';
import { LEGACY_5_10_PROFILE } from '../../src/stack/vfio/profile.ts';
import { chartSystem, drawOpens } from '../support/chart-system.ts';
import { BUFFER } from '../support/container-bench.ts';

const PAGE = 0x1000n;
const [OLD, NEW] = [0x10_0000n, 0x20_0000n];

/** A device open in one container, and another container with a mapping; `coherent` = their domains can be shared. */
function setup(coherent: boolean, options?: Parameters<typeof chartSystem>[0]) {
  const made = chartSystem(options);
  const { bench, system, chart } = made;
  const device = bench.device({ coherent });
  drawOpens(chart, device);
  const opened = system.opened(device);
  bench.map(opened.container, OLD, BUFFER, 2n * PAGE);
  const target = bench.enter(bench.device()).container;
  bench.map(target, NEW, BUFFER, 2n * PAGE);
  chart.take();
  return { ...made, device, ...opened, target };
}

it('the last close stops the device and frees the container for the move', () => {
  const { system, chart, device, fd } = setup(false);
  expect(device.group.containerUsers).toBe(2);
  system.close(fd);
  expect(chart.take()).toEqual(['close_device']);
  expect(device.group.containerUsers).toBe(1);
});

it('UNSET_CONTAINER blocks first, unmaps then, and ends in the default domain', () => {
  const { system, bench, chart, fd, group, container } = setup(false);
  system.close(fd);
  chart.take();
  bench.unsetContainer(group);
  expect(chart.take()).toEqual([
    'vfio_iommu_type1_detach_group',
    '  iommu_detach_group',
    '    drv.attach d0.0 blocked',
    '  drv.unmap A 100000 2000',
    '  drv.sync A',
    '  drv.free A',
    'iommu_group_release_dma_owner',
    '  drv.attach d0.0 identity',
  ]);
  expect(bench.pins(BUFFER)).toBe(1);
  // The container is empty: it has to be set up again.
  expect(bench.map(container, OLD, BUFFER, PAGE)).toBe(-22);
});

it('SET_CONTAINER blocks, attaches an empty domain, probes it and fills it', () => {
  const { system, bench, chart, device, fd, group, target } = setup(false);
  system.close(fd);
  bench.unsetContainer(group);
  chart.take();
  bench.setContainer(group, target);
  bench.deviceFd(group, device.name);
  expect(chart.take()).toEqual([
    'iommu_group_claim_dma_owner',
    '  drv.attach d0.0 blocked',
    'vfio_iommu_type1_attach_group',
    '  drv.alloc C',
    '  iommu_attach_group',
    '    drv.attach d0.0 C',
    '  drv.enforce C',
    '  drv.map C 0 2000',
    '  drv.unmap C 0 1000',
    '  drv.sync C',
    '  drv.unmap C 1000 1000',
    '  drv.sync C',
    '  drv.map C 200000 2000',
    'open_device',
  ]);
});

it('SET_CONTAINER goes through blocking into a domain that fits, and drops its own', () => {
  const { system, bench, chart, fd, group, target } = setup(true);
  system.close(fd);
  bench.unsetContainer(group);
  chart.take();
  bench.setContainer(group, target);
  expect(chart.take()).toEqual([
    'iommu_group_claim_dma_owner',
    '  drv.attach d0.0 blocked',
    'vfio_iommu_type1_attach_group',
    '  drv.alloc C',
    '  iommu_attach_group',
    '    drv.attach d0.0 C',
    '  drv.enforce C',
    '  iommu_detach_group',
    '    drv.attach d0.0 blocked',
    '  iommu_attach_group',
    '    drv.attach d0.0 B',
    '  drv.free C',
  ]);
});

it('a container without a backend attaches its groups at SET_IOMMU', () => {
  const { system, bench, chart, fd, group } = setup(false);
  system.close(fd);
  bench.unsetContainer(group);
  chart.take();
  const empty = bench.openContainer();
  bench.setContainer(group, empty);
  expect(chart.take()).toEqual(['iommu_group_claim_dma_owner', '  drv.attach d0.0 blocked']);
  bench.setIommu(empty);
  expect(chart.take().slice(0, 4)).toEqual([
    'vfio_iommu_type1_attach_group',
    '  drv.alloc C',
    '  iommu_attach_group',
    '    drv.attach d0.0 C',
  ]);
});

it('before Linux 5.19 nothing is claimed: the device sits in its default domain in between', () => {
  const { system, bench, chart, fd, group, target } = setup(false, { profile: LEGACY_5_10_PROFILE });
  system.close(fd);
  chart.take();
  bench.unsetContainer(group);
  expect(chart.take().slice(0, 3)).toEqual([
    'vfio_iommu_type1_detach_group',
    '  iommu_detach_group',
    '    drv.attach d0.0 identity',
  ]);
  bench.setContainer(group, target);
  const lines = chart.take();
  expect(lines.slice(0, 4)).toEqual([
    'vfio_iommu_type1_attach_group',
    '  drv.alloc C',
    '  iommu_attach_group',
    '    drv.attach d0.0 C',
  ]);
  expect(lines.join()).not.toContain('blocked');
});
