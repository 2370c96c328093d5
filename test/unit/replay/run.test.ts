import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../../src/canonical-json.ts';
import { ConfigError, InputError } from '../../../src/input-error.ts';
import type { RunResult } from '../../../src/replay/protocol.ts';
import { planRun, type RunOptions, runReplay } from '../../../src/replay/run.ts';
import { loadRun, serializeRun } from '../../../src/replay/run-folder.ts';
import { type ControlEvent, type DmaRow, writeTestBundle } from '../../support/replay-bundle.ts';

const dma = (page: number, fields: Partial<DmaRow> = {}): DmaRow => ({
  kind: 'dma',
  device: 0,
  iova: page * 4096,
  ...fields,
});
const map = (page: number, pages: number, fields: Partial<ControlEvent> = {}): ControlEvent => ({
  kind: 'control',
  op: 'dma_map',
  device: 0,
  iova: page * 4096,
  length: pages * 4096,
  recordedResult: 0,
  frames: [[page, 0x8000 + page, pages]],
  ...fields,
});
const unmap = (page: number, pages: number, fields: Partial<ControlEvent> = {}): ControlEvent => ({
  ...map(page, pages, fields),
  op: 'dma_unmap',
  frames: [],
});

const options = (bundles: string[], fields: Partial<RunOptions> = {}): RunOptions => ({
  bundles,
  hardware: ['vtd-emr'],
  workers: 0,
  toolVersion: '1.2.3',
  ...fields,
});

describe('a run', () => {
  test('maps, uses and unmaps a page: one walk, then hits, one invalidation, no fault', async () => {
    const rows = [
      map(0x100, 1),
      dma(0x100, { afterControl: 1 }),
      ...Array.from({ length: 20 }, () => dma(0x100)),
      unmap(0x100, 1, { afterDma: 21 }),
    ];
    const { run, exitCode } = await runReplay(options([await writeTestBundle({ devices: [{}], rows })]));
    expect(exitCode).toBe(0);
    const job = run.jobs[0]!;
    expect(job.dmaRows).toBe(21);
    expect(job.controlRows).toBe(2);
    expect(job.faults).toEqual([]);
    expect(job.divergences).toEqual({ compared: 2, count: 0, first: [] });
    expect(job.counters['dmar0']!['model.page_walks']).toBe(1);
    expect(job.invalidation.descriptors['iotlb_pages']).toBe(1);
    expect(job.invalidation.submissions).toBe(1);
    const device = job.devices[0]!;
    expect(device.outcomes!.miss).toBe(1);
    expect(device.outcomes!.hit + device.outcomes!.mergedMiss).toBe(20);
    expect(device.dmaLatency.count).toBe(21);
    expect(job.throughput.bins.reduce((sum, bytes) => sum + bytes, 0)).toBe(21 * 64);
    expect(job.latencyOverTime.bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(21);
    expect(Object.keys(job.controlLatency)).toEqual(['dma_map', 'dma_unmap']);
  });

  test('DMA to a page that was never mapped faults and is grouped by reason', async () => {
    const rows = [dma(0x55), dma(0x55), dma(0x55)];
    const { run } = await runReplay(options([await writeTestBundle({ devices: [{}], rows })]));
    const [group] = run.jobs[0]!.faults;
    expect(run.jobs[0]!.faults).toHaveLength(1);
    expect(group!.count).toBe(3);
    expect(group!.firstIova).toBe('0x55000');
    expect(run.jobs[0]!.devices[0]!.faults).toBe(3);
    expect(run.jobs[0]!.devices[0]!.dmaLatency.count).toBe(0);
  });

  test('in caching mode a map without its invalidation is not seen, and the lint says so', async () => {
    // The page is used before it is mapped, and often after.
    const later = Array.from({ length: 20 }, () => dma(0x55, { afterControl: 2 }));
    const rows = [map(0x100, 1), dma(0x55, { afterControl: 1 }), map(0x55, 1, { afterDma: 1 }), ...later];
    const bundle = await writeTestBundle({ devices: [{}], rows });
    const job = async (overrides: readonly string[]) =>
      (await runReplay(options([bundle], { overrides }))).run.jobs[0]!;
    const cachingMode = 'registers.cap=19ed008c40780ce6';
    const broken = 'behaviours.omitsFlush=map';
    for (const overrides of [[], [cachingMode], [broken], [cachingMode, broken, 'iotlb.cachesNotPresent=false']]) {
      const right = await job(overrides);
      expect(right.devices[0]!.faults).toBe(1);
      expect(right.diagnostics['map_without_invalidation']).toBeUndefined();
    }
    const wrong = await job([cachingMode, broken]);
    expect([wrong.devices[0]!.faults, wrong.diagnostics['map_without_invalidation']]).toEqual([21, 20]);
  });

  test('initial mappings are there from the first row on', async () => {
    const rows = [dma(0x200), dma(0x201)];
    const initial = [[0, 0x200, 0x9000, 2]] as const;
    const { run } = await runReplay(options([await writeTestBundle({ devices: [{}], rows, initial })]));
    expect(run.jobs[0]!.faults).toEqual([]);
    expect(run.jobs[0]!.devices[0]!.pageShifts).toEqual({ '12': 2 });
  });

  test('lazy unmaps submit less than strict ones, and passing through submits nothing', async () => {
    const rows: (DmaRow | ControlEvent)[] = [];
    for (let i = 0; i < 40; i++)
      rows.push(map(i, 1), dma(i, { afterControl: 2 * i + 1 }), unmap(i, 1, { afterDma: i + 1 }));
    const path = await writeTestBundle({ devices: [{}], rows });
    const submissions = async (defaultDomain: NonNullable<RunOptions['defaultDomain']>): Promise<number> =>
      (await runReplay(options([path], { defaultDomain }))).run.jobs[0]!.invalidation.submissions;
    expect(await submissions('dma')).toBe(40);
    expect(await submissions('dma-fq')).toBeLessThan(5);
    expect(await submissions('identity')).toBe(0);
  });

  test('the bypass profile translates nothing and maps nothing', async () => {
    const rows = [map(1, 1), dma(1, { afterControl: 1 })];
    const { run } = await runReplay(
      options([await writeTestBundle({ devices: [{}], rows })], { hardware: ['bypass'] }),
    );
    expect(run.jobs[0]!.devices[0]!.outcomes!.passThrough).toBe(1);
    expect(run.jobs[0]!.time.control.tablePs).toBe(0);
  });

  test('a user-space driver: open, bind, attach, map, DMA, replace, unmap', async () => {
    const user = (op: ControlEvent['op'], fields: Partial<ControlEvent> = {}): ControlEvent => ({
      kind: 'control',
      op,
      context: 0,
      recordedResult: 0,
      ...fields,
    });
    const region = { iova: 0x10_0000, length: 0x4000, userAddress: 0x7f00_0000, flags: 7 };
    const frames = [[0x100, 0x5000, 4]] as const;
    const rows = [
      user('open_iommufd', { recordedResult: 3 }),
      user('open_cdev', { device: 0, recordedResult: 4 }),
      user('VFIO_DEVICE_BIND_IOMMUFD', { device: 0, recordedObject: 71 }),
      user('IOMMU_IOAS_ALLOC', { recordedObject: 72 }),
      user('IOMMU_IOAS_ALLOC', { recordedObject: 73 }),
      user('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { device: 0, target: 72, recordedObject: 74 }),
      user('IOMMU_IOAS_MAP', { object: 72, ...region, frames }),
      user('IOMMU_IOAS_MAP', { object: 73, ...region, userAddress: 0x7f80_0000 }),
      dma(0x100, { afterControl: 7 }),
      user('VFIO_DEVICE_ATTACH_IOMMUFD_PT', {
        device: 0,
        target: 73,
        recordedObject: 75,
        frames: [[0x100, 0x6000, 4]],
        afterDma: 1,
      }),
      dma(0x102, { afterControl: 9 }),
      user('IOMMU_IOAS_UNMAP', { object: 73, iova: 0x10_0000, length: 0x4000, afterDma: 2 }),
      dma(0x103, { afterControl: 10 }),
      user('IOMMU_DESTROY', { object: 999, recordedResult: -2, afterDma: 3 }),
      user('VFIO_DEVICE_DETACH_IOMMUFD_PT', { device: 0 }),
      user('close', { device: 0, context: undefined! }),
    ].map((row) => (row.kind === 'control' && row.op === 'close' ? { ...row, context: 0xffff_ffff } : row));
    const { run } = await runReplay(
      options([await writeTestBundle({ devices: [{ driver: 'vfio-pci' }], rows, mode: 'scalable' })]),
    );
    expect(run.failures).toEqual([]);
    const job = run.jobs[0]!;
    expect(job.divergences).toEqual({ compared: 13, count: 0, first: [] });
    expect(job.diagnostics).toEqual({});
    expect(job.faults.map((group) => [group.count, group.firstIova])).toEqual([[1, '0x103000']]);
    expect(job.markers.map((marker) => marker.op)).toContain('VFIO_DEVICE_ATTACH_IOMMUFD_PT');
  });

  test('a page used after its lazy unmap is a stale hit that waits for its flush; after a strict one it faults', async () => {
    const rows = [
      map(7, 1),
      dma(7, { afterControl: 1 }),
      unmap(7, 1, { afterDma: 1 }),
      dma(7, { afterControl: 2 }),
      dma(8, { afterControl: 2 }),
    ];
    const path = await writeTestBundle({ devices: [{}], rows });
    const lazy = (await runReplay(options([path], { defaultDomain: 'dma-fq' }))).run.jobs[0]!;
    expect(lazy.stale).toMatchObject([{ count: 1, awaitingFlush: 1, firstIova: '0x7000' }]);
    expect(lazy.faults.map((group) => group.firstIova)).toEqual(['0x8000']);
    const strict = (await runReplay(options([path], { defaultDomain: 'dma' }))).run.jobs[0]!;
    expect(strict.stale).toEqual([]);
    expect(strict.faults.map((group) => [group.count, group.firstIova])).toEqual([[2, '0x7000']]);
  });

  test('a call that fails where the recording succeeded is a divergence with both results', async () => {
    const rows: ControlEvent[] = [
      { kind: 'control', op: 'open_iommufd', context: 0, recordedResult: 3 },
      { kind: 'control', op: 'IOMMU_IOAS_UNMAP', context: 0, object: 5, iova: 0, length: 4096, recordedResult: 0 },
    ];
    const { run } = await runReplay(options([await writeTestBundle({ devices: [{}], rows })]));
    expect(run.jobs[0]!.divergences.first).toEqual([
      { controlRow: 1, op: 'IOMMU_IOAS_UNMAP', recorded: '0', modelled: '-ENOENT' },
    ]);
  });

  test('time zero is the end of the boot: a row recorded at 5 us issues at 5 us', async () => {
    const rows = [dma(1, { timeNs: 5000 })];
    const initial = [[0, 1, 0x9000, 1]] as const;
    const path = await writeTestBundle({ devices: [{}], rows, initial });
    const { run } = await runReplay(options([path], { pacing: { mode: 'recorded' } }));
    const { throughput } = run.jobs[0]!;
    expect(throughput.bins.findIndex((bytes) => bytes > 0)).toBeGreaterThanOrEqual(5);
    expect(throughput.bins.length * throughput.binWidthPs).toBeLessThan(20_000_000);
  });
});

describe('what is wrong before work starts', () => {
  test('unknown profiles and overrides name the nearest', async () => {
    const path = await writeTestBundle({ devices: [{}], rows: [dma(1)] });
    await expect(runReplay(options([path], { hardware: ['vtd-em'] }))).rejects.toThrow(/did you mean 'vtd-emr'/);
    await expect(runReplay(options([path], { kernels: ['v7.2'] }))).rejects.toThrow(ConfigError);
    await expect(runReplay(options([path], { overrides: ['iotlb.entrys=1'] }))).rejects.toThrow(/entries/);
    await expect(runReplay(options([path], { overrides: ['costsNs.ioctI.value=1'] }))).rejects.toThrow(/ioctl/);
    await expect(runReplay(options(['/nonexistent']))).rejects.toThrow(InputError);
  });

  test('overrides go to the profile they belong to', async () => {
    const path = await writeTestBundle({ devices: [{}], rows: [dma(1)] });
    const plan = planRun(options([path], { overrides: ['iotlb.entries=32', 'costsNs.ioctl.value=7'] }));
    expect(plan.profiles.map((card) => card.overrides)).toEqual([['iotlb.entries=32'], ['costsNs.ioctl.value=7']]);
  });

  test('two bundles of one name get names of their own', async () => {
    const paths = [
      await writeTestBundle({ devices: [{}], rows: [dma(1)] }),
      await writeTestBundle({ devices: [{}], rows: [dma(2)] }),
    ];
    expect(planRun(options(paths)).jobs.map((job) => job.workload)).toEqual(['bundle', 'bundle~2']);
  });
});

describe('what goes wrong in a job', () => {
  test('is data: the other jobs are there, the run is incomplete', async () => {
    const good = await writeTestBundle({ name: 'good', devices: [{}], rows: [dma(1)] });
    const bad = await writeTestBundle({ name: 'stuck', devices: [{}], rows: [dma(1, { afterControl: 9 })] });
    const { run, exitCode } = await runReplay(options([good, bad]));
    expect(exitCode).toBe(1);
    expect(run.complete).toBe(false);
    expect(run.jobs.map((job) => job.workload)).toEqual(['good']);
    expect(run.failures[0]!.error).toMatch(/ReplayStalledError: no progress .* row 0 of dma-0 waits for control row 8/);
  });

  test('an interrupt cancels what has not begun and says so', async () => {
    const path = await writeTestBundle({ devices: [{}], rows: [dma(1)] });
    const controller = new AbortController();
    const { run, interrupted, exitCode } = await runReplay(
      options([path], {
        hardware: ['vtd-emr', 'vtd-bdw'],
        signal: controller.signal,
        onProgress: (done) => {
          if (done === 1) controller.abort();
        },
      }),
    );
    expect([interrupted, exitCode, run.complete]).toEqual([true, 130, false]);
    expect(run.jobs).toHaveLength(1);
    expect(run.missing).toHaveLength(1);
  });
});

describe('the run folder', () => {
  test('gives back what was saved, and says what is wrong with anything else', async () => {
    const { run } = await runReplay(options([await writeTestBundle({ devices: [{}], rows: [dma(1)] })]));
    const folder = mkdtempSync(join(tmpdir(), 'run-'));
    writeFileSync(join(folder, 'run.json'), serializeRun(run));
    expect(canonicalJson(loadRun(folder))).toBe(canonicalJson(run));
    writeFileSync(join(folder, 'run.json'), '{"schemaVersion":99}');
    expect(() => loadRun(folder)).toThrow(/run schema 99/);
    writeFileSync(join(folder, 'run.json'), '{');
    expect(() => loadRun(folder)).toThrow(InputError);
    writeFileSync(join(folder, 'run.json'), 'null');
    expect(() => loadRun(folder)).toThrow(/run schema undefined/);
    expect(() => loadRun(join(folder, 'none'))).toThrow(/ENOENT/);
  });

  test.each<[string, (run: RunResult) => object, RegExp]>([
    ['a job twice', (run) => ({ jobs: [...run.jobs, ...run.jobs] }), /jobs\.1: '.+' is there twice/],
    ['no profiles', () => ({ profiles: [] }), /jobs\.0: no hardware profile 'vtd-emr' in the run/],
    ['no workload', () => ({ workloads: [] }), /jobs\.0: no workload/],
    ['no list', () => ({ missing: undefined }), /no list of missing/],
    ['complete without jobs', () => ({ jobs: [] }), /complete, but without jobs/],
    ['no job', () => ({ jobs: [null] }), /jobs\.0: no job/],
    [
      'a profile renamed',
      (run) => ({ jobs: run.jobs.map((job) => ({ ...job, hardwareProfile: 'nope' })) }),
      /jobs\.0: key '.+' is not that of its workload, shard, profiles and scenario/,
    ],
  ])('refuses one that can be added up and means nothing: %s', async (_name, change, message) => {
    const { run } = await runReplay(options([await writeTestBundle({ devices: [{}], rows: [dma(1)] })]));
    const folder = mkdtempSync(join(tmpdir(), 'run-'));
    writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...run, ...change(run) }));
    expect(() => loadRun(folder)).toThrow(message);
    expect(() => loadRun(folder)).toThrow(InputError);
  });
});
