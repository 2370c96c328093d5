/** The thresholds of a plan in the cases of an entry, held against the history. */
import { ConfigError } from '../input-error.ts';
import { needsBase } from '../report/metrics/condition.ts';
import { type FilteredCase, gateOfMetrics, isAbout } from '../report/metrics/gates.ts';
import { resolveMetric } from '../report/metrics/metric-name.ts';
import type { Threshold } from '../report/metrics/thresholds.ts';
import type { EntryCase, EntryGate } from './entry.ts';
import type { Past } from './past.ts';

type GatedCase = Pick<EntryCase, 'key' | 'error' | 'metrics'> & FilteredCase;

/** Throws {@link ConfigError} for a threshold that is about no case; said before anything is replayed. */
export function checkThresholds(thresholds: readonly Threshold[], cases: readonly FilteredCase[]): void {
  for (const threshold of thresholds) {
    if (cases.some((one) => isAbout(threshold, one))) continue;
    const { source, condition } = threshold;
    throw new ConfigError({ source, reason: `'${condition.text}' is about no case of the plan` });
  }
}

/** Every threshold in every case that it is about. Throws {@link ConfigError} for a metric that does not exist. */
export function entryGates(thresholds: readonly Threshold[], cases: readonly GatedCase[], past: Past): EntryGate[] {
  return thresholds.flatMap((threshold) =>
    cases.filter((one) => isAbout(threshold, one)).map((one) => entryGate(threshold, one, past)),
  );
}

function entryGate(threshold: Threshold, one: GatedCase, past: Past): EntryGate {
  const { condition, required, because } = threshold;
  if (one.error !== null) {
    const nothing = { metric: null, value: null, base: null, base_entry: null, observed: null };
    const words = { case: one.key, text: condition.text, required, ...(because === undefined ? {} : { because }) };
    return { ...words, ...nothing, verdict: 'unknown' };
  }
  const base = needsBase(condition) ? past.base.get(one.key) : undefined;
  const metrics = metricMap(one);
  const metric = resolveMetric(condition.metric, [...metrics.keys()], threshold.source);
  const gate = gateOfMetrics(
    threshold,
    one.key,
    metric,
    metrics,
    base === undefined ? undefined : metricMap(base.case),
  );
  const seen = gate.observed;
  return {
    case: one.key,
    text: condition.text,
    required,
    metric,
    value: gate.value,
    base: gate.base,
    base_entry: base?.entry ?? null,
    // From nothing to something is no share that JSON could hold.
    observed: seen === null || Number.isFinite(seen) ? seen : null,
    verdict: verdictOf(gate, threshold, base, past),
    ...(because === undefined ? {} : { because }),
  };
}

function verdictOf(
  gate: { readonly metric: string; readonly value: number | null; readonly verdict: EntryGate['verdict'] },
  { condition }: Threshold,
  base: { readonly case: Pick<EntryCase, 'metrics'> } | undefined,
  past: Past,
): EntryGate['verdict'] {
  if (!needsBase(condition) || gate.value === null || past.baseChosen) return gate.verdict;
  // Were this a failure, no entry would ever pass, and so none become the base.
  const known = base !== undefined && Object.hasOwn(base.case.metrics, gate.metric);
  return known ? gate.verdict : 'first';
}

function metricMap({ metrics }: Pick<EntryCase, 'metrics'>): ReadonlyMap<string, number | null> {
  return new Map(Object.entries(metrics));
}
