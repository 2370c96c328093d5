/** The unit of a metric, by its name, and the units in which its limits may be written. */

/** `share` of 1; `count` of anything without a unit, quotients of counts among them. */
export type MetricUnit = 'ns' | 'bytes/s' | '1/s' | 'bytes' | 'share' | 'count';

/** Unit of the metric called `path`, which is its whole name: of a tail the unit may have been left out. */
export function unitOf(path: string): MetricUnit {
  const key = lastKey(path);
  if (/_ns(\.|$)/.test(path) && key !== 'count') return 'ns';
  if (key.endsWith('bytes_per_s')) return 'bytes/s';
  if (key.endsWith('_per_s')) return '1/s';
  if (key.endsWith('_share') || key === 'share') return 'share';
  return key.endsWith('_bytes') ? 'bytes' : 'count';
}

/** Last key of a path. */
export function lastKey(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** What one of the written unit is in the unit of the metric. */
const PREFIXES: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };
const TIMES: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9 };

/** Whether any metric has limits in the written unit. */
export function isWrittenUnit(written: string): boolean {
  return written === '%' || Object.hasOwn(PREFIXES, written) || Object.hasOwn(TIMES, written);
}

/** An amount in the written unit as one in the unit of a metric; undefined where such a metric has no such unit. */
export function amountIn(unit: MetricUnit, amount: number, written: string): number | undefined {
  // Divided, not multiplied by 0.01: 57 % is 0.57 to the last bit.
  if (written === '%') return unit === 'share' ? amount / 100 : undefined;
  if (unit === 'ns' && Object.hasOwn(TIMES, written)) return amount * TIMES[written]!;
  return Object.hasOwn(PREFIXES, written) ? amount * PREFIXES[written]! : undefined;
}
