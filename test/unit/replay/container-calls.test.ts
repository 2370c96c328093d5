// Containers and groups in a replay: Linux drivers/vfio/{container,group,vfio_iommu_type1}.c behind control rows.
import { describe, expect, test } from 'vitest';
import { runReplay } from '../../../src/replay/run.ts';
import { type ControlEvent, type DmaRow, writeTestBundle } from '../../support/replay-bundle.ts';

const VA = 0x7f00_0000_0000;
const READ_WRITE = 3;
const TYPE1V2 = 3;

const control = (op: ControlEvent['op'], fields: Partial<ControlEvent> = {}): ControlEvent => ({
  kind: 'control',
  op,
  recordedResult: 0,
  ...fields,
});
const dma = (page: number, fields: Partial<DmaRow> = {}): DmaRow => ({
  kind: 'dma',
  device: 0,
  iova: page * 4096,
  ...fields,
});
const mapDma = (context: number, page: number, pages: number, pfn: number): ControlEvent =>
  control('VFIO_IOMMU_MAP_DMA', {
    context,
    flags: READ_WRITE,
    iova: page * 4096,
    length: pages * 4096,
    userAddress: VA + page * 4096,
    frames: [[page, pfn, pages]],
  });
const unmapDma = (context: number, page: number, pages: number, fields: Partial<ControlEvent> = {}): ControlEvent =>
  control('VFIO_IOMMU_UNMAP_DMA', { context, iova: page * 4096, length: pages * 4096, ...fields });
/** A group into a container, and the device opened. */
const enter = (context: number, open: 'open_container' | 'open_iommufd'): ControlEvent[] => [
  control(open, { context, recordedResult: 3 }),
  control('open_group', { device: 0, recordedResult: 4 }),
  control('VFIO_GROUP_SET_CONTAINER', { device: 0, context }),
  control('VFIO_SET_IOMMU', { context, flags: TYPE1V2 }),
  control('VFIO_GROUP_GET_DEVICE_FD', { device: 0, recordedResult: 5 }),
];

async function replay(rows: readonly (ControlEvent | DmaRow)[], ...devices: { readonly group?: number }[]) {
  const drivers = (devices.length === 0 ? [{}] : devices).map((device) => ({ driver: 'vfio-pci', ...device }));
  const path = await writeTestBundle({ devices: drivers, rows });
  const { run, exitCode } = await runReplay({
    bundles: [path],
    hardware: ['vtd-emr'],
    workers: 0,
    toolVersion: '1.2.3',
  });
  expect(exitCode).toBe(0);
  return run.jobs[0]!;
}

for (const open of ['open_container', 'open_iommufd'] as const) {
  test(`DMA goes through what ${open} maps, and faults when it is unmapped`, async () => {
    const job = await replay([
      ...enter(0, open),
      mapDma(0, 0x100, 4, 0x9000),
      dma(0x100, { afterControl: 6 }),
      dma(0x103, { afterControl: 6 }),
      unmapDma(0, 0x100, 4, { afterDma: 2 }),
      dma(0x100, { afterControl: 7 }),
    ]);
    expect(job.divergences).toMatchObject({ count: 0 });
    expect(job.dmaRows).toBe(3);
    expect(job.faults.reduce((sum, fault) => sum + fault.count, 0)).toBe(1);
  });
}

describe('a container', () => {
  test('is left and entered again with no mapping in between', async () => {
    const job = await replay([
      ...enter(0, 'open_container'),
      mapDma(0, 0x100, 1, 0x9000),
      dma(0x100, { afterControl: 6 }),
      control('close', { device: 0, afterDma: 1 }),
      control('VFIO_GROUP_UNSET_CONTAINER', { device: 0 }),
      control('VFIO_GROUP_SET_CONTAINER', { device: 0, context: 0 }),
      control('VFIO_SET_IOMMU', { context: 0, flags: TYPE1V2 }),
      dma(0x100, { afterControl: 10 }),
      mapDma(0, 0x100, 1, 0x9000),
      dma(0x100, { afterControl: 11 }),
    ]);
    expect(job.divergences).toMatchObject({ count: 0 });
    expect(job.faults.reduce((sum, fault) => sum + fault.count, 0)).toBe(1);
  });

  test('answers as recorded for errors too', async () => {
    const EINVAL = -22;
    const EEXIST = -17;
    const job = await replay([
      ...enter(0, 'open_container'),
      mapDma(0, 0x100, 4, 0x9000),
      { ...mapDma(0, 0x102, 1, 0x9100), recordedResult: EEXIST },
      unmapDma(0, 0x101, 1, { recordedResult: EINVAL }),
      control('VFIO_SET_IOMMU', { context: 0, flags: TYPE1V2, recordedResult: EINVAL }),
    ]);
    expect(job.divergences).toMatchObject({ count: 0 });
    expect(job.diagnostics).not.toHaveProperty('unknown_context');
  });

  test('counts calls on what was never opened', async () => {
    const job = await replay([
      control('VFIO_GROUP_SET_CONTAINER', { device: 0, context: 7 }),
      mapDma(7, 0x100, 1, 0x9000),
      dma(0x100),
    ]);
    expect(job.diagnostics).toMatchObject({ group_not_open: 1, unknown_context: 1 });
  });
});
