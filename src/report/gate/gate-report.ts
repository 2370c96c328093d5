/** A run held against thresholds: as data, text and Markdown. */
import type { Block, Head, ReportDocument } from '../document/block.ts';
import type { LoadedReport } from '../load-report.ts';
import { reportMarkdown } from '../markdown.ts';
import { allPass, evaluateGates } from '../metrics/gates.ts';
import { type Pairing, pairCases } from '../metrics/pairing.ts';
import type { Threshold } from '../metrics/thresholds.ts';
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
): GateReport {
  const pairing: Pairing | undefined = base === undefined ? undefined : pairCases(base.model, run.model);
  const gates = evaluateGates(thresholds, run.model, pairing);
  const count = (verdict: (typeof gates)[number]['verdict']): number =>
    gates.filter((gate) => gate.verdict === verdict).length;
  return {
    schemaVersion: GATE_SCHEMA_VERSION,
    kind: 'gate',
    tool_version: toolVersion,
    run: run.folder,
    base: base?.folder ?? null,
    complete: run.model.complete && base?.model.complete !== false,
    pass: allPass(gates),
    passed: count('pass'),
    breached: count('breach'),
    unknown: count('unknown'),
    gates: gates.map(gateRow),
  };
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

function head({ pass, complete, gates, run, base }: GateReport): Head {
  const against = base === null ? '' : ` against ${base}`;
  const rest = complete
    ? ''
    : ` ${base === null ? 'The run is' : 'One of the runs is'} incomplete: thresholds saw only what was replayed.`;
  const tally = gateTally(gates);
  return {
    badges: [
      pass ? { text: 'PASS', tone: 'good' } : { text: 'FAIL', tone: 'bad' },
      ...(complete ? [] : [{ text: 'incomplete', tone: 'bad' } as const]),
    ],
    sentence: `${tally.charAt(0).toUpperCase()}${tally.slice(1)} in ${run}${against}.${rest}`,
    checks: [],
  };
}

/** Case by case, in the order in which thresholds meet them. */
function caseBlocks({ gates }: GateReport): Block[] {
  return [...new Set(gates.map((gate) => gate.case))].flatMap((key): Block[] => [
    { kind: 'paragraph', text: key ?? 'no case' },
    { kind: 'checks', checks: gates.filter((gate) => gate.case === key).map((gate) => gateCheck(gate)) },
  ]);
}
