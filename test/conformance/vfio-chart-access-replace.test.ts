// Sequence chart: an attached mediated device goes to another IOAS (Linux drivers/iommu/iommufd/device.c
// iommufd_access_change_ioas). New pins fail from the first step on; the IOMMU driver is never called.
import { expect, it } from 'vitest';
import { Errno } from '../../src/errno.ts';
import { pinPages, unpinPages } from '../../src/stack/vfio/pin-pages.ts';
import { chartSystem } from '../support/chart-system.ts';
import { BUFFER } from '../support/container-bench.ts';

const PAGE = 0x1000n;
const IOVA = 0x10_0000n;

function setup() {
  const made = chartSystem();
  const { system, bench, chart } = made;
  const { device, driver } = bench.emulated();
  const { fd, iommufd } = system.bound(device);
  const first = system.ioas(iommufd);
  const second = system.ioas(iommufd);
  system.ioasMap(iommufd, first, IOVA, BUFFER, PAGE);
  system.attach(fd, first);
  bench.run(pinPages(device, IOVA, 1, 1, []));
  const during: number[] = [];
  driver.onUnmap = function* () {
    during.push(yield* pinPages(device, IOVA, 1, 1, []));
    chart.note('vfio_unpin_pages');
    yield* unpinPages(device, IOVA, 1);
  };
  chart.take();
  return { ...made, device, driver, fd, iommufd, first, second, during };
}

it('joins the new IOAS, asks for the pins of the old one, leaves that', () => {
  const { system, bench, chart, driver, fd, second, during } = setup();
  expect(system.attach(fd, second)).toBe(second);
  expect(chart.take()).toEqual([
    'iommufd_access_replace',
    '  iopt_add_access',
    '  dma_unmap',
    '    vfio_unpin_pages',
    '  iopt_remove_access',
  ]);
  expect(driver.unmaps).toEqual(['0 ffffffffffffffff']);
  expect(during).toEqual([-Errno.ENOENT]);
  expect(bench.pins(BUFFER)).toBe(0);
});

it('does the same without a new IOAS on detach', () => {
  const { system, chart, fd } = setup();
  system.detach(fd);
  expect(chart.take()).toEqual([
    'iommufd_access_detach',
    '  dma_unmap',
    '    vfio_unpin_pages',
    '  iopt_remove_access',
  ]);
});

it('does nothing for the same IOAS', () => {
  const { system, chart, fd, first } = setup();
  expect(system.attach(fd, first)).toBe(first);
  expect(chart.take()).toEqual(['iommufd_access_replace']);
});

it('calls nobody back when the new IOAS has an area of other alignment: EADDRINUSE, and the old one stays', () => {
  const { system, bench, chart, device, driver, fd, iommufd, second } = setup();
  const user = BUFFER + 0x800n;
  expect(system.ioasMap(iommufd, second, IOVA + 0x800n, user, PAGE)).toBe(0);
  expect(system.attach(fd, second)).toBe(-Errno.EADDRINUSE);
  expect(chart.take()).toEqual(['iommufd_access_replace', '  iopt_add_access']);
  expect(driver.unmaps).toEqual([]);
  expect(bench.run(pinPages(device, IOVA, 1, 1, []))).toBe(1);
});
