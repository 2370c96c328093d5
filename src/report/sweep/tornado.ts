/** Tornados of a case: what each parameter does to mean latency and to throughput, a bar each. */
import type { Chart, ChartRow } from '../charts/chart.ts';
import { logAxis } from '../charts/log-axis.ts';
import { formatChange, metricName } from '../document/metric-words.ts';
import { capital } from '../format.ts';
import type { ComparisonMetric } from '../sections/comparison-metrics.ts';
import { LEAST_EFFECT } from './effects.ts';
import type { SweepCaseModel } from './schema.ts';
import { faultsMore, seriesOf } from './series.ts';

/** Bars a picture holds. */
const MOST_BARS = 12;
/** Letters of a path, and of a value, before they are cut. */
const LONGEST_PATH = 22;
const LONGEST_LABEL = 13;
/** Room that a letter beside a bar takes, as a share of what the bars span. */
const LETTER_AIR = 0.03;
/** Axes of ratios that span less look linear, and have steps of one of these sizes. */
const NEARLY_LINEAR = 1.6;
const RATIO_STEPS: readonly number[] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

const TORNADOS: readonly (readonly [name: string, metric: ComparisonMetric])[] = [
  ['tornado-latency', 'dma_latency_mean_ns'],
  ['tornado-throughput', 'throughput_bytes_per_s'],
];

/** Names of the tornados. */
export const TORNADO_CHARTS: readonly string[] = TORNADOS.map(([name]) => name);

/** A chart a metric; none where no parameter moves it. */
export function tornados(one: SweepCaseModel): Chart[] {
  return TORNADOS.flatMap(([name, metric]) => tornado(one, name, metric));
}

interface RatioAt {
  readonly value: string;
  readonly ratio: number;
}

/** A bar a parameter, from its worst to its best value; as wide to the left when halved as to the right when doubled. */
function tornado(one: SweepCaseModel, name: string, metric: ComparisonMetric): Chart[] {
  const lessIsBetter = metric !== 'throughput_bytes_per_s';
  const bars = one.params
    .filter(({ path }) => path !== 'pace')
    .map((param) => {
      const ends = seriesOf(one, param)
        .flatMap(({ value, metrics, ratios }): RatioAt[] => {
          const ratio = ratios?.[metric] ?? null;
          return ratio === null || ratio <= 0 || faultsMore(metrics, one.base.metrics) ? [] : [{ value, ratio }];
        })
        .sort((a, b) => a.ratio - b.ratio);
      return {
        path: param.path,
        low: ends[0],
        high: ends.at(-1),
        reach: (ends.at(-1)?.ratio ?? 1) / (ends[0]?.ratio ?? 1),
      };
    })
    .filter(({ reach }) => reach > LEAST_EFFECT)
    .sort((a, b) => b.reach - a.reach)
    .slice(0, MOST_BARS);
  if (bars.length === 0) return [];
  const names = shortNames(bars.map(({ path }) => path));
  const rows = bars.flatMap(({ low, high }, index) =>
    [low, high].flatMap((end): ChartRow[] =>
      end === undefined || end.ratio === 1
        ? []
        : [
            {
              parameter: names[index]!,
              value: end.value.length > LONGEST_LABEL ? `${end.value.slice(0, LONGEST_LABEL - 1)}…` : end.value,
              ratio: end.ratio,
              side: end.ratio < 1 === lessIsBetter ? 'better' : 'worse',
            },
          ],
    ),
  );
  const ratios = rows.map(({ ratio }) => ratio as number);
  const [low, high] = [Math.min(1, ...ratios), Math.max(1, ...ratios)];
  const air = (side: (ratio: number) => boolean): number => {
    const labels = rows.filter(({ ratio }) => side(ratio as number)).map(({ value }) => String(value).length);
    return (high / low) ** (LETTER_AIR * Math.max(0, ...labels) + 0.03);
  };
  const named = capital(metricName(metric));
  return [
    {
      name,
      template: 'sweep-tornado',
      title: `${named} against the profile as it is`,
      description: `${named} against the profile as it is, a bar a parameter from its worst to its best value. ${bars.map(({ path, low: from, high: to }) => `${path} ${[from, to].map((end) => `${formatChange((end?.ratio ?? 1) - 1)} at ${end?.value}`).join(', ')}`).join('; ')}.`,
      columns: ['parameter', 'value', 'ratio', 'side'],
      rows,
      span: 'half',
      heightPx: 34 * bars.length + 80,
      params: {
        low: low / air((ratio) => ratio < 1),
        high: high * air((ratio) => ratio > 1),
        ticks: ratioTicks(low, high),
      },
    },
  ];
}

/** Ticks of an axis of ratios, 1 always among them: 1-2-5, or even steps where a factor of 1.6 is not spanned. */
function ratioTicks(low: number, high: number): number[] {
  const step = high / low < NEARLY_LINEAR ? RATIO_STEPS.find((size) => (high - low) / size <= 5) : undefined;
  const ticks =
    step === undefined
      ? logAxis(low, high).ticks
      : Array.from({ length: 11 }, (_, index) => Number((1 + (index - 5) * step).toFixed(4)));
  return [...new Set([...ticks, 1])].filter((tick) => tick >= low && tick <= high).sort((a, b) => a - b);
}

/** Long paths by their last two members, where that tells them apart. */
function shortNames(paths: readonly string[]): string[] {
  const short = paths.map((path) => (path.length <= LONGEST_PATH ? path : `…${path.split('.').slice(-2).join('.')}`));
  return short.map((name, index) => (short.indexOf(name) === short.lastIndexOf(name) ? name : paths[index]!));
}
