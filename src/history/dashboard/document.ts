/** The dashboard in words and tables. */
import {
  type Badge,
  type Block,
  type Chapter,
  figures,
  type ReportDocument,
  type Section,
  type Table,
  type Tile,
  words,
} from '../../report/document/block.ts';
import { metricChange } from '../../report/document/metric-words.ts';
import { NOT_AVAILABLE, plural } from '../../report/format.ts';
import { formatMetric } from '../../report/metrics/direction.ts';
import type { Dashboard, DashboardSeries, DashboardStatus } from './schema.ts';
import { SHOWN_ENTRIES } from './series-fold.ts';
import { sparkline } from './sparkline.ts';
import { seenText } from './status-sentence.ts';
import { TREND_ENTRIES, TREND_LEAST_CHANGES, TREND_LEAST_ENTRIES, TREND_LEVEL } from './trend.ts';
import { trendSections } from './trend-sections.ts';
import { momentText, shortMetric } from './words.ts';

/** Rows of the table of unexplained changes; the entry has them all. */
const LISTED_METRICS = 30;

/** Builds the document. */
export function dashboardDocument(dashboard: Dashboard): ReportDocument {
  return {
    title: dashboard.plan.name,
    label: 'nightly dashboard',
    fileStem: 'dashboard',
    overview: [],
    chapters: [chapter(dashboard)],
    modelCard: readingSection(),
  };
}

function chapter(dashboard: Dashboard): Chapter {
  const { status, plan, series } = dashboard;
  const identity = [
    `entry ${momentText(status)}`,
    ...(status.label === null ? [] : [status.label]),
    ...(status.commit === null ? [] : [`commit ${status.commit}`]),
    `replayed by ${status.tool_version}`,
  ];
  return {
    title: plan.name,
    subtitle: identity.join(' · '),
    badges: badges(dashboard),
    sentence: status.sentence,
    tiles: tiles(dashboard),
    answers: [],
    provenance: null,
    pacing: '',
    sections: [
      ...failedSections(dashboard),
      ...unexplainedSections(dashboard),
      { id: 'newest', title: 'Newest values', blocks: valueTables(series) },
      ...trendSections(dashboard),
      { id: 'entries', title: 'Last entries', blocks: [entryTable(dashboard)] },
    ],
  };
}

function badges({ status, series }: Dashboard): Badge[] {
  const drifting = series.filter(({ trend }) => trend?.flagged === true).length;
  const verdicts = {
    pass: { text: 'PASS', tone: 'good' },
    fail: { text: 'FAIL', tone: 'bad' },
    incomplete: { text: 'INCOMPLETE', tone: 'bad' },
  } as const satisfies Readonly<Record<DashboardStatus['verdict'], Badge>>;
  const list: Badge[] = [verdicts[status.verdict]];
  if (status.unexplained.length > 0) list.push({ text: 'unexplained changes', tone: 'warn' });
  if (status.configuration_changes.length > 0) list.push({ text: 'configuration changed', tone: 'plain' });
  if (status.tool_changed_from !== null) list.push({ text: 'tool changed', tone: 'plain' });
  if (drifting > 0) list.push({ text: `${plural(drifting, 'metric')} drifting`, tone: 'warn' });
  return list;
}

function tiles({ status, entries, series }: Dashboard): Tile[] {
  const { gates } = status;
  const all = gates.pass + gates.breach + gates.unknown + gates.first;
  const failed = gates.breach + gates.unknown;
  const unexplained = status.unexplained.reduce((sum, { metrics }) => sum + metrics.length, 0);
  const changed = series.filter(({ newest, previous }) => previous !== null && newest !== previous).length;
  return [
    {
      label: 'Gates passed',
      value: `${gates.pass} of ${all}`,
      detail: gates.first > 0 ? `${gates.first} without an earlier entry` : 'of the newest entry',
      alert: failed > 0,
    },
    {
      label: 'Since',
      value: status.since.date,
      detail: `entry ${Number(status.since.entry)}, same verdict`,
      alert: false,
    },
    {
      label: 'Unexplained changes',
      value: String(unexplained),
      detail: 'of all metrics',
      alert: unexplained > 0,
    },
    {
      label: 'Tracked values changed',
      value: `${changed} of ${series.length}`,
      detail: 'against the entry before',
      alert: false,
    },
    { label: 'Entries', value: String(entries), detail: 'in the history', alert: false },
  ];
}

/** Run and label of each case that has a series, by its key. */
function shortCases({ series }: Dashboard): Map<string, string> {
  return new Map(series.map((one) => [one.case, `${one.run} ${one.label}`]));
}

function failedSections(dashboard: Dashboard): Section[] {
  const { failed_gates: failed, failures } = dashboard.status;
  const blocks: Block[] = [];
  if (failed.length > 0) {
    const labels = shortCases(dashboard);
    blocks.push({
      kind: 'table',
      caption: 'Gates that fail',
      columns: [
        words('case'),
        words('gate'),
        words('seen'),
        words('since'),
        words('against', { wideOnly: true }),
        words('why it is there', { wideOnly: true }),
      ],
      rows: failed.map((gate) => [
        labels.get(gate.case) ?? gate.case,
        `${gate.required ? 'require' : 'fail on'} ${gate.text}`,
        seenText(gate),
        momentText(gate.since),
        gate.base_entry === null ? NOT_AVAILABLE : `entry ${Number(gate.base_entry)}`,
        gate.because ?? NOT_AVAILABLE,
      ]),
    });
  }
  if (failures.length > 0) {
    blocks.push({
      kind: 'table',
      caption: 'Jobs that failed',
      columns: [words('run'), words('job', { code: true }), words('error')],
      rows: failures.map(({ run, job, error }) => [run, job, error]),
    });
  }
  return blocks.length === 0 ? [] : [{ id: 'failed', title: 'What fails', blocks }];
}

function unexplainedSections(dashboard: Dashboard): Section[] {
  const labels = shortCases(dashboard);
  const rows = dashboard.status.unexplained.flatMap(({ case: key, against, metrics }) =>
    metrics.map(({ metric, before, after }) => [
      labels.get(key) ?? key,
      shortMetric(metric),
      formatMetric(metric, before),
      formatMetric(metric, after),
      metricChange(metric, after, before),
      String(Number(against)),
    ]),
  );
  if (rows.length === 0) return [];
  const table: Table = {
    kind: 'table',
    caption: 'Metrics that differ',
    columns: [
      words('case'),
      words('metric'),
      figures('before'),
      figures('after'),
      figures('change'),
      figures('against entry', { wideOnly: true }),
    ],
    rows: rows.slice(0, LISTED_METRICS),
    omitted: Math.max(0, rows.length - LISTED_METRICS),
  };
  const text =
    'Profiles, workload and tool version are the same as in the last result, and a replay has no noise: the model itself changed.';
  return [{ id: 'unexplained', title: 'Unexplained changes', blocks: [{ kind: 'paragraph', text }, table] }];
}

function valueTables(series: readonly DashboardSeries[]): Table[] {
  return [...new Set(series.map(({ run }) => run))].map(
    (run): Table => ({
      kind: 'table',
      caption: run,
      columns: [
        words('metric'),
        words('case'),
        figures('newest'),
        figures('change'),
        figures('to best', { wideOnly: true }),
        words('same since'),
        words('last entries', { wideOnly: true }),
      ],
      rows: series
        .filter((one) => one.run === run)
        .map((one) => [
          shortMetric(one.name),
          one.label,
          formatMetric(one.metric, one.newest),
          metricChange(one.metric, one.newest, one.previous),
          metricChange(one.metric, one.newest, one.best),
          one.unchanged_since?.date ?? NOT_AVAILABLE,
          sparkline(one.points.map(({ value }) => value)),
        ]),
    }),
  );
}

function entryTable({ recent, entries }: Dashboard): Table {
  return {
    kind: 'table',
    caption: 'Newest first',
    columns: [
      figures('entry'),
      words('date'),
      words('verdict'),
      figures('gates passed'),
      words('gates that fail'),
      figures('unexplained'),
      words('commit', { code: true, wideOnly: true }),
      words('label', { wideOnly: true }),
      words('tool', { wideOnly: true }),
    ],
    rows: recent.map((one) => [
      String(Number(one.entry)),
      one.date,
      one.verdict === 'pass' ? 'pass' : one.verdict.toUpperCase(),
      `${one.gates.pass} of ${one.gates.pass + one.gates.breach + one.gates.unknown + one.gates.first}`,
      [...new Set(one.failed_gates.map(({ text }) => text))].join('; ') || NOT_AVAILABLE,
      String(one.unexplained),
      one.commit ?? '',
      one.label ?? NOT_AVAILABLE,
      one.tool_version,
    ]),
    omitted: entries - recent.length,
  };
}

function readingSection(): Section {
  return {
    id: 'model-card',
    title: 'How to read this',
    blocks: [
      {
        kind: 'list',
        items: [
          'Replays are exact: the same profiles, workload and tool give the same numbers on every machine. A value that changes without one of these changing is a change of the model, and is called unexplained.',
          'Gates about a change are held against the newest earlier entry that passed. Unknown (a case without a result) counts as failed.',
          '`to best`: against the best value since the last change of the configuration; none for metrics of which more is neither better nor worse.',
          `Trend test: Mann–Kendall over the last ${TREND_ENTRIES} entries at most, since the last change of the configuration, with the median slope of all pairs (Theil–Sen). A trend is called one with at least ${TREND_LEAST_ENTRIES} entries, at least ${TREND_LEAST_CHANGES} changes of the value, and a chance below ${TREND_LEVEL * 100} % in values of random order. It decides no gate.`,
          `Charts show the last ${SHOWN_ENTRIES} entries: diamonds are breached or unknown gates on that metric, dashed rules are changes of configuration or tool. The vertical axis does not start at zero.`,
        ],
      },
    ],
  };
}
