/**
 * The replays that tell what a result rests on: every job once more for each assumed number and side, one number at a
 * time, and for all that have a scale together on either side. A move that leaves the resolved profile as it was (the ways of a
 * cache that is not there) is not replayed: it has no effect.
 */
import { ConfigError } from '../../input-error.ts';
import type { AssumedNumber, JobSpec, SourcedNumber } from '../protocol.ts';
import type { RunProfile } from '../run-profiles.ts';
import { type MovableProfile, overridePath, profileName, sameProfile, variantJob } from '../variant.ts';
import { type Moves, movesOf, SIDES, type Side } from './perturbation.ts';

/** Replays that all have the same thing moved. */
export interface PlannedVariant {
  /** Index into {@link AssumptionPlan.numbers}; -1 = all of them. */
  readonly number: number;
  readonly side: Side;
  readonly jobs: readonly JobSpec[];
}

/** What to replay for {@link RunResult.assumptions}. */
export interface AssumptionPlan {
  readonly numbers: readonly AssumedNumber[];
  readonly variants: readonly PlannedVariant[];
}

/** Plans the replays of the run's own `jobs`. */
export function planAssumptions(jobs: readonly JobSpec[], profiles: readonly MovableProfile[]): AssumptionPlan {
  const numbers: AssumedNumber[] = [];
  const variants: PlannedVariant[] = [];
  const together = new Map<string, RunProfile>();
  for (const profile of profiles) {
    const { kind, name } = profile.card;
    const all: Record<Side, string[]> = { slow: [], fast: [] };
    for (const number of profile.card.numbers.filter(({ basis }) => basis === 'A')) {
      const moved = moveNumber(profile, number);
      for (const side of SIDES) if (moved.scaled && moved[side] !== null) all[side].push(moved[side].override);
      const index = numbers.length;
      numbers.push({
        profile: name,
        kind,
        path: number.path,
        value: String(number.value),
        unit: number.unit,
        slow: moved.slow?.value ?? null,
        fast: moved.fast?.value ?? null,
        unmoved: moved.reason,
      });
      for (const side of SIDES) {
        const changed = moved[side]?.profile;
        if (changed === undefined || sameProfile(changed, profile)) continue;
        const affected = jobs.filter((job) => profileName(job, kind) === name);
        variants.push({
          number: index,
          side,
          jobs: affected.map((job) => variantJob(job, `${index}-${side}`, { [kind]: changed.planned.profile })),
        });
      }
    }
    for (const side of SIDES) together.set(`${kind} ${name} ${side}`, resolveTogether(profile, all[side]));
  }
  if (variants.length === 0) return { numbers, variants };
  for (const side of SIDES) {
    const allMoved = jobs.map((job) => {
      const of = (kind: 'hardware' | 'kernel'): unknown =>
        together.get(`${kind} ${profileName(job, kind)} ${side}`)?.planned.profile ?? job[kind];
      return variantJob(job, `all-${side}`, { hardware: of('hardware'), kernel: of('kernel') });
    });
    variants.push({ number: -1, side, jobs: allMoved });
  }
  return { numbers, variants };
}

interface MovedSide {
  readonly value: string;
  readonly override: string;
  readonly profile: RunProfile;
}

function moveNumber(
  profile: MovableProfile,
  number: SourcedNumber,
): Record<Side, MovedSide | null> & { readonly scaled: boolean; readonly reason: string | null } {
  const cache = number.path.slice(0, number.path.lastIndexOf('.'));
  const entries = profile.card.numbers.find(({ path }) => path === `${cache}.entries`)?.value;
  const moves: Moves | string = movesOf(number, typeof entries === 'number' ? entries : undefined);
  if (typeof moves === 'string') return { slow: null, fast: null, scaled: false, reason: moves };
  let reason: string | null = null;
  const resolve = (value: string | null): MovedSide | null => {
    if (value === null) return null;
    const override = `${overridePath(number.path)}=${value}`;
    try {
      return { value, override, profile: profile.resolve([override]) };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      reason = 'its neighbours do not fit the rest of the profile';
      return null;
    }
  };
  const moved = { slow: resolve(moves.slow), fast: resolve(moves.fast) };
  return { ...moved, scaled: moves.scaled, reason: moved.slow === null && moved.fast === null ? reason : null };
}

/** All moves of one side; one that does not fit the others is left out (ways that do not divide moved entries). */
function resolveTogether(profile: MovableProfile, overrides: readonly string[]): RunProfile {
  let kept: string[] = [];
  let resolved: RunProfile = profile;
  for (const override of overrides) {
    try {
      resolved = profile.resolve([...kept, override]);
      kept = [...kept, override];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
  }
  return resolved;
}
