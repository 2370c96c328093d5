// Devices with TLBs of their own, and their page requests, from recipe to report.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JobResult } from '../../../src/replay/protocol.ts';
import { runReplay } from '../../../src/replay/run.ts';
import { reportDocument } from '../../../src/report/document/document.ts';
import { buildReport } from '../../../src/report/model.ts';
import { reportSchema } from '../../../src/report/schema.ts';
import { reportText } from '../../../src/report/text.ts';
import { synthesize } from '../../../src/trace/synth/synthesize.ts';

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
