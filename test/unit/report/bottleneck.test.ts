/** The resource that limits a run is named: loads made so that each in turn is the tight one. */
import { describe, expect, test } from 'vitest';
import type { Pacing } from '../../../src/replay/protocol.ts';
import { runReplay } from '../../../src/replay/run.ts';
import { reportDocument } from '../../../src/report/document/document.ts';
import { buildReport } from '../../../src/report/model.ts';
import type { ReportCase } from '../../../src/report/schema/report.ts';
import { reportText } from '../../../src/report/text.ts';
import { type ControlEvent, type DmaRow, writeTestBundle } from '../../support/replay-bundle.ts';
import { jobResult, runResult } from '../../support/run-result-builder.ts';

const PAGES = 4096;
const REQUESTS = 6000;

const map = (page: number, pages: number, fields: Partial<ControlEvent> = {}): ControlEvent => ({
  kind: 'control',
  op: 'dma_map',
  device: 0,
  iova: page * 4096,
  length: pages * 4096,
  recordedResult: 0,
  // No two frames touch, so that no large page maps them.
  frames: Array.from({ length: pages }, (_, at) => [page + at, 0x10_0000 + 2 * (page + at), 1] as const),
  ...fields,
});

interface Load {
  readonly hardware: string;
  readonly bytes: number;
  readonly pages: number;
  readonly set?: readonly string[];
  readonly pacing?: Pacing;
  readonly gapNs?: number;
}

/** Reads all over `pages` pages that are mapped throughout. */
async function reads({ hardware, bytes, pages, set = [], pacing, gapNs = 0 }: Load): Promise<ReportCase> {
  const rows = [
    map(0x1000, PAGES),
    ...Array.from({ length: REQUESTS }, (_, index): DmaRow => {
      const page = 0x1000 + ((index * 769) % pages);
      return { kind: 'dma', device: 0, iova: page * 4096, bytes, timeNs: index * gapNs, afterControl: 1 };
    }),
  ];
  return caseOf(rows, hardware, set, pacing);
}

async function caseOf(
  rows: readonly (DmaRow | ControlEvent)[],
  hardware: string,
  overrides: readonly string[] = [],
  pacing: Pacing = { mode: 'closed' },
): Promise<ReportCase> {
  const bundles = [await writeTestBundle({ devices: [{}], rows })];
  const options = { bundles, hardware: [hardware], overrides, pacing, workers: 0, toolVersion: 'test' };
  const { run } = await runReplay(options);
  expect(run.failures).toEqual([]);
  return buildReport(run).model.cases[0]!;
}

describe('the tight resource is named, and its bound is the throughput', () => {
  /*
   * What each bound is from the numbers of the profile alone, for reads that all have one size: window over the time a request
   * is away (round trip and a hit), walkers over the time of a walk (fixed part, one read), one request each interval of
   * walks and its own line at the port, or of issue.
   */
  test.each([
    ['device window', (27 * 64) / (412e-9 + 1e-9), { bytes: 64, pages: 32 }],
    ['memory port of walks', 64 / (46.1e-9 + 6.5e-9), { bytes: 64, pages: PAGES }],
    ['page walkers', (2 * 64) / (110e-9 + 180e-9), { bytes: 64, pages: PAGES, set: ['translation.walkers=2'] }],
    ['device link', 512 / 74.5e-9, { bytes: 512, pages: 32 }],
  ] as const)('%s', async (resource, expected, load) => {
    const { bottleneck, headline } = await reads({ hardware: 'vtd-bdw', ...load });
    expect(bottleneck?.limiting).toBe(resource);
    const [first] = bottleneck!.resources;
    // A few walks read more than one entry, or come before a hit.
    expect(first!.bound_bytes_per_s! / expected).toBeGreaterThan(0.99);
    expect(first!.bound_bytes_per_s! / expected).toBeLessThan(1.001);
    // The replay gets there but for filling and draining.
    const throughput = headline.throughput_bytes_per_s!;
    expect(throughput / expected).toBeGreaterThan(0.95);
    expect(throughput / expected).toBeLessThanOrEqual(1);
    for (const { bound_bytes_per_s: bound } of bottleneck!.resources) expect(bound).toBeGreaterThanOrEqual(throughput);
  });

  test('the control plane, when every request waits for a map of its own', async () => {
    const rows = Array.from({ length: 300 }, (_, index) => [
      map(0x1000 + index, 1),
      { kind: 'dma', device: 0, iova: (0x1000 + index) * 4096, afterControl: 2 * index + 1 } as DmaRow,
      map(0x1000 + index, 1, { op: 'dma_unmap', frames: [], afterDma: index + 1 }),
    ]).flat();
    const { bottleneck, answers } = await caseOf(rows, 'vtd-emr');
    expect(bottleneck?.resources[0]?.resource).toBe('control plane');
    expect(answers.find(({ question }) => question === 'What limits the rate?')?.answer).toContain('control plane');
  });

  test('nothing, when the trace sets the pace', async () => {
    const load = { hardware: 'vtd-bdw', bytes: 64, pages: 32, gapNs: 5000, pacing: { mode: 'recorded' } as const };
    const { bottleneck, answers } = await reads(load);
    expect(bottleneck?.limiting).toBeNull();
    expect(bottleneck!.resources[0]!.utilisation_share).toBeLessThan(0.1);
    expect(answers.find(({ question }) => question === 'What limits the rate?')?.answer).toContain('pace');
  });
});

test('identity has link and window of the devices', async () => {
  const { identity } = await reads({ hardware: 'vtd-bdw', bytes: 64, pages: 1 });
  // PCIe generation 3, 8 lanes: 8 GT/s a lane, 128b/130b, a skip of 4 symbols in 1538.
  expect(identity?.link?.bytes_per_s).toBeCloseTo(((8e9 * 8) / 8) * (128 / 130) * (1538 / 1542), -6);
  expect(identity?.window?.map(({ request_bytes, reads: r, writes }) => [request_bytes, r, writes])).toEqual([
    [64, 27, 64],
    [128, 19, 64],
    [256, 16, 24],
    [512, 16, 24],
  ]);
});

test('more use than the span holds is in the data; only what is shown ends at all of a resource', () => {
  const job = jobResult();
  const { model } = buildReport(runResult([{ ...job, spanPs: job.spanPs / 1000 }]));
  const [facts] = model.cases;
  const [first] = facts!.bottleneck!.resources;
  const throughput = facts!.headline.throughput_bytes_per_s!;
  expect(first!.utilisation_share).toBeGreaterThan(10);
  expect(first!.bound_bytes_per_s).toBeLessThan(throughput / 10);
  const answer = facts!.answers.find(({ question }) => question === 'What limits the rate?')!.answer;
  expect(answer).toContain(`${first!.resource}, 100.0 % in use`);
  const rate = /: (\S+ \S+) of at most (\S+ \S+)\. /.exec(answer);
  expect(rate?.[1]).toBe(rate?.[2]);
  const lines = reportText(model, reportDocument(model)).split('\n');
  const line = lines.find((one) => one.startsWith(`${first!.resource} `) && one.includes(' 100.0 % '));
  expect(line).toContain(rate?.[2]);
});
