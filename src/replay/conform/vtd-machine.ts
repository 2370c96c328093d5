/**
 * A machine with one VT-d unit, booted as the recorded one: devices in their groups, default domains, kernel drivers
 * bound, vfio-pci devices and the mediated device registered. Kept between the sequences of a transcript.
 */
import { type SourceId, sourceId } from '../../address.ts';
import { assert } from '../../assert.ts';
import { PhysicalMemory } from '../../hw/memory.ts';
import { registerWords } from '../../hw/profile.ts';
import { hardwareProfile } from '../../hw/profiles/registry.ts';
import { VtdUnit } from '../../hw/vtd/unit.ts';
import { type BootGroup, bootIntel } from '../../stack/drivers/intel/boot.ts';
import { IntelDriver } from '../../stack/drivers/intel/driver.ts';
import { useDefaultDomain } from '../../stack/iommu/dma-owner.ts';
import { IommuGroup, iommuGroupRules } from '../../stack/iommu/group.ts';
import type { IommuDevice } from '../../stack/iommu/ops.ts';
import type { Kernel } from '../../stack/kernel/kernel.ts';
import type { VfioDevice } from '../../stack/vfio/device.ts';
import { MttyDriver } from '../../stack/vfio/mdev-driver.ts';
import { STANDARD_VFIO_BUILD, type VfioBuild, vfioProfile } from '../../stack/vfio/profile.ts';
import { VfioRegistry } from '../../stack/vfio/registration.ts';
import { VfioPciDriver } from '../../stack/vfio/vfio-pci.ts';
import { EduDevice } from './edu-device.ts';
import { resetScopeOf } from './reset-scope.ts';
import { FIRST_FAKE_GROUP, MEDIATED_DEVICE, pciName, type TopologyDevice, TRANSCRIPT_TOPOLOGY } from './topology.ts';
import { UnspecifiedBytes } from './unspecified-bytes.ts';
import type { VfioMachine } from './vfio-machine.ts';

/** The unit and how the kernel uses it. */
export interface VtdSetup {
  /** Hardware profile of the emulator. */
  readonly hardware: 'qemu-7.2' | 'qemu-11.1';
  /** Registers in hex. */
  readonly cap: string;
  readonly ecap: string;
  readonly scalable: boolean;
}

/** A function of the topology on this machine. */
export interface MachineFunction {
  readonly topology: TopologyDevice;
  readonly device: IommuDevice;
  readonly group: IommuGroup;
  /** Requester id its DMA carries. */
  readonly requester: SourceId;
}

/** The booted machine. */
export class VtdMachine implements VfioMachine {
  readonly kernel: Kernel;
  readonly memory = new PhysicalMemory();
  readonly unit: VtdUnit;
  readonly driver: IntelDriver;
  readonly scalable: boolean;
  readonly registry: VfioRegistry;
  /** By transcript name. */
  readonly functions = new Map<string, MachineFunction>();
  /** Registered VFIO devices by transcript name. */
  readonly vfioDevices = new Map<string, VfioDevice>();
  /** Names of functions bound to ordinary kernel drivers. */
  readonly kernelDrivers = new Set<string>();
  /** Educational devices by transcript name: their buffers outlive processes. */
  readonly edus = new Map<string, EduDevice>();
  readonly unspecified = new UnspecifiedBytes();

  constructor(kernel: Kernel, setup: VtdSetup, build: VfioBuild = STANDARD_VFIO_BUILD) {
    this.kernel = kernel;
    this.scalable = setup.scalable;
    const config = {
      ...hardwareProfile(setup.hardware).config,
      cap: registerWords(setup.cap),
      ecap: registerWords(setup.ecap),
    };
    const requesters = TRANSCRIPT_TOPOLOGY.map(requesterOf);
    const { memory } = this;
    const { timeline } = kernel;
    this.unit = new VtdUnit({ name: 'dmar0', config, memory, timeline, deviceSourceIds: requesters });
    const unit = { name: 'dmar0', registers: this.unit, scalable: setup.scalable };
    this.driver = new IntelDriver({ kernel, memory, units: [unit] });
    this.#boot();
    let nextGroup = FIRST_FAKE_GROUP;
    this.registry = new VfioRegistry(kernel, vfioProfile(kernel.profile.version), build, () => nextGroup++);
    this.#bindDrivers();
  }

  #boot(): void {
    const groups = new Map<number, { readonly group: IommuGroup; readonly devices: BootGroup['devices'][number][] }>();
    for (const topology of TRANSCRIPT_TOPOLOGY) {
      let entry = groups.get(topology.group);
      if (entry === undefined) {
        const rules = iommuGroupRules(this.kernel.profile.version);
        entry = { group: new IommuGroup(topology.group, rules, this.kernel.timeline), devices: [] };
        groups.set(topology.group, entry);
      }
      const own = sourceId(topology.bus, topology.device, topology.fn);
      const device: IommuDevice = {
        name: pciName(topology),
        sourceIds: topology.alias === undefined ? [own] : [own, topology.alias],
        unit: 'dmar0',
        driver: this.driver,
        maxPasids: 0,
        isVirtualFunction: false,
        supportsPri: false,
        isolatedMsi: true,
      };
      entry.group.add(device);
      entry.devices.push({ device, probe: {} });
      const requester = requesterOf(topology);
      this.functions.set(topology.name, { topology, device, group: entry.group, requester });
    }
    const boot = [...groups.values()].map((entry) => ({ ...entry, defaultDomain: 'dma-fq' as const }));
    const error = this.kernel.run(bootIntel(this.driver, boot));
    assert(error === 0, `boot failed with ${error}`);
  }

  #bindDrivers(): void {
    TRANSCRIPT_TOPOLOGY.forEach((topology, index) => {
      if (topology.driver === 'vfio-pci') this.registerPci(topology.name);
      else if (topology.driver !== undefined) {
        this.kernel.run(useDefaultDomain(this.function(topology.name).group));
        this.kernelDrivers.add(topology.name);
      }
      if (topology.name.startsWith('edu'))
        this.edus.set(topology.name, new EduDevice(this.unit, requesterOf(topology), index, this.unspecified));
    });
    const mediated = this.registry.registerEmulated({
      name: MEDIATED_DEVICE,
      driver: new MttyDriver(),
      hardware: undefined,
      iommuGroup: undefined,
    });
    this.vfioDevices.set(MEDIATED_DEVICE, mediated);
  }

  /** A function by transcript name. */
  function(name: string): MachineFunction {
    const found = this.functions.get(name);
    assert(found !== undefined, `no device ${name} on this machine`);
    return found;
  }

  /** Binds vfio-pci to a function: 0 or a negative errno. */
  registerPci(name: string): number {
    const { topology, device, group } = this.function(name);
    const { profile, build } = this.registry;
    const driver = new VfioPciDriver(topology.information, profile, build);
    driver.affectedFunctions = () =>
      resetScopeOf(topology, this.vfioDevices, (member) => this.functions.get(member)?.group.id);
    const registered = this.registry.registerPhysical(
      {
        name: pciName(topology),
        driver,
        hardware: device,
        iommuGroup: group,
      },
      topology.resetKey,
    );
    if (typeof registered === 'number') return registered;
    this.vfioDevices.set(name, registered);
    return 0;
  }

  /** Transcript name of a requester id. */
  nameOfRequester(requester: number): string | undefined {
    for (const [name, each] of this.functions) if (each.requester === requester) return name;
    return undefined;
  }
}

function requesterOf(topology: TopologyDevice): SourceId {
  return topology.alias ?? sourceId(topology.bus, topology.device, topology.fn);
}
