/**
 * Fits profile numbers to measured curves: a deterministic pattern search, one parameter after the other with halving
 * steps, over the mean square of the errors in units of their tolerance. It proposes values; it changes no profile.
 */
import { mean, rootMeanSquare } from 'simple-statistics';
import { hardwareProfile } from '../../hw/profiles/registry.ts';
import { ConfigError } from '../../input-error.ts';
import { nearestName } from '../../nearest-name.ts';
import type { ModelPoint, ModelTable } from './result.ts';
import { overridesOf, PENALTY, penaltyOverrides, profileNumber, runUserTable } from './user-run.ts';
import type { UserTable } from './user-table.ts';
import type { SweepEffort } from './window-sweep.ts';

/** One parameter of a fit. */
export interface FittedParameter {
  readonly path: string;
  readonly before: number;
  readonly proposed: number;
  readonly unit: string;
}

/** Outcome of a fit. */
export interface FitResult {
  readonly parameters: readonly FittedParameter[];
  /** Root mean square of relative errors, over points with a published value that is not 0. */
  readonly errorBefore: number;
  readonly errorAfter: number;
  /** Overrides that apply the proposal. */
  readonly overrides: readonly string[];
  readonly before: ModelTable;
  readonly after: ModelTable;
}

const FIRST_STEP = 0.25;
const SMALLEST_STEP = 0.005;
const MAX_ROUNDS = 40;
/** Requests per point while searching. */
const SEARCH_SAMPLES = 12_000;

interface Parameter {
  readonly path: string;
  readonly whole: boolean;
  readonly least: number;
  readonly unit: string;
  readonly start: number;
}

/** Fits `paths` (profile numbers, or `singleMissPenaltyNs`) to `table`; throws ConfigError for a path that is no number. */
export function fitUserTable(
  table: UserTable,
  paths: readonly string[],
  { profile = table.profile, overrides = [] }: { readonly profile?: string; readonly overrides?: readonly string[] },
  effort: SweepEffort,
): FitResult {
  const base = overridesOf(table, profile, overrides);
  const parameters = paths.map((path) => parameter(path, profile, base));
  const search: SweepEffort = { seed: effort.seed, samples: Math.min(effort.samples, SEARCH_SAMPLES) };
  const overridesFor = (values: readonly number[]): string[] => [
    ...overrides,
    ...parameters.flatMap(({ path }, at) => assignment(path, values[at]!, profile)),
  ];
  const run = (values: readonly number[], at: SweepEffort): ModelTable =>
    runUserTable(table, { profile, overrides: overridesFor(values) }, at);
  const best = descend(parameters, (values) => cost(run(values, search).points));
  const start = parameters.map((one) => one.start);
  const before = run(start, effort);
  const after = run(best, effort);
  return {
    parameters: parameters.map(({ path, start: from, unit }, at) => ({
      path,
      before: from,
      proposed: best[at]!,
      unit,
    })),
    errorBefore: relativeError(before.points),
    errorAfter: relativeError(after.points),
    overrides: overridesFor(best),
    before,
    after,
  };
}

/** Pattern search from the start values; returns the best values. */
function descend(parameters: readonly Parameter[], costOf: (values: readonly number[]) => number): number[] {
  let best = parameters.map(({ start }) => start);
  let lowest = costOf(best);
  let step = FIRST_STEP;
  for (let round = 0; round < MAX_ROUNDS && step >= SMALLEST_STEP; round++) {
    let moved = false;
    for (const [at, one] of parameters.entries()) {
      for (const direction of [1, -1]) {
        const value = stepped(one, best[at]!, direction * step);
        if (value === best[at]) continue;
        const tried = best.with(at, value);
        const found = costOf(tried);
        if (found >= lowest) continue;
        best = tried;
        lowest = found;
        moved = true;
        break;
      }
    }
    if (!moved) step /= 2;
  }
  return best;
}

function stepped({ whole, least }: Parameter, from: number, share: number): number {
  const wanted = from * (1 + share);
  const moved = whole ? from + Math.sign(share) * Math.max(1, Math.round(Math.abs(wanted - from))) : round(wanted);
  return Math.max(least, moved);
}

function parameter(path: string, profile: string, overrides: readonly string[]): Parameter {
  if (path === PENALTY) {
    const fixed = profileNumber(profile, overrides, 'translation.walkFixedNs');
    const start = fixed + profileNumber(profile, overrides, 'translation.walkReadNs');
    return { path, whole: false, least: 1, unit: 'ns', start };
  }
  const { numbers } = hardwareProfile(profile, overrides);
  const found = numbers.find((number) => number.path === path);
  if (typeof found?.value !== 'number') {
    const known = [PENALTY, ...numbers.filter(({ value }) => typeof value === 'number').map((number) => number.path)];
    const near = nearestName(path, known);
    const hint = near === undefined ? `known: ${known.join(', ')}` : `did you mean '${near}'?`;
    throw new ConfigError({ source: '--fit', reason: `'${path}' is no number of ${profile}, ${hint}` });
  }
  const whole = found.unit !== 'ns';
  return { path, whole, least: whole ? 1 : 0, unit: found.unit, start: found.value };
}

function assignment(path: string, value: number, profile: string): string[] {
  return path === PENALTY ? penaltyOverrides(profile, value) : [`${path}=${value}`];
}

/** Mean square of errors in units of what is allowed. */
function cost(points: readonly ModelPoint[]): number {
  return mean(points.map(({ error, tolerance }) => (error! / allowed(tolerance)) ** 2));
}

function allowed(tolerance: ModelPoint['tolerance']): number {
  if (tolerance?.kind === 'relative') return tolerance.share;
  return tolerance?.kind === 'absolute' ? tolerance.amount : 1;
}

function relativeError(points: readonly ModelPoint[]): number {
  const errors = points.flatMap(({ published, modelled }) =>
    published === null || published === 0 || modelled === null ? [] : [(modelled - published) / published],
  );
  return errors.length === 0 ? 0 : rootMeanSquare(errors);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
