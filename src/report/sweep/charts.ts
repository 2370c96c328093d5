/** Charts of a case: tornados of all parameters, a line or bars for each, a heat map for a grid of two numbers. */
import type { Chart } from '../charts/chart.ts';
import { HEAT_CHARTS, heatMaps } from './heat-map.ts';
import { paramCharts } from './param-charts.ts';
import type { SweepCaseModel } from './schema.ts';
import { TORNADO_CHARTS, tornados } from './tornado.ts';

/** All charts of a case; `prefix` is unique in the sweep. */
export function sweepCharts(one: SweepCaseModel, grid: boolean, prefix: string): Chart[] {
  const charts = grid ? heatMaps(one) : [...tornados(one), ...one.params.flatMap((param) => paramCharts(one, param))];
  return charts.map((chart) => ({ ...chart, name: `${prefix}${chart.name}` }));
}

/** Names of the charts that compare parameters. */
export const OVERVIEW_CHARTS: readonly string[] = [...TORNADO_CHARTS, ...HEAT_CHARTS];
