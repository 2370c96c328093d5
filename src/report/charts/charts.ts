/** All charts of a case, in page order. */
import type { CaseData } from '../case-data.ts';
import type { AssumptionSection } from '../schema/assumptions.ts';
import { assumptionTornados } from './assumption-tornado.ts';
import { cacheHits } from './cache-hits.ts';
import type { Chart } from './chart.ts';
import { invalidationBars } from './invalidation-bars.ts';
import { latencyBands } from './latency-bands.ts';
import { latencyCurves } from './latency-curves.ts';
import { timeParts } from './time-parts.ts';
import { timelineCharts } from './timeline-charts.ts';

/** Charts whose data the case has; `prefix` keeps their names unique among several cases. */
export function caseCharts(data: CaseData, assumptions: AssumptionSection | null, prefix: string): Chart[] {
  return [
    ...latencyCurves(data),
    ...latencyBands(data),
    ...timeParts(data),
    ...cacheHits(data),
    ...invalidationBars(data),
    ...timelineCharts(data),
    ...assumptionTornados(assumptions),
  ].map((chart) => ({ ...chart, name: `${prefix}${chart.name}` }));
}
