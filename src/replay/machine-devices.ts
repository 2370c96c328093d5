/** The devices of a topology as the modelled kernel sees them, and the groups they are in. */
import type { SourceId } from '../address.ts';
import type { PciConfig } from '../hw/pci-function.ts';
import type { EndpointSpec } from '../hw/vtd/endpoint.ts';
import type { DeviceProbe } from '../stack/drivers/intel/device-info.ts';
import type { IntelDriver } from '../stack/drivers/intel/driver.ts';
import type { DefaultDomainType } from '../stack/iommu/default-domain.ts';
import { IommuGroup, iommuGroupRules } from '../stack/iommu/group.ts';
import type { IommuDevice } from '../stack/iommu/ops.ts';
import type { Kernel } from '../stack/kernel/kernel.ts';
import type { Manifest } from '../trace/schema/manifest.ts';
import type { DeviceTopology } from '../trace/schema/topology.ts';

/** A device of the topology and what stands for it in the model. */
export interface MachineDevice {
  /** Index into `topology.devices`. */
  readonly index: number;
  readonly topology: DeviceTopology;
  readonly device: IommuDevice;
  readonly group: IommuGroup;
  readonly probe: DeviceProbe;
}

/** Devices of a world behind a unit that translate for themselves, if software lets them. */
export function unitEndpoints(manifest: Manifest, indices: readonly number[], unit: number): EndpointSpec[] {
  return indices.flatMap((index) => {
    const topology = manifest.topology.devices[index];
    if (topology?.ats !== true || topology.unit !== unit) return [];
    const sourceId = (topology.aliasIds?.[0] ?? topology.sourceId) as SourceId;
    return [{ device: index, sourceId, pri: topology.pri }];
  });
}

/** Devices of a world, with their groups; mediated devices have no IOMMU and are left out. */
export function machineDevices(
  manifest: Manifest,
  indices: readonly number[],
  kernel: Kernel,
  driver: IntelDriver,
  configOf: (device: number) => PciConfig | undefined,
): MachineDevice[] {
  const { units, devices } = manifest.topology;
  const groups = new Map<number, IommuGroup>();
  const machine: MachineDevice[] = [];
  for (const index of indices) {
    const topology = devices[index];
    const unit = topology === undefined ? undefined : units[topology.unit];
    if (topology === undefined || unit === undefined) continue;
    let group = groups.get(topology.group);
    if (group === undefined) {
      group = new IommuGroup(topology.group, iommuGroupRules(kernel.profile.version), kernel.timeline);
      groups.set(topology.group, group);
    }
    const device: IommuDevice = {
      name: topology.name,
      sourceIds: [...(topology.aliasIds ?? [topology.sourceId])] as SourceId[],
      unit: unit.name,
      driver,
      maxPasids: topology.pasidBits === 0 ? 0 : 2 ** topology.pasidBits,
      isVirtualFunction: false,
      supportsPri: topology.pri,
      supportsAts: topology.ats,
      // ASSUMPTION: interrupt remapping is on, as on every machine that assigns devices.
      isolatedMsi: true,
    };
    group.add(device);
    const probe = { ats: topology.ats, pasidBits: topology.pasidBits, config: configOf(index), group };
    machine.push({ index, topology, device, group, probe });
  }
  return machine;
}

/**
 * Kind of default domain a group boots with: what the scenario asks for, else what was recorded. Lazy becomes strict
 * where the driver forces it (caching mode). Groups recorded without one get a strict DMA domain.
 */
export function defaultDomainType(
  recorded: DeviceTopology['defaultDomain'],
  wanted: DefaultDomainType | undefined,
  forcesStrict: boolean,
): DefaultDomainType {
  const type = wanted ?? (recorded === 'none' ? 'dma' : recorded);
  return type === 'dma-fq' && forcesStrict ? 'dma' : type;
}
