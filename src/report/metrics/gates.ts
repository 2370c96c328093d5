/** Thresholds held against the cases of a run, and of a base where there is one. */
import { ConfigError } from '../../input-error.ts';
import type { ReportCase, ReportModel } from '../schema/report.ts';
import { type CaseMetrics, caseMetrics } from './case-metrics.ts';
import { type Condition, conditionHolds, limitOf, needsBase, observed } from './condition.ts';
import { canMean, resolveMetric } from './metric-name.ts';
import type { CasePair, Dimension, Pairing } from './pairing.ts';
import { matchesFilter, type Threshold } from './thresholds.ts';
import { type TraceRelation, traceRelation } from './trace-relation.ts';

/** One threshold in one case. */
export interface Gate {
  /** Key of the case; null when an incomplete run has none that was meant. */
  readonly case: string | null;
  /** What was asked. */
  readonly condition: Condition;
  /** In the unit of the metric, or as a share; null when no case has the metric. */
  readonly limit: number | null;
  /** True: the condition must hold. False: it must not. */
  readonly required: boolean;
  /** Name of the metric, whole; as it was written when no case has it. */
  readonly metric: string;
  readonly value: number | null;
  /** Of the base; null without one. */
  readonly base: number | null;
  /** The case of the base that belongs to this one; absent when there is none. */
  readonly pair?: GatePair;
  /** What the condition looked at: value, change, or share (infinite when the base is 0). */
  readonly observed: number | null;
  /** `unknown` is as bad as a breach, since nothing was shown. */
  readonly verdict: 'pass' | 'breach' | 'unknown';
  /** Why the verdict is unknown. */
  readonly unknownBecause?: string;
  /** Why the threshold is there. */
  readonly because?: string;
}

/** What a gate was held against. */
export interface GatePair {
  /** Key of the case of the base. */
  readonly case: string;
  /** In what the two cases differ. */
  readonly across: readonly Dimension[];
  readonly trace: TraceRelation;
}

/** How gates are evaluated. */
export interface GateOptions {
  /** Whether changes are judged where the base replays another trace; otherwise they are unknown. */
  readonly acrossTraces: boolean;
}

/**
 * Every threshold in every case of the run that it is about, in the order of the thresholds. `pairing` says which case of
 * the base belongs to which of the run. Throws {@link ConfigError} for a metric that no case has, a limit in a unit that
 * it does not have, a threshold about no case, and a change without a base.
 */
export function evaluateGates(
  thresholds: readonly Threshold[],
  run: ReportModel,
  pairing?: Pairing,
  options: GateOptions = { acrossTraces: false },
): Gate[] {
  const known = new Map<ReportCase, CaseMetrics>();
  const metricsOf: MetricsOf = (one) => {
    const metrics = known.get(one) ?? caseMetrics(one);
    known.set(one, metrics);
    return metrics;
  };
  return thresholds.flatMap((threshold) => gatesOf(threshold, run, pairing, options, metricsOf));
}

/** Whether every gate was passed. */
export function allPass(gates: readonly Gate[]): boolean {
  return gates.every(({ verdict }) => verdict === 'pass');
}

type MetricsOf = (one: ReportCase) => CaseMetrics;

function gatesOf(
  threshold: Threshold,
  run: ReportModel,
  pairing: Pairing | undefined,
  options: GateOptions,
  metricsOf: MetricsOf,
): Gate[] {
  const { condition, source } = threshold;
  if (needsBase(condition) && pairing === undefined) {
    throw new ConfigError({
      source,
      reason: `'${condition.text}' is about a change, and there is no base to change from`,
    });
  }
  const cases = run.cases.filter((one) => isAbout(threshold, one));
  if (cases.length === 0) {
    if (run.complete) throw new ConfigError({ source, reason: `'${condition.text}' is about no case of the run` });
    return [lostGate(threshold)];
  }
  return cases.map((one) => {
    const pair = pairing?.pairs.find(({ run: paired }) => paired === one);
    const gate = gateOf(threshold, one, pair?.base, run, metricsOf);
    return pair === undefined ? gate : pairedGate(gate, pair, options);
  });
}

/** What filters of a threshold look at. */
export type FilteredCase = Pick<ReportCase, 'workload' | 'hardware_profile' | 'kernel_profile'>;

/** Whether the filters of a threshold mean the case. */
export function isAbout({ workload, hardware, kernel }: Threshold, one: FilteredCase): boolean {
  return (
    matchesFilter(workload, one.workload) &&
    matchesFilter(hardware, one.hardware_profile) &&
    matchesFilter(kernel, one.kernel_profile)
  );
}

function gateOf(
  threshold: Threshold,
  one: ReportCase,
  base: ReportCase | undefined,
  run: ReportModel,
  metricsOf: MetricsOf,
): Gate {
  const { condition, source } = threshold;
  const metrics = metricsOf(one);
  const baseMetrics = base === undefined ? undefined : metricsOf(base);
  const metric = resolveHere(condition.metric, metrics, baseMetrics, run, source, metricsOf);
  return gateOfMetrics(threshold, one.key, metric, metrics, baseMetrics);
}

/** The gate with what it was held against. A change from another trace is none of what is being judged. */
function pairedGate(gate: Gate, { base, run, across }: CasePair, { acrossTraces }: GateOptions): Gate {
  const pair: GatePair = { case: base.key, across, trace: traceRelation(base, run) };
  if (pair.trace !== 'different' || acrossTraces || !needsBase(gate.condition)) return { ...gate, pair };
  return { ...gate, pair, observed: null, verdict: 'unknown', unknownBecause: 'the base is another trace' };
}

/**
 * One threshold held against `metric` of the case `key`, and of its base where there is one. Throws {@link ConfigError}
 * for a limit in a unit that the metric does not have.
 */
export function gateOfMetrics(
  threshold: Threshold,
  key: string,
  metric: string,
  metrics: CaseMetrics,
  base: CaseMetrics | undefined,
): Gate {
  const { condition, required } = threshold;
  const value = metrics.get(metric) ?? null;
  const baseValue = base?.get(metric) ?? null;
  const limit = limitOf(condition, metric, threshold.source);
  const holds = conditionHolds(condition, limit, value, baseValue);
  const missing =
    value === null
      ? 'the run does not say'
      : base === undefined
        ? 'the base does not have this case'
        : 'the base does not say';
  return {
    case: key,
    condition,
    limit,
    required,
    metric,
    value,
    base: baseValue,
    observed: observed(condition, value, baseValue),
    verdict: holds === null ? 'unknown' : holds === required ? 'pass' : 'breach',
    ...(holds === null ? { unknownBecause: missing } : {}),
    ...becauseOf(threshold),
  };
}

/** The metric in this case or its base; in any case of the run when only others have it. */
function resolveHere(
  name: string,
  metrics: CaseMetrics,
  baseMetrics: CaseMetrics | undefined,
  run: ReportModel,
  source: string,
  metricsOf: MetricsOf,
): string {
  const here = [...new Set([...metrics.keys(), ...(baseMetrics?.keys() ?? [])])];
  if (here.some((path) => canMean(name, path))) return resolveMetric(name, here, source);
  const anywhere = new Set(run.cases.flatMap((one) => [...metricsOf(one).keys()]));
  return resolveMetric(name, [...anywhere], source);
}

/** What is asked of cases that an incomplete run does not have. */
function lostGate(threshold: Threshold): Gate {
  const { condition, required } = threshold;
  return {
    case: null,
    condition,
    limit: null,
    required,
    metric: condition.metric,
    value: null,
    base: null,
    observed: null,
    verdict: 'unknown',
    unknownBecause: 'the run is incomplete and has no such case',
    ...becauseOf(threshold),
  };
}

function becauseOf({ because }: Threshold): { because?: string } {
  return because === undefined ? {} : { because };
}
