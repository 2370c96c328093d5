/**
 * The hardware profile that a user's curves are held against. Whatever is wrong with it is said of the place that the
 * user wrote it at: the profile's name, one of the file's numbers or overrides, an option of the command line.
 */
import { leastRoundTripNs } from '../../hw/link-round-trip.ts';
import type { ResolvedHardwareProfile } from '../../hw/profile.ts';
import { HARDWARE_PROFILE_NAMES, hardwareProfile } from '../../hw/profiles/registry.ts';
import { ConfigError } from '../../input-error.ts';

const ROUND_TRIP = 'link.readRoundTripNs';

/** Where something was written: a file or an option, and the place inside it. */
export interface Place {
  readonly source: string;
  readonly path?: string;
}

/** One override, and what made it. */
export interface PlacedOverride {
  /** `path=value` */
  readonly override: string;
  readonly place: Place;
}

/**
 * The profile `name` with its overrides. Throws ConfigError for a profile that is no machine's or does not exist, for an
 * override that it refuses, and for a round trip that is shorter than its own flight and wire time.
 */
export function resolvePlaced(
  name: string,
  namedAt: Place,
  overrides: readonly PlacedOverride[],
): ResolvedHardwareProfile {
  checkProfileName(name, namedAt);
  for (const { override, place } of overrides) refuseUnused(name, override.split('=', 1)[0]!, place);
  const texts = overrides.map(({ override }) => override);
  const attempt = (count: number) => hardwareProfile(name, texts.slice(0, count));
  try {
    const profile = attempt(texts.length);
    checkRoundTrip(name, profile);
    return profile;
  } catch (error) {
    if (!(error instanceof ConfigError) || texts.length === 0) throw error;
    // The override after the longest beginning that is right is the wrong one: what follows it may depend on it.
    let right = texts.length - 1;
    while (right > 0 && !isRight(name, () => attempt(right))) right--;
    throw new ConfigError({ ...overrides[right]!.place, reason: reasonOf(error) });
  }
}

/** Throws ConfigError unless `name` is a profile whose times mean something. */
export function checkProfileName(name: string, place: Place): void {
  let profile: ResolvedHardwareProfile;
  try {
    profile = hardwareProfile(name);
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError({ ...place, reason: error.reason }) : error;
  }
  if (!isRecorder(profile)) return;
  const fitting = HARDWARE_PROFILE_NAMES.filter((one) => one.startsWith('vtd-'));
  const reason = `'${name}' is the emulated unit of a recorder and has no timing of a machine`;
  throw new ConfigError({ ...place, reason: `${reason}; profiles of machines: ${fitting.join(', ')}` });
}

/** Throws ConfigError for a parameter that has no part in a profile without an IOMMU. */
export function refuseUnused(profile: string, path: string, place: Place): void {
  if (hardwareProfile(profile).kind !== 'bypass' || /^(link|device)\./.test(path)) return;
  const reason = `'${profile}' has no IOMMU, so nothing misses or is walked; only link.* and device.* have a part in it`;
  throw new ConfigError({ ...place, reason });
}

/** Recorders tag their IOTLB by requester, which no unit of a machine does. */
function isRecorder({ config }: ResolvedHardwareProfile): boolean {
  return config.iotlbRules.tag === 'source';
}

function isRight(name: string, resolve: () => ResolvedHardwareProfile): boolean {
  try {
    checkRoundTrip(name, resolve());
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** Nothing is said of profiles that leave no time for memory as they ship, unless their round trip is set. */
function checkRoundTrip(name: string, { config, overrides, numbers }: ResolvedHardwareProfile): void {
  const roundTripNs = numbers.find(({ path }) => path === ROUND_TRIP)?.value as number;
  const leastNs = leastRoundTripNs(config.link);
  if (roundTripNs >= leastNs) return;
  const set = overrides.some((override) => override.startsWith(`${ROUND_TRIP}=`));
  if (!set && hardwareProfile(name).config.link.memoryReadTicks === 0) return;
  throw new ConfigError({ source: name, reason: tooShort(roundTripNs, leastNs, name) });
}

/** What to say of a round trip [ns] that flight and wire alone do not fit into. */
export function tooShort(roundTripNs: number, leastNs: number, profile: string): string {
  return `a round trip of ${roundTripNs} ns is shorter than flight and wire, which take ${leastNs} ns on ${profile}`;
}

function reasonOf({ path, reason }: ConfigError): string {
  return path === '' ? reason : `${path}: ${reason}`;
}
