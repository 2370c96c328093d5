/**
 * The composition root of one closed world: modelled memory, IOMMU units, kernel, driver, groups in their default
 * domains, and the calls that control rows become. Booting takes model time; {@link Machine.originTick} is when it ends.
 */
import type { SourceId } from '../address.ts';
import { assert } from '../assert.ts';
import { PhysicalMemory } from '../hw/memory.ts';
import type { PciConfig } from '../hw/pci-function.ts';
import type { VtdConfig } from '../hw/vtd/config.ts';
import type { QueueMode } from '../hw/vtd/invalidation-queue.ts';
import { VtdUnit } from '../hw/vtd/unit.ts';
import { IntelDriver } from '../stack/drivers/intel/driver.ts';
import type { EntryStepObserver } from '../stack/drivers/intel/entry-step.ts';
import type { SubmissionObserver } from '../stack/drivers/intel/qi.ts';
import { setupDefaultDomain } from '../stack/iommu/default-domain.ts';
import { DmaApi } from '../stack/iommu/dma-api.ts';
import { unuseDefaultDomain, useDefaultDomain } from '../stack/iommu/dma-owner.ts';
import type { IommuGroup } from '../stack/iommu/group.ts';
import type { PagingDomain } from '../stack/iommu/ops.ts';
import { AddressSpace } from '../stack/kernel/address-space.ts';
import { Kernel } from '../stack/kernel/kernel.ts';
import { PageFrames } from '../stack/kernel/page-frames.ts';
import { Process, UserAccount } from '../stack/kernel/process.ts';
import type { KernelProfile } from '../stack/kernel/profile.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import type { VfioDevice } from '../stack/vfio/device.ts';
import type { DeviceInformation } from '../stack/vfio/device-info.ts';
import { PinningDriver } from '../stack/vfio/pinning-driver.ts';
import { STANDARD_VFIO_BUILD, vfioProfile } from '../stack/vfio/profile.ts';
import { VfioRegistry } from '../stack/vfio/registration.ts';
import { VfioPciDriver } from '../stack/vfio/vfio-pci.ts';
import type { BundleReader } from '../trace/reader.ts';
import type { SoftwareView } from './analyses/lint.ts';
import { MachineCalls } from './control-calls.ts';
import type { CallOutcome } from './control-player.ts';
import { Diagnostics } from './diagnostics.ts';
import { DmaApiCalls } from './dma-api-calls.ts';
import { frameBehind } from './domain-view.ts';
import { installInitialMappings } from './initial-mappings.ts';
import { defaultDomainType, type MachineDevice, machineDevices, unitEndpoints } from './machine-devices.ts';
import type { JobSpec } from './protocol.ts';
import type { JobHardware } from './run-profiles.ts';
import type { ClosedWorld } from './shards.ts';
import { VfioCalls } from './vfio-calls.ts';

/** What a machine is built from. */
export interface MachineParts {
  readonly bundle: BundleReader;
  readonly world: ClosedWorld;
  /** Resolved hardware profile; a topology that tells CAP and ECAP replaces those of the profile. */
  readonly hardware: JobHardware;
  readonly kernel: KernelProfile;
  /** Default domains instead of the recorded ones. */
  readonly defaultDomain?: JobSpec['defaultDomain'];
  /**
   * Follow a recorder instead of a clock: wait descriptors complete at once, cache effects and flush-queue timers wait
   * for the caller, and every submission is reported.
   */
  readonly follow?: { readonly onSubmission: SubmissionObserver };
  /** Told about what drivers do while time runs. */
  readonly watch?: { readonly onSubmission: SubmissionObserver; readonly onEntryStep: EntryStepObserver } | undefined;
}

/** What a function shows of itself matters to no replayed call. */
const PLAIN_FUNCTION: DeviceInformation = { resettable: true, isPcie: true, hasVga: false, regions: [], irqs: [] };

/** File descriptors of the one process that stands for all user-space drivers. */
const DESCRIPTOR_LIMIT = 2 ** 20;

/** A booted machine. */
export class Machine {
  readonly kernel: Kernel;
  readonly memory = new PhysicalMemory();
  readonly driver: IntelDriver;
  readonly calls: MachineCalls;
  readonly diagnostics = new Diagnostics();
  /** [ps] When booting was done: time zero of the trace. */
  readonly originTick: number;

  readonly #units = new Map<number, VtdUnit>();
  readonly #devices = new Map<number, MachineDevice>();
  readonly #dmaApis = new Map<IommuGroup, DmaApi>();
  readonly #registry: VfioRegistry;
  readonly #vfioDevices = new Map<number, VfioDevice>();
  /** Names of mediated devices by index. */
  readonly #mediated = new Map<number, string>();

  constructor(parts: MachineParts) {
    const { bundle, world } = parts;
    const { manifest } = bundle;
    this.kernel = new Kernel(parts.kernel);
    const sourceIds = manifest.topology.devices.map((device) => (device.aliasIds?.[0] ?? device.sourceId) as SourceId);
    const specs = world.units.map((index) => {
      const topology = manifest.topology.units[index];
      assert(topology !== undefined, `no unit ${index} in the topology`);
      const config = withCapabilities(parts.hardware.config, topology.cap, topology.ecap);
      const { memory } = this;
      const { timeline } = this.kernel;
      const queueMode: QueueMode = parts.follow === undefined ? 'timed' : 'deferred';
      const unit = new VtdUnit({
        name: topology.name,
        config,
        memory,
        timeline,
        deviceSourceIds: sourceIds,
        queueMode,
        endpoints: parts.hardware.kind === 'bypass' ? [] : unitEndpoints(manifest, world.devices, index),
      });
      this.#units.set(index, unit);
      return { name: topology.name, registers: unit, scalable: topology.mode === 'scalable' };
    });
    const observer = parts.follow?.onSubmission ?? parts.watch?.onSubmission;
    this.driver = new IntelDriver({
      kernel: this.kernel,
      memory: this.memory,
      units: specs,
      ...(observer === undefined ? {} : { onSubmission: observer }),
    });
    for (const unit of this.driver.units) unit.onEntryStep = parts.watch?.onEntryStep;
    const configOf = (device: number): PciConfig | undefined =>
      this.#units.get(manifest.topology.devices[device]?.unit ?? -1)?.functionAt(device);
    for (const device of machineDevices(manifest, world.devices, this.kernel, this.driver, configOf)) {
      this.#devices.set(device.index, device);
    }
    for (const index of world.devices) {
      const topology = manifest.topology.devices[index];
      if (topology?.kind === 'mediated') this.#mediated.set(index, topology.name);
    }
    let nextGroup = 1 + Math.max(-1, ...manifest.topology.devices.map(({ group }) => group));
    this.#registry = new VfioRegistry(
      this.kernel,
      vfioProfile(parts.kernel.version),
      STANDARD_VFIO_BUILD,
      () => nextGroup++,
    );
    this.#boot(parts);
    const process = new Process('user', new AddressSpace(new PageFrames()), new UserAccount());
    process.files.limit = DESCRIPTOR_LIMIT;
    this.calls = new MachineCalls(
      new DmaApiCalls((device) => this.#dmaApiOf(device), this.diagnostics),
      new VfioCalls(
        this.kernel,
        process,
        (device) => this.#vfioDevice(device),
        this.diagnostics,
        this.memory,
        bundle.stream('control').file,
      ),
      { bind: (device) => this.#bind(device), unbind: (device) => this.#unbind(device) },
    );
    this.originTick = this.kernel.now;
  }

  /** The unit with this index in `topology.units`. */
  unitAt(index: number): VtdUnit {
    const unit = this.#units.get(index);
    assert(unit !== undefined, `unit ${index} is not in this world`);
    return unit;
  }

  /** A device of this world that an IOMMU serves. */
  deviceAt(device: number): MachineDevice | undefined {
    return this.#devices.get(device);
  }

  /** The VFIO device that stands for a device of the topology, physical or mediated. */
  vfioDeviceAt(device: number): VfioDevice | undefined {
    return this.#vfioDevice(device);
  }

  /** Domain the DMA API of a device maps into; undefined when the kernel does not translate for it. */
  domainOf(device: number): PagingDomain | undefined {
    return this.#dmaApiOf(device)?.domain;
  }

  /** DMA APIs of the world's kernel-owned groups, in group order of their first device. */
  get dmaApis(): Iterable<DmaApi> {
    return this.#dmaApis.values();
  }

  /** Units by index. */
  get units(): ReadonlyMap<number, VtdUnit> {
    return this.#units;
  }

  /** What software's tables say, for the analysis of stale translations. */
  softwareView(): SoftwareView {
    return {
      frameOf: (device, iovaPfn, pasid) => {
        const group = this.#devices.get(device)?.group;
        const domain = pasid === 0 ? group?.domain : group?.pasids.get(pasid)?.domain;
        return frameBehind(this.memory, domain, iovaPfn);
      },
      awaitsFlush: (device, iovaPfn) => this.#dmaApiOf(device)?.awaitsFlush(iovaPfn) ?? false,
      isChanging: (device) => this.#devices.get(device)?.group.mutex.held ?? false,
      translates: (device) => this.#devices.get(device)?.group.domain?.type !== 'identity',
      cachingMode: this.driver.units.some((unit) => unit.caps.cachingMode),
    };
  }

  /** Counted anomalies of calls and DMA APIs. */
  diagnosticCounts(): Record<string, number> {
    for (const api of this.#dmaApis.values()) {
      this.diagnostics.count('short_unmap', api.counters.shortUnmaps);
      this.diagnostics.count('forced_flush', api.counters.forcedFlushes);
    }
    return this.diagnostics.snapshot();
  }

  /** As the kernel boots: units on, devices probed, default domains installed, translation enabled. */
  #boot(parts: MachineParts): void {
    const { kernel, driver } = this;
    const bypassed = parts.hardware.kind === 'bypass';
    for (const unit of driver.units) kernel.run(unit.start());
    for (const { device, probe } of this.#devices.values()) kernel.run(driver.probeDevice(device, probe));
    for (const { group, topology } of this.#devices.values()) {
      if (group.defaultDomain !== undefined) continue;
      let type = defaultDomainType(topology.defaultDomain, parts.defaultDomain, driver.forcesStrict);
      if (type === 'identity' && driver.identityDomain === undefined) {
        // APPROX: Linux would map all memory one to one; here such a group stays translated.
        this.diagnostics.count('no_pass_through');
        type = 'dma';
      }
      const error = kernel.run(setupDefaultDomain(group, type));
      if (error !== 0) this.diagnostics.count('default_domain_failed');
      const domain = dmaDomainOf(group);
      if (domain !== undefined && !bypassed)
        this.#dmaApis.set(group, new DmaApi(kernel, domain, { timer: parts.follow ? 'caller' : 'kernel' }));
    }
    if (!bypassed) for (const unit of driver.units) unit.enableTranslation();
    const devices = new Set(parts.world.devices);
    installInitialMappings(parts.bundle, devices, (device) => this.domainOf(device), kernel, this.diagnostics);
  }

  #dmaApiOf(device: number): DmaApi | undefined {
    const group = this.#devices.get(device)?.group;
    return group === undefined ? undefined : this.#dmaApis.get(group);
  }

  /** A device of vfio-pci is registered when somebody first looks for it: recordings may begin after its binding. */
  #vfioDevice(index: number): VfioDevice | undefined {
    const known = this.#vfioDevices.get(index);
    if (known !== undefined) return known;
    const mediated = this.#mediated.get(index);
    if (mediated !== undefined) {
      const driver = new PinningDriver();
      const device = this.#registry.registerEmulated({
        name: mediated,
        driver,
        hardware: undefined,
        iommuGroup: undefined,
      });
      this.#vfioDevices.set(index, device);
      return device;
    }
    const machine = this.#devices.get(index);
    if (machine === undefined) return undefined;
    const { topology, device, group } = machine;
    const driver = new VfioPciDriver(PLAIN_FUNCTION, this.#registry.profile, this.#registry.build);
    const registered = this.#registry.registerPhysical({
      name: topology.name,
      driver,
      hardware: device,
      iommuGroup: group,
    });
    if (typeof registered === 'number') return undefined;
    this.#vfioDevices.set(index, registered);
    return registered;
  }

  *#bind(index: number): KernelTask<CallOutcome> {
    if (this.#mediated.has(index)) {
      this.#vfioDevice(index);
      return { result: 0 };
    }
    const machine = this.#devices.get(index);
    if (machine === undefined) return { result: 0, skipped: true };
    if (machine.topology.driver === 'vfio-pci') {
      this.#vfioDevice(index);
      return { result: 0 };
    }
    return { result: yield* useDefaultDomain(machine.group) };
  }

  *#unbind(index: number): KernelTask<CallOutcome> {
    const machine = this.#devices.get(index);
    if (machine === undefined || machine.group.ownerCount === 0) return { result: 0, skipped: true };
    if (machine.topology.driver !== 'vfio-pci') yield* unuseDefaultDomain(machine.group);
    return { result: 0 };
  }
}

/** The group's default domain if the DMA API maps into it. */
function dmaDomainOf({ defaultDomain }: IommuGroup): PagingDomain | undefined {
  if (defaultDomain?.type !== 'dma' && defaultDomain?.type !== 'dma-fq') return undefined;
  return defaultDomain as PagingDomain;
}

/** The profile with the recorded unit's capability registers, where they are known. */
function withCapabilities(config: VtdConfig, cap: string | undefined, ecap: string | undefined): VtdConfig {
  return {
    ...config,
    cap: cap === undefined ? config.cap : registerWords(cap),
    ecap: ecap === undefined ? config.ecap : registerWords(ecap),
  };
}

function registerWords(hex: string): readonly [number, number] {
  const value = BigInt(`0x${hex}`);
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}
