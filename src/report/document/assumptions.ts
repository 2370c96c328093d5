/** What a case rests on, in words and tables. */
import { formatCount, formatShare, plural } from '../format.ts';
import type { AssumptionSection } from '../schema/assumptions.ts';
import type { ReportCase, ReportModel } from '../schema/report.ts';
import { moves, reach, rests } from '../sections/assumptions.ts';
import { type Block, figures, type Section, words } from './block.ts';
import { formatChange, metricName, metricValue } from './metric-words.ts';

/** Numbers listed by name; the others are in `report.json`. */
const LISTED_NUMBERS = 15;

/** The section; none when the run did not ask for it. */
export function assumptionChapter(model: ReportModel, { assumptions }: ReportCase): Section[] {
  const card = model.model_card.assumptions;
  if (assumptions === null || card === null) return [];
  const still = assumptions.numbers.filter(({ effects }) => effects.every(rests)).length;
  const unknown = assumptions.numbers.filter(({ effects }) => !effects.some(moves) && !effects.every(rests)).length;
  const blocks: Block[] = [
    {
      kind: 'paragraph',
      text:
        `Replayed again with each assumed number ${card.factor} times as slow and as fast (sizes as small and as large, ` +
        'switches and policies at their neighbour), one at a time, then all that have a scale together. The share says how ' +
        'far a metric follows those: 100 % in proportion, 0 % not at all.' +
        (card.missing === 0
          ? ''
          : ` ${plural(card.missing, 'replay')} gave no result; what they would say is missing.`),
    },
    { kind: 'charts', names: ['assumptions-dma', 'assumptions-control'] },
    {
      kind: 'table',
      caption: 'What rests on assumptions',
      columns: [
        words('metric'),
        figures('as it is'),
        figures('all slower'),
        figures('all faster'),
        figures('share'),
        figures('moved by', { wideOnly: true }),
      ],
      rows: assumptions.metrics
        .filter(({ base }) => base !== null)
        .map(({ metric, base, all_slow, all_fast, share, numbers }) => [
          metricName(metric),
          metricValue(metric, base),
          metricValue(metric, all_slow),
          metricValue(metric, all_fast),
          formatShare(share),
          plural(numbers, 'number'),
        ]),
    },
    numbersTable(assumptions),
    {
      kind: 'paragraph',
      text: `${plural(still, 'assumed number')} of ${formatCount(assumptions.numbers.length)} moved changed none of these metrics.${
        unknown === 0 ? '' : ` Of ${plural(unknown, 'other')} it is not known: a replay has no result.`
      }`,
    },
    ...missingTable(assumptions),
  ];
  return [{ id: 'assumptions', title: 'What the result rests on', blocks }];
}

function missingTable({ missing }: AssumptionSection): Block[] {
  if (missing.length === 0) return [];
  return [
    {
      kind: 'table',
      caption: 'Replays without a result',
      columns: [words('replay', { code: true }), words('why')],
      rows: missing.slice(0, LISTED_NUMBERS).map(({ replay, error }) => [replay, error ?? 'not finished']),
      omitted: Math.max(0, missing.length - LISTED_NUMBERS),
    },
  ];
}

function numbersTable({ numbers }: AssumptionSection): Block {
  const moving = numbers.filter(({ effects }) => effects.some(moves));
  return {
    kind: 'table',
    caption: 'Assumed numbers by their largest effect, slower / faster',
    columns: [
      words('number', { code: true }),
      words('value', { wideOnly: true }),
      words('moved to', { wideOnly: true }),
      words('most moved'),
      figures('slower'),
      figures('faster'),
      figures('mean DMA latency', { wideOnly: true }),
    ],
    rows: moving.slice(0, LISTED_NUMBERS).map(({ path, value, unit, slow_value, fast_value, effects }) => {
      const most = [...effects].sort((a, b) => reach(b) - reach(a))[0]!;
      const latency = effects.find(({ metric }) => metric === 'dma_latency_mean_ns')!;
      return [
        path,
        `${value} ${unit}`.trim(),
        `${slow_value ?? '–'} / ${fast_value ?? '–'}`,
        metricName(most.metric),
        formatChange(most.slow_change),
        formatChange(most.fast_change),
        `${formatChange(latency.slow_change)} / ${formatChange(latency.fast_change)}`,
      ];
    }),
    omitted: Math.max(0, moving.length - LISTED_NUMBERS),
  };
}
