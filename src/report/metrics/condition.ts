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
  readonly limit: number;
}

/** Names of metrics may hold anything between brackets: `dmar_latency_buckets[< 0.1 µs].count`. */
const SYNTAX =
  /^\s*(?<metric>(?:\[[^\]]*\]|[^[\]<>=!])+?)\s*(?<operator><=|>=|==|!=|<|>)\s*(?<sign>[+-]?)(?<digits>\d+(\.\d+)?)\s*(?<unit>\S*)\s*$/;

/** What one unit of the text is in the unit of the metric. */
const TIME_UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9 };
const PREFIXES: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };

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
  const value = Number(parts['digits']) * (parts['sign'] === '-' ? -1 : 1);
  if (unit === '%') {
    const against = signed ? 'share' : 'value';
    if (!signed && !/share$/.test(metric)) {
      throw new ConfigError({
        source,
        reason: `'${text}': ${metric} is no share; a change from the base has a sign, as +2%`,
      });
    }
    return { text: text.trim(), metric, operator, against, limit: value / 100 };
  }
  const scale = /_ns(\.|$)/.test(metric) && unit in TIME_UNITS ? TIME_UNITS[unit] : PREFIXES[unit];
  if (scale === undefined) throw new ConfigError({ source, reason: `'${text}': unknown unit '${unit}' of ${metric}` });
  return { text: text.trim(), metric, operator, against: signed ? 'change' : 'value', limit: value * scale };
}

/** The limit as reports write it: 2.00 µs, +50.0 ns, −2.0 %. */
export function formatLimit({ against, limit }: Pick<Condition, 'against' | 'limit'>, metric: string): string {
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
export function conditionHolds(condition: Condition, value: number | null, base: number | null): boolean | null {
  const seen = observed(condition, value, base);
  if (seen === null) return null;
  switch (condition.operator) {
    case '<':
      return seen < condition.limit;
    case '<=':
      return seen <= condition.limit;
    case '>':
      return seen > condition.limit;
    case '>=':
      return seen >= condition.limit;
    case '==':
      return seen === condition.limit;
    case '!=':
      return seen !== condition.limit;
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
