/** What a parameter does: effect sizes, where more of it stops helping, and which change helps most. */
import { COMPARISON_METRICS, type ComparisonMetric } from '../sections/comparison-metrics.ts';
import type {
  PointMetrics,
  SweepCaseModel,
  SweepEffect,
  SweepParamModel,
  SweepPlateau,
  SweepPointModel,
  SweepRanked,
} from './schema.ts';
import { changeText, faultsMore, type SeriesPoint } from './series.ts';

/** How far from the best value of a metric more is not worth having. */
export const PLATEAU_SHARE = 0.05;
/** Best points of a grid that are listed. */
const RANKED_COMBINATIONS = 10;
/** Smaller gains help nobody. */
export const LEAST_GAIN = 0.01;
/** Factor by which a metric has to move to be worth a picture. */
export const LEAST_EFFECT = 1.001;

/** Metrics by which changes are ranked, and which way is better. */
export type RankedMetric = SweepCaseModel['ranked_by'];

/** Whether `a` is at least as good as `b`. */
function atLeastAsGood(metric: RankedMetric, a: number, b: number): boolean {
  return metric === 'throughput_bytes_per_s' ? a >= b : a <= b;
}

interface Valued {
  readonly value: string;
  readonly metrics: PointMetrics | null;
}

/**
 * Smallest and largest of every metric over one line of points. Those at which more DMA faults than in `base` count for
 * the faults alone.
 */
export function effectsOf(
  points: readonly Valued[],
  base: PointMetrics | null,
  others: SweepEffect['others'] = [],
): SweepEffect[] {
  const kept = points.filter(({ metrics }) => !faultsMore(metrics, base));
  return COMPARISON_METRICS.map((metric) => ({
    ...effectOf(metric === 'faulted_dma' ? points : kept, metric),
    others,
  }));
}

function effectOf(points: readonly Valued[], metric: ComparisonMetric): Omit<SweepEffect, 'others'> {
  const known = points.flatMap(({ value, metrics }) => {
    const found = metrics?.[metric] ?? null;
    return found === null ? [] : [{ value, found }];
  });
  const [first] = known;
  if (first === undefined) return { metric, min: null, min_at: null, max: null, max_at: null, ratio: null };
  const min = known.reduce((a, b) => (b.found < a.found ? b : a), first);
  const max = known.reduce((a, b) => (b.found > a.found ? b : a), first);
  const ratio = known.length < 2 || min.found === 0 ? null : max.found / min.found;
  return { metric, min: min.found, min_at: min.value, max: max.found, max_at: max.value, ratio };
}

/** Effects of one parameter of a grid: of each metric along the line, all other parameters fixed, where it is largest. */
export function gridEffects(
  points: readonly SweepPointModel[],
  path: string,
  base: PointMetrics | null,
): SweepEffect[] {
  const lines = new Map<string, { others: SweepEffect['others']; points: Valued[] }>();
  for (const { changes, metrics } of points) {
    const others = changes.filter((change) => change.path !== path);
    const key = changeText(others);
    const line = lines.get(key) ?? { others, points: [] };
    line.points.push({ value: changes.find((change) => change.path === path)!.value, metrics });
    lines.set(key, line);
  }
  const all = [...lines.values()].map((line) => effectsOf(line.points, base, line.others));
  return COMPARISON_METRICS.map((_, index) =>
    all.map((effects) => effects[index]!).reduce((a, b) => ((b.ratio ?? 0) > (a.ratio ?? 0) ? b : a)),
  );
}

/**
 * Point of diminishing returns: the smallest value whose metric is within {@link PLATEAU_SHARE} of the best; where less is
 * better (a latency), the largest. `points` ascend; those at which more DMA faults than in `base` are passed over. Null
 * without two values that have the metric.
 */
export function plateauOf(
  points: readonly SeriesPoint[],
  metric: RankedMetric,
  base: PointMetrics | null,
): SweepPlateau | null {
  const known = points.flatMap(({ value, metrics }) => {
    const found = metrics?.[metric] ?? null;
    return found === null || faultsMore(metrics, base) ? [] : [{ value, found }];
  });
  if (known.length < 2) return null;
  const best = known.reduce((a, b) => (atLeastAsGood(metric, a.found, b.found) ? a : b));
  const bound = best.found * (metric === 'throughput_bytes_per_s' ? 1 - PLATEAU_SHARE : 1 + PLATEAU_SHARE);
  const near = known.filter(({ found }) => atLeastAsGood(metric, found, bound));
  const less = known.at(-1)!;
  const more = atLeastAsGood(metric, less.found, known[0]!.found);
  const side = near.length === known.length ? 'any' : more ? 'smallest' : 'largest';
  const chosen = side === 'largest' ? near.at(-1)! : near[0]!;
  return {
    metric,
    within_share: PLATEAU_SHARE,
    best: best.found,
    best_at: best.value,
    value: chosen.value,
    value_metric: chosen.found,
    side,
  };
}

/** Best change first. One at a time: the best point of each parameter but the profile's own; of a grid its best points. */
export function rankingOf(
  { base, points, params, ranked_by: metric }: Pick<SweepCaseModel, 'base' | 'points' | 'params' | 'ranked_by'>,
  grid: boolean,
): SweepRanked[] {
  const ranked = points.flatMap((point): SweepRanked[] => {
    const { metrics, ratio_to_base: ratios, changes, same_as: same } = point;
    const [value, ratio] = [metrics?.[metric] ?? null, ratios?.[metric] ?? null];
    if (value === null || ratio === null || same === 'profile' || otherPace(point, params)) return [];
    if (faultsMore(metrics, base.metrics)) return [];
    const gain = metric === 'throughput_bytes_per_s' ? ratio - 1 : 1 / ratio - 1;
    return [
      {
        changes,
        helps: gain >= LEAST_GAIN,
        metric,
        value,
        ratio_to_base: ratio,
        dma_latency_mean_ratio: ratios?.dma_latency_mean_ns ?? null,
        throughput_ratio: ratios?.throughput_bytes_per_s ?? null,
      },
    ];
  });
  const best = ranked.sort((a, b) =>
    a.value === b.value ? compareBeside(metric, a, b) : atLeastAsGood(metric, a.value, b.value) ? -1 : 1,
  );
  if (grid) return best.slice(0, RANKED_COMBINATIONS);
  return best.filter(
    ({ changes }, index) => best.findIndex((other) => other.changes[0]?.path === changes[0]?.path) === index,
  );
}

/** Of changes that do the same for `metric`, the one that does more for the other comes first. */
function compareBeside(metric: RankedMetric, a: SweepRanked, b: SweepRanked): number {
  return metric === 'throughput_bytes_per_s'
    ? (a.dma_latency_mean_ratio ?? 1) - (b.dma_latency_mean_ratio ?? 1)
    : (b.throughput_ratio ?? 1) - (a.throughput_ratio ?? 1);
}

/** Another pacing asks another question; it is no setting of a machine. */
export function otherPace({ changes }: SweepPointModel, params: readonly SweepParamModel[]): boolean {
  return changes.some(
    ({ path, value }) => path === 'pace' && params.find((param) => param.path === path)?.own_value !== value,
  );
}
