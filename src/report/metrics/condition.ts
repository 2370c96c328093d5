/**
 * Conditions on metrics as text: `METRIC OP VALUE`.
 *
 *     dma_latency_ns.p99 > +2%        more than 2 % above the base
 *     dma_latency_ns.p99 > +50ns      more than 50 ns above the base
 *     iotlb_hit_share < 95%           below 0.95, base or not
 *     headline.faulted_dma != 0
 *
 * A value with a sign is a change from the base; with `%` a share of it. Without a sign it is the value itself. Units:
 * ns, us, ms, s of times in nanoseconds, % of shares, k, M, G of anything.
 */
import { ConfigError } from '../../input-error.ts';
import { formatShare, withSign } from '../format.ts';
import { formatMetric, formatMetricChange } from './direction.ts';
import { amountIn, isWrittenUnit, type MetricUnit, unitOf } from './unit.ts';

/** How a metric is held against a value. */
export const OPERATORS = ['<=', '>=', '==', '!=', '<', '>'] as const;
export type Operator = (typeof OPERATORS)[number];

/** One condition. */
export interface Condition {
  /** As the user wrote it. */
  readonly text: string;
  /** Name of the metric as the user wrote it. */
  readonly metric: string;
  readonly operator: Operator;
  /** `value`: the metric itself. `change`: metric less base, in its unit. `share`: change over base. */
  readonly against: 'value' | 'change' | 'share';
  /** The number as it was written, in `unit`; {@link limitOf} makes it a limit. */
  readonly amount: number;
  readonly unit: string;
}

/** Names of metrics may hold anything between brackets: `dmar_latency_buckets[< 0.1 µs].count`. */
const SYNTAX =
  /^\s*(?<metric>(?:\[[^\]]*\]|[^[\]<>=!])+?)\s*(?<operator><=|>=|==|!=|<|>)\s*(?<sign>[+-]?)(?<digits>\d+(\.\d+)?)\s*(?<unit>\S*)\s*$/;

/** Reads a condition; throws {@link ConfigError} with `source`. */
export function parseCondition(text: string, source: string): Condition {
  const parts = SYNTAX.exec(text)?.groups;
  if (parts === undefined) {
    throw new ConfigError({ source, reason: `'${text}' is not METRIC ${OPERATORS.join('|')} VALUE` });
  }
  const metric = parts['metric']!;
  const operator = parts['operator'] as Operator;
  const signed = parts['sign'] !== '';
  const unit = parts['unit']!;
  const amount = Number(parts['digits']) * (parts['sign'] === '-' ? -1 : 1);
  if (!isWrittenUnit(unit)) throw new ConfigError({ source, reason: `'${text}': unknown unit '${unit}'` });
  const against = !signed ? 'value' : unit === '%' ? 'share' : 'change';
  return { text: text.trim(), metric, operator, against, amount, unit };
}

/**
 * The limit in the unit of `metric`, the whole name of what the condition is about; a share of 1 for a change over the
 * base. Throws {@link ConfigError} with `source` for a unit that the metric does not have.
 */
export function limitOf({ text, against, amount, unit }: Condition, metric: string, source: string): number {
  const own: MetricUnit = against === 'share' ? 'share' : unitOf(metric);
  const limit = amountIn(own, amount, unit);
  if (limit !== undefined) return limit;
  const reason =
    unit === '%'
      ? `${metric} is no share; a change from the base has a sign, as +2%`
      : `${metric} ${UNIT_WORDS[own]} and has no unit '${unit}'`;
  throw new ConfigError({ source, reason: `'${text}': ${reason}` });
}

const UNIT_WORDS: Readonly<Record<MetricUnit, string>> = {
  ns: 'is a time',
  'bytes/s': 'is in bytes/s',
  '1/s': 'is in 1/s',
  bytes: 'is in bytes',
  share: 'is a share',
  count: 'is a count',
};

/** What is compared with what, in the unit of the metric. */
export interface Limit extends Pick<Condition, 'against'> {
  readonly limit: number;
}

/** The limit as reports write it: 2.00 µs, +50.0 ns, −2.0 %. */
export function formatLimit({ against, limit }: Limit, metric: string): string {
  switch (against) {
    case 'value':
      return formatMetric(metric, limit);
    case 'change':
      return formatMetricChange(metric, limit);
    case 'share':
      return withSign(limit, formatShare(Math.abs(limit)));
  }
}

/** Whether the condition needs a base. */
export function needsBase({ against }: Condition): boolean {
  return against !== 'value';
}

/** Whether the condition holds of `value` (and `base`, where it needs one); null when it cannot be said. */
export function conditionHolds(
  condition: Condition,
  limit: number,
  value: number | null,
  base: number | null,
): boolean | null {
  const seen = observed(condition, value, base);
  if (seen === null) return null;
  switch (condition.operator) {
    case '<':
      return seen < limit;
    case '<=':
      return seen <= limit;
    case '>':
      return seen > limit;
    case '>=':
      return seen >= limit;
    case '==':
      return seen === limit;
    case '!=':
      return seen !== limit;
  }
}

/** What the condition looks at: the value, its change, or its change as a share. */
export function observed({ against }: Condition, value: number | null, base: number | null): number | null {
  if (value === null) return null;
  if (against === 'value') return value;
  if (base === null) return null;
  if (against === 'change') return value - base;
  // From nothing to something is more than any share.
  return value === base ? 0 : (value - base) / Math.abs(base);
}
