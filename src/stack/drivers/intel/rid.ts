/**
 * The RID's translation: block, attach, replace (Linux device_block_translation, intel_iommu_attach_device,
 * identity_domain_attach_dev of drivers/iommu/intel/iommu.c).
 *
 * A replace is block, then attach, with the compatibility check in between: a refused replace leaves the device blocked.
 * With any other policy the present entry is replaced by the rules of a PASID's.
 */
import { Errno } from '../../../errno.ts';
import type { IommuDomain } from '../../iommu/ops.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { atLeast, type KernelBehaviours } from '../../kernel/profile.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { checkCompatible } from './compatibility.ts';
import {
  type ContextTarget,
  clearContextEntries,
  replaceContextEntries,
  setupContextEntries,
} from './context-entry-ops.ts';
import type { DeviceInfo } from './device-info.ts';
import { IntelPagingDomain } from './domain.ts';
import { PASS_THROUGH_DID } from './intel-unit.ts';
import { setupPasidEntry, tearDownPasidEntry } from './pasid-entry-ops.ts';
import { replacePresentEntry } from './pasid-replace.ts';
import { firstStageEntry, type PasidEntryWords, passThroughEntry, secondStageEntry } from './pasid-table.ts';

const RID = 0;

/** Words of the PASID entry that makes a device of `info`'s unit use `domain`. */
export function pagingEntry(info: DeviceInfo, domain: IntelPagingDomain): PasidEntryWords {
  const caps = info.unit.caps;
  const did = domain.domainId(info.unit);
  const { root, levels } = domain.table;
  if (domain.stage === 'first') {
    return firstStageEntry(did, root, levels, caps.levels, domain.forceSnoop, caps.walkCoherent);
  }
  return secondStageEntry(did, root, levels, domain.dirtyEnabled, caps.walkCoherent);
}

/** Stops the device's translation. A device that is blocked already is left as it is. */
export function* blockTranslation(kernel: Kernel, info: DeviceInfo): KernelTask<void> {
  const domain = info.domain;
  if (domain === undefined) return;
  const unit = info.unit;
  if (domain instanceof IntelPagingDomain) domain.tags.unassign(info, domain.domainId(unit), RID);
  const atsBefore = kernel.profile.behaviours.disableAtsBeforeTeardown;
  if (atsBefore) yield* setAts(kernel, info, false);
  if (unit.caps.scalable) yield* tearDownPasidEntry(info, RID);
  else yield* clearContextEntries(info);
  if (!atsBefore && !unit.caps.scalable) yield* setAts(kernel, info, false);
  info.domain = undefined;
  if (domain instanceof IntelPagingDomain) {
    domain.devices.splice(domain.devices.indexOf(info), 1);
    domain.detachUnit(unit);
  }
}

/**
 * Blocks the device, checks, then installs `domain`. Errors: EINVAL (incompatible, or no hardware for the stage), ENOSPC
 * (no domain id), EBUSY (entry present); after an error the device stays blocked.
 */
export function* attachPaging(kernel: Kernel, info: DeviceInfo, domain: IntelPagingDomain): KernelTask<number> {
  const unit = info.unit;
  const { ridReplace } = kernel.profile.behaviours;
  if (ridReplace !== 'block-then-setup' && info.domain !== undefined) {
    return yield* replaceLive(kernel, info, domain, ridReplace);
  }
  yield* blockTranslation(kernel, info);
  if (kernel.costs.attachCall > 0) yield kernel.costs.attachCall;
  const incompatible = checkCompatible(kernel.profile, domain, unit.caps);
  if (incompatible !== 0) return incompatible;
  const did = domain.attachUnit(unit);
  if (did < 0) return did;
  const error = yield* installPaging(info, domain, did);
  if (error !== 0) {
    domain.detachUnit(unit);
    return error;
  }
  info.domain = domain;
  domain.devices.unshift(info);
  if (turnsAtsOnAtAttach(kernel, info)) yield* setAts(kernel, info, true);
  domain.tags.assign(info, did, RID);
  return 0;
}

function* installPaging(info: DeviceInfo, domain: IntelPagingDomain, did: number): KernelTask<number> {
  const caps = info.unit.caps;
  if (domain.stage === 'first' ? !caps.firstStage : !caps.secondStage) return -Errno.EINVAL;
  if (caps.scalable) return yield* setupPasidEntry(info, RID, pagingEntry(info, domain));
  const { root, levels } = domain.table;
  yield* setupContextEntries(info, { did, table: { root, levels } });
  return 0;
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
  domain: IntelPagingDomain,
  policy: Exclude<KernelBehaviours['ridReplace'], 'block-then-setup'>,
): KernelTask<number> {
  const unit = info.unit;
  const old = info.domain;
  if (kernel.costs.attachCall > 0) yield kernel.costs.attachCall;
  const incompatible = checkCompatible(kernel.profile, domain, unit.caps);
  if (incompatible !== 0) return incompatible;
  const did = domain.attachUnit(unit);
  if (did < 0) return did;
  domain.tags.assign(info, did, RID);
  if (unit.caps.scalable) {
    const entryPolicy = policy === 'hitless' ? 'entry-sync' : policy;
    const error = yield* replacePresentEntry(entryPolicy, info, RID, pagingEntry(info, domain));
    if (error !== 0) {
      domain.tags.unassign(info, did, RID);
      domain.detachUnit(unit);
      return error;
    }
  } else {
    const { root, levels } = domain.table;
    const target: ContextTarget = { did, table: { root, levels } };
    // A context entry is 128 bits: one store replaces it whole, whatever the policy for larger entries.
    if (policy === 'clear-then-update') {
      yield* clearContextEntries(info);
      yield* setupContextEntries(info, target);
    } else {
      yield* replaceContextEntries(info, target);
    }
  }
  if (old instanceof IntelPagingDomain) {
    old.tags.unassign(info, old.domainId(unit), RID);
    old.devices.splice(old.devices.indexOf(info), 1);
    old.detachUnit(unit);
  }
  info.domain = domain;
  domain.devices.unshift(info);
  return 0;
}

/** 6.12 turns ATS on at every attach; later kernels do so at attach in legacy mode only and at probe otherwise. */
function turnsAtsOnAtAttach(kernel: Kernel, info: DeviceInfo): boolean {
  return !atLeast(kernel.profile, 'L615') || !info.unit.caps.scalable;
}

/** Switches PCI ATS of a device that has it. */
export function* setAts(kernel: Kernel, info: DeviceInfo, enable: boolean): KernelTask<void> {
  if (!info.atsSupported || info.atsEnabled === enable) return;
  info.atsEnabled = enable;
  if (kernel.costs.atsConfigure > 0) yield kernel.costs.atsConfigure;
}
