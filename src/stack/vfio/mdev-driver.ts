/** Drivers of mediated sample devices (mtty): emulated path, migration, no DMA (Linux samples/vfio-mdev/mtty.c). */
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice, VfioDriver } from './device.ts';
import { type DeviceInformation, IrqFlag, PCI_CONFIG_REGION, RegionFlag } from './device-info.ts';
import { attachEmulated, bindEmulated, detachEmulated, unbindEmulated } from './emulated.ts';
import { type MigrationDevice, migratable } from './features.ts';
import { MigrationFlag } from './migration.ts';

/** [bytes] Two I/O BARs of eight ports and a configuration space. */
const PORT_BYTES = 8n;
const CONFIG_BYTES = 256n;

/** The sample serial port. */
export class MttyDriver implements VfioDriver {
  readonly name = 'mtty';
  readonly migration: MigrationDevice = migratable(MigrationFlag.stopCopy | MigrationFlag.p2p | MigrationFlag.preCopy);
  readonly information: DeviceInformation;

  constructor() {
    const port = { sizeBytes: PORT_BYTES, flags: RegionFlag.read | RegionFlag.write };
    const regions = new Array<typeof port | undefined>(9).fill(undefined);
    regions[0] = port;
    regions[1] = port;
    regions[PCI_CONFIG_REGION] = { sizeBytes: CONFIG_BYTES, flags: RegionFlag.read | RegionFlag.write };
    const flags = IrqFlag.eventfd | IrqFlag.noresize;
    this.information = { resettable: false, isPcie: false, hasVga: false, regions, irqs: [{ count: 1, flags }] };
  }

  bindIommufd(device: VfioDevice, context: Parameters<VfioDriver['bindIommufd']>[1]): KernelTask<number> {
    return bindEmulated(device, context);
  }

  unbindIommufd(device: VfioDevice): KernelTask<void> {
    return unbindEmulated(device);
  }

  attachIoas(device: VfioDevice, pageTableId: number): ReturnType<VfioDriver['attachIoas']> {
    return attachEmulated(device, pageTableId);
  }

  detachIoas(device: VfioDevice): KernelTask<void> {
    return detachEmulated(device);
  }

  /** mtty_open_device starts running. */
  *openDevice(): KernelTask<number> {
    yield 0;
    this.migration.state = 2;
    return 0;
  }
}
