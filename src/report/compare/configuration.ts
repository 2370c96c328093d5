/** What the two runs were asked to do differently: said before any result. */
import { canonicalJson } from '../../canonical-json.ts';
import { plural } from '../format.ts';
import { type CasePair, choiceOf, DIMENSIONS, type Pairing } from '../metrics/pairing.ts';
import { traceDifferences, traceRelation } from '../metrics/trace-relation.ts';
import type { ModelCardSection } from '../schema/model-card.ts';
import type { ReportCase, ReportModel } from '../schema/report.ts';
import type { ComparedConfiguration, ComparedProfile, ComparedTrace } from './schema.ts';

type Profile = ModelCardSection['profiles'][number];

/** Differences between two runs and between the cases that are paired. */
export function configurationOf(base: ReportModel, run: ReportModel, pairing: Pairing): ComparedConfiguration {
  const { pairs, onlyBase, onlyRun } = pairing;
  const traces = distinct(pairs.map(traceOf));
  const profiles = profilePairs(base, run, pairs);
  const rows = [
    { what: 'tool version', base: base.tool_version, new: run.tool_version },
    { what: 'completeness', base: completeness(base), new: completeness(run) },
    ...DIMENSIONS.map((dimension) => choices(dimension, pairs)),
    { what: 'pacing', ...sides(pairs, ({ pacing }) => pacingOf(pacing)) },
    ...traces.map((trace) => ({
      what: `manifest of ${trace.new_workload}`,
      base: digest(trace.base_manifest_sha256),
      new: digest(trace.new_manifest_sha256),
    })),
    ...profiles.flatMap((profile) => [
      {
        what: `overrides of the ${profile.kind} profile`,
        base: profile.base_overrides.join(' ') || 'none',
        new: profile.new_overrides.join(' ') || 'none',
      },
      {
        what: `digest of the ${profile.kind} profile`,
        base: digest(profile.base_sha256),
        new: digest(profile.new_sha256),
      },
    ]),
  ];
  return {
    differences: distinct(rows.filter((row) => row.base !== row.new)),
    equal: [...new Set(rows.filter((row) => row.base === row.new).map(({ what }) => what))],
    traces,
    profiles,
    only_base: onlyBase.map(({ key }) => key),
    only_new: onlyRun.map(({ key }) => key),
  };
}

function traceOf({ base, run }: CasePair): ComparedTrace {
  return {
    base_workload: base.workload,
    new_workload: run.workload,
    base_manifest_sha256: base.identity?.manifest_sha256 ?? null,
    new_manifest_sha256: run.identity?.manifest_sha256 ?? null,
    relation: traceRelation(base, run),
    differs_in: traceDifferences(base, run),
  };
}

/** Profiles of the paired cases, pair by pair. */
function profilePairs(base: ReportModel, run: ReportModel, pairs: readonly CasePair[]): ComparedProfile[] {
  const find = (model: ReportModel, kind: Profile['kind'], name: string): Profile | undefined =>
    model.model_card.profiles.find((profile) => profile.kind === kind && profile.name === name);
  const compared = (['hardware', 'kernel'] as const).flatMap((kind) =>
    pairs.flatMap((pair): ComparedProfile[] => {
      const key = `${kind}_profile` as const;
      const [before, after] = [find(base, kind, pair.base[key]), find(run, kind, pair.run[key])];
      return before === undefined || after === undefined ? [] : [profilePair(kind, before, after)];
    }),
  );
  return distinct(compared);
}

function profilePair(kind: Profile['kind'], base: Profile, run: Profile): ComparedProfile {
  const [before, after] = [base, run].map(({ numbers }) => new Map(numbers.map((number) => [number.path, number])));
  const paths = [...new Set([...after!.keys(), ...before!.keys()])];
  const all = paths.map((path) => {
    const [old, now] = [before!.get(path), after!.get(path)];
    return {
      path,
      unit: (now ?? old)!.unit,
      base: old?.value ?? null,
      new: now?.value ?? null,
      base_basis: old?.basis ?? null,
      new_basis: now?.basis ?? null,
      base_source: old?.source ?? null,
      new_source: now?.source ?? null,
    };
  });
  const numbers = all.filter((number) => number.base !== number.new);
  return {
    kind,
    base: base.name,
    new: run.name,
    base_sha256: base.sha256,
    new_sha256: run.sha256,
    base_overrides: [...base.overrides],
    new_overrides: [...run.overrides],
    equal_numbers: all.length - numbers.length,
    numbers,
  };
}

function choices(dimension: (typeof DIMENSIONS)[number], pairs: readonly CasePair[]) {
  return { what: dimension, ...sides(pairs, (one) => choiceOf(one, dimension)) };
}

/** What the paired cases of each run have. */
function sides(pairs: readonly CasePair[], of: (one: ReportCase) => string): { base: string; new: string } {
  const list = (side: 'base' | 'run'): string => [...new Set(pairs.map((pair) => of(pair[side])))].join(', ');
  return { base: list('base'), new: list('run') };
}

function pacingOf({ mode, factor }: ReportCase['pacing']): string {
  return factor === null ? mode : `${mode}=${factor}`;
}

function completeness({ complete, missing }: ReportModel): string {
  return complete ? 'complete' : `incomplete, ${plural(missing.length, 'job')} missing`;
}

function digest(sha256: string | null): string {
  return sha256 === null ? 'not readable' : `${sha256.slice(0, 12)}…`;
}

function distinct<T>(rows: readonly T[]): T[] {
  return [...new Map(rows.map((row) => [canonicalJson(row), row])).values()];
}
