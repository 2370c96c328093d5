// A mediated device's driver that keeps to the contract of vfio_pin_pages (include/linux/vfio.h).
import { expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { PinningDriver } from '../../../../src/stack/vfio/pinning-driver.ts';
import { BUFFER, ContainerBench } from '../../../support/container-bench.ts';

const PAGE = 0x1000n;
const IOVA = 0x10_0000n;
const READ_WRITE = 3;

function setup() {
  const bench = new ContainerBench();
  const driver = new PinningDriver();
  const parts = { name: 'mdev', driver, hardware: undefined, iommuGroup: undefined };
  const device = bench.registry.registerEmulated(parts);
  const { group, container } = bench.enter(device);
  bench.map(container, IOVA, BUFFER, 8n * PAGE);
  const fd = bench.deviceFd(group, 'mdev');
  return { bench, driver, device, group, container, fd };
}

it('gives back one pin a call', () => {
  const { bench, driver, device } = setup();
  expect(bench.run(driver.pin(device, IOVA, 2, READ_WRITE))).toBe(2);
  expect(bench.run(driver.pin(device, IOVA, 2, READ_WRITE))).toBe(2);
  expect(driver.heldPages).toBe(2);
  expect(bench.run(driver.unpin(device, IOVA, 2))).toBe(true);
  expect(bench.pins(BUFFER)).toBe(1);
  expect(bench.run(driver.unpin(device, IOVA, 2))).toBe(true);
  expect(bench.pins(BUFFER)).toBe(0);
  expect(bench.run(driver.unpin(device, IOVA, 2))).toBe(false);
});

it('lets go of what an unmap meets, so that the unmap succeeds', () => {
  const { bench, driver, device, container } = setup();
  bench.map(container, 2n * IOVA, BUFFER, PAGE);
  bench.run(driver.pin(device, IOVA + PAGE, 2, READ_WRITE));
  bench.run(driver.pin(device, IOVA + PAGE, 2, READ_WRITE));
  bench.run(driver.pin(device, 2n * IOVA, 1, READ_WRITE));
  expect(bench.unmap(container, IOVA, 8n * PAGE)).toBe(8n * PAGE);
  expect(driver.heldPages).toBe(1);
  expect(bench.pins(BUFFER + PAGE)).toBe(0);
});

it('remembers nothing of a pin that failed', () => {
  const { bench, driver, device } = setup();
  expect(bench.run(driver.pin(device, IOVA + 7n * PAGE, 2, READ_WRITE))).toBe(-Errno.EINVAL);
  expect(driver.heldPages).toBe(0);
  expect(bench.pins(BUFFER + 7n * PAGE)).toBe(0);
});

it('pins nothing beyond its last close', () => {
  const { bench, driver, device, fd } = setup();
  bench.run(driver.pin(device, IOVA, 3, READ_WRITE));
  bench.close(fd);
  expect(driver.heldPages).toBe(0);
  expect(bench.pins(BUFFER)).toBe(0);
});
