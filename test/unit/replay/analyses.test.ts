import { describe, expect, test } from 'vitest';
import type { DmaColumns, ResultColumns } from '../../../src/hw/unit.ts';
import { allocateBatch, DmaOutcome } from '../../../src/hw/unit.ts';
import { Random } from '../../../src/random.ts';
import type { Analysis, AnalysisContext } from '../../../src/replay/analyses/analysis.ts';
import { invalidationStats, tallyDifference, tallyUnit } from '../../../src/replay/analyses/caches.ts';
import { control } from '../../../src/replay/analyses/control.ts';
import { faults } from '../../../src/replay/analyses/faults.ts';
import { latency } from '../../../src/replay/analyses/latency.ts';
import { latencyOverTime } from '../../../src/replay/analyses/latency-over-time.ts';
import { span } from '../../../src/replay/analyses/span.ts';
import { throughput } from '../../../src/replay/analyses/throughput.ts';
import type { ControlCall } from '../../../src/replay/control-call.ts';
import { formatPacing, PacingClock } from '../../../src/replay/pacing.ts';
import { emptyAccount } from '../../../src/stack/kernel/scheduler.ts';
import { Histogram, percentile } from '../../../src/stats/histogram.ts';
import { RESULT_UNKNOWN } from '../../../src/trace/schema/control-stream.ts';
import { testDevice } from '../../support/replay-bundle.ts';

const context: AnalysisContext = { devices: [testDevice(0, {}), testDevice(1, {})], originTick: 1_000 };

/** A batch of random rows; about one in eight faults. */
function batch(seed: number, rows: number): [DmaColumns, ResultColumns] {
  const random = new Random(seed);
  const { results } = allocateBatch(rows);
  const input: DmaColumns = {
    rowCount: rows,
    notBefore: new Float64Array(rows),
    device: Uint16Array.from({ length: rows }, () => random.below(2)),
    pasid: new Uint32Array(rows),
    iova: Uint32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? random.below(1 << 20) : 0)),
    bytes: Uint32Array.from({ length: rows }, () => 1 + random.below(4096)),
    flags: Uint8Array.from({ length: rows }, () => random.below(2)),
  };
  for (let row = 0; row < rows; row++) {
    results.issueTick[row] = 1_000 + random.below(2_000_000_000);
    results.arriveTick[row] = results.issueTick[row]! + 100;
    results.readyTick[row] = results.arriveTick[row]! + random.below(900_000);
    results.doneTick[row] = results.readyTick[row]! + random.below(900_000);
    results.outcome[row] = random.below(8) === 0 ? DmaOutcome.fault : random.below(3);
    results.fault[row] = results.outcome[row] === DmaOutcome.fault ? 5 + random.below(2) : 0;
    results.pageShift[row] = 12 + 9 * random.below(2);
    results.walkReads[row] = random.below(5);
  }
  return [input, results];
}

function snapshotOf<S, T>(analysis: Analysis<S, T>, batches: readonly [DmaColumns, ResultColumns][]): T {
  const state = analysis.init(context);
  for (const [input, results] of batches) analysis.onDmaBatch?.(state, input, results);
  return analysis.finish(state);
}

describe('every DMA analysis', () => {
  const a = batch(1, 300);
  const b = batch(2, 200);
  test.each([
    ['latency', latency],
    ['throughput', throughput],
    ['latency over time', latencyOverTime],
    ['faults', faults],
    ['span', span],
  ] as [string, Analysis<unknown, unknown>][])(
    '%s: merging parts equals seeing the whole, in either order',
    (_, analysis) => {
      const whole = snapshotOf(analysis, [a, b]);
      const byDevice = (value: unknown): unknown =>
        Array.isArray(value) ? [...value].sort((x, y) => JSON.stringify(x).localeCompare(JSON.stringify(y))) : value;
      expect(byDevice(analysis.merge(snapshotOf(analysis, [a]), snapshotOf(analysis, [b])))).toEqual(byDevice(whole));
      expect(byDevice(analysis.merge(snapshotOf(analysis, [b]), snapshotOf(analysis, [a])))).toEqual(byDevice(whole));
    },
  );

  test('latency counts by device, and keeps faults out of the histograms', () => {
    const [input, results] = a;
    const devices = snapshotOf(latency, [a]);
    for (const [index, device] of devices.entries()) {
      const rows = [...input.device.keys()].filter((row) => input.device[row] === index);
      const good = rows.filter((row) => results.outcome[row] !== DmaOutcome.fault);
      expect(device.reads + device.writes).toBe(rows.length);
      expect(device.faults).toBe(rows.length - good.length);
      expect(device.bytes).toBe(good.reduce((sum, row) => sum + input.bytes[row]!, 0));
      const slowest = Math.max(...good.map((row) => results.doneTick[row]! - results.issueTick[row]!));
      expect(device.dmaLatency.count).toBe(good.length);
      expect(percentile(device.dmaLatency, 1)).toBe(slowest);
    }
  });

  test('latency over time has bounded bins however long the run', () => {
    const [input, results] = batch(3, 1000);
    for (let row = 0; row < 1000; row++) results.doneTick[row] = results.issueTick[row]! + row * 50_000_000_000;
    const bands = snapshotOf(latencyOverTime, [[input, results]]);
    expect(bands.bins.length).toBeLessThanOrEqual(128);
    expect(bands.bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(
      results.outcome.filter((outcome) => outcome !== DmaOutcome.fault).length,
    );
  });

  test('translation requests move no bytes', () => {
    const [input, results] = batch(4, 50);
    input.flags.fill(2);
    results.outcome.fill(DmaOutcome.hit);
    expect(snapshotOf(throughput, [[input, results]]).bins.reduce((sum, bytes) => sum + bytes, 0)).toBe(0);
    expect(snapshotOf(latency, [[input, results]]).reduce((sum, device) => sum + device.bytes, 0)).toBe(0);
  });
});

describe('the control analysis', () => {
  const call = (fields: Partial<ControlCall>): ControlCall => ({
    row: 0,
    op: 'dma_map',
    cpu: 0,
    device: 0,
    text: '',
    startTick: 2_000,
    endTick: 5_000,
    account: emptyAccount(),
    result: 0,
    recordedResult: RESULT_UNKNOWN,
    skipped: false,
    ...fields,
  });
  const snapshot = (calls: readonly ControlCall[]) => {
    const state = control.init(context);
    for (const each of calls) control.onControlCall?.(state, each);
    return control.finish(state);
  };

  test('the busiest CPU is the one whose calls last longest together', () => {
    const { busiestCpuTicks } = snapshot([call({ cpu: 1 }), call({ cpu: 0, endTick: 6_000 }), call({ cpu: 1 })]);
    expect(busiestCpuTicks).toBe(6_000);
  });

  test('times are relative to the origin, marker text is kept, skipped rows have no duration', () => {
    const { markers, latency: durations } = snapshot([
      call({ op: 'marker', text: 'phase 1', skipped: true }),
      call({ op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT' }),
    ]);
    expect(markers).toMatchObject([
      { op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', startTick: 1_000, endTick: 4_000 },
      { op: 'marker', text: 'phase 1' },
    ]);
    expect(Object.keys(durations)).toEqual(['VFIO_DEVICE_ATTACH_IOMMUFD_PT']);
  });

  test('success values of the recording need not be equal, errnos must', () => {
    const { divergences } = snapshot([
      call({ row: 1, recordedResult: 7, result: 3 }),
      call({ row: 2, recordedResult: -22, result: -22 }),
      call({ row: 3, recordedResult: -22, result: -2 }),
      call({ row: 4, recordedResult: 0, result: -16 }),
      call({ row: 5 }),
    ]);
    expect([divergences.compared, divergences.count]).toEqual([4, 2]);
    expect(divergences.first.map((each) => [each.controlRow, each.recorded, each.modelled])).toEqual([
      [3, '-EINVAL', '-ENOENT'],
      [4, '0', '-EBUSY'],
    ]);
  });

  test('markers and divergences are capped, their counts are not', () => {
    const calls = Array.from({ length: 1500 }, (_, row) => call({ row, op: 'close', recordedResult: -5 }));
    const { markers, markersOmitted, divergences } = snapshot(calls);
    expect([markers.length, markersOmitted]).toEqual([1000, 500]);
    expect([divergences.first.length, divergences.count]).toEqual([100, 1500]);
  });
});

test('tallies leave out what happened before, and sort queue waits into the classes of debugfs', () => {
  const waitLatency = new Histogram();
  let submissions = 0;
  const unit = {
    name: 'dmar0',
    counters: () => ({ iotlb_lookup: submissions * 10 }),
    queueStatistics: () => ({ descriptors: { wait: submissions }, submissions, waitLatency, peakOccupancy: 3 }),
  };
  waitLatency.record(50_000);
  submissions = 1;
  const boot = tallyUnit(unit);
  for (const ps of [700_000, 900_000, 5_000_000, 20_000_000_000]) waitLatency.record(ps);
  submissions = 5;
  const difference = tallyDifference(tallyUnit(unit), boot);
  expect(difference.counters).toEqual({ iotlb_lookup: 40 });
  const stats = invalidationStats([difference]);
  expect(stats.submissions).toBe(4);
  expect(stats.waitLatency.count).toBe(4);
  expect(stats.dmarLatencyBuckets).toEqual([0, 2, 1, 0, 0, 0, 1]);
});

describe('pacing', () => {
  test('recorded times start at the origin, scaled ones are multiplied, closed ones have none', () => {
    expect(new PacingClock({ mode: 'recorded' }, 500).tickOf(3)).toBe(3_500);
    expect(new PacingClock({ mode: 'scale', factor: 0.5 }, 500).tickOf(3)).toBe(2_000);
    expect(new PacingClock({ mode: 'closed' }, 500).tickOf(3)).toBe(500);
    expect(new PacingClock({ mode: 'scale', factor: 1e6 }, 0).reaches(1e10)).toBe(false);
    expect(formatPacing({ mode: 'scale', factor: 0.5 })).toBe('scale=0.5');
  });
});
