/** A comparison in words and tables: verdict, configuration, then what came out. */

import type { Badge, Block, Chapter, Head, ReportDocument, Section, Table, Tile } from '../document/block.ts';
import { formatChange } from '../document/metric-words.ts';
import { capital, formatCount, plural } from '../format.ts';
import { gateChecks, gateTally } from '../gate/sentences.ts';
import { formatMetric, formatMetricChange } from '../metrics/direction.ts';
import { metricLabel } from '../metrics/metric-label.ts';
import { unitOf } from '../metrics/unit.ts';
import type { ComparedCase, CompareModel, MetricChange } from './schema.ts';
import { changedBlocks, configurationBlocks, deviceBlocks, type Label, wholeTable } from './tables.ts';

/** Numbers of the first screen. */
const TILES: readonly string[] = [
  'latency.dma_latency_ns.mean',
  'latency.dma_latency_ns.p99',
  'headline.throughput_bytes_per_s',
  'headline.iotlb_hit_share',
  'headline.translation_share',
  'headline.faulted_dma',
];

/** Builds the document. */
export function compareDocument(model: CompareModel): ReportDocument {
  const { base, new: run, cases } = model;
  return {
    title: `${run.name} against ${base.name}`,
    label: 'comparison',
    fileStem: 'compare',
    head: head(model),
    overview: [...configurationBlocks(model.configuration), ...(cases.length > 1 ? [casesTable(cases)] : [])],
    chapters: cases.map((one) => chapter(one, cases.length > 1)),
    modelCard: { id: 'model-card', title: 'How to read this', blocks: [{ kind: 'list', items: NOTES }] },
  };
}

const NOTES: readonly string[] = [
  'Replays are deterministic: the same trace under the same configuration gives the same numbers on every machine, for any number of workers. Whatever differs here was caused by the configuration, the trace or the version of the tool, however small it is; there is no noise, and so no band within which a change counts as none.',
  'improved, regressed: by the direction in which the metric is better (less time, more bytes a second). changed: the metric differs, and more of it is neither.',
  'Percentiles are upper bounds of histogram buckets less than 1 % wide: they move by whole buckets, and a smaller shift does not show.',
  'How far the model can be trusted is said by the report of each run.',
  '`compare.json` has every number of both runs, hardware counters included, and the names that conditions go by.',
];

/** Verdict bar: PASS or FAIL when conditions were given, and what the reader must know of the two runs. */
function head(model: CompareModel): Head {
  const { pass, gates, base, new: run, configuration, sentence, cases } = model;
  const badges: Badge[] = [];
  if (pass === null) badges.push({ text: 'no condition given', tone: 'plain' });
  else
    badges.push(
      pass ? { text: 'PASS', tone: 'good' } : { text: `FAIL: ${gateTally(gates, 'condition')}`, tone: 'bad' },
    );
  if (configuration.traces.some(({ relation }) => relation === 'different'))
    badges.push({ text: 'different traces', tone: 'warn' });
  const across = [...new Set(cases.flatMap((one) => one.across))];
  if (across.length > 0) badges.push({ text: `paired across ${across.join(', ')}`, tone: 'plain' });
  const alone = configuration.only_base.length;
  if (alone > 0) badges.push({ text: `${plural(alone, 'case')} not in ${run.name}`, tone: 'warn' });
  if (!base.complete || !run.complete) badges.push({ text: 'incomplete', tone: 'bad' });
  const titles = new Map(cases.map(({ new_case, title }) => [new_case, title]));
  return { badges, sentence, checks: gateChecks(gates, (key) => titles.get(key ?? '') ?? key ?? 'any case') };
}

function casesTable(cases: readonly ComparedCase[]): Block {
  const columns = [
    { label: 'case', align: 'left' },
    ...['mean', 'p99', 'throughput', 'IOTLB hits'].map((label) => ({ label, align: 'right' }) as const),
    { label: 'faults', align: 'right', wideOnly: true },
  ] as const;
  const shown = TILES.filter((name) => name !== 'headline.translation_share');
  return {
    kind: 'table',
    caption: 'Change of each case, base to new',
    columns,
    rows: cases.map(({ title, metrics }) => [title, ...shown.map((name) => changeOrNothing(find(metrics, name)))]),
  };
}

function changeOrNothing(change: MetricChange | undefined): string {
  if (change === undefined) return formatChange(null);
  return change.change_share === null && change.delta !== null ? 'from 0' : formatChange(change.change_share);
}

function find(metrics: readonly MetricChange[], name: string): MetricChange | undefined {
  return metrics.find(({ metric }) => metric === name);
}

function chapter(one: ComparedCase, several: boolean): Chapter {
  const { title, base_case, new_case } = one;
  return {
    title,
    subtitle: base_case === new_case ? new_case : `${base_case} → ${new_case}`,
    badges: badges(one),
    sentence: several ? `${one.sentence} ${tallySentence(one)}` : tallySentence(one),
    tiles: tiles(one),
    answers: [],
    provenance: null,
    pacing: '',
    sections: sections(one),
  };
}

function badges({ improved, regressed, changed, across }: ComparedCase): Badge[] {
  const list: Badge[] = [];
  if (improved + regressed + changed === 0) list.push({ text: 'no change', tone: 'good' });
  if (improved > 0) list.push({ text: `${formatCount(improved)} improved`, tone: 'good' });
  if (regressed > 0) list.push({ text: `${formatCount(regressed)} regressed`, tone: 'warn' });
  if (changed > 0) list.push({ text: `${formatCount(changed)} changed`, tone: 'plain' });
  if (across.length > 0) list.push({ text: `paired across ${across.join(', ')}`, tone: 'plain' });
  return list;
}

function tallySentence({ improved, regressed, changed, no_change, metrics }: ComparedCase): string {
  const all = plural(metrics.length, 'number');
  if (no_change === metrics.length) return `All ${all} are equal.`;
  return (
    `Of ${all} ${formatCount(improved)} improved, ${formatCount(regressed)} regressed, ` +
    `${formatCount(changed)} changed for neither better nor worse, and ${formatCount(no_change)} are equal.`
  );
}

function tiles({ metrics }: ComparedCase): Tile[] {
  return TILES.flatMap((name) => {
    const change = find(metrics, name);
    if (change === undefined) return [];
    const { base, new: run, verdict } = change;
    const label = metricLabel(name);
    // Of a share, points say more than a share of it.
    const moved = unitOf(name) === 'share' ? formatMetricChange(name, change.delta) : changeOrNothing(change);
    const detail = verdict === 'no change' ? 'no change' : `base ${formatMetric(name, base)}, ${moved}`;
    return [
      {
        // A percentile keeps its small p.
        label: /^p\d/.test(label) ? label : capital(label),
        value: formatMetric(name, run),
        detail,
        alert: verdict === 'regressed',
      },
    ];
  });
}

function sections(one: ComparedCase): Section[] {
  const { metrics, devices, equal_devices } = one;
  const under = (prefix: string, only = /./): MetricChange[] =>
    metrics.filter(({ metric }) => metric.startsWith(prefix) && only.test(metric.slice(prefix.length)));
  const within =
    (context: string): Label =>
    (metric) =>
      metricLabel(metric, context);
  const units = [...new Set(metrics.flatMap(({ metric }) => /^units\[[^\]]*\]/.exec(metric) ?? []))];
  const list: Section[] = [
    {
      id: 'headline',
      title: 'Headline',
      blocks: [
        wholeTable('The run as a whole', under('headline.'), within('')),
        { kind: 'charts', names: ['headline-changes'] },
      ],
    },
    {
      id: 'latency',
      title: 'Latency',
      blocks: [
        { kind: 'charts', names: ['latency-cdf', 'translation-cdf'] },
        ...(['dma', 'translation'] as const).map((kind) => {
          const prefix = `latency.${kind}_latency_ns.`;
          return wholeTable(kind === 'dma' ? 'DMA latency' : 'Translation latency', under(prefix), within(prefix));
        }),
        ...deviceBlocks(devices, equal_devices),
      ],
    },
    {
      id: 'time',
      title: 'Where time goes',
      blocks: (['dma', 'control'] as const).flatMap((kind) =>
        changedBlocks(
          `Mean time of a ${kind === 'dma' ? 'DMA' : 'control-plane call'} by part`,
          under(`time.${kind}[`, /\]\.mean_ns$/),
          (metric) => metricLabel(metric, `time.${kind}`).replace(/ mean$/, ''),
        ),
      ),
    },
    {
      id: 'caches',
      title: 'Caches',
      blocks: units.flatMap((unit) =>
        changedBlocks(`Caches of ${nameOf(unit)}`, under(unit, /^(\.caches\[|\.mean_walk)/), (metric) =>
          metricLabel(metric, unit).replace(/^caches /, ''),
        ),
      ),
    },
    {
      id: 'invalidation',
      title: 'Invalidation',
      blocks: changedBlocks(
        'Invalidation',
        under('invalidation.', /^(?!dmar_latency_buckets)/),
        within('invalidation.'),
      ),
    },
    {
      id: 'device-tlbs',
      title: 'Device TLBs',
      blocks: changedBlocks('Device TLBs', under('device_tlbs.'), within('device_tlbs.')),
    },
    {
      id: 'control',
      title: 'Control-plane calls',
      blocks: changedBlocks(
        'Duration of calls by operation',
        under('timeline.control[', /duration_ns\.(count|mean|p99|max)$/),
        (metric) => metricLabel(metric, 'timeline.control').replace(/ duration (?=\S+$)/, ' '),
      ),
    },
    { id: 'other', title: 'Everything else', blocks: otherBlocks(metrics, units) },
  ];
  return list.filter(({ blocks }) => blocks.length > 0);
}

/** What the other sections do not show, nor say in another unit. */
const SHOWN_ELSEWHERE = /^(headline|latency|time|invalidation|device_tlbs|units)[.[]|^timeline\.control\[/;

function otherBlocks(metrics: readonly MetricChange[], units: readonly string[]): Block[] {
  return [
    ...units.flatMap((unit) => {
      const prefix = `${unit}.counters.`;
      const counters = metrics.filter(({ metric }) => metric.startsWith(prefix));
      // perfmon names as they are, so that `perf stat` can be held beside them.
      const blocks = changedBlocks(`Counters of ${nameOf(unit)}`, counters, (metric) => metric.slice(prefix.length));
      return blocks.map((block) => (block.kind === 'table' ? withoutVerdicts(block) : block));
    }),
    ...changedBlocks(
      'Timeline, concurrency and bounds',
      metrics.filter(({ metric }) => !SHOWN_ELSEWHERE.test(metric)),
      (metric) => metricLabel(metric).replace(/^resources /, ''),
    ),
  ];
}

/** Counters are neither good nor bad, and their names need the room. */
function withoutVerdicts(table: Table): Table {
  const columns = table.columns.map((column) =>
    column.label === 'verdict'
      ? { ...column, wideOnly: true }
      : column.label === 'metric'
        ? { ...column, code: true }
        : column,
  );
  return { ...table, columns };
}

/** `dmar0` of `units[dmar0]`. */
function nameOf(unit: string): string {
  return unit.slice('units['.length, -1);
}
