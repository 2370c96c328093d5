/** A run held against thresholds: as data, text and Markdown. */
import type { Badge, Block, Head, ReportDocument } from '../document/block.ts';
import { capital } from '../format.ts';
import type { LoadedReport } from '../load-report.ts';
import { reportMarkdown } from '../markdown.ts';
import { allPass, evaluateGates, type GateOptions } from '../metrics/gates.ts';
import { type CasePair, choiceOf, DIMENSIONS, type Pairing, pairCases } from '../metrics/pairing.ts';
import { acrossSentence, tracesClause } from '../metrics/pairing-words.ts';
import type { Threshold } from '../metrics/thresholds.ts';
import { traceRelation } from '../metrics/trace-relation.ts';
import { reportText } from '../text.ts';
import { GATE_SCHEMA_VERSION, type GateReport, gateReportSchema, gateRow } from './schema.ts';
import { gateCheck, gateTally } from './sentences.ts';

/** A run folder as it was given, and what was read from it. */
export interface GatedRun extends Pick<LoadedReport, 'model'> {
  readonly folder: string;
}

/** Evaluates the thresholds; throws ConfigError for those that cannot be meant. */
export function gateReport(
  run: GatedRun,
  base: GatedRun | undefined,
  thresholds: readonly Threshold[],
  toolVersion: string,
  options?: GateOptions,
): GateReport {
  const pairing: Pairing | undefined = base === undefined ? undefined : pairCases(base.model, run.model);
  const gates = evaluateGates(thresholds, run.model, pairing, options);
  const count = (verdict: (typeof gates)[number]['verdict']): number =>
    gates.filter((gate) => gate.verdict === verdict).length;
  return {
    schemaVersion: GATE_SCHEMA_VERSION,
    kind: 'gate',
    tool_version: toolVersion,
    run: run.folder,
    base: base?.folder ?? null,
    across: pairing === undefined ? [] : acrossOf(pairing.pairs),
    traces: pairing === undefined ? [] : tracesOf(pairing.pairs),
    complete: run.model.complete && base?.model.complete !== false,
    pass: allPass(gates),
    passed: count('pass'),
    breached: count('breach'),
    unknown: count('unknown'),
    gates: gates.map(gateRow),
  };
}

/** What the pairs differ in, with the choices of both sides. */
function acrossOf(pairs: readonly CasePair[]): GateReport['across'] {
  return DIMENSIONS.flatMap((what) => {
    const own = pairs.filter(({ across }) => across.includes(what));
    const choices = (side: 'base' | 'run'): string =>
      [...new Set(own.map((pair) => choiceOf(pair[side], what)))].join(', ');
    return own.length === 0 ? [] : [{ what, base: choices('base'), run: choices('run') }];
  });
}

function tracesOf(pairs: readonly CasePair[]): GateReport['traces'] {
  const traces = new Map(
    pairs.map(({ base, run }) => [
      JSON.stringify([base.workload, run.workload]),
      { base_workload: base.workload, new_workload: run.workload, relation: traceRelation(base, run) },
    ]),
  );
  return [...traces.values()];
}

/** The document as JSON text, keys in the order of the schema. */
export function gateJson(report: GateReport): string {
  return `${JSON.stringify(gateReportSchema.parse(report), null, 2)}\n`;
}

/** The list of ticks and crosses as text of at most 72 columns. */
export function gateText(report: GateReport): string {
  return reportText(report, gateDocument(report));
}

/** The same as Markdown. */
export function gateMarkdown(report: GateReport): string {
  return reportMarkdown({ ...report, cases: [] }, gateDocument(report), false);
}

function gateDocument(report: GateReport): ReportDocument {
  return {
    title: `Gates of ${report.run}`,
    label: 'gates',
    fileStem: 'gate',
    head: head(report),
    overview: caseBlocks(report),
    chapters: [],
    modelCard: {
      id: 'model-card',
      title: 'How to read this',
      blocks: [
        {
          kind: 'paragraph',
          text: '✓ kept, ✗ breached, ? could not be evaluated, which counts as breached: nothing shows that it was kept.',
        },
      ],
    },
  };
}

function head(report: GateReport): Head {
  const { pass, complete, gates, run, base, across, traces } = report;
  const badges: Badge[] = [pass ? { text: 'PASS', tone: 'good' } : { text: 'FAIL', tone: 'bad' }];
  if (traces.some(({ relation }) => relation === 'different')) badges.push({ text: 'different traces', tone: 'warn' });
  if (across.length > 0) {
    badges.push({ text: `paired across ${across.map(({ what }) => what).join(', ')}`, tone: 'plain' });
  }
  if (!complete) badges.push({ text: 'incomplete', tone: 'bad' });
  const clause = tracesClause(traces);
  const tally = gateTally(gates);
  const against = base === null ? '' : ` against ${base}`;
  const first = clause === '' ? capital(tally) : `${clause}: ${tally}`;
  const rest = [
    ...across.map(({ what, base: other, run: own }) => acrossSentence(what, other, own)),
    ...(complete
      ? []
      : [`${base === null ? 'The run is' : 'One of the runs is'} incomplete: thresholds saw only what was replayed.`]),
  ];
  return { badges, sentence: [`${first} in ${run}${against}.`, ...rest].join(' '), checks: [] };
}

/** Case by case, in the order in which thresholds meet them. */
function caseBlocks({ gates }: GateReport): Block[] {
  return [...new Set(gates.map((gate) => gate.case))].flatMap((key): Block[] => {
    const own = gates.filter((gate) => gate.case === key);
    return [
      { kind: 'paragraph', text: caseTitle(own[0]!) },
      { kind: 'checks', checks: own.map((gate) => gateCheck(gate)) },
    ];
  });
}

/** The case, and that of the base where it is another. */
function caseTitle({ case: key, base_case: base }: GateReport['gates'][number]): string {
  return `${key ?? 'no case'}${base === null || base === key ? '' : `, against ${base}`}`;
}
