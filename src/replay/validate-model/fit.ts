/**
 * Fits profile numbers to measured curves: a pattern search over the root mean square of the errors, each in units of what
 * its point is allowed. It proposes values; it changes no profile. A value that the profile refuses is as bad as can be.
 */
import { mean, rootMeanSquare } from 'simple-statistics';
import { ConfigError } from '../../input-error.ts';
import { fitParameters } from './fit-parameter.ts';
import { patternSearch } from './pattern-search.ts';
import type { FittedParameter, ModelFit, ModelPoint, ModelTable } from './result.ts';
import { profileWords, runUserTable, type UserTarget, userProfile } from './user-run.ts';
import type { UserTable } from './user-table.ts';
import type { SweepEffort } from './window-sweep.ts';

/** The curves as the model has them without the fit, and the fit. */
export interface FittedTable {
  readonly before: ModelTable;
  readonly fit: ModelFit;
}

/** Requests per point while searching. */
const SEARCH_SAMPLES = 12_000;
/** [share] A step of the search lowers the misfit by this at least. */
const LEAST_STEP_GAIN = 0.0005;
/** [share] A proposal does, and each value in it: less is noise of the seeded workload. */
const LEAST_GAIN = 0.01;

/**
 * Fits `paths` (profile numbers, or `singleMissPenaltyNs`) to `table`. Throws ConfigError for a path that is no number,
 * twice there, or part of another, and for what {@link runUserTable} refuses.
 */
export function fitUserTable(
  table: UserTable,
  paths: readonly string[],
  target: UserTarget,
  effort: SweepEffort,
): FittedTable {
  const name = target.profile ?? table.profile;
  const parameters = fitParameters(paths, name, userProfile(table, target));
  const start: readonly number[] = parameters.map((one) => one.start);
  const chosenTarget = (values: readonly number[]): UserTarget => ({
    ...target,
    overrides: [
      ...(target.overrides ?? []),
      ...parameters.flatMap((one, at) => (values[at] === one.start ? [] : one.overridesFor(values[at]!))),
    ],
  });
  const before = runUserTable(table, target, effort);
  const quick = { seed: effort.seed, samples: Math.min(effort.samples, SEARCH_SAMPLES) };
  const costOf = (values: readonly number[]): number =>
    misfitOrNone(() => runUserTable(table, chosenTarget(values), quick));
  const found = patternSearch(parameters, costOf, { step: LEAST_STEP_GAIN, value: LEAST_GAIN });

  const tried = runUserTable(table, chosenTarget(found.values), effort);
  const improved = misfit(tried.points) < misfit(before.points) * (1 - LEAST_GAIN);
  const values = improved ? found.values : start;
  const fitted = parameters.map(({ path, unit, start: from }, at): FittedParameter => {
    const state = found.states[at]!;
    const known = { path, unit, before: from, proposed: values[at]! };
    return { ...known, state: state !== 'moved' ? state : improved ? 'proposed' : 'kept' };
  });
  const chosen = chosenTarget(values);
  const words = profileWords(name, userProfile(table, chosen).overrides);
  const after = improved ? tried : before;
  return {
    before,
    fit: {
      parameters: fitted,
      improved,
      leastGainShare: LEAST_GAIN,
      misfitBefore: misfit(before.points),
      misfitAfter: misfit(after.points),
      errorShareBefore: errorShare(before.points),
      errorShareAfter: errorShare(after.points),
      overrides: improved ? chosen.overrides! : [],
      after: improved ? fittedTable(after, fitted, words) : after,
    },
  };
}

/** The table of proposed values; its points are no predictions any more. */
function fittedTable(table: ModelTable, parameters: readonly FittedParameter[], profile: string): ModelTable {
  const proposed = parameters.filter(({ state }) => state === 'proposed');
  const what = proposed.map(({ path, proposed: to, before, unit }) => `${path} ${inUnit(to, unit)} (was ${before})`);
  return {
    ...table,
    id: 'fitted',
    title: `${table.title}, with the proposed values`,
    role: 'report',
    basis: `${profile}; fitted to these very curves: ${what.join(', ')}.`,
    points: table.points.map((point) => ({ ...point, use: 'fitted' as const })),
  };
}

function inUnit(value: number, unit: string): string {
  return unit === '' ? String(value) : `${value} ${unit}`;
}

/** {@link misfit} of a table, infinite where its values are refused. */
function misfitOrNone(run: () => ModelTable): number {
  try {
    return misfit(run().points);
  } catch (error) {
    if (error instanceof ConfigError) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** Root mean square of errors in units of what is allowed. */
function misfit(points: readonly ModelPoint[]): number {
  return Math.sqrt(mean(points.map(({ error, tolerance }) => (error! / allowed(tolerance)) ** 2)));
}

function allowed(tolerance: ModelPoint['tolerance']): number {
  if (tolerance?.kind === 'relative') return tolerance.share;
  return tolerance?.kind === 'absolute' ? tolerance.amount : 1;
}

/** [share] Root mean square of the relative errors, of points that have one. */
function errorShare(points: readonly ModelPoint[]): number | null {
  const errors = points.flatMap(({ error, tolerance }) => (tolerance?.kind === 'relative' ? [error!] : []));
  return errors.length === 0 ? null : rootMeanSquare(errors);
}
