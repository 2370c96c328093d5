/**
 * What a case rests on: its metrics with one assumed number moved at a time, and with all of them moved to the slower and
 * to the faster side. The share of a metric is the exponent with which it follows all of them: 1 = in proportion, 0 = not
 * at all (a latency that is the sum of assumed times has 1, one made of measured times 0).
 */
import type { AssumptionResult, RunResult } from '../../replay/protocol.ts';
import { type CaseData, collectCases } from '../case-data.ts';
import type { AssumptionSection } from '../schema/assumptions.ts';
import type { AssumptionCardSection } from '../schema/model-card.ts';
import { type ComparisonMetric, comparisonMetrics } from './comparison-metrics.ts';

/** Metrics that are compared, in the order of the report. */
export const ASSUMPTION_METRICS = [
  'dma_latency_mean_ns',
  'dma_latency_p50_ns',
  'dma_latency_p99_ns',
  'translation_latency_mean_ns',
  'throughput_bytes_per_s',
  'iotlb_hit_share',
  'walks_per_dma',
  'control_call_mean_ns',
  'invalidation_wait_mean_ns',
] as const satisfies readonly ComparisonMetric[];

/** A name in {@link ASSUMPTION_METRICS}. */
export type AssumptionMetric = (typeof ASSUMPTION_METRICS)[number];

type Metrics = Readonly<Record<AssumptionMetric, number | null>>;
type Effect = AssumptionSection['numbers'][number]['effects'][number];

/** By case key: the section, or nothing when the run did not ask. */
export function assumptionSections(run: RunResult, cases: readonly CaseData[]): Map<string, AssumptionSection> {
  const { assumptions } = run;
  if (assumptions === undefined) return new Map();
  const variants = assumptions.variants.map(({ number, side, jobs }) => ({
    number,
    side,
    cases: new Map(collectCases({ ...run, jobs }).map((data) => [data.key, comparisonMetrics(data)])),
  }));
  const lost = new Set(assumptions.missing.map(({ number, side }) => `${number} ${side}`));
  const metricsAt: MetricsAt = (data, number, side) => {
    if (lost.has(`${number} ${side}`)) return null;
    const variant = variants.find((one) => one.number === number && one.side === side);
    return variant === undefined ? comparisonMetrics(data) : (variant.cases.get(data.key) ?? null);
  };
  return new Map(cases.map((data) => [data.key, sectionOf(data, assumptions, metricsAt)]));
}

/** Metrics of a case with something moved; as they were where that changes no profile, null without a result. */
type MetricsAt = (data: CaseData, number: number, side: 'slow' | 'fast') => Metrics | null;

function sectionOf(data: CaseData, assumptions: AssumptionResult, metricsAt: MetricsAt): AssumptionSection {
  const base = comparisonMetrics(data);
  const [slow, fast] = [metricsAt(data, -1, 'slow'), metricsAt(data, -1, 'fast')];
  const used = (kind: string, profile: string): boolean =>
    profile === (kind === 'hardware' ? data.hardwareProfile : data.kernelProfile);
  const numbers = assumptions.numbers.flatMap((number, index) => {
    if (number.unmoved !== null || !used(number.kind, number.profile)) return [];
    const at = { slow: metricsAt(data, index, 'slow'), fast: metricsAt(data, index, 'fast') };
    const effects = ASSUMPTION_METRICS.map((metric): Effect => {
      const change = (side: 'slow' | 'fast'): number | null => {
        const moved = at[side];
        return moved === null ? null : relativeChange(base[metric], moved[metric]);
      };
      return { metric, slow_change: change('slow'), fast_change: change('fast') };
    });
    const { profile, path, value, unit } = number;
    return [{ profile, path, value, unit, slow_value: number.slow, fast_value: number.fast, effects }];
  });
  return {
    metrics: ASSUMPTION_METRICS.map((metric) => ({
      metric,
      base: base[metric],
      all_slow: slow?.[metric] ?? null,
      all_fast: fast?.[metric] ?? null,
      share: restingShare(slow?.[metric] ?? null, fast?.[metric] ?? null, assumptions.factor),
      numbers: numbers.filter(({ effects }) => effects.some((effect) => effect.metric === metric && moves(effect)))
        .length,
    })),
    numbers: numbers.sort((a, b) => largestEffect(b.effects) - largestEffect(a.effects)),
    missing: assumptions.missing.flatMap(({ key, number, error }) => {
      const moved = assumptions.numbers[number];
      return moved === undefined || used(moved.kind, moved.profile) ? [{ replay: key, error }] : [];
    }),
  };
}

/** How much a metric changes, as a share of what it was; 0 where there is none or nothing to compare with. */
function relativeChange(base: number | null, moved: number | null): number {
  return base === null || base === 0 || moved === null ? 0 : (moved - base) / base;
}

/** Whether the number is known to move the metric. */
export function moves({ slow_change, fast_change }: Effect): boolean {
  return reach({ slow_change, fast_change }) > 0;
}

/** Whether the number is known to leave the metric as it is. */
export function rests({ slow_change, fast_change }: Effect): boolean {
  return slow_change === 0 && fast_change === 0;
}

/** Larger of the changes that are known. */
export function reach({ slow_change, fast_change }: Omit<Effect, 'metric'>): number {
  return Math.max(Math.abs(slow_change ?? 0), Math.abs(fast_change ?? 0));
}

function largestEffect(effects: readonly Effect[]): number {
  return Math.max(0, ...effects.map(reach));
}

/** Exponent with which the metric follows from one side to the other, at most 1. */
function restingShare(slow: number | null, fast: number | null, factor: number): number | null {
  if (slow === null || fast === null || slow <= 0 || fast <= 0) return null;
  return Math.min(1, Math.abs(Math.log(slow / fast)) / (2 * Math.log(factor)));
}

/** What the model card says of it. */
export function assumptionCardSection(run: RunResult): AssumptionCardSection | null {
  const { assumptions } = run;
  if (assumptions === undefined) return null;
  const moved = assumptions.numbers.filter(({ unmoved }) => unmoved === null);
  return {
    factor: assumptions.factor,
    replays: assumptions.variants.reduce((sum, { jobs }) => sum + jobs.length, 0),
    moved: moved.length,
    not_moved: assumptions.numbers.flatMap(({ profile, path, value, unmoved }) =>
      unmoved === null ? [] : [{ profile, path, value, reason: unmoved }],
    ),
    missing: assumptions.missing.length,
  };
}

/** Largest share of mean DMA latency, over cases; null when none has one. */
export function resultShare(sections: Iterable<AssumptionSection>): number | null {
  let largest: number | null = null;
  for (const { metrics } of sections) {
    const share = metrics.find(({ metric }) => metric === 'dma_latency_mean_ns')?.share ?? null;
    if (share !== null && (largest === null || share > largest)) largest = share;
  }
  return largest;
}
