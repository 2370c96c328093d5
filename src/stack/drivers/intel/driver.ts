/**
 * The VT-d driver (Linux drivers/iommu/intel/iommu.c) behind {@link IommuDriver}: any number of units, one blocked and
 * one identity domain, paging domains of either stage.
 */
import type { Pasid, SourceId } from '../../../address.ts';
import { assert } from '../../../assert.ts';
import { Errno } from '../../../errno.ts';
import type { PhysicalMemory } from '../../../hw/memory.ts';
import { NO_ANSWER, type PciConfig, PciRegister } from '../../../hw/pci-function.ts';
import { ScalableContext } from '../../../hw/vtd/layout.ts';
import { IopfDevice } from '../../iommu/iopf.ts';
import {
  type HwInfo,
  HwptAllocFlag,
  type IommuCapability,
  type IommuDevice,
  type IommuDomain,
  type IommuDriver,
  type NestedDomain,
  type PageRequest,
  type PageRequestGroup,
  type PageResponseCode,
  type PagingDomain,
  type ReservedRegion,
  type UserData,
  type ViommuOps,
} from '../../iommu/ops.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { atLeast } from '../../kernel/profile.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { contextPlace, type EntryPlace, isPresent, writeScalableContext } from './context-table.ts';
import { DescriptorBatch, pushPageResponse } from './descriptors.ts';
import type { DeviceInfo, DeviceProbe } from './device-info.ts';
import { IntelPagingDomain } from './domain.ts';
import { hardwareInfo } from './hw-info.ts';
import { IntelUnit, type UnitSpec } from './intel-unit.ts';
import { IntelNestedDomain } from './nested-domain.ts';
import { readVtdS1 } from './nested-user-data.ts';
import { attachPasid, attachPasidIdentity, detachPasid } from './pasid-attach.ts';
import { allocPasidDirectory } from './pasid-table.ts';
import type { SubmissionObserver } from './qi.ts';
import { attachIdentity, attachTables, blockTranslation, setAts } from './rid.ts';
import { isTableDomain, type TableDomain } from './table-domain.ts';

/** Interrupt messages are not remapped by page tables: no device may use these IOVAs (IOAPIC_RANGE). */
const MSI_REGION: ReservedRegion = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: 'msi' };

/** Largest PASID space a directory can hold: 20 bits. */
const MAX_PASID_BITS = 20;

/** How a driver is made. */
export interface IntelDriverOptions {
  readonly kernel: Kernel;
  readonly memory: PhysicalMemory;
  readonly units: readonly UnitSpec[];
  /** Told about every submission of every unit. */
  readonly onSubmission?: SubmissionObserver;
  /** Firmware opted in to DMA protection before boot (dmar_platform_optin). */
  readonly platformOptIn?: boolean;
}

/** One booted VT-d driver. */
export class IntelDriver implements IommuDriver {
  readonly name = 'intel';
  readonly blockedDomain: IommuDomain;
  readonly identityDomain: IommuDomain | undefined;
  readonly allocatesWithFlags = true;
  /** Intel offers none (iommufd answers EOPNOTSUPP). */
  readonly viommu: ViommuOps | undefined = undefined;
  readonly units: readonly IntelUnit[];
  readonly #kernel: Kernel;
  readonly #memory: PhysicalMemory;
  readonly #devices = new Map<IommuDevice, DeviceInfo>();
  readonly #platformOptIn: boolean;

  constructor(options: IntelDriverOptions) {
    this.#kernel = options.kernel;
    this.#memory = options.memory;
    this.#platformOptIn = options.platformOptIn ?? false;
    this.units = options.units.map(
      (spec, index) => new IntelUnit(options.kernel, options.memory, spec, index, options.onSubmission),
    );
    for (const { pageRequests } of this.units) {
      if (pageRequests === undefined) continue;
      pageRequests.report = (sourceId, request) => this.#deliver(sourceId, request);
      pageRequests.discardPartial = () => {
        for (const info of this.#devices.values()) info.iopf?.discardPartial();
      };
    }
    this.blockedDomain = { type: 'blocked', driver: this };
    const passThrough = this.units.every((unit) => unit.caps.passThrough);
    this.identityDomain = passThrough ? { type: 'identity', driver: this } : undefined;
  }

  /**
   * Lazy invalidation is off for the whole system when some unit has caching mode and DMA-API domains would be second
   * stage: the flush queue has no page-selective flushes (intel_iommu_init).
   */
  get forcesStrict(): boolean {
    return this.units.some((unit) => unit.caps.cachingMode && this.#stageOf(unit, 'dma') === 'second');
  }

  /**
   * Makes the driver know a device (intel_iommu_probe_device). In scalable mode its PASID directory and context entry
   * are set up here and stay; later kernels also turn ATS on here.
   */
  *probeDevice(device: IommuDevice, probe: DeviceProbe): KernelTask<void> {
    assert(!this.#devices.has(device), 'device probed twice');
    const unit = this.units.find((candidate) => candidate.name === device.unit);
    assert(unit !== undefined, 'device behind an unknown unit');
    const info: DeviceInfo = {
      device,
      unit,
      atsSupported: (probe.ats ?? false) && unit.caps.deviceTlb,
      invalidateQueueDepth: probe.invalidateQueueDepth ?? queueDepthOf(probe.config),
      physicalFunctionId: probe.physicalFunction ?? 0,
      pasidBits: Math.min(probe.pasidBits ?? 0, unit.caps.pasidBits, MAX_PASID_BITS),
      reserved: probe.reserved ?? [],
      config: probe.config,
      atsEnabled: false,
      domain: undefined,
      iopfUsers: 0,
      iopf: undefined,
      group: probe.group,
      pasidDirectory: undefined,
      pasidDirectoryBits: 0,
      pasids: new Map(),
    };
    this.#devices.set(device, info);
    if (probe.config !== undefined) unit.functions.set(device.sourceIds[0] as SourceId, probe.config);
    if (!unit.caps.scalable) return;
    allocPasidDirectory(info);
    const flags =
      (info.atsSupported ? ScalableContext.dte : 0) |
      (info.pasidBits > 0 ? ScalableContext.paside : 0) |
      (device.supportsPri && unit.caps.pageRequest ? ScalableContext.pre : 0);
    // Only the device's own requester id: a bridge's alias gets no PASID table (pci_pasid_table_setup).
    const place = contextPlace(unit, device.sourceIds[0] as SourceId, true) as EntryPlace;
    if (!isPresent(unit.memory, place)) {
      writeScalableContext(unit.memory, place, info.pasidDirectory as never, info.pasidDirectoryBits, flags);
    }
    if (atLeast(this.#kernel.profile, 'L615')) yield* setAts(this.#kernel, info, true);
  }

  /**
   * A domain with the mappings of `domain`, now and later, under a domain id of its own: what a user has after building
   * a second table with the same content. Not a kernel operation.
   */
  twinOf(domain: TableDomain, unit: IntelUnit): TableDomain {
    if (domain instanceof IntelNestedDomain) {
      return new IntelNestedDomain(this, this.#kernel, domain.parent, domain.config);
    }
    const { type, stage, nestParent } = domain;
    const options = { type, stage, nestParent, dirtyTracking: false, unit, shares: domain };
    return new IntelPagingDomain(this, this.#kernel, this.#memory, options);
  }

  /** Driver state of a probed device. */
  info(device: IommuDevice): DeviceInfo {
    const info = this.#devices.get(device);
    assert(info !== undefined, 'device was not probed');
    return info;
  }

  capable(device: IommuDevice, capability: IommuCapability): boolean {
    const caps = this.info(device).unit.caps;
    switch (capability) {
      case 'cache-coherency':
      case 'deferred-flush':
        return true;
      case 'pre-boot-protection':
        return this.#platformOptIn;
      case 'enforce-cache-coherency':
        return caps.snoopControl;
      case 'dirty-tracking':
        return caps.dirtyTracking;
      case 'noexec':
        return false;
    }
  }

  reservedRegions(device: IommuDevice): readonly ReservedRegion[] {
    return [...this.info(device).reserved, MSI_REGION];
  }

  hwInfo(device: IommuDevice, requestedType: number): HwInfo | number {
    return hardwareInfo(this.info(device).unit.caps, requestedType);
  }

  *allocPaging(
    device: IommuDevice,
    purpose: 'user' | 'dma' | 'dma-fq',
    flags: number,
    data: UserData | undefined,
  ): KernelTask<PagingDomain | number> {
    const unit = this.info(device).unit;
    const nestParent = (flags & HwptAllocFlag.nestParent) !== 0;
    const dirtyTracking = (flags & HwptAllocFlag.dirtyTracking) !== 0;
    const passedPasid = atLeast(this.#kernel.profile, 'L615') ? HwptAllocFlag.pasid : 0;
    const known = HwptAllocFlag.nestParent | HwptAllocFlag.dirtyTracking | passedPasid;
    if ((flags & ~known) !== 0 || data !== undefined) return -Errno.EOPNOTSUPP;
    if (nestParent && !unit.caps.nest) return -Errno.EOPNOTSUPP;
    if (dirtyTracking && !unit.caps.dirtyTracking) return -Errno.EOPNOTSUPP;
    const stage = nestParent || dirtyTracking ? 'second' : this.#stageOf(unit, purpose);
    if (stage === 'second' && !unit.caps.secondStage && atLeast(this.#kernel.profile, 'L615')) {
      return -Errno.EOPNOTSUPP;
    }
    const type = purpose === 'user' ? 'paging' : purpose;
    if (this.#kernel.costs.tablePageAlloc > 0) yield this.#kernel.costs.tablePageAlloc;
    return new IntelPagingDomain(this, this.#kernel, this.#memory, { type, stage, nestParent, dirtyTracking, unit });
  }

  /**
   * Stage of a domain that asks for nothing special. 6.12 gives user domains the second stage and DMA-API domains the
   * first where both exist (first_level_by_default); later kernels prefer the first for both.
   */
  #stageOf(unit: IntelUnit, purpose: 'user' | 'dma' | 'dma-fq'): 'first' | 'second' {
    if (purpose === 'user' && !this.#kernel.profile.behaviours.firstStageUserDomains) return 'second';
    return unit.caps.firstStage ? 'first' : 'second';
  }

  /**
   * A first stage of user space on `parent` (intel_iommu_domain_alloc_nested). Errors: EOPNOTSUPP no nesting hardware,
   * unknown flag or another type of data; EINVAL parent without NEST_PARENT; what reading the data answers.
   */
  *allocNested(
    device: IommuDevice,
    parent: PagingDomain,
    flags: number,
    data: UserData,
  ): KernelTask<NestedDomain | number> {
    yield 0;
    const known = atLeast(this.#kernel.profile, 'L615') ? HwptAllocFlag.pasid : 0;
    if (!this.info(device).unit.caps.nest || (flags & ~known) !== 0) return -Errno.EOPNOTSUPP;
    const config = readVtdS1(data);
    if (config === -Errno.EOPNOTSUPP) return config;
    if (!(parent instanceof IntelPagingDomain) || parent.stage !== 'second' || !parent.nestParent) {
      return -Errno.EINVAL;
    }
    return typeof config === 'number' ? config : new IntelNestedDomain(this, this.#kernel, parent, config);
  }

  *attach(device: IommuDevice, domain: IommuDomain, _old: IommuDomain | undefined): KernelTask<number> {
    const info = this.info(device);
    if (domain === this.blockedDomain) {
      yield* blockTranslation(this.#kernel, info);
      return 0;
    }
    if (domain === this.identityDomain) return yield* attachIdentity(this.#kernel, info, domain);
    if (!isTableDomain(domain)) return -Errno.EINVAL;
    return yield* attachTables(this.#kernel, info, domain);
  }

  supportsPasid(domain: IommuDomain): boolean {
    if (domain === this.identityDomain) return atLeast(this.#kernel.profile, 'L615');
    if (domain instanceof IntelNestedDomain) return atLeast(this.#kernel.profile, 'L615');
    return domain === this.blockedDomain || domain instanceof IntelPagingDomain;
  }

  *setPasid(device: IommuDevice, pasid: Pasid, domain: IommuDomain, old: IommuDomain | undefined): KernelTask<number> {
    const info = this.info(device);
    const replaced = old === this.blockedDomain ? undefined : old;
    if (domain === this.blockedDomain) return yield* detachPasid(this.#kernel, info, pasid);
    if (domain === this.identityDomain) {
      return yield* attachPasidIdentity(this.#kernel, info, pasid, domain, replaced);
    }
    if (!isTableDomain(domain)) return -Errno.EINVAL;
    return yield* attachPasid(this.#kernel, info, pasid, domain, replaced);
  }

  enableIopf(device: IommuDevice): number {
    const info = this.info(device);
    if (!device.supportsPri || !info.unit.caps.pageRequest) return -Errno.ENODEV;
    info.iopfUsers++;
    if (info.group !== undefined) info.iopf ??= new IopfDevice(device, info.group);
    return 0;
  }

  disableIopf(device: IommuDevice): void {
    const info = this.info(device);
    assert(info.iopfUsers > 0, 'page faults disabled more often than enabled');
    info.iopfUsers--;
    if (info.iopfUsers > 0) return;
    info.iopf?.discardPartial();
    info.iopf = undefined;
  }

  /** A page-group response descriptor (intel_iommu_page_response), submitted by whoever answers. */
  respondToPageRequests(group: PageRequestGroup, code: PageResponseCode): void {
    const { unit } = this.info(group.device);
    this.#kernel.scheduler.start(respondToGroup(unit, group, code));
  }

  #deliver(sourceId: number, request: PageRequest): void {
    for (const info of this.#devices.values()) {
      if (info.device.sourceIds[0] !== sourceId) continue;
      if (info.iopf !== undefined) {
        info.iopf.report(request);
      } else if (request.last) {
        const handle = { domain: this.blockedDomain };
        this.respondToPageRequests({ device: info.device, requests: [request], handle }, 'invalid');
      }
      return;
    }
  }
}

function* respondToGroup(unit: IntelUnit, group: PageRequestGroup, code: PageResponseCode): KernelTask<void> {
  const last = group.requests.at(-1);
  if (last === undefined) return;
  const batch = new DescriptorBatch(1);
  pushPageResponse(batch, group.device.sourceIds[0] as number, last.pasid, last.groupId, code);
  yield* unit.queue.submit(batch);
}

/** Invalidate queue depth of the ATS capability; 0 there means 32. */
function queueDepthOf(config: PciConfig | undefined): number {
  const depth = config?.read(PciRegister.atsCapability) ?? 0;
  return depth === 0 || depth === NO_ANSWER ? 32 : depth & 31;
}
