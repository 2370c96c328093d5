/**
 * The RID's translation: block, attach, replace (Linux device_block_translation, intel_iommu_attach_device,
 * identity_domain_attach_dev of drivers/iommu/intel/iommu.c).
 *
 * A replace is block, then attach, with the compatibility check in between: a refused replace leaves the device blocked.
 * With any other policy the present entry is replaced by the rules of a PASID's.
 */
import { Errno } from '../../../errno.ts';
import { ATS_ENABLE, PciRegister, PRI_ENABLE } from '../../../hw/pci-function.ts';
import type { IommuDomain } from '../../iommu/ops.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { atLeast, type KernelBehaviours } from '../../kernel/profile.ts';
import type { KernelTask } from '../../kernel/task.ts';
import {
  type ContextTarget,
  clearContextEntries,
  replaceContextEntries,
  setupContextEntries,
} from './context-entry-ops.ts';
import type { DeviceInfo } from './device-info.ts';
import { PASS_THROUGH_DID } from './intel-unit.ts';
import { setupPasidEntry, tearDownPasidEntry } from './pasid-entry-ops.ts';
import { replacePresentEntry } from './pasid-replace.ts';
import { passThroughEntry } from './pasid-table.ts';
import {
  assignTags,
  checkAttach,
  isTableDomain,
  stageSupported,
  type TableDomain,
  tableEntry,
  unassignTags,
} from './table-domain.ts';

const RID = 0;

/** Stops the device's translation. A device that is blocked already is left as it is. */
export function* blockTranslation(kernel: Kernel, info: DeviceInfo): KernelTask<void> {
  const domain = info.domain;
  if (domain === undefined) return;
  const unit = info.unit;
  if (isTableDomain(domain)) unassignTags(info, domain, domain.domainId(unit), RID);
  const atsBefore = kernel.profile.behaviours.disableAtsBeforeTeardown;
  if (atsBefore) yield* setAts(kernel, info, false);
  if (unit.caps.scalable) yield* tearDownPasidEntry(info, RID);
  else yield* clearContextEntries(info);
  if (!atsBefore && !unit.caps.scalable) yield* setAts(kernel, info, false);
  info.domain = undefined;
  if (isTableDomain(domain)) {
    domain.devices.splice(domain.devices.indexOf(info), 1);
    domain.detachUnit(unit);
  }
}

/**
 * Blocks the device, checks, then installs `domain`, paging or nested. Errors: EINVAL (incompatible, or no hardware for
 * the stage), ENODEV, ENOSPC (no domain id), EBUSY (entry present); after an error the device stays blocked.
 */
export function* attachTables(kernel: Kernel, info: DeviceInfo, domain: TableDomain): KernelTask<number> {
  const unit = info.unit;
  const { ridReplace } = kernel.profile.behaviours;
  if (ridReplace !== 'block-then-setup' && info.domain !== undefined) {
    return yield* replaceLive(kernel, info, domain, ridReplace);
  }
  yield* blockTranslation(kernel, info);
  if (kernel.costs.attachCall > 0) yield kernel.costs.attachCall;
  const refused = checkAttach(kernel.profile, info, domain);
  if (refused !== 0) return refused;
  const did = domain.attachUnit(unit);
  if (did < 0) return did;
  const error = yield* installTables(info, domain, did);
  if (error !== 0) {
    domain.detachUnit(unit);
    return error;
  }
  info.domain = domain;
  domain.devices.unshift(info);
  if (turnsAtsOnAtAttach(kernel, info)) yield* setAts(kernel, info, true);
  assignTags(info, domain, did, RID);
  return 0;
}

function* installTables(info: DeviceInfo, domain: TableDomain, did: number): KernelTask<number> {
  if (info.unit.caps.scalable) {
    const words = tableEntry(info, domain);
    return typeof words === 'number' ? words : yield* setupPasidEntry(info, RID, words);
  }
  const target = contextTarget(info, domain, did);
  if (typeof target === 'number') return target;
  yield* setupContextEntries(info, target);
  return 0;
}

/** What a legacy context entry says for the domain; EINVAL for tables that legacy mode cannot walk. */
function contextTarget(info: DeviceInfo, domain: TableDomain, did: number): ContextTarget | number {
  if (domain.type === 'nested' || !stageSupported(info, domain)) return -Errno.EINVAL;
  const { root, levels } = domain.table;
  return { did, table: { root, levels } };
}

/** Installs pass-through: domain id 1 and no table. Errors: EBUSY. */
export function* attachIdentity(kernel: Kernel, info: DeviceInfo, domain: IommuDomain): KernelTask<number> {
  yield* blockTranslation(kernel, info);
  if (kernel.costs.attachCall > 0) yield kernel.costs.attachCall;
  const { caps } = info.unit;
  if (caps.scalable) {
    const words = passThroughEntry(PASS_THROUGH_DID, caps.levels, caps.walkCoherent);
    const error = yield* setupPasidEntry(info, RID, words);
    if (error !== 0) return error;
  } else {
    yield* setupContextEntries(info, { did: PASS_THROUGH_DID, table: undefined });
  }
  info.domain = domain;
  if (caps.scalable && turnsAtsOnAtAttach(kernel, info)) yield* setAts(kernel, info, true);
  return 0;
}

/**
 * Replaces the live entry: checks first, so that a refused replace changes nothing; both domains' tags are on the list
 * while hardware may hold either.
 */
function* replaceLive(
  kernel: Kernel,
  info: DeviceInfo,
  domain: TableDomain,
  policy: Exclude<KernelBehaviours['ridReplace'], 'block-then-setup'>,
): KernelTask<number> {
  const unit = info.unit;
  const old = info.domain;
  if (kernel.costs.attachCall > 0) yield kernel.costs.attachCall;
  const refused = checkAttach(kernel.profile, info, domain);
  if (refused !== 0) return refused;
  const did = domain.attachUnit(unit);
  if (did < 0) return did;
  assignTags(info, domain, did, RID);
  const error = yield* rewriteLive(info, domain, did, policy);
  if (error !== 0) {
    unassignTags(info, domain, did, RID);
    domain.detachUnit(unit);
    return error;
  }
  if (isTableDomain(old)) {
    unassignTags(info, old, old.domainId(unit), RID);
    old.devices.splice(old.devices.indexOf(info), 1);
    old.detachUnit(unit);
  }
  info.domain = domain;
  domain.devices.unshift(info);
  return 0;
}

function* rewriteLive(
  info: DeviceInfo,
  domain: TableDomain,
  did: number,
  policy: Exclude<KernelBehaviours['ridReplace'], 'block-then-setup'>,
): KernelTask<number> {
  if (info.unit.caps.scalable) {
    const words = tableEntry(info, domain);
    if (typeof words === 'number') return words;
    return yield* replacePresentEntry(policy === 'hitless' ? 'entry-sync' : policy, info, RID, words);
  }
  const target = contextTarget(info, domain, did);
  if (typeof target === 'number') return target;
  // A context entry is 128 bits: one store replaces it whole, whatever the policy for larger entries.
  if (policy === 'clear-then-update') {
    yield* clearContextEntries(info);
    yield* setupContextEntries(info, target);
  } else {
    yield* replaceContextEntries(info, target);
  }
  return 0;
}

/** 6.12 turns ATS on at every attach; later kernels do so at attach in legacy mode only and at probe otherwise. */
function turnsAtsOnAtAttach(kernel: Kernel, info: DeviceInfo): boolean {
  return !atLeast(kernel.profile, 'L615') || !info.unit.caps.scalable;
}

/**
 * Switches PCI ATS of a device that has it, and its page requests around it (iommu_enable_pci_caps: PRI, then ATS; off in
 * the opposite order).
 */
export function* setAts(kernel: Kernel, info: DeviceInfo, enable: boolean): KernelTask<void> {
  if (!info.atsSupported || info.atsEnabled === enable) return;
  info.atsEnabled = enable;
  const { config, device, unit } = info;
  const pri = device.supportsPri && unit.caps.pageRequest;
  if (enable && pri) config?.write(PciRegister.priControl, PRI_ENABLE, kernel.now);
  config?.write(PciRegister.atsControl, enable ? ATS_ENABLE : 0, kernel.now);
  if (!enable && pri) config?.write(PciRegister.priControl, 0, kernel.now);
  if (kernel.costs.atsConfigure > 0) yield kernel.costs.atsConfigure;
}
