/** The backends of a kernel in the order containers ask them: last registered first. */
import type { Kernel } from '../kernel/kernel.ts';
import type { BackendKind } from './container-backend.ts';
import { noIommuBackend } from './noiommu-backend.ts';
import type { VfioBuild, VfioProfile } from './profile.ts';
import { type1Backend } from './type1/backend.ts';
import { TYPE1_DEFAULTS } from './type1/type1.ts';

/** Type1, then the stub for devices without IOMMU where it is built (vfio_register_iommu_driver). */
export function standardBackends(kernel: Kernel, profile: VfioProfile, build: VfioBuild): BackendKind[] {
  const parameters = { ...TYPE1_DEFAULTS, allowUnsafeInterrupts: build.type1UnsafeInterrupts };
  const kinds = [type1Backend(kernel, profile, parameters)];
  if (build.noIommu) kinds.push(noIommuBackend(build.enableUnsafeNoIommu));
  return kinds;
}
