import { describe, expect, test } from 'vitest';
import { COMPARISON_METRICS } from '../../../../src/report/sections/comparison-metrics.ts';
import { sweepDocument } from '../../../../src/report/sweep/document.ts';
import { effectsOf, gridEffects, plateauOf, rankingOf } from '../../../../src/report/sweep/effects.ts';
import { buildSweep } from '../../../../src/report/sweep/model.ts';
import type { PointMetrics, SweepCaseModel, SweepPointModel } from '../../../../src/report/sweep/schema.ts';
import { isNumeric, ratiosOf, type SeriesPoint, seriesOf } from '../../../../src/report/sweep/series.ts';
import { assumptionText, headline, paramAnswer } from '../../../../src/report/sweep/words.ts';
import { gridResult, sweepResult, sweptJob } from '../../../support/sweep-result-builder.ts';

const BASE = Object.fromEntries(COMPARISON_METRICS.map((metric) => [metric, 100])) as PointMetrics;

/** What the profiles as they are find. */
const BASE_METRICS: PointMetrics = { ...BASE, faulted_dma: 2 };

const metrics = (fields: Partial<PointMetrics>): PointMetrics => ({ ...BASE, faulted_dma: 0, ...fields });

function series(metric: keyof PointMetrics, points: readonly (readonly [string, number | null])[]): SeriesPoint[] {
  return points.map(([value, found]) => ({
    value,
    own: false,
    status: 'ok',
    metrics: found === null ? null : metrics({ [metric]: found }),
    ratios: null,
  }));
}

describe('effect size', () => {
  const effect = (...values: (number | null)[]) =>
    effectsOf(
      series(
        'dma_latency_mean_ns',
        values.map((value, index) => [`at ${index}`, value] as const),
      ),
      BASE_METRICS,
    ).find(({ metric }) => metric === 'dma_latency_mean_ns');

  test('is the largest over the smallest value, and says where they are', () => {
    expect(effect(20, 10, 40)).toMatchObject({ min: 10, min_at: 'at 1', max: 40, max_at: 'at 2', ratio: 4 });
  });

  test('leaves out points without a result, and has no ratio over nothing', () => {
    expect(effect(20, null)).toMatchObject({ min: 20, max: 20, ratio: null });
    expect(effect(0, 5)).toMatchObject({ min: 0, max: 5, ratio: null });
    expect(effect(null)).toMatchObject({ min: null, min_at: null, max: null, ratio: null });
  });

  test('leaves out points at which more DMA faults than in the base, but not those with as many', () => {
    const points = [
      { value: '1', metrics: metrics({ dma_latency_mean_ns: 10, faulted_dma: 3 }) },
      { value: '2', metrics: metrics({ dma_latency_mean_ns: 50, faulted_dma: 2 }) },
      { value: '3', metrics: metrics({ dma_latency_mean_ns: 100 }) },
    ];
    const found = effectsOf(points, BASE_METRICS);
    expect(found[0]).toMatchObject({ metric: 'dma_latency_mean_ns', min: 50, min_at: '2', ratio: 2 });
    // Of the faults themselves they are what there is to say.
    expect(found.find(({ metric }) => metric === 'faulted_dma')).toMatchObject({ max: 3, max_at: '1' });
    const grid = points.map(({ value, metrics: own }): SweepPointModel => {
      const changes = [{ path: 'x', value }];
      return { changes, status: 'ok', same_as: null, missing: [], metrics: own, ratio_to_base: null };
    });
    expect(gridEffects(grid, 'x', BASE_METRICS)[0]).toMatchObject({ min: 50, min_at: '2', ratio: 2 });
  });

  test('of a grid is that of the line where it is largest', () => {
    const point = (x: string, y: string, mean: number): SweepPointModel => ({
      changes: [
        { path: 'x', value: x },
        { path: 'y', value: y },
      ],
      status: 'ok',
      same_as: null,
      missing: [],
      metrics: metrics({ dma_latency_mean_ns: mean }),
      ratio_to_base: null,
    });
    const points = [point('1', 'a', 100), point('2', 'a', 90), point('1', 'b', 50), point('2', 'b', 10)];
    expect(gridEffects(points, 'x', BASE_METRICS)[0]).toMatchObject({
      ratio: 5,
      min_at: '2',
      others: [{ path: 'y', value: 'b' }],
    });
    expect(gridEffects(points, 'y', BASE_METRICS)[0]).toMatchObject({
      ratio: 9,
      min_at: 'b',
      others: [{ path: 'x', value: '2' }],
    });
  });
});

describe('point of diminishing returns', () => {
  const latency = (...points: (readonly [string, number | null])[]) =>
    plateauOf(series('dma_latency_mean_ns', points), 'dma_latency_mean_ns', BASE_METRICS);

  test('smallest value within 5 % of the best, where more is better', () => {
    const found = latency(['16', 300], ['32', 105], ['64', 101], ['128', 100]);
    expect(found).toMatchObject({ value: '32', side: 'smallest', best: 100, best_at: '128', within_share: 0.05 });
    expect(latency(['16', 300], ['32', 106], ['64', 104], ['128', 100])).toMatchObject({ value: '64' });
  });

  test('largest value within 5 % of the best, where less is better', () => {
    expect(latency(['50', 100], ['100', 104], ['200', 150])).toMatchObject({ value: '100', side: 'largest' });
  });

  test('any, where it does not matter; none with a single result', () => {
    expect(latency(['1', 100], ['2', 103])).toMatchObject({ side: 'any', value: '1' });
    expect(latency(['1', 100], ['2', null])).toBeNull();
  });

  test('is not a value at which more DMA faults than in the base', () => {
    const points = series('dma_latency_mean_ns', [
      ['16', 300],
      ['32', 100],
      ['64', 99],
    ]);
    points[0] = { ...points[0]!, metrics: metrics({ dma_latency_mean_ns: 10, faulted_dma: 3 }) };
    const found = plateauOf(points, 'dma_latency_mean_ns', BASE_METRICS);
    expect(found).toMatchObject({ value: '32', best: 99, best_at: '64' });
    expect(plateauOf(points.slice(0, 2), 'dma_latency_mean_ns', BASE_METRICS)).toBeNull();
  });

  test('of throughput the most is best', () => {
    const points = series('throughput_bytes_per_s', [
      ['1', 10],
      ['2', 96],
      ['4', 100],
    ]);
    expect(plateauOf(points, 'throughput_bytes_per_s', BASE_METRICS)).toMatchObject({
      value: '2',
      side: 'smallest',
      best_at: '4',
    });
  });
});

describe('ranking', () => {
  const base: SweepCaseModel['base'] = { status: 'ok', missing: [], metrics: metrics({}) };
  const point = (path: string, value: string, fields: Partial<PointMetrics>): SweepPointModel => ({
    changes: [{ path, value }],
    status: 'ok',
    same_as: null,
    missing: [],
    metrics: metrics(fields),
    ratio_to_base: ratiosOf(metrics(fields), metrics({})),
  });
  const rank = (points: SweepPointModel[], by: SweepCaseModel['ranked_by'] = 'dma_latency_mean_ns') =>
    rankingOf({ base, points, params: [], ranked_by: by }, false).map(({ changes, helps }) => [
      changes[0]!.path,
      changes[0]!.value,
      helps,
    ]);

  test('the best value of each parameter, best first; gains below 1 % help nobody', () => {
    const points = [
      point('a', '1', { dma_latency_mean_ns: 90 }),
      point('a', '2', { dma_latency_mean_ns: 80 }),
      point('b', '1', { dma_latency_mean_ns: 50 }),
      point('c', '1', { dma_latency_mean_ns: 99.5 }),
      point('d', '1', { dma_latency_mean_ns: 200 }),
    ];
    expect(rank(points)).toEqual([
      ['b', '1', true],
      ['a', '2', true],
      ['c', '1', false],
      ['d', '1', false],
    ]);
  });

  test('by throughput the most is best, though latency says otherwise', () => {
    const points = [
      point('narrow', '1', { dma_latency_mean_ns: 10, throughput_bytes_per_s: 50 }),
      point('wide', '1', { dma_latency_mean_ns: 120, throughput_bytes_per_s: 200 }),
    ];
    expect(rank(points, 'throughput_bytes_per_s')).toEqual([
      ['wide', '1', true],
      ['narrow', '1', false],
    ]);
  });

  test('of values that do the same for it, the one that does more for the other metric', () => {
    const points = [
      point('a', '1', { dma_latency_mean_ns: 105 }),
      point('a', '2', { dma_latency_mean_ns: 95 }),
      point('a', '3', { dma_latency_mean_ns: 99 }),
    ];
    expect(rank(points, 'throughput_bytes_per_s')).toEqual([['a', '2', false]]);
  });

  test('a point at which DMA faults, and the profile itself, are no help', () => {
    expect(rank([point('a', '1', { dma_latency_mean_ns: 1, faulted_dma: 1 })])).toEqual([]);
    expect(rank([{ ...point('a', '1', {}), same_as: 'profile' }])).toEqual([]);
  });
});

describe('a series', () => {
  test('numbers ascend with the profile’s own among them, whether it was swept or not', () => {
    const { model } = buildSweep(sweepResult());
    const [one] = model.cases;
    const [entries, policy] = one!.params;
    expect(seriesOf(one!, entries!).map(({ value, own }) => [value, own])).toEqual([
      ['16', false],
      ['32', false],
      ['64', true],
      ['128', false],
    ]);
    const without = { ...one!, points: one!.points.filter(({ same_as: same }) => same === null) };
    expect(seriesOf(without, entries!)).toEqual(seriesOf(one!, entries!));
    expect(seriesOf(without, policy!).map(({ value, own }) => [value, own])).toEqual([
      ['lru', true],
      ['fifo', false],
    ]);
  });

  test.each([
    [['1', '2.5', '-3'], '4', true],
    [['1', '2'], null, true],
    [['1', '[1,2]'], '4', false],
    [['lru'], null, false],
    [['true', 'false'], 'true', false],
    [['1'], 'lru', false],
  ])('%j beside %s is numeric: %s', (values, own, expected) => {
    expect(isNumeric(values, own)).toBe(expected);
  });
});

describe('what a parameter does, in words', () => {
  const [one] = buildSweep(sweepResult()).model.cases;
  const [entries, policy] = one!.params;

  test('a parameter of which no point has a result is not said to do nothing', () => {
    expect(paramAnswer(policy!, { ...one!, points: one!.points.slice(5) })).toBe('No point of it has a result.');
    expect(paramAnswer(policy!, one!)).toBe('There is nothing to compare 674 ns with. 1 of 2 points has no result.');
  });

  test('one that moves nothing says so, one that moves something else names it', () => {
    const still = entries!.effects.map((effect) => ({ ...effect, max: effect.min, ratio: 1 }));
    expect(paramAnswer({ ...entries!, effects: still }, one!)).toContain('nor anything else that is compared');
    const other = still.map((effect) => (effect.metric === 'iotlb_hit_share' ? { ...effect, ratio: 2 } : effect));
    expect(paramAnswer({ ...entries!, effects: other }, one!)).toContain('it moves IOTLB hits');
  });

  test('of one point or number it is not said that it is one of one', () => {
    expect(assumptionText([policy!])).toBe('the swept number is an assumption in the profile');
    const [first] = one!.points;
    const faulting = { ...first!, metrics: { ...first!.metrics!, faulted_dma: 9 } };
    expect(paramAnswer(entries!, { ...one!, points: [faulting] })).toMatch(
      / Its only point is left out: more DMA faults there than in the base\.$/,
    );
  });

  test('points at which more DMA faults are said to be left out, and the tornado leaves them out', () => {
    const result = sweepResult();
    const points = result.cases[0]!.points.map((point) =>
      point.values[0] === '128' ? { ...point, jobs: [sweptJob(0.1, 5)] } : point,
    );
    const { model, charts } = buildSweep({ ...result, cases: [{ ...result.cases[0]!, points }] });
    const [faulting] = model.cases;
    expect(faulting!.points[3]!.metrics!.faulted_dma).toBe(5);
    expect(paramAnswer(faulting!.params[0]!, faulting!)).toMatch(
      /from 674 ns at 64 to .* 1 of 4 points is left out: more DMA faults there than in the base\.$/,
    );
    const tornado = charts[0]!.find(({ name }) => name === 'tornado-latency')!;
    expect(tornado.rows.map(({ value }) => value)).toEqual(['16']);
  });

  test('where no change helps, the headline says so', () => {
    const ranking = one!.ranking.map((ranked) => ({ ...ranked, helps: false }));
    expect(headline({ ...one!, ranking }, false)).toMatch(
      /^None of 3 changes \(1 more has no result\) helps by 1 % or more: .*674 ns as it is/,
    );
    expect(headline({ ...one!, ranking: [] }, false)).toMatch(
      /^Of 3 changes \(1 more has no result\) none can be ranked/,
    );
  });
});

describe('a headline with little to say', () => {
  const [one] = buildSweep(sweepResult()).model.cases;
  const [entries] = one!.points;
  const point = (fields: Partial<SweepPointModel>): SweepPointModel => ({ ...entries!, ...fields });
  const of = (points: SweepPointModel[], ranking: SweepCaseModel['ranking'] = []) =>
    headline({ ...one!, points, ranking }, false);
  const pace = (value: string) => point({ changes: [{ path: 'pace', value }] });
  const faulting = point({ metrics: { ...entries!.metrics!, faulted_dma: 9 } });

  test('every value is the profile’s own', () => {
    expect(of([point({ same_as: 'profile' })])).toBe(
      'Every value is what the profile has: there is nothing to compare it with.',
    );
  });

  test('no change has a result', () => {
    expect(of([point({ status: 'failed', metrics: null })])).toBe('No change has a result.');
  });

  test('another pacing, faults, or both stand in the way', () => {
    expect(of([pace('closed'), pace('scale=2')])).toBe(
      'Of 2 changes none can be ranked: another pacing asks another question.',
    );
    expect(of([faulting])).toBe('The only change cannot be ranked: more DMA faults than in the base.');
    expect(of([faulting, pace('closed')])).toBe(
      'Of 2 changes none can be ranked: 1 with another pacing, 1 with more DMA faults than in the base.',
    );
    const nothing = { ...entries!.metrics!, dma_latency_mean_ns: null };
    expect(of([point({ metrics: nothing })])).toBe('The only change cannot be ranked: mean DMA latency is not known.');
  });

  test('the only change helps, or does not', () => {
    const [best] = one!.ranking;
    expect(of([entries!], [best!])).toMatch(/^The only change, `iotlb.entries=128`, helps: mean DMA latency 674 ns/);
    expect(of([entries!], [{ ...best!, helps: false }])).toBe(
      'The only change, `iotlb.entries=128`, does not help by 1 % or more: mean DMA latency is 674 ns as it is, and 654 ns with it.',
    );
  });

  test('the tile of a sweep of the pacing alone has no dash for a parameter', () => {
    const { model } = buildSweep(sweepResult());
    const params = model.cases[0]!.params.slice(0, 1).map((param) => ({ ...param, path: 'pace' }));
    const [chapter] = sweepDocument({ ...model, cases: [{ ...model.cases[0]!, params }] }).chapters;
    const tile = chapter!.tiles.find(({ label }) => label === 'Largest effect');
    expect(tile).toMatchObject({ value: '–', detail: 'only the pacing was swept' });
  });
});

test('a grid of two numbers has heat maps of every combination, and no lines', () => {
  const { charts, model } = buildSweep(gridResult());
  expect(charts[0]!.map(({ name, rows }) => [name, rows.length])).toEqual([
    ['heat-latency', 8],
    ['heat-throughput', 8],
  ]);
  expect(model.cases[0]!.ranking[0]!.changes).toEqual([
    { path: 'iotlb.entries', value: '128' },
    { path: 'walk.walkers', value: '12' },
  ]);
  expect(model.cases[0]!.params.every(({ diminishing_returns: plateau }) => plateau === null)).toBe(true);
});
