import { expect, test } from 'vitest';
import type { PolicyResult } from '../../../../src/report/study/study-case.ts';
import { type ControlEvent, type DmaRow, writeTestBundle } from '../../../support/replay-bundle.ts';
import { study } from '../../../support/switch-study.ts';

/** [rows] Before, in and after the gap. */
const ROWS = 12_000;

const user = (op: ControlEvent['op'], fields: Partial<ControlEvent>): ControlEvent => ({
  kind: 'control',
  op,
  ...fields,
});
const dma = (device: number, afterControl: number): DmaRow => ({ kind: 'dma', device, iova: 0x10_0000, afterControl });

/** Device `device` opened, bound and attached to `10 * device + 2`, in 6 rows; its requests wait for the last. */
function opened(device: number): ControlEvent[] {
  const context = device;
  const first = 10 * device;
  const region = { iova: 0x10_0000, length: 0x4000, userAddress: 0x7f00_0000, flags: 7 };
  const frames = [[0x100, 0x5000 + 0x100 * device, 4]] as const;
  return [
    user('open_iommufd', { context }),
    user('open_cdev', { device }),
    user('VFIO_DEVICE_BIND_IOMMUFD', { device, context, recordedObject: first + 1 }),
    user('IOMMU_IOAS_ALLOC', { context, recordedObject: first + 2 }),
    user('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { device, context, target: first + 2, recordedObject: first + 3 }),
    user('IOMMU_IOAS_MAP', { context, object: first + 2, ...region, frames }),
  ];
}

/**
 * A detach and an attach of device 0, each after the requests recorded before it, with `between` after the detach. Device 1
 * issues as many requests as device 0 all the time.
 */
async function gapWithRequests(between: readonly ControlEvent[] = []): Promise<PolicyResult> {
  const start = [...opened(0), ...opened(1)];
  const requests = (afterControl: number): DmaRow[] =>
    Array.from({ length: ROWS }, (_, row) => dma(row % 2, row % 2 === 0 ? afterControl : 12));
  const detach = start.length + 1;
  const lane = { device: 0, context: 0 };
  const bundle = await writeTestBundle({
    mode: 'scalable',
    devices: [{ driver: 'vfio-pci' }, { driver: 'vfio-pci' }],
    rows: [
      ...start,
      ...requests(6),
      user('VFIO_DEVICE_DETACH_IOMMUFD_PT', { ...lane, afterDma: ROWS - 1 }),
      ...between,
      ...requests(detach),
      user('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { ...lane, target: 2, recordedObject: 4, afterDma: 2 * ROWS - 1 }),
      ...requests(detach + between.length + 1),
    ],
  });
  return (await study(bundle, { policies: ['detach-attach'] })).get('detach-attach')!;
}

test('a device goes on where the recording says that its requests come before the attach', async () => {
  const { dmaRows, switches } = await gapWithRequests();
  expect(dmaRows).toBe(3 * ROWS);
  expect(switches).toHaveLength(1);
  const [{ result, faulted, stoppedPs, absentPs, blackoutPs }] = switches as [(typeof switches)[0]];
  expect(result).toBe(0);
  expect(faulted).toBeGreaterThan(0.9 * (ROWS / 2));
  expect(stoppedPs).toBe(0);
  expect(blackoutPs).toBeLessThan(absentPs + 700_000);
});

test('a device that has stopped goes on when the attach begins to wait for its requests', async () => {
  // Calls of the same program that together take long enough for a fault to come back.
  const maps = Array.from({ length: 40 }, (_, index) => {
    const region = { iova: 0x4000_0000 + 0x1000 * index, length: 0x1000, userAddress: 0x7000_0000, flags: 7 };
    const frames = [[0x4_0000 + index, 0x10_0000 + index, 1]] as const;
    return user('IOMMU_IOAS_MAP', { context: 0, object: 2, ...region, frames });
  });
  const { dmaRows, switches } = await gapWithRequests(maps);
  expect(dmaRows).toBe(3 * ROWS);
  const [{ result, faulted, stoppedPs, absentPs, blackoutPs }] = switches as [(typeof switches)[0]];
  expect(result).toBe(0);
  expect(faulted).toBeGreaterThan(0.9 * (ROWS / 2));
  expect(stoppedPs).toBeGreaterThan(0);
  expect(blackoutPs).toBeLessThan(absentPs + 700_000);
});
