/**
 * Machine presets by the `setup` of a transcript: which parts a machine has. `vtd-*` are machines with a VT-d unit,
 * `compat-*` a kernel whose /dev/vfio/vfio is iommufd.
 */
import { ConfigError, InputError } from '../../input-error.ts';
import { Kernel } from '../../stack/kernel/kernel.ts';
import { KERNEL_PROFILES } from '../../stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../stack/profiles/schema.ts';
import { STANDARD_VFIO_BUILD, type VfioBuild } from '../../stack/vfio/profile.ts';
import { ConformMachine, type ConformModule } from './machine.ts';
import { iommufdModule } from './ops-iommufd.ts';
import { NO_IOMMU_MODULE, vtdModule } from './ops-machine.ts';
import { PROCESS_MODULE } from './ops-process.ts';
import { SELFTEST_MODULE } from './ops-test.ts';
import type { VtdSetup } from './vtd-machine.ts';

const SETUPS: Readonly<Record<string, () => readonly ConformModule[]>> = {
  mock: () => [PROCESS_MODULE, iommufdModule(true), SELFTEST_MODULE],
  'compat-kernel': () => vtd({ ecap: 'f00f4a', scalable: false }, COMPAT_BUILD),
  'compat-kernel-noiommu': () => [PROCESS_MODULE, iommufdModule(true, true), NO_IOMMU_MODULE],
  'vtd-legacy-mode': () => vtd({ ecap: 'f00f4a', scalable: false }),
  'vtd-scalable-mode': () => vtd({ ecap: '480080f00f4a', scalable: true }),
  'vtd-first-stage': () =>
    vtd({ hardware: 'qemu-11.1', cap: '81d2008c222f0606', ecap: '880000f00f4a', scalable: true }),
};

/** A kernel without native containers. */
const COMPAT_BUILD: VfioBuild = { ...STANDARD_VFIO_BUILD, container: false, iommufdContainer: true };

/** A machine with the emulated unit of QEMU 7.2 but for what `setup` says. */
function vtd(
  setup: Partial<VtdSetup> & Pick<VtdSetup, 'ecap' | 'scalable'>,
  build: VfioBuild = STANDARD_VFIO_BUILD,
): readonly ConformModule[] {
  const unit = { hardware: 'qemu-7.2' as const, cap: 'd2008c222f0606', ...setup };
  return [PROCESS_MODULE, iommufdModule(true, build.iommufdContainer), vtdModule(unit, build)];
}

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
