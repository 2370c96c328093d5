/** Two runs made into one comparison: pairs, configuration, every number, conditions. */
import { basename } from 'node:path';
import { collectCases } from '../case-data.ts';
import type { Chart } from '../charts/chart.ts';
import { gateRow } from '../gate/schema.ts';
import type { LoadedReport } from '../load-report.ts';
import { allPass, evaluateGates } from '../metrics/gates.ts';
import { type CasePair, DIMENSIONS, pairCases } from '../metrics/pairing.ts';
import type { Threshold } from '../metrics/thresholds.ts';
import type { ReportCase } from '../schema/report.ts';
import { pairCharts } from './charts.ts';
import { configurationOf } from './configuration.ts';
import { deviceChanges, metricChanges } from './metric-changes.ts';
import { COMPARE_SCHEMA_VERSION, type ComparedCase, type ComparedRun, type CompareModel } from './schema.ts';
import { caseSentence, leadSentence, type RunNames } from './sentences.ts';

/** A run folder as it was given, and what was read from it. */
export interface NamedReport extends LoadedReport {
  readonly folder: string;
}

/** A comparison and the data of its charts. */
export interface Comparison {
  readonly model: CompareModel;
  /** Charts of each pair, in the order of `model.cases`. */
  readonly charts: readonly (readonly Chart[])[];
}

/**
 * Compares two runs. `thresholds` are conditions that must hold (or not) in every case of the new run. Throws ConfigError
 * for conditions that cannot be meant.
 */
export function buildComparison(
  base: NamedReport,
  run: NamedReport,
  thresholds: readonly Threshold[],
  toolVersion: string,
): Comparison {
  const names = runNames(base.folder, run.folder);
  const pairing = pairCases(base.model, run.model);
  const gates = evaluateGates(thresholds, run.model, pairing, { acrossTraces: true });
  const [before, after] = [collectCases(base.run), collectCases(run.run)];
  const several = pairing.pairs.length > 1;
  const compared = pairing.pairs.map((pair, index) => {
    const one = comparedCase(pair, titleOf(pair, pairing.pairs), names);
    const [old, now] = [
      before.find(({ key }) => key === pair.base.key)!,
      after.find(({ key }) => key === pair.run.key)!,
    ];
    const charts = pairCharts(one.metrics, old, now, several ? `case${index + 1}-` : '');
    return {
      one: { ...one, charts: charts.map(({ name, title, rows }) => ({ name, title, rows: rows.length })) },
      charts,
    };
  });
  const facts: Omit<CompareModel, 'sentence'> = {
    schemaVersion: COMPARE_SCHEMA_VERSION,
    kind: 'compare',
    tool_version: toolVersion,
    base: comparedRun(base, names.base),
    new: comparedRun(run, names.run),
    pass: thresholds.length === 0 ? null : allPass(gates),
    gates: gates.map(gateRow),
    configuration: configurationOf(base.model, run.model, pairing),
    cases: compared.map(({ one }) => one),
  };
  return { model: { ...facts, sentence: leadSentence(facts) }, charts: compared.map(({ charts }) => charts) };
}

/** Last parts of the paths; the whole paths where those are the same. */
function runNames(base: string, run: string): RunNames {
  const [before, after] = [basename(base), basename(run)];
  return before === after ? { base, run } : { base: before, run: after };
}

function comparedRun({ folder, model }: NamedReport, name: string): ComparedRun {
  const { tool_version, complete, missing } = model;
  return { folder, name, tool_version, complete, missing };
}

function comparedCase(pair: CasePair, title: string, names: RunNames): Omit<ComparedCase, 'charts'> {
  const metrics = metricChanges(pair.base, pair.run);
  const { devices, equal } = deviceChanges(pair.base, pair.run);
  const tally = (verdict: (typeof metrics)[number]['verdict']): number =>
    metrics.filter((change) => change.verdict === verdict).length;
  return {
    title,
    base_case: pair.base.key,
    new_case: pair.run.key,
    across: [...pair.across],
    sentence: caseSentence(metrics, names),
    improved: tally('improved'),
    regressed: tally('regressed'),
    changed: tally('changed'),
    no_change: tally('no change'),
    metrics,
    devices,
    equal_devices: equal,
  };
}

/** Workload, and what else tells the pair from the others. */
function titleOf({ base, run }: CasePair, pairs: readonly CasePair[]): string {
  const keys = DIMENSIONS.map((dimension) => dimension.replace(' ', '_') as 'workload' | 'hardware_profile');
  const varies = (key: (typeof keys)[number]): boolean => new Set(pairs.map((pair) => pair.run[key])).size > 1;
  const named = keys.filter((key) => key === 'workload' || varies(key) || base[key] !== run[key]);
  const text = (one: ReportCase, other: ReportCase, key: (typeof keys)[number]): string =>
    one[key] === other[key] ? one[key] : `${other[key]} → ${one[key]}`;
  return named.map((key) => text(run, base, key)).join(' · ');
}
