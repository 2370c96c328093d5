import { expect, test } from 'vitest';
import { reportDocument } from '../../../src/report/document/document.ts';
import { provenance as summaryProvenance } from '../../../src/report/document/summary.ts';
import { reportJson } from '../../../src/report/json.ts';
import { buildReport } from '../../../src/report/model.ts';
import { reportSchema } from '../../../src/report/schema/report.ts';
import { reportText } from '../../../src/report/text.ts';
import { percentile } from '../../../src/stats/histogram.ts';
import {
  allDmaLatency,
  emptyJobResult,
  jobResult,
  manifest,
  profileCards,
  runResult,
} from '../../support/run-result-builder.ts';

const only = (jobs: Parameters<typeof runResult>[0], overrides = {}) =>
  buildReport(runResult(jobs, overrides)).model.cases[0]!;

test('percentiles of the report are those of the folded histograms, in nanoseconds', () => {
  const job = jobResult();
  const { dma_latency_ns } = only([job]).latency;
  const state = allDmaLatency(job);
  expect(dma_latency_ns.count).toBe(6000);
  expect(dma_latency_ns.p99).toBe(percentile(state, 0.99) / 1000);
  expect(dma_latency_ns.max).toBe(state.max / 1000);
});

test('throughput is all bytes over the span', () => {
  const job = jobResult();
  const bytes = job.devices.reduce((sum, device) => sum + device.bytes, 0);
  expect(only([job]).headline.throughput_bytes_per_s).toBeCloseTo(bytes / (job.spanPs / 1e12), 3);
});

test('shards of one workload become one case, whose counts are their sums and whose span is the longest', () => {
  const shards = [jobResult({ shard: 0 }), jobResult({ shard: 1, devices: ['0000:02:00.0'], requests: 1000 })];
  const facts = only(shards);
  expect(facts.shards).toBe(2);
  expect(facts.headline.dma_requests).toBe(7000);
  expect(facts.headline.span_ns).toBe(shards[0]!.spanPs / 1000);
  expect(facts.latency.dma_latency_ns.count).toBe(7000);
  expect(facts.latency.devices.map((device) => device.device)).toEqual(['0000:01:00.0', '0000:02:00.0']);
  expect(facts.units[0]!.counters['iotlb_lookup']).toBe(7000);
});

test('different profiles and pacings of one workload are different cases', () => {
  const job = jobResult();
  const jobs = [
    job,
    { ...job, key: 'b', hardwareProfile: 'vtd-emr' },
    { ...job, key: 'c', pacing: { mode: 'scale', factor: 2 } as const },
  ];
  const { cases } = buildReport(runResult(jobs)).model;
  expect(cases.map(({ key }) => key)).toEqual([
    'nvme-live-replace/vtd-bdw/v6.12/closed',
    'nvme-live-replace/vtd-bdw/v6.12/scale=2',
    'nvme-live-replace/vtd-emr/v6.12/closed',
  ]);
});

test('chart names are unique among cases', () => {
  const report = buildReport(runResult([jobResult({ workload: 'a' }), jobResult({ workload: 'b' })]));
  const names = report.charts.flat().map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test('in-flight requests obey Little: rate times mean latency', () => {
  const { concurrency, headline, latency } = only([jobResult()]);
  const perNs = headline.dma_requests / headline.span_ns;
  expect(concurrency.in_flight_requests).toBeCloseTo(perNs * latency.dma_latency_ns.mean!, 9);
  expect(concurrency.walkers).toBe(6);
});

test('the report says which pacing was used and why', () => {
  const closed = only([jobResult()]).pacing;
  expect(closed.is_bundle_default).toBe(true);
  expect(closed.reason).toContain('times come from an emulator');
  const recorded = only([{ ...jobResult(), pacing: { mode: 'recorded' } }]).pacing;
  expect(recorded.is_bundle_default).toBe(false);
  expect(recorded.reason).toContain('Chosen for this run');
});

test('provenance shares and losses come from the manifest', () => {
  const run = runResult();
  const workloads = run.workloads.map((workload) => ({
    ...workload,
    manifest: manifest({ provenance: { dma: { measured: 1, inferred: 2, synthetic: 1 } }, lostEvents: 17 }),
  }));
  const { identity } = only(run.jobs, { workloads });
  expect(identity?.provenance).toMatchObject({ measured_share: 0.25, inferred_share: 0.5, synthetic_share: 0.25 });
  expect(identity?.lost_events).toBe(17);
});

test('the first screen says which columns of measured rows were inferred', () => {
  const run = runResult();
  const provenance = {
    dma: { measured: 4, inferred: 0, synthetic: 0 },
    inferredColumns: { size: 4, direction: 1, time: 0 },
  };
  const workloads = run.workloads.map((workload) => ({ ...workload, manifest: manifest({ provenance }) }));
  const facts = only(run.jobs, { workloads });
  const words = 'size inferred in 100.0 % and direction in 25.0 % of the measured rows';
  expect(facts.answers.find(({ question }) => question.startsWith('How far'))?.answer).toContain(words);
  expect(summaryProvenance(facts)?.notes).toContain(words);
});

test('a manifest that is not one is reported as unknown provenance, not as a crash', () => {
  const run = runResult();
  const workloads = run.workloads.map((workload) => ({ ...workload, manifest: { nonsense: true } }));
  const report = buildReport({ ...run, workloads });
  expect(report.model.cases[0]!.identity).toBeNull();
  const text = reportText(report.model, reportDocument(report.model));
  expect(text.replace(/\s+/g, ' ')).toContain('provenance is unknown');
});

test('the device with most misses is named', () => {
  const devices = ['0000:01:00.0', '0000:02:00.0'];
  const answers = only([jobResult({ devices })]).answers;
  const answer = answers.find(({ question }) => question.startsWith('Who'))!;
  expect(answer.answered).toBe(true);
  expect(answer.answer).toMatch(/^0000:01:00\.0: \d+\.\d % of all misses/);
});

test('a run without outcomes by device says that it does not know who misses', () => {
  const job = jobResult();
  const devices = job.devices.map((device) => ({ ...device, outcomes: undefined }));
  const answer = only([{ ...job, devices }]).answers.find(({ question }) => question.startsWith('Who'))!;
  expect(answer).toMatchObject({ answered: false, answer: 'Misses by device were not recorded.' });
});

test('the assumption share counts numbers whose basis is an assumption', () => {
  const { model_card } = buildReport(runResult()).model;
  const numbers = profileCards().flatMap((card) => card.numbers);
  expect(model_card.number_count).toBe(numbers.length);
  expect(model_card.assumption_share).toBe(3 / 9);
  expect(model_card.assumption_result_share).toBeNull();
});

test('a job that replayed nothing and a run without any job still make valid reports', () => {
  for (const jobs of [[emptyJobResult()], []]) {
    const report = buildReport(runResult(jobs));
    expect(() => reportSchema.parse(report.model)).not.toThrow();
    expect(report.charts.flat()).toEqual([]);
    expect(reportText(report.model, reportDocument(report.model)).length).toBeGreaterThan(100);
  }
});

test('report.json does not depend on the order in which keys were put together', () => {
  const { model } = buildReport(runResult());
  const reversed = Object.fromEntries(Object.entries(model).reverse()) as typeof model;
  expect(reportJson(reversed)).toBe(reportJson(model));
});

test('a run that holds the pass-through replay of a case compares the two, and says so in the answer', () => {
  const job = jobResult();
  const slower = { ...job, key: 'a', scenario: 'closed' };
  const passThrough = { ...job, key: 'b', scenario: 'closed+identity', spanPs: job.spanPs / 2 };
  const { cases } = buildReport(runResult([slower, passThrough])).model;
  expect(cases.map(({ scenario }) => scenario)).toEqual(['closed', 'closed+identity']);
  expect(cases[0]!.versus_pass_through).toEqual({
    case: cases[1]!.key,
    mean_latency_ratio: 1,
    p99_latency_ratio: 1,
    throughput_ratio: 0.5,
  });
  expect(cases[1]!.versus_pass_through).toBeNull();
  expect(cases[0]!.answers[0]!.answer).toContain('throughput × 0.500');
});

test('domain changes are listed in order with their durations; map and unmap are not among them', () => {
  const { domain_changes: changes } = only([jobResult()]).timeline;
  expect(changes).toHaveLength(7);
  expect(changes.map(({ start_ns }) => start_ns)).toEqual(
    changes.map(({ start_ns }) => start_ns).sort((a, b) => a - b),
  );
  expect(Math.max(...changes.map(({ duration_ns }) => duration_ns))).toBe(
    only([jobResult()]).headline.longest_domain_change_ns,
  );
});
