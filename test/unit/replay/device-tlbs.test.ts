// Devices with TLBs of their own, and their page requests, from recipe to report.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HandlerHeap } from '../../../src/replay/page-fault-handler.ts';
import type { JobResult } from '../../../src/replay/protocol.ts';
import { runReplay } from '../../../src/replay/run.ts';
import { reportDocument } from '../../../src/report/document/document.ts';
import { buildReport } from '../../../src/report/model.ts';
import { reportSchema } from '../../../src/report/schema/report.ts';
import { reportText } from '../../../src/report/text.ts';
import { synthesize } from '../../../src/trace/synth/synthesize.ts';
import { type ControlEvent, writeTestBundle } from '../../support/replay-bundle.ts';

const recipes = new URL('../../../workloads/recipes/', import.meta.url).pathname;
const small: Record<string, readonly string[]> = {
  ats: [],
  pasid: ['regionBytes=262144', 'switches=20', 'startNs=2000000'],
  pri: ['regionBytes=262144', 'rounds=4'],
};

async function bundleOf(recipe: string, set: readonly string[] = []): Promise<string> {
  const bundle = join(mkdtempSync(join(tmpdir(), 'ats-run-')), recipe);
  await synthesize(join(recipes, `${recipe}.json`), bundle, { rows: 6000, set: [...(small[recipe] ?? []), ...set] });
  return bundle;
}

async function run(
  bundle: string,
  options: { readonly kernel?: string; readonly batchRows?: number; readonly set?: readonly string[] } = {},
) {
  const { run: result, exitCode } = await runReplay({
    bundles: [bundle],
    hardware: ['vtd-emr'],
    ...(options.kernel === undefined ? {} : { kernels: [options.kernel] }),
    overrides: options.set ?? [],
    workers: 0,
    toolVersion: '1.2.3',
    ...(options.batchRows === undefined ? {} : { batchRows: options.batchRows }),
  });
  expect(exitCode).toBe(0);
  return { result, job: result.jobs[0] as JobResult };
}

describe('a device that caches translations, every buffer mapped and unmapped', () => {
  it.each(['v6.12', 'v7.3'])(
    '%s: no fault, no stale translation; each unmap invalidates the device TLB',
    async (kernel) => {
      const { job } = await run(await bundleOf('ats'), { kernel });
      expect([job.diagnostics, job.faults, job.stale]).toEqual([{}, [], []]);
      const endpoints = job.deviceTlb?.endpoints ?? [];
      expect(endpoints).toHaveLength(2);
      const sum = (pick: (endpoint: (typeof endpoints)[number]) => number): number =>
        endpoints.reduce((total, endpoint) => total + pick(endpoint), 0);
      expect(sum(({ lookups }) => lookups)).toBe(6000);
      expect(sum(({ hits }) => hits) / 6000).toBeGreaterThan(0.5);
      expect(sum(({ invalidations }) => invalidations)).toBe(job.invalidation.descriptors['device_tlb']);
      expect(job.deviceTlb?.invalidationLatency.count).toBe(job.invalidation.descriptors['device_tlb']);
      expect(job.deviceTlb?.translationLatency.count).toBe(sum(({ translationRequests }) => translationRequests));
      expect(job.counters['dmar0']).toMatchObject({ 'model.device_tlb_lookup': 6000, pg_req_posted: 0 });
    },
  );

  it('is the same for any batch size', async () => {
    const bundle = await bundleOf('ats');
    const [whole, rows] = [await run(bundle), await run(bundle, { batchRows: 7 })];
    expect(rows.job).toEqual(whole.job);
  });

  it('a larger device TLB hits more, a slower endpoint makes unmaps slower', async () => {
    const bundle = await bundleOf('ats', ['queueDepth=128']);
    const figures = async (set: readonly string[]) => {
      const { job } = await run(bundle, { set });
      const hits = job.deviceTlb?.endpoints.reduce((sum, endpoint) => sum + endpoint.hits, 0) ?? 0;
      return { hits, waitPs: job.time.control.waitPs };
    };
    const base = await figures([]);
    const large = await figures(['endpoint.deviceTlb.entries=1024']);
    const slow = await figures(['endpoint.invalidationNs=5000']);
    expect(large.hits).toBeGreaterThan(base.hits);
    expect(slow.waitPs).toBeGreaterThan(2 * base.waitPs);
  });

  it('on a unit without device TLBs it is a device as any other', async () => {
    const { job } = await run(await bundleOf('ats'), { set: ['registers.ecap=3ef9ea6f050db'] });
    expect(job.deviceTlb?.endpoints.every(({ lookups }) => lookups === 0)).toBe(true);
    expect(job.faults).toEqual([]);
    expect(job.invalidation.descriptors['device_tlb']).toBeUndefined();
  });
});

describe('PASIDs of devices with TLBs, moved under load', () => {
  it('translates each PASID by its own table, and leaves no stale translation behind a switch', async () => {
    const { job } = await run(await bundleOf('pasid'));
    expect([job.diagnostics, job.stale]).toEqual([{}, []]);
    expect(job.deviceTlb?.endpoints.every(({ hits, invalidations }) => hits > 0 && invalidations > 0)).toBe(true);
    expect(job.counters['dmar0']?.['model.device_tlb_invalidated']).toBeGreaterThan(0);
    // Blocked while the entry is torn down: PASID entry not present, nothing else.
    expect(new Set(job.faults.map(({ reason }) => reason))).toEqual(new Set([0x59]));
  });
});

describe('devices with TLBs, moved between tables under load', () => {
  const recipe = ['pasids=0', 'fromStage=second', 'toStage=second', 'gapNs=40'];
  const moved = async (set: readonly string[]) => (await run(await bundleOf('pasid', recipe), { set })).job;

  it('use nothing of the old table once a switch is done', async () => {
    const job = await moved([]);
    expect(job.stale).toEqual([]);
    expect(job.counters['dmar0']?.['model.device_tlb_invalidated']).toBeGreaterThan(0);
  });

  it('a driver that forgets the device TLB is found out', async () => {
    const job = await moved(['behaviours.omitsFlush=device-tlb']);
    expect(job.stale?.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(0);
  });
});

describe('a guest with demand paging', () => {
  it('gets every page by a page request, and none is lost', async () => {
    const { job } = await run(await bundleOf('pri'));
    expect([job.diagnostics, job.faults, job.stale]).toEqual([{}, [], []]);
    const endpoints = job.deviceTlb?.endpoints ?? [];
    const groups = endpoints.reduce((sum, { pageGroups }) => sum + pageGroups, 0);
    // 64 pages a device, a quarter of them taken away four times.
    expect(groups).toBeGreaterThanOrEqual(2 * 64);
    expect(groups).toBeLessThanOrEqual(2 * 128);
    expect(endpoints.every(({ pageFailures }) => pageFailures === 0)).toBe(true);
    expect(job.counters['dmar0']?.['pg_req_posted']).toBe(groups);
    expect(job.invalidation.descriptors['page_response']).toBe(groups);
    expect(job.deviceTlb?.pageLatency.count).toBe(groups);
  });

  it('time of page requests is that of their parts', async () => {
    const { job } = await run(await bundleOf('pri'));
    const { pageStages, pageLatency } = job.deviceTlb ?? {};
    const parts = (pageStages?.toQueuePs ?? 0) + (pageStages?.softwarePs ?? 0) + (pageStages?.responsePs ?? 0);
    expect(parts).toBe(Number(pageLatency?.sum));
    expect(job.time.pageRequestPs).toBe(parts);
  });

  it('a slower kernel makes page requests slower by as much', async () => {
    const bundle = await bundleOf('pri', ['devices=1']);
    const mean = async (set: readonly string[]) => {
      const { job } = await run(bundle, { set });
      return Number(job.deviceTlb?.pageLatency.sum) / (job.deviceTlb?.pageLatency.count ?? 0);
    };
    const extra = (await mean(['costsNs.userWake.value=23000'])) - (await mean([]));
    expect(extra / 20_000_000).toBeCloseTo(1, 1);
  });

  it('is the same for any batch size, also with PASIDs and whole blocks', async () => {
    const bundle = await bundleOf('pri', ['pasids=3', 'blockBytes=16384']);
    const [whole, rows] = [await run(bundle), await run(bundle, { batchRows: 7 })];
    expect(rows.job).toEqual(whole.job);
    expect(whole.job.faults).toEqual([]);
  });

  it('without page requests in the unit every first touch fails', async () => {
    const { job } = await run(await bundleOf('pri'), { set: ['registers.ecap=3ef9e86f050df'] });
    expect(job.deviceTlb?.endpoints.every(({ pageGroups }) => pageGroups === 0)).toBe(true);
    expect(job.faults.length).toBeGreaterThan(0);
  });
});

it('a fault block that is no power of two of at least a page ends the job with file and row', async () => {
  const bundle = await writeTestBundle({
    mode: 'scalable',
    devices: [{ driver: 'vfio-pci', ats: true, pri: true }],
    rows: [
      { kind: 'control', op: 'open_iommufd', context: 0 },
      { kind: 'control', op: 'IOMMU_FAULT_QUEUE_ALLOC', context: 0, length: 12_288, recordedObject: 1 },
    ],
  });
  const options = { bundles: [bundle], hardware: ['vtd-emr'], kernels: ['v7.3'], workers: 0, toolVersion: '1.2.3' };
  const { run: result, exitCode } = await runReplay(options);
  expect(exitCode).toBe(3);
  expect(result.failures[0]?.error).toMatch(/control\.arrow: row 1: a fault block of 12288 bytes/);
});

it('blocks of fault handlers that no recording places lie apart, aligned to their size', () => {
  const heap = new HandlerHeap();
  const sizes = [4096n, 2_097_152n, 4096n, 16_384n];
  const blocks = sizes.map((bytes) => ({ start: heap.take(bytes), bytes }));
  for (const [index, { start, bytes }] of blocks.entries()) {
    expect(start % bytes).toBe(0n);
    for (const other of blocks.slice(0, index)) expect(start).toBeGreaterThanOrEqual(other.start + other.bytes);
  }
});

it('no unit passes by what another one’s page request brings about', async () => {
  // One IOAS for two devices behind two units. The one behind the second touches a page; long after it is mapped, the one
  // behind the first finds it there.
  const row = (op: ControlEvent['op'], fields: Partial<ControlEvent> = {}): ControlEvent => ({
    kind: 'control',
    op,
    context: 0,
    ...fields,
  });
  const attach = (device: number): ControlEvent[] => [
    row('open_cdev', { device }),
    row('VFIO_DEVICE_BIND_IOMMUFD', { device, recordedObject: 10 + device }),
    row('IOMMU_HWPT_ALLOC', { object: 2, target: 10 + device, flags: 4, recordedObject: 20 + device }),
    row('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { device, target: 20 + device }),
  ];
  const bundle = await writeTestBundle({
    units: 2,
    mode: 'scalable',
    pacing: 'recorded',
    devices: [0, 1].map((unit) => ({ unit, driver: 'vfio-pci', ats: true, pri: true })),
    rows: [
      row('open_iommufd'),
      row('IOMMU_FAULT_QUEUE_ALLOC', { length: 4096, userAddress: 2 ** 45, recordedObject: 1 }),
      row('IOMMU_IOAS_ALLOC', { recordedObject: 2 }),
      ...attach(0),
      ...attach(1),
      { kind: 'dma', device: 1, iova: 0x10_0000, timeNs: 1_000_000 },
      { kind: 'dma', device: 0, iova: 0x10_0000, timeNs: 2_000_000 },
    ],
  });
  const { job } = await run(bundle, { kernel: 'v7.3' });
  expect([job.faults, job.diagnostics]).toEqual([[], {}]);
  expect(job.deviceTlb?.endpoints.map(({ device, pageGroups }) => [device.slice(-4), pageGroups])).toEqual([
    ['00.0', 0],
    ['01.0', 1],
  ]);
});

it('the report tells hit rate, round trips and where page requests spend their time', async () => {
  const { result } = await run(await bundleOf('pri'));
  const report = buildReport(result);
  const section = reportSchema.parse(JSON.parse(JSON.stringify(report.model))).cases[0]?.device_tlbs;
  expect(section?.devices).toHaveLength(2);
  expect(section?.page_request_stages.reduce((sum, { share }) => sum + (share ?? 0), 0)).toBeCloseTo(1, 9);
  const text = reportText(report.model, reportDocument(report.model));
  for (const words of ['Device TLBs', 'translation request', 'page request', 'interrupt, kernel and fault handler']) {
    expect(text).toContain(words);
  }
});
