// Traces of the container interface and of mediated devices, from recipe to report.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../src/errno.ts';
import type { JobResult } from '../../../src/replay/protocol.ts';
import { runReplay } from '../../../src/replay/run.ts';
import { synthesize } from '../../../src/trace/synth/synthesize.ts';
import { type ControlEvent, writeTestBundle } from '../../support/replay-bundle.ts';

const recipes = new URL('../../../workloads/recipes/', import.meta.url).pathname;

async function run(bundle: string): Promise<JobResult> {
  const { run: result, exitCode } = await runReplay({
    bundles: [bundle],
    hardware: ['vtd-emr'],
    workers: 0,
    toolVersion: '1.2.3',
  });
  expect(exitCode).toBe(0);
  return result.jobs[0] as JobResult;
}

async function replayed(recipe: string, set: readonly string[] = []): Promise<JobResult> {
  const bundle = join(mkdtempSync(join(tmpdir(), 'vfio-run-')), recipe);
  await synthesize(join(recipes, `${recipe}.json`), bundle, { rows: 4000, set });
  return run(bundle);
}

const calls = ({ controlLatency }: JobResult): Record<string, number> =>
  Object.fromEntries(Object.entries(controlLatency).map(([op, { count }]) => [op, count]));

describe('a guest in a container', () => {
  it('replays with every call carried out and no request blocked', async () => {
    const job = await replayed('legacy-container');
    expect(job.diagnostics).toEqual({});
    expect(job.faults).toEqual([]);
    expect(job.dmaRows).toBe(4000);
    expect(job.controlRows).toBe(1 + 4 + 16 + 1 + 2 * 16 + 3 + 1);
    expect(calls(job)['VFIO_IOMMU_MAP_DMA']).toBe(32);
    expect(calls(job)['VFIO_IOMMU_UNMAP_DMA']).toBe(16);
  });

  it('flushes for every slot that is unplugged', async () => {
    const descriptors = async (rounds: number) =>
      (await replayed('legacy-container', [`rounds=${rounds}`])).invalidation.submissions;
    const [none, some] = [await descriptors(0), await descriptors(8)];
    expect(some - none).toBeGreaterThanOrEqual(8);
  });
});

describe('a mediated device', () => {
  it.each(['iommufd', 'container'])('pins, copies and unpins by way of %s', async (path) => {
    const job = await replayed('mdev-access', [`path=${path}`, 'rounds=5']);
    expect(job.diagnostics).toEqual({});
    expect(job.faults).toEqual([]);
    expect(calls(job)).toMatchObject({ vfio_pin_pages: 5, vfio_unpin_pages: 5, vfio_dma_rw: 10 });
  });

  it('gives the modelled errors where the recording has others', async () => {
    const mdev = { name: 'mdev0', unit: -1, kind: 'mediated', defaultDomain: 'none' } as const;
    const row = (op: ControlEvent['op'], fields: Partial<ControlEvent> = {}): ControlEvent => ({
      kind: 'control',
      op,
      ...fields,
    });
    const pin = (fields: Partial<ControlEvent>) =>
      row('vfio_pin_pages', { device: 1, context: 0, iova: 0x10_0000, length: 0x2000, flags: 3, ...fields });
    const rows = [
      row('open_iommufd', { context: 0 }),
      row('open_cdev', { device: 1 }),
      // Not bound yet.
      pin({ recordedResult: -Errno.EINVAL }),
      row('VFIO_DEVICE_BIND_IOMMUFD', { device: 1, context: 0, recordedObject: 1 }),
      // Not attached yet.
      pin({ recordedResult: -Errno.ENOENT }),
      row('IOMMU_IOAS_ALLOC', { context: 0, recordedObject: 2 }),
      row('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { device: 1, context: 0, target: 2 }),
      // A hole.
      pin({ recordedResult: -Errno.ENOENT }),
      row('IOMMU_IOAS_MAP', {
        context: 0,
        object: 2,
        flags: 7,
        iova: 0x10_0000,
        length: 0x2000,
        userAddress: 0x7f00_0000_0000,
        recordedResult: 0,
      }),
      pin({ recordedResult: 2 }),
      row('vfio_dma_rw', { device: 1, iova: 0x10_0ff0, length: 32, flags: 2, recordedResult: 0 }),
      row('vfio_dma_rw', { device: 1, iova: 0x10_1ff0, length: 32, flags: 1, recordedResult: -Errno.ENOENT }),
      // The driver is asked to let go: the unmap succeeds.
      row('IOMMU_IOAS_UNMAP', { context: 0, object: 2, iova: 0x10_0000, length: 0x2000, recordedResult: 0 }),
      row('vfio_unpin_pages', { device: 1, iova: 0x10_0000, length: 0x2000 }),
      // Nobody pins through a physical device.
      pin({ device: 0 }),
    ];
    const job = await run(await writeTestBundle({ devices: [{ driver: 'vfio-pci' }, mdev], rows }));
    expect(job.divergences).toEqual({ compared: 8, count: 0, first: [] });
    expect(job.diagnostics).toEqual({ access_without_mediated_device: 1, unpin_of_unpinned_pages: 1 });
  });
});
