import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { caseMetrics } from '../../../../src/report/metrics/case-metrics.ts';
import {
  type Condition,
  conditionHolds,
  formatLimit,
  limitOf,
  parseCondition,
} from '../../../../src/report/metrics/condition.ts';
import { directionOf, formatMetric } from '../../../../src/report/metrics/direction.ts';
import { allPass, evaluateGates, type Gate } from '../../../../src/report/metrics/gates.ts';
import { resolveMetric } from '../../../../src/report/metrics/metric-name.ts';
import { pairCases } from '../../../../src/report/metrics/pairing.ts';
import {
  failOnThresholds,
  matchesFilter,
  readThresholds,
  type Threshold,
  thresholdsJsonSchema,
} from '../../../../src/report/metrics/thresholds.ts';
import { buildReport } from '../../../../src/report/model.ts';
import type { ReportModel } from '../../../../src/report/schema/report.ts';
import { jobResult, runResult } from '../../../support/run-result-builder.ts';

const DEVICES = ['0000:01:00.0', '0000:02:00.0'];

function report(seed = 7, faults = 0): ReportModel {
  return buildReport(runResult([jobResult({ seed, faults, devices: DEVICES })])).model;
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gates-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(content: unknown): string {
  const file = join(folder, 'thresholds.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

describe('metrics of a case', () => {
  const [one] = report().cases;
  const metrics = caseMetrics(one!);

  test('are named by their path in report.json, elements of lists by what they are about', () => {
    expect(metrics.get('headline.throughput_bytes_per_s')).toBe(one!.headline.throughput_bytes_per_s);
    expect(metrics.get('latency.devices[0000:02:00.0].dma_latency_ns.p99')).toBe(
      one!.latency.devices[1]!.dma_latency_ns.p99,
    );
    const [unit] = one!.units;
    expect(metrics.get(`units[${unit!.unit}].counters.iotlb_lookup`)).toBe(unit!.counters['iotlb_lookup']);
    const size = one!.latency.devices[0]!.page_sizes[0]!;
    expect(metrics.get(`latency.devices[0000:01:00.0].page_sizes[${size.page_bytes}].requests`)).toBe(size.requests);
  });

  test('hold no identity and no single events', () => {
    const names = [...metrics.keys()];
    expect(names.filter((name) => /identity|domain_changes|answers|start_ns|page_bytes$/.test(name))).toEqual([]);
    expect(names.length).toBeGreaterThan(100);
    // What the run does not say of a section as a whole, or in words, is no number without a value.
    expect(names.filter((name) => /^(bottleneck|versus_pass_through)$|limiting/.test(name))).toEqual([]);
  });

  test('are found by any tail that is clear, the shallowest first', () => {
    const names = [...metrics.keys()];
    expect(resolveMetric('dma_latency_ns.p99', names, 'here')).toBe('latency.dma_latency_ns.p99');
    expect(resolveMetric('headline.faulted_dma', names, 'here')).toBe('headline.faulted_dma');
    expect(() => resolveMetric('reads', names, 'here')).toThrow(/here: 'reads' is one of 2 metrics: latency\.devices/);
    expect(() => resolveMetric('dma_latency_ns.p98', names, 'here')).toThrow(/did you mean 'dma_latency_ns\.p9\d'/);
  });

  test.each([
    ['walks_per_dmaa', /no metric 'walks_per_dmaa', did you mean 'walks_per_dma'/],
    ['faulted_dmas', /did you mean 'faulted_dma'/],
    ['headline.walk_per_dma', /did you mean 'headline\.walks_per_dma'/],
    ['caches[IOTLB].hit_shar', /did you mean 'caches\[IOTLB\]\.hit_share'/],
    ['devices[0000:01:00.0].dma_latency_ns.p98', /did you mean 'devices\[0000:01:00\.0\]\.dma_latency_ns\.p9\d'/],
    ['p98', /did you mean 'p9\d' or 'p9\d'/],
    ['completely_else_and_far', /no metric 'completely_else_and_far'; compare\.json/],
    ['walks_per_dmaa', /\? .*compare\.json .*lists the names/],
    ['dma_latency_ns', /no metric 'dma_latency_ns', did you mean/],
  ])('%s is told the nearest names, however many words it has', (name, message) => {
    expect(() => resolveMetric(name, [...metrics.keys()], 'here')).toThrow(message);
  });

  test('that may be several list the nearest, and count the others', () => {
    const names = [...metrics.keys()];
    expect(() => resolveMetric('total_ns', names, 'here')).toThrow(
      /'total_ns' is one of \d+ metrics: time\.\w+\[.*\]\.total_ns(, .*){5} and \d+ more; compare\.json/,
    );
  });

  test.each([
    ['latency.dma_latency_ns.p99', 'lower', 1234, '1.23 µs'],
    ['latency.dma_latency_ns.count', 'neutral', 1234, '1,234'],
    ['headline.throughput_bytes_per_s', 'higher', 2.5e9, '2.50 GB/s'],
    ['headline.iotlb_hit_share', 'higher', 0.5, '50.0 %'],
    ['headline.span_ns', 'neutral', 5, '5.00 ns'],
    ['headline.faulted_dma', 'lower', 3, '3'],
    ['concurrency.in_flight_bytes', 'neutral', 2048, '2.00 KiB'],
  ] as const)('%s: %s is better', (path, direction, value, text) => {
    expect(directionOf(path)).toBe(direction);
    expect(formatMetric(path, value)).toBe(text);
  });
});

describe('conditions', () => {
  test.each([
    ['dma_latency_ns.p99 > +2%', 102.1, 100, true],
    ['dma_latency_ns.p99>+2%', 102, 100, false],
    ['dma_latency_ns.p99 > +50ns', 151, 100, true],
    ['dma_latency_ns.p99 > +50ns', 150, 100, false],
    ['dma_latency_ns.p99 <= 2us', 2000, null, true],
    ['throughput_bytes_per_s < -5%', 94, 100, true],
    ['throughput_bytes_per_s >= 3G', 3e9, null, true],
    ['iotlb_hit_share < 95%', 0.94, null, true],
    ['faulted_dma != 0', 0, null, false],
    // From nothing to something is more than any share; nothing to nothing is no change.
    ['faulted_dma > +2%', 1, 0, true],
    ['faulted_dma > +2%', 0, 0, false],
    ['faulted_dma > +2%', 1, null, null],
    ['faulted_dma > 1', null, 3, null],
  ])('%s of %s against %s: %s', (text, value, base, expected) => {
    const condition = parseCondition(text, 'here');
    expect(conditionHolds(condition, limitOf(condition, condition.metric, 'here'), value, base)).toBe(expected);
  });

  test('know that names hold anything between brackets', () => {
    const name = 'invalidation.dmar_latency_buckets[< 0.1 µs].count';
    for (const text of [`${name}>5`, `${name} > 5`]) {
      expect(parseCondition(text, 'here')).toMatchObject({ metric: name, operator: '>', amount: 5 });
    }
  });

  test.each([
    ['dma_latency_ns.p99 > 2us', '2.00 µs'],
    ['dma_latency_ns.p99 > +50ns', '+50.0 ns'],
    ['dma_latency_ns.p99 > -2%', '−2.0 %'],
    ['dma_latency_ns.p99 > +0%', '0.0 %'],
    ['iotlb_hit_share < -0.05', '−5.0 pp'],
  ])('the limit of %s is written %s', (text, limit) => {
    const condition: Condition = parseCondition(text, 'here');
    const { against, metric } = condition;
    expect(formatLimit({ against, limit: limitOf(condition, metric, 'here') }, metric)).toBe(limit);
  });

  test.each([
    ['dma_latency_ns.p99', /is not METRIC/],
    ['dma_latency_ns.p99 > fast', /is not METRIC/],
    ['dma_latency_ns.p99 > 2 furlongs', /unknown unit 'furlongs'/],
  ])('%s is refused', (text, message) => {
    expect(() => parseCondition(text, 'here')).toThrow(message);
  });

  // By the metric that is meant, not by how its name was typed.
  test.each([
    ['faulted_dma > 3ms', /headline\.faulted_dma is a count and has no unit 'ms'/],
    ['dma_latency_ns.count > 5us', /latency\.dma_latency_ns\.count is a count and has no unit 'us'/],
    ['dma_latency_ns.count > +5us', /latency\.dma_latency_ns\.count is a count and has no unit 'us'/],
    ['throughput_bytes_per_s > 5ns', /is in bytes\/s and has no unit 'ns'/],
    ['iotlb_hit_share < 5ns', /is a share and has no unit 'ns'/],
    ['dma_latency_ns.p99 > 2%', /is no share; a change from the base has a sign, as \+2%/],
    ['iotlb_hit_shar < 80%', /no metric 'iotlb_hit_shar', did you mean '[\w.]*iotlb_hit_share'/],
  ])('%s is refused of the metric it means', (text, message) => {
    const model = report();
    const evaluate = (): Gate[] => evaluateGates(failOnThresholds([text]), model, pairCases(model, model));
    expect(evaluate).toThrow(message);
    expect(evaluate).toThrow(expect.objectContaining({ exitCode: 2 }));
  });

  test('have their limit in the unit of the metric, however short its name was typed', () => {
    const control = 'control[IOMMU_IOAS_UNMAP].duration_ns.p99';
    const gates = evaluateGates(failOnThresholds([`${control} > 5us`, 'dma_latency_ns.count > 5k']), report());
    expect(gates.map(({ limit }) => limit)).toEqual([5000, 5000]);
  });
});

describe('gates', () => {
  const against = (thresholds: readonly Threshold[], run: ReportModel, base: ReportModel): Gate[] =>
    evaluateGates(thresholds, run, pairCases(base, run));
  const verdicts = (gates: readonly Gate[]): string[] => gates.map(({ verdict }) => verdict);

  test('what is required must hold, what fails must not', () => {
    const file = fileOf({
      schemaVersion: 1,
      thresholds: [
        { require: 'headline.faulted_dma == 0' },
        { failOn: 'headline.faulted_dma > 0', because: 'a fault stops a device' },
      ],
    });
    expect(verdicts(evaluateGates(readThresholds(file), report()))).toEqual(['pass', 'pass']);
    const breached = evaluateGates(readThresholds(file), report(7, 3));
    expect(verdicts(breached)).toEqual(['breach', 'breach']);
    expect(breached[1]).toMatchObject({ metric: 'headline.faulted_dma', value: 3, because: 'a fault stops a device' });
    expect(allPass(breached)).toBe(false);
  });

  test('a run is no worse than itself, and another is held against it', () => {
    const thresholds = failOnThresholds(['dma_latency_ns.mean > +0%', 'throughput_bytes_per_s < -0%']);
    expect(allPass(against(thresholds, report(), report()))).toBe(true);
    const [gate] = against(failOnThresholds(['dma_latency_ns.mean != +0%']), report(8), report(7));
    expect(gate!.verdict).toBe('breach');
    expect(gate!.observed).toBeCloseTo((gate!.value! - gate!.base!) / gate!.base!, 12);
  });

  test('a case that the base does not have is unknown, and that is no pass', () => {
    const base = { ...report(), cases: [] };
    const gates = against(failOnThresholds(['faulted_dma > +0%']), report(), base);
    expect(verdicts(gates)).toEqual(['unknown']);
    expect(gates[0]).toMatchObject({ unknownBecause: 'the base does not have this case' });
    expect(allPass(gates)).toBe(false);
  });

  test('an incomplete run without a case that is asked for is unknown, not bad usage', () => {
    const none = { ...report(), cases: [], complete: false };
    expect(evaluateGates(failOnThresholds(['faulted_dma > 0']), none)).toMatchObject([
      { case: null, verdict: 'unknown', unknownBecause: 'the run is incomplete and has no such case' },
    ]);
  });

  test('a metric that only another case or the base has is unknown, one that none has is refused', () => {
    const [one] = report().cases;
    const control = one!.timeline.control.slice(1);
    const without = { ...report(), cases: [{ ...one!, timeline: { ...one!.timeline, control } }] };
    const name = `timeline.control[${one!.timeline.control[0]!.op}].duration_ns.p99`;
    expect(verdicts(against(failOnThresholds([`${name} > +1%`]), without, report()))).toEqual(['unknown']);
    expect(() => evaluateGates(failOnThresholds([`${name} > 1us`]), without)).toThrow(/no metric/);
    const other = { ...one!, key: 'other', workload: 'other' };
    const gates = evaluateGates(failOnThresholds([`${name} > 1s`]), { ...without, cases: [...without.cases, other] });
    expect(verdicts(gates)).toEqual(['unknown', 'pass']);
  });

  const one: Threshold = failOnThresholds(['faulted_dma > 0'])[0]!;
  test.each([
    [failOnThresholds(['faulted_dma > +1']), /--fail-on: 'faulted_dma > \+1' is about a change, and there is no base/],
    [failOnThresholds(['faulted > 1']), /no metric 'faulted'/],
    [[{ ...one, workload: 'other*' }], /is about no case of the run/],
    [[{ ...one, hardware: 'vtd-x' }], /is about no case of the run/],
  ])('what cannot be meant is refused', (thresholds, message) => {
    expect(() => evaluateGates(thresholds, report())).toThrow(message);
  });

  test.each([
    [
      { schemaVersion: 1, thresholds: [{ require: 'a > 1', failOn: 'b > 1' }] },
      /thresholds\.0.*one of require and failOn/,
    ],
    [{ schemaVersion: 1, thresholds: [{ because: 'so' }] }, /thresholds\.0.*one of require and failOn/],
    [{ schemaVersion: 1, thresholds: [{ requires: 'a > 1' }] }, /did you mean 'require'/],
    [{ schemaVersion: 1, thresholds: [] }, /thresholds/],
    [{ schemaVersion: 2, thresholds: [{ require: 'a > 1' }] }, /schemaVersion/],
    [{ schemaVersion: 1, thresholds: [{ require: 'a >' }] }, /thresholds\.0: 'a >' is not METRIC/],
  ])('a file that says something wrong is refused with the place', (content, message) => {
    expect(() => readThresholds(fileOf(content))).toThrow(message);
  });

  test('filters know stars, and nothing else is special', () => {
    expect(matchesFilter('nvme-*', 'nvme-randread4k')).toBe(true);
    expect(matchesFilter('nvme-*', 'virtio')).toBe(false);
    expect(matchesFilter('a.c', 'abc')).toBe(false);
    expect(matchesFilter('a(b)*', 'a(b)')).toBe(true);
    expect(matchesFilter(undefined, 'anything')).toBe(true);
  });
});

test('threshold files have the published JSON Schema', () => {
  const published = readFileSync(new URL('../../../../docs/thresholds.schema.json', import.meta.url), 'utf8');
  expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(thresholdsJsonSchema())));
});

test.each([
  [{ require: 'a > 1' }, true],
  [{ failOn: 'a > 1', because: 'so' }, true],
  [{ require: 'a > 1', failOn: 'b > 1' }, false],
  [{ because: 'so' }, false],
  [{ requires: 'a > 1' }, false],
])('the published schema and the decoder agree on %j: %s', (threshold, good) => {
  const content = { schemaVersion: 1, thresholds: [threshold] };
  const published = readFileSync(new URL('../../../../docs/thresholds.schema.json', import.meta.url), 'utf8');
  const schema = z.fromJSONSchema(JSON.parse(published));
  expect(schema.safeParse(content).success).toBe(good);
  const read = (): Threshold[] => readThresholds(fileOf(content));
  if (good) expect(read()).toHaveLength(1);
  else expect(read).toThrow(/thresholds\.0/);
});

describe('docs/gates.md', () => {
  const doc = readFileSync(new URL('../../../../docs/gates.md', import.meta.url), 'utf8');
  const names = [...caseMetrics(report().cases[0]!).keys()];
  const blocks = [...doc.matchAll(/```(\w*)\n(.*?)```/gs)].map(([, language, text]) => ({ language, text: text! }));

  test('names metrics that there are', () => {
    const listed = blocks
      .find(({ text }) => text.startsWith('headline.'))!
      .text.trim()
      .split('\n');
    expect(listed.length).toBeGreaterThan(4);
    for (const name of listed) expect(names, name).toContain(name);
  });

  test('shows conditions that can be meant', () => {
    const conditions = [...doc.matchAll(/`([\w.]+ (?:[<>]=?|[!=]=) [+-]?\d\S*)`/g)].map(([, text]) => text!);
    expect(conditions.length).toBeGreaterThan(5);
    for (const text of conditions) {
      expect(names).toContain(resolveMetric(parseCondition(text, 'docs/gates.md').metric, names, 'docs/gates.md'));
    }
  });

  test('shows a threshold file that is one, as is the example beside it', () => {
    const shown = blocks.find(({ language }) => language === 'json')!.text;
    expect(readThresholds(fileOf(JSON.parse(shown)))).toHaveLength(2);
    const example = new URL('../../../../docs/thresholds.example.json', import.meta.url);
    expect(readThresholds(fileURLToPath(example))).toHaveLength(4);
  });
});
