/** Thresholds held against the cases of a run, and of a base where there is one. */
import { ConfigError } from '../../input-error.ts';
import type { ReportCase, ReportModel } from '../schema.ts';
import { type CaseMetrics, caseMetrics } from './case-metrics.ts';
import { conditionHolds, needsBase, observed } from './condition.ts';
import { resolveMetric } from './metric-name.ts';
import { matchesFilter, type Threshold } from './thresholds.ts';

/** One threshold in one case. */
export interface Gate {
  /** Key of the case. */
  readonly case: string;
  /** The condition as it was written. */
  readonly text: string;
  readonly required: boolean;
  /** Name of the metric, whole. */
  readonly metric: string;
  readonly value: number | null;
  /** Of the base; null without one. */
  readonly base: number | null;
  /** What the condition looked at: value, change, or share. */
  readonly observed: number | null;
  /** `unknown`: the run does not say, or has no base; as bad as a breach, since nothing was shown. */
  readonly verdict: 'pass' | 'breach' | 'unknown';
  readonly because?: string;
}

/**
 * Every threshold in every case that it is about, in the order of the thresholds. `base` is the run to compare with; its
 * cases are found by key. Throws {@link ConfigError} for a metric that does not exist, a threshold about no case, and a
 * change without a base.
 */
export function evaluateGates(thresholds: readonly Threshold[], run: ReportModel, base?: ReportModel): Gate[] {
  return thresholds.flatMap((threshold) => {
    const { condition, source } = threshold;
    if (needsBase(condition) && base === undefined) {
      throw new ConfigError({
        source,
        reason: `'${condition.text}' is about a change, and there is no base to change from`,
      });
    }
    const cases = run.cases.filter((one) => isAbout(threshold, one));
    if (cases.length === 0)
      throw new ConfigError({ source, reason: `'${condition.text}' is about no case of the run` });
    return cases.map((one) =>
      gateOf(
        threshold,
        one,
        base?.cases.find(({ key }) => key === one.key),
      ),
    );
  });
}

/** Whether every gate was passed. */
export function allPass(gates: readonly Gate[]): boolean {
  return gates.every(({ verdict }) => verdict === 'pass');
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

function gateOf(threshold: Threshold, one: ReportCase, base: ReportCase | undefined): Gate {
  return gateOfMetrics(threshold, one.key, caseMetrics(one), base === undefined ? undefined : caseMetrics(base));
}

/** One threshold held against the metrics of the case `key`; throws {@link ConfigError} for a metric it does not have. */
export function gateOfMetrics(
  { condition, required, because, source }: Threshold,
  key: string,
  metrics: CaseMetrics,
  base: CaseMetrics | undefined,
): Gate {
  const metric = resolveMetric(condition.metric, [...metrics.keys()], source);
  const value = metrics.get(metric) ?? null;
  const baseValue = base?.get(metric) ?? null;
  const holds = conditionHolds(condition, value, baseValue);
  return {
    case: key,
    text: condition.text,
    required,
    metric,
    value,
    base: baseValue,
    observed: observed(condition, value, baseValue),
    verdict: holds === null ? 'unknown' : holds === required ? 'pass' : 'breach',
    ...(because === undefined ? {} : { because }),
  };
}
