/** One number that a fit may move: where it starts, and which values lie around it. */
import type { ResolvedHardwareProfile } from '../../hw/profile.ts';
import { ConfigError } from '../../input-error.ts';
import { nearestName } from '../../nearest-name.ts';
import { refuseUnused } from './user-profile.ts';
import { PENALTY, PENALTY_PATHS, penaltyOverrides } from './user-run.ts';

const SOURCE = '--fit';
/** Numbers that are powers of two, in the profile or on real links, and their largest. */
const DOUBLED: Readonly<Record<string, number>> = {
  'link.lanes': 32,
  'link.maxPayloadBytes': 4096,
  'link.maxReadRequestBytes': 4096,
};
/** What steps are shares of where the number itself is 0: whole numbers, and [ns]. */
const COUNT_AT_ZERO = 32;
const NS_AT_ZERO = 40;
/** [ns] What steps are shares of at least, so that a small time can reach 0, and what may be negative pass it. */
const LEAST_NS = 8;

/** A number of the profile, or the single-miss penalty. */
export class FitParameter {
  readonly path: string;
  readonly unit: string;
  readonly start: number;

  readonly #profile: string;
  readonly #overrides: readonly string[];
  /** Whole numbers move by multiples of this; 0: a fractional number of nanoseconds. */
  readonly #grain: number;

  /** `name` with `overrides` is `profile`. Throws ConfigError for a path that is no number, or has no part in it. */
  constructor(path: string, name: string, profile: ResolvedHardwareProfile) {
    refuseUnused(name, path, { source: SOURCE });
    this.path = path;
    this.#profile = name;
    this.#overrides = profile.overrides;
    if (path === PENALTY) {
      this.unit = 'ns';
      this.#grain = 0;
      this.start = PENALTY_PATHS.reduce((sum, part) => sum + numberAt(part, name, profile).value, 0);
      return;
    }
    const { value, unit } = numberAt(path, name, profile);
    this.unit = unit;
    this.start = value;
    this.#grain = unit === 'ns' ? 0 : waysOf(path, profile);
  }

  /** Overrides that give it `value`. */
  overridesFor(value: number): string[] {
    if (this.path === PENALTY) return penaltyOverrides(this.#profile, value, this.#overrides);
    return [`${this.path}=${value}`];
  }

  /** The value a step of `share` away from `from`, up or down; `from` where there is none. */
  stepped(from: number, share: number): number {
    const most = DOUBLED[this.path];
    if (most !== undefined) {
      const next = share > 0 ? from * 2 : from / 2;
      return next >= 1 && next <= most ? next : from;
    }
    if (this.#grain === 0) {
      const scale = from === 0 ? NS_AT_ZERO : Math.max(Math.abs(from), LEAST_NS);
      const next = Math.round((from + scale * share) * 100) / 100;
      return this.path === PENALTY && next <= 0 ? from : next;
    }
    const scale = from === 0 ? COUNT_AT_ZERO : from;
    const grains = Math.max(1, Math.round(Math.abs(scale * share) / this.#grain));
    return from + Math.sign(share) * grains * this.#grain;
  }
}

/** The parameters of `paths`. Throws ConfigError for a path that is wrong, given twice, or part of another. */
export function fitParameters(
  paths: readonly string[],
  name: string,
  profile: ResolvedHardwareProfile,
): FitParameter[] {
  const refuse = (reason: string): never => {
    throw new ConfigError({ source: SOURCE, reason });
  };
  for (const [at, path] of paths.entries()) {
    if (paths.indexOf(path) < at) refuse(`'${path}' is given twice`);
    const overlaps = paths.includes(PENALTY) && PENALTY_PATHS.some((part) => part === path);
    if (overlaps) refuse(`'${PENALTY}' is the sum of ${PENALTY_PATHS.join(' and ')}: fit it or '${path}', not both`);
  }
  return paths.map((path) => new FitParameter(path, name, profile));
}

function numberAt(path: string, name: string, { numbers }: ResolvedHardwareProfile) {
  const found = numbers.find((number) => number.path === path);
  if (typeof found?.value === 'number') return { value: found.value, unit: found.unit };
  const known = [PENALTY, ...numbers.filter(({ value }) => typeof value === 'number').map((number) => number.path)];
  const near = nearestName(path, known);
  const hint = near === undefined ? `known: ${known.join(', ')}` : `did you mean '${near}'?`;
  throw new ConfigError({ source: SOURCE, reason: `'${path}' is no number of ${name}, ${hint}` });
}

/** Entries of a cache of several sets come in multiples of its ways; everything else by ones. */
function waysOf(path: string, { numbers }: ResolvedHardwareProfile): number {
  if (!path.endsWith('.entries')) return 1;
  const ways = numbers.find((number) => number.path === path.replace(/entries$/, 'ways'))?.value;
  return typeof ways === 'number' && ways > 0 ? ways : 1;
}
