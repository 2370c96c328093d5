/**
 * What Linux does with the IOMMU before user space runs (intel_iommu_init, init_dmars, iommu_setup_default_domain): queue
 * and root table of every unit, probe of the devices, a default domain for each group, then translation on.
 *
 * Domain ids follow: they are handed out at first attach, so groups get 2, 3, 4 … in probe order on each unit.
 */
import { assert } from '../../../assert.ts';
import { type DefaultDomainType, setupDefaultDomain } from '../../iommu/default-domain.ts';
import type { IommuGroup } from '../../iommu/group.ts';
import type { IommuDevice } from '../../iommu/ops.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { DeviceProbe } from './device-info.ts';
import type { IntelDriver } from './driver.ts';

/** A device to probe. */
export interface BootDevice {
  readonly device: IommuDevice;
  readonly probe: DeviceProbe;
}

/** A group, its devices already added, in probe order of its first device. */
export interface BootGroup {
  readonly group: IommuGroup;
  readonly devices: readonly BootDevice[];
  /** What the system asks for; lazy becomes strict where the driver insists, identity becomes `dma` without support. */
  readonly defaultDomain: DefaultDomainType;
}

/** Boots `driver`. Returns 0, or the errno of the first default domain that could not be set up. */
export function* bootIntel(driver: IntelDriver, groups: readonly BootGroup[]): KernelTask<number> {
  for (const unit of driver.units) yield* unit.start();
  for (const { group, devices, defaultDomain } of groups) {
    for (const { device, probe } of devices) {
      assert(group.devices.includes(device), 'boot device is not in its group');
      yield* driver.probeDevice(device, probe);
    }
    const error = yield* setupDefaultDomain(group, effectiveType(driver, defaultDomain));
    if (error !== 0) return error;
  }
  for (const unit of driver.units) unit.enableTranslation();
  return 0;
}

/** The default domain a group really gets. */
function effectiveType(driver: IntelDriver, wanted: DefaultDomainType): DefaultDomainType {
  if (wanted === 'dma-fq' && driver.forcesStrict) return 'dma';
  if (wanted === 'identity' && driver.identityDomain === undefined) return 'dma';
  return wanted;
}
