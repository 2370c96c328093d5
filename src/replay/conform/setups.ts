/**
 * Machine presets by the `setup` of a transcript: which parts a machine has. `vtd-*` are machines with a VT-d unit,
 * `compat-*` a kernel whose /dev/vfio/vfio is iommufd.
 */
import { ConfigError, InputError } from '../../input-error.ts';
import { Kernel } from '../../stack/kernel/kernel.ts';
import { KERNEL_PROFILES } from '../../stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../stack/profiles/schema.ts';
import { ConformMachine, type ConformModule } from './machine.ts';
import { iommufdModule } from './ops-iommufd.ts';
import { PROCESS_MODULE } from './ops-process.ts';
import { SELFTEST_MODULE } from './ops-test.ts';

const SETUPS: Readonly<Record<string, () => readonly ConformModule[]>> = {
  mock: () => [PROCESS_MODULE, iommufdModule(true), SELFTEST_MODULE],
};

/** Boots the machine of a setup. Throws {@link InputError} for an unknown setup, ConfigError for an unknown kernel. */
export function bootMachine(file: string, setup: string, kernelName: string): ConformMachine {
  const modules = SETUPS[setup];
  if (modules === undefined) throw new InputError({ file, reason: `unknown setup ${setup}` });
  const source = KERNEL_PROFILES[kernelName];
  if (source === undefined) {
    const known = Object.keys(KERNEL_PROFILES).join(', ');
    throw new ConfigError({ source: '--kernel', reason: `unknown kernel ${kernelName}; known: ${known}` });
  }
  return new ConformMachine(new Kernel(resolveKernelProfile(source).profile), modules());
}
