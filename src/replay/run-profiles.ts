/** The profiles of a run by name, with the overrides that concern each kind, and their cards for the report. */

import { HARDWARE_PROFILE_NAMES, hardwareProfile } from '../hw/profiles/registry.ts';
import type { VtdConfig } from '../hw/vtd/config.ts';
import { ConfigError } from '../input-error.ts';
import { nearestName } from '../nearest-name.ts';
import { KERNEL_PROFILES } from '../stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../stack/profiles/schema.ts';
import type { PlannedProfile } from './plan.ts';
import type { ProfileCard } from './protocol.ts';

/** Hardware as it travels to a worker. */
export interface JobHardware {
  readonly name: string;
  /** `bypass`: translation stays off and kernel drivers map nothing. */
  readonly kind: 'vtd' | 'bypass';
  readonly config: VtdConfig;
}

/** A profile and its card. */
export interface RunProfile {
  readonly planned: PlannedProfile;
  readonly card: ProfileCard;
}

/** Keys of a kernel profile; every other path is the hardware's. */
const KERNEL_KEYS: readonly string[] = ['behaviours', 'costsNs', 'version'];

/** Kernel a recording is replayed on when neither it nor the user says which. */
export const DEFAULT_KERNEL = 'v6.12';

/** Sorts `path=value` overrides by the profile they belong to. */
export function splitOverrides(overrides: readonly string[]): {
  readonly hardware: readonly string[];
  readonly kernel: readonly string[];
} {
  const isKernel = (override: string): boolean => KERNEL_KEYS.includes(/^[^.=]*/.exec(override)?.[0] ?? '');
  return {
    hardware: overrides.filter((override) => !isKernel(override)),
    kernel: overrides.filter(isKernel),
  };
}

/** Resolves a hardware profile; throws ConfigError. */
export function hardwareForRun(name: string, overrides: readonly string[]): RunProfile {
  const { kind, config, description, sha256, numbers } = hardwareProfile(name, overrides);
  const profile: JobHardware = { name, kind, config };
  const { link, translation, queue } = config;
  const timing = { link, translation, queue };
  return {
    planned: { name, profile },
    card: { name, kind: 'hardware', description, sha256, overrides, numbers, timing },
  };
}

/** Resolves a kernel profile; throws ConfigError. */
export function kernelForRun(name: string, overrides: readonly string[]): RunProfile {
  const source = KERNEL_PROFILES[name];
  if (source === undefined) {
    const names = Object.keys(KERNEL_PROFILES);
    const near = nearestName(name, names);
    const hint = near === undefined ? `known: ${names.join(', ')}` : `did you mean '${near}'?`;
    throw new ConfigError({ source: '--kernel', reason: `no kernel profile '${name}', ${hint}` });
  }
  const resolved = resolveKernelProfile(source, overrides, `kernel profile ${name}`);
  const { description, sha256, numbers } = resolved;
  return {
    planned: { name, profile: resolved.profile },
    card: { name, kind: 'kernel', description, sha256, overrides, numbers },
  };
}

/** Cards of every profile that ships: hardware first. */
export function profileCards(): ProfileCard[] {
  return [
    ...HARDWARE_PROFILE_NAMES.map((name) => hardwareForRun(name, []).card),
    ...Object.keys(KERNEL_PROFILES).map((name) => kernelForRun(name, []).card),
  ];
}

/** Card of one profile, of either kind; throws ConfigError. */
export function profileCard(name: string, overrides: readonly string[]): ProfileCard {
  return KERNEL_PROFILES[name] === undefined
    ? hardwareForRun(name, overrides).card
    : kernelForRun(name, overrides).card;
}
