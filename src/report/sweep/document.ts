/** A sweep in words and tables. */
import type { Badge, Block, Chapter, ReportDocument, Section, Tile } from '../document/block.ts';
import { formatChange, metricName, metricValue } from '../document/metric-words.ts';
import { modelCardChapter } from '../document/model-card.ts';
import { workloadProvenance } from '../document/workload-provenance.ts';
import { formatCount, NOT_AVAILABLE, plural } from '../format.ts';
import { OVERVIEW_CHARTS } from './charts.ts';
import { paramChartNames } from './param-charts.ts';
import type { SweepCaseModel, SweepModel, SweepParamModel } from './schema.ts';
import { changeText, faultsMore } from './series.ts';
import { effectTable, gridTable, missingTable, paramTable, rankingTable } from './tables.ts';
import { assumptionText, basisText, factor, finishedText, headline, ownText, paramAnswer } from './words.ts';

/** How a sweep is to be read. */
export const SWEEP_READING: readonly string[] = [
  'Each parameter is moved alone, all others as the profile has them; effects of two changes do not simply add up or multiply. `--grid` replays combinations.',
  'Effect size: the largest value of a metric over the smallest, over all values of the parameter, the profile’s own among them. 1 = it does not matter here.',
  'Changes are ranked by throughput under closed pacing (requests follow each other as fast as the machine lets them), else by mean DMA latency. Another pacing is not ranked.',
  'Diminishing returns: the smallest value with which the metric is within 5 % of its best; where less is better (a latency) the largest.',
  'Points at which more DMA faults than in the base are left out of ranking, effect sizes and diminishing returns: a faulted request is fast.',
  'A value swept is a what-if: it carries no source. What the profile’s own value rests on is said beside it.',
];

/** Builds the document. */
export function sweepDocument(model: SweepModel): ReportDocument {
  const grid = model.mode === 'grid';
  const workloads = [...new Set(model.cases.map(({ workload }) => workload))];
  const card = modelCardChapter(model.model_card);
  return {
    title: workloads.length === 1 ? `What if: ${workloads[0]}` : 'What if',
    label: 'parameter sweep',
    fileStem: 'sweep',
    overview: overview(model, grid),
    chapters: model.cases.map((one) => chapter(one, model, grid)),
    modelCard: {
      ...card,
      blocks: [
        { kind: 'paragraph', text: 'How to read this:' },
        { kind: 'list', items: [...SWEEP_READING] },
        ...card.blocks,
      ],
    },
  };
}

function overview(model: SweepModel, grid: boolean): Block[] {
  const blocks: Block[] = [];
  if (!model.complete) {
    blocks.push({ kind: 'paragraph', text: 'This sweep is incomplete: it covers only the points that finished.' });
  }
  const missing = missingTable(model);
  if (missing !== undefined) blocks.push(missing);
  if (model.cases.length > 1) {
    blocks.push({
      kind: 'list',
      items: model.cases.map(
        (one) => `${one.workload} on ${one.hardware_profile}, ${one.kernel_profile}: ${headline(one, grid)}`,
      ),
    });
  }
  return blocks;
}

function chapter(one: SweepCaseModel, model: SweepModel, grid: boolean): Chapter {
  return {
    title: one.workload,
    subtitle: [one.hardware_profile, one.kernel_profile, `pacing ${one.pacing}`, grid ? 'grid' : 'one at a time'].join(
      ' · ',
    ),
    badges: badges(one, model),
    sentence: headline(one, grid),
    tiles: tiles(one, model, grid),
    answers: one.params.map((param) => {
      const unit = param.unit === '' ? '' : ` [${param.unit}]`;
      return { question: `${param.path}${unit}`, answer: paramAnswer(param, one), answered: true };
    }),
    provenance: workloadProvenance(one.identity),
    pacing: `${one.pacing}; ranked by ${metricName(one.ranked_by)}`,
    sections: [
      overviewSection(one, grid),
      ...(grid ? [gridSection(one)] : one.params.map((param, index) => paramSection(one, param, index))),
    ],
  };
}

function badges(one: SweepCaseModel, model: SweepModel): Badge[] {
  const list: Badge[] = [model.complete ? { text: 'complete', tone: 'good' } : { text: 'incomplete', tone: 'bad' }];
  const faulted = one.points.filter(({ metrics }) => faultsMore(metrics, one.base.metrics));
  if (faulted.length > 0) list.push({ text: `more DMA faults at ${plural(faulted.length, 'point')}`, tone: 'warn' });
  if (one.params.some(({ basis }) => basis !== null)) {
    const assumed = one.params.some(({ is_assumption: assumption }) => assumption);
    list.push({ text: assumptionText(one.params), tone: assumed ? 'warn' : 'good' });
  }
  return list;
}

function tiles(one: SweepCaseModel, model: SweepModel, grid: boolean): Tile[] {
  const { base, ranking, ranked_by: metric, params, points } = one;
  const other = metric === 'throughput_bytes_per_s' ? 'dma_latency_mean_ns' : 'throughput_bytes_per_s';
  const [best] = ranking;
  const widest = params
    .filter(({ path }) => path !== 'pace')
    .map(({ path, effects }) => ({ path, ratio: effects.find((effect) => effect.metric === metric)?.ratio ?? null }))
    .reduce<{ path: string; ratio: number | null } | undefined>(
      (a, b) => (a === undefined || (b.ratio ?? 0) > (a.ratio ?? 0) ? b : a),
      undefined,
    );
  const tile = (label: string, value: string, detail: string, alert = false): Tile => ({ label, value, detail, alert });
  return [
    tile(
      'As it is',
      metricValue(metric, base.metrics?.[metric] ?? null),
      `${metricName(metric)}; ${metricName(other)} ${metricValue(other, base.metrics?.[other] ?? null)}`,
    ),
    tile(
      grid ? 'Best combination' : 'Best single change',
      best === undefined ? NOT_AVAILABLE : formatChange(best.ratio_to_base - 1),
      best === undefined ? 'none ranked' : changeText(best.changes),
    ),
    tile(
      'Largest effect',
      widest === undefined || widest.ratio === null ? NOT_AVAILABLE : `× ${factor(widest.ratio)}`,
      widest === undefined
        ? 'only the pacing was swept'
        : widest.ratio === null
          ? 'no two points to compare'
          : `on ${metricName(metric)}, by ${widest.path}`,
    ),
    tile(
      'Points',
      formatCount(points.length),
      `${finishedText(one)}; ${plural(model.replays, 'replay')} in all`,
      points.some(({ status }) => status !== 'ok'),
    ),
  ];
}

function overviewSection(one: SweepCaseModel, grid: boolean): Section {
  return {
    id: 'what-helps',
    title: grid ? 'Which combination helps most' : 'Which change helps most',
    blocks: [{ kind: 'charts', names: [...OVERVIEW_CHARTS] }, rankingTable(one, grid), effectTable(one)],
  };
}

function paramSection(one: SweepCaseModel, param: SweepParamModel, index: number): Section {
  return {
    id: `parameter-${index + 1}`,
    title: param.path,
    blocks: [
      { kind: 'paragraph', text: paramAnswer(param, one) },
      { kind: 'facts', facts: ownFacts(param) },
      { kind: 'charts', names: paramChartNames(param) },
      paramTable(one, param),
    ],
  };
}

function ownFacts(param: SweepParamModel) {
  return [
    { label: 'the profile has', value: ownText(param) },
    { label: 'which rests on', value: basisText(param) },
  ];
}

function gridSection(one: SweepCaseModel): Section {
  return {
    id: 'grid',
    title: 'All combinations',
    blocks: [
      {
        kind: 'facts',
        facts: one.params.map((param) => ({
          label: param.path,
          value: `the profile has ${ownText(param)}; ${basisText(param)}`,
        })),
      },
      gridTable(one),
    ],
  };
}
