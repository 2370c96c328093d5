/** The points of one parameter as a series: the profile's own value in its place among the swept ones. */
import type { ComparisonMetric } from '../sections/comparison-metrics.ts';
import type { PointMetrics, SweepCaseModel, SweepParamModel, SweepPointModel } from './schema.ts';

/** What a parameter is where the profile leaves it out or the recording decides. */
export const AS_RECORDED = 'as it is';

/** One value of a parameter, all others as the profile has them. */
export interface SeriesPoint {
  readonly value: string;
  /** The profile's own. */
  readonly own: boolean;
  readonly status: SweepPointModel['status'];
  readonly metrics: PointMetrics | null;
  readonly ratios: PointMetrics | null;
}

/** Whether the values, the profile's own included, lie on an axis. */
export function isNumeric(values: readonly string[], own: string | null): boolean {
  return [...values, ...(own === null ? [] : [own])].every(isNumber);
}

function isNumber(text: string): boolean {
  return /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text);
}

type CasePoints = Pick<SweepCaseModel, 'base' | 'points'>;
type ParamFacts = Pick<SweepParamModel, 'path' | 'numeric' | 'own_value'>;

/** Numbers in ascending order; names as given, the profile's own first. */
export function seriesOf({ base, points }: CasePoints, { path, numeric, own_value: own }: ParamFacts): SeriesPoint[] {
  const swept = points.flatMap(({ changes, status, metrics, ratio_to_base: ratios }): SeriesPoint[] => {
    const [change, ...others] = changes;
    if (change?.path !== path || others.length > 0) return [];
    return [{ value: change.value, own: sameValue(change.value, own), status, metrics, ratios }];
  });
  const ownPoint: SeriesPoint = {
    value: own ?? AS_RECORDED,
    own: true,
    status: base.status,
    metrics: base.metrics,
    ratios: base.metrics === null ? null : ratiosOf(base.metrics, base.metrics),
  };
  const all = swept.some((point) => point.own) ? swept : [ownPoint, ...swept];
  return numeric ? all.sort((a, b) => Number(a.value) - Number(b.value)) : all;
}

function sameValue(value: string, own: string | null): boolean {
  return own !== null && (value === own || (isNumber(value) && isNumber(own) && Number(value) === Number(own)));
}

/** Each metric over that of `base`; null where that is 0 or unknown. */
export function ratiosOf(metrics: PointMetrics, base: PointMetrics): PointMetrics {
  const entries = (Object.keys(metrics) as ComparisonMetric[]).map((metric): [ComparisonMetric, number | null] => {
    const [value, whole] = [metrics[metric], base[metric]];
    return [metric, value === null || whole === null || whole === 0 ? null : value / whole];
  });
  return Object.fromEntries(entries) as PointMetrics;
}

/** Whether more DMA faults than in `base`: a faulted request is fast, so that such a point says nothing of a machine. */
export function faultsMore(metrics: PointMetrics | null, base: PointMetrics | null): boolean {
  return (metrics?.faulted_dma ?? 0) > (base?.faulted_dma ?? 0);
}

/** `iotlb.entries=64` or `iotlb.entries=64, iotlb.ways=8`. */
export function changeText(changes: SweepPointModel['changes']): string {
  return changes.map(({ path, value }) => `${path}=${value}`).join(', ');
}
