/** Runs a user's curves on a profile. */
import type { LinkTiming } from '../../hw/device-link.ts';
import { leastRoundTripNs } from '../../hw/link-round-trip.ts';
import type { ResolvedHardwareProfile } from '../../hw/profile.ts';
import { hardwareProfile } from '../../hw/profiles/registry.ts';
import { Cap } from '../../hw/vtd/registers.ts';
import { ConfigError } from '../../input-error.ts';
import { addedLatencyTolerance } from './added-latency.ts';
import { type Curve, type CurveValue, runCurve } from './curve.ts';
import type { ModelTable, Tolerance } from './result.ts';
import { bandwidthTolerance } from './tables/v2-bandwidth.ts';
import {
  checkProfileName,
  type Place,
  type PlacedOverride,
  refuseUnused,
  resolvePlaced,
  tooShort,
} from './user-profile.ts';
import { curvesOf, type UserTable } from './user-table.ts';
import type { SweepEffort } from './window-sweep.ts';

/** Pseudo-parameter of fits and files: the sum of a walk's fixed part and one read. */
export const PENALTY = 'singleMissPenaltyNs';
/** What it sets. */
export const PENALTY_PATHS = ['translation.walkReadNs', 'translation.walkFixedNs'] as const;

/** What a user chose besides the file: `--hw` and `--set`. */
export interface UserTarget {
  readonly profile?: string;
  readonly overrides?: readonly string[];
}

/**
 * Overrides that give the profile, `overrides` applied, a single-miss penalty: the fixed part takes it up, the read as
 * far as it must.
 */
export function penaltyOverrides(profile: string, penaltyNs: number, overrides: readonly string[] = []): string[] {
  const readNs = profileNumber(profile, overrides, 'translation.walkReadNs');
  const read = Math.min(readNs, penaltyNs);
  return [`translation.walkReadNs=${read}`, `translation.walkFixedNs=${Math.round((penaltyNs - read) * 1000) / 1000}`];
}

/** A number of a profile by its path; throws ConfigError for a profile that does not exist. */
export function profileNumber(profile: string, overrides: readonly string[], path: string): number {
  const found = hardwareProfile(profile, overrides).numbers.find((number) => number.path === path);
  return typeof found?.value === 'number' ? found.value : Number.NaN;
}

/**
 * The profile that the curves are held against, overrides in this order: penalty, round trip, the file's own, then those
 * of the command line. Throws ConfigError with the place of what is wrong.
 */
export function userProfile(table: UserTable, { profile, overrides = [] }: UserTarget): ResolvedHardwareProfile {
  const name = profile ?? table.profile;
  const namedAt: Place = profile === undefined ? { source: table.file, path: 'profile' } : { source: '--hw' };
  checkProfileName(name, namedAt);
  const { singleMissPenaltyNs: penalty, readRoundTripNs } = table;
  const inFile = (path: string, ...all: readonly string[]): PlacedOverride[] =>
    all.map((override) => ({ override, place: { source: table.file, path } }));
  if (penalty !== undefined) refuseUnused(name, PENALTY, { source: table.file, path: PENALTY });
  return resolvePlaced(name, namedAt, [
    ...(penalty === undefined ? [] : inFile(PENALTY, ...penaltyOverrides(name, penalty))),
    ...(readRoundTripNs === undefined ? [] : inFile('readRoundTripNs', `link.readRoundTripNs=${readRoundTripNs}`)),
    ...table.set.flatMap((override, at) => inFile(`set.${at}`, override)),
    ...overrides.map((override) => ({ override, place: { source: '--set' } })),
  ]);
}

/** Tolerance of a user's point: those of V1 and V2. */
export function userTolerance(value: CurveValue, { quantity }: Curve): Tolerance {
  if (quantity === 'interval') return bandwidthTolerance(value);
  return quantity === 'latency' ? { kind: 'relative', share: 0.1 } : addedLatencyTolerance(value);
}

/** The file's table: measured against modelled. Throws ConfigError for what the profile cannot be or do. */
export function runUserTable(table: UserTable, target: UserTarget, effort: SweepEffort): ModelTable {
  const { config, overrides } = userProfile(table, target);
  const name = target.profile ?? table.profile;
  checkRoundTrips(table, name, config.link);
  if ((Cap.ssLargePages(config.cap[1]) & 1) === 0) refuseSuperpages(table, name);
  return {
    id: 'measured',
    title: table.name,
    role: 'gate',
    source: table.source,
    basis: `${profileWords(name, overrides)}; nothing was fitted to these curves.`,
    axis: 'window [4 KiB pages]',
    points: curvesOf(table, name, overrides).flatMap((curve) => runCurve(curve, userTolerance, effort)),
    notes: [],
  };
}

/** The profile in words. */
export function profileWords(name: string, overrides: readonly string[]): string {
  return `Profile ${name}${overrides.length === 0 ? '' : ` with ${overrides.join(', ')}`}`;
}

/** Without 2 MiB pages every request to one would fault, at once and in no time. */
function refuseSuperpages(table: UserTable, profile: string): void {
  const at = table.curves.findIndex(({ superpages }) => superpages);
  if (at < 0) return;
  const reason = `${profile} has no 2 MiB pages (curve '${table.curves[at]!.name}')`;
  throw new ConfigError({ source: table.file, path: `curves.${at}.superpages`, reason });
}

function checkRoundTrips(table: UserTable, profile: string, link: LinkTiming): void {
  const leastNs = leastRoundTripNs(link);
  for (const [curveAt, curve] of table.curves.entries()) {
    for (const [at, { readRoundTripNs }] of curve.points.entries()) {
      if (readRoundTripNs === undefined || readRoundTripNs >= leastNs) continue;
      const path = `curves.${curveAt}.points.${at}.readRoundTripNs`;
      const reason = `${tooShort(readRoundTripNs, leastNs, profile)} (curve '${curve.name}')`;
      throw new ConfigError({ source: table.file, path, reason });
    }
  }
}
