/** The hardware profiles that ship with the tool. */
import { ConfigError } from '../../input-error.ts';
import { nearestName } from '../../nearest-name.ts';
import { type HardwareProfileSource, type ResolvedHardwareProfile, resolveHardwareProfile } from '../profile.ts';
import { HYPERTRIO_BASE } from './hypertrio-base.ts';
import { QEMU_7_2, QEMU_11_1 } from './recorders.ts';
import { LEGACY64, VTD_BDW, VTD_HSW, VTD_IVB, VTD_SNB } from './vtd-bdw.ts';
import { VTD_CLX, VTD_EMR, VTD_ICX } from './vtd-scalable.ts';

const BYPASS: HardwareProfileSource = {
  ...VTD_BDW,
  name: 'bypass',
  description: 'no IOMMU: the device and link of vtd-bdw, every DMA untranslated',
  kind: 'bypass',
};

const PROFILES: readonly HardwareProfileSource[] = [
  VTD_BDW,
  VTD_HSW,
  VTD_IVB,
  VTD_SNB,
  VTD_CLX,
  VTD_ICX,
  VTD_EMR,
  LEGACY64,
  HYPERTRIO_BASE,
  BYPASS,
  QEMU_7_2,
  QEMU_11_1,
];

/** Names of the profiles, in the order in which they are listed. */
export const HARDWARE_PROFILE_NAMES: readonly string[] = PROFILES.map((profile) => profile.name);

/** Resolves a built-in profile with overrides; throws ConfigError for an unknown name, key or value. */
export function hardwareProfile(name: string, overrides: readonly string[] = []): ResolvedHardwareProfile {
  const found = PROFILES.find((profile) => profile.name === name);
  if (found === undefined) {
    const near = nearestName(name, HARDWARE_PROFILE_NAMES);
    const hint = near === undefined ? `known: ${HARDWARE_PROFILE_NAMES.join(', ')}` : `did you mean '${near}'?`;
    throw new ConfigError({ source: '--hw', reason: `no hardware profile '${name}', ${hint}` });
  }
  return resolveHardwareProfile(found, overrides, `hardware profile ${name}`);
}
