/** What every machine with VFIO devices offers to operations on them. */
import type { VfioDevice } from '../../stack/vfio/device.ts';
import type { VfioRegistry } from '../../stack/vfio/registration.ts';

/** A booted machine with registered VFIO devices. */
export interface VfioMachine {
  readonly registry: VfioRegistry;
  /** Registered devices by transcript name. */
  readonly vfioDevices: ReadonlyMap<string, VfioDevice>;
}
