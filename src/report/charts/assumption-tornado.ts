/** Which assumed numbers move a metric, and how far: a tornado, the widest bar on top. */
import { formatChange, metricName } from '../document/metric-words.ts';
import { capital } from '../format.ts';
import type { AssumptionSection } from '../schema/assumptions.ts';
import type { Chart } from './chart.ts';

/** Bars a picture holds. */
const MOST_NUMBERS = 12;
/** Shorter bars than this share of the longest cannot be seen. */
const LEAST_OF_LARGEST = 1 / 500;

const CHARTS: readonly (readonly [name: string, metric: string])[] = [
  ['assumptions-dma', 'dma_latency_mean_ns'],
  ['assumptions-control', 'control_call_mean_ns'],
];

/** The charts; one that would be empty is left out. */
export function assumptionTornados(section: AssumptionSection | null): Chart[] {
  return section === null ? [] : CHARTS.flatMap(([name, metric]) => tornado(section, name, metric));
}

function tornado({ numbers }: AssumptionSection, name: string, metric: string): Chart[] {
  const moved = numbers
    .map(({ path, effects }) => {
      const effect = effects.find((one) => one.metric === metric);
      return { path, slow: effect?.slow_change ?? null, fast: effect?.fast_change ?? null };
    })
    .map((bar) => ({ ...bar, reach: Math.max(Math.abs(bar.slow ?? 0), Math.abs(bar.fast ?? 0)) }))
    .filter(({ reach }) => reach > 0)
    .sort((a, b) => b.reach - a.reach);
  if (moved.length === 0) return [];
  const reach = moved[0]!.reach;
  const bars = moved.filter((bar) => bar.reach > reach * LEAST_OF_LARGEST).slice(0, MOST_NUMBERS);
  const rows = bars.flatMap(({ path, slow, fast }) =>
    [['slower', slow] as const, ['faster', fast] as const].flatMap(([side, change]) =>
      change === null ? [] : [{ number: path, side, change }],
    ),
  );
  const title = `${metricName(metric)}: change when one assumed number moves`;
  const named = capital(title);
  return [
    {
      name,
      template: 'assumption-tornado',
      title: named,
      description: `${named}. ${bars.map(({ path, slow, fast }) => `${path} ${formatChange(slow)} slower, ${formatChange(fast)} faster`).join('; ')}.`,
      columns: ['number', 'side', 'change'],
      rows,
      span: 'half',
      heightPx: 24 * bars.length + 80,
      params: { reach },
    },
  ];
}
