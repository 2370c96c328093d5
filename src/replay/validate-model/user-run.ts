/** Runs a user's curves on a profile. */
import { hardwareProfile } from '../../hw/profiles/registry.ts';
import { type Curve, type CurveValue, runCurve } from './curve.ts';
import type { ModelTable, Tolerance } from './result.ts';
import { bandwidthTolerance } from './tables/v2-bandwidth.ts';
import { curvesOf, type UserTable } from './user-table.ts';
import type { SweepEffort } from './window-sweep.ts';

/** Pseudo-parameter of fits and files: the sum of a walk's fixed part and one read. */
export const PENALTY = 'singleMissPenaltyNs';

/** Overrides that give the profile a single-miss penalty: the fixed part takes it up, the read as far as it must. */
export function penaltyOverrides(profile: string, penaltyNs: number): string[] {
  const readNs = profileNumber(profile, [], 'translation.walkReadNs');
  const read = Math.min(readNs, penaltyNs);
  return [`translation.walkReadNs=${read}`, `translation.walkFixedNs=${Math.round((penaltyNs - read) * 1000) / 1000}`];
}

/** A number of a profile by its path; throws ConfigError for a profile that does not exist. */
export function profileNumber(profile: string, overrides: readonly string[], path: string): number {
  const found = hardwareProfile(profile, overrides).numbers.find((number) => number.path === path);
  return typeof found?.value === 'number' ? found.value : Number.NaN;
}

/** All overrides of a file, in order: penalty, round trip, its own, then `extra`. */
export function overridesOf(table: UserTable, profile: string, extra: readonly string[]): string[] {
  const { singleMissPenaltyNs: penalty, readRoundTripNs } = table;
  return [
    ...(penalty === undefined ? [] : penaltyOverrides(profile, penalty)),
    ...(readRoundTripNs === undefined ? [] : [`link.readRoundTripNs=${readRoundTripNs}`]),
    ...table.set,
    ...extra,
  ];
}

/** Tolerance of a user's point: those of V1 and V2. */
export function userTolerance(value: CurveValue, { quantity }: Curve): Tolerance {
  if (quantity === 'interval') return bandwidthTolerance(value);
  if (quantity === 'latency') return { kind: 'relative', share: 0.1 };
  if (value.pages <= 64) return { kind: 'absolute', amount: 3 };
  return value.pages <= 128 ? { kind: 'absolute', amount: 30 } : { kind: 'relative', share: 0.1 };
}

/** The file's table: measured against modelled. */
export function runUserTable(
  table: UserTable,
  { profile = table.profile, overrides = [] }: { readonly profile?: string; readonly overrides?: readonly string[] },
  effort: SweepEffort,
): ModelTable {
  const all = overridesOf(table, profile, overrides);
  return {
    id: 'measured',
    title: table.name,
    role: 'gate',
    source: table.source,
    basis: `Profile ${profile}${all.length === 0 ? '' : ` with ${all.join(', ')}`}; nothing was fitted to these curves.`,
    axis: 'window [4 KiB pages]',
    points: curvesOf(table, profile, all).flatMap((curve) => runCurve(curve, userTolerance, effort)),
    notes: [],
  };
}
