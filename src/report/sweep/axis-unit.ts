/** Unit of a chart's axis: the largest in which its greatest value is at least 1. */
import type { ComparisonMetric } from '../sections/comparison-metrics.ts';

/** Values are divided by `divisor` and labelled with `unit`. */
export interface AxisUnit {
  readonly divisor: number;
  readonly unit: string;
}

const TIMES: readonly AxisUnit[] = [
  { divisor: 1e9, unit: ' s' },
  { divisor: 1e6, unit: ' ms' },
  { divisor: 1e3, unit: ' µs' },
  { divisor: 1, unit: ' ns' },
];
const RATES: readonly AxisUnit[] = [
  { divisor: 1e9, unit: ' GB/s' },
  { divisor: 1e6, unit: ' MB/s' },
  { divisor: 1e3, unit: ' kB/s' },
  { divisor: 1, unit: ' B/s' },
];

/** Unit for values of `metric` up to `top`. */
export function axisUnit(metric: ComparisonMetric, top: number): AxisUnit {
  if (metric.endsWith('_share')) return { divisor: 0.01, unit: ' %' };
  const units = metric.endsWith('_ns') ? TIMES : metric.endsWith('_bytes_per_s') ? RATES : [];
  return units.find(({ divisor }) => top >= divisor) ?? units.at(-1) ?? { divisor: 1, unit: '' };
}
