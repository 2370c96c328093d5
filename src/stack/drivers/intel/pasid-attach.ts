/**
 * Domains at PASIDs of a device (Linux intel_iommu_set_dev_pasid, blocking_domain_set_dev_pasid; remove_dev_pasid in
 * 6.12). The compatibility check comes before any entry is touched, so a refused replace keeps the old PASID.
 */
import { Errno } from '../../../errno.ts';
import type { IommuDomain } from '../../iommu/ops.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { atLeast } from '../../kernel/profile.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { DeviceInfo } from './device-info.ts';
import { PASS_THROUGH_DID } from './intel-unit.ts';
import { setupPasidEntry, tearDownPasidEntry } from './pasid-entry-ops.ts';
import { replacePresentEntry } from './pasid-replace.ts';
import { type PasidEntryWords, passThroughEntry } from './pasid-table.ts';
import { assignTags, checkAttach, isTableDomain, type TableDomain, tableEntry, unassignTags } from './table-domain.ts';

/**
 * Installs `domain` at a PASID, replacing `old` if there is one. Errors: EOPNOTSUPP without PASID support, EINVAL
 * (incompatible; nothing to replace), ENOSPC, EBUSY (entry present), ENODEV.
 */
export function* attachPasid(
  kernel: Kernel,
  info: DeviceInfo,
  pasid: number,
  domain: TableDomain,
  old: IommuDomain | undefined,
): KernelTask<number> {
  const unit = info.unit;
  if (!unit.caps.pasid || info.pasidBits === 0) return -Errno.EOPNOTSUPP;
  if (!atLeast(kernel.profile, 'L615') && domain.type !== 'nested' && domain.dirty !== undefined) return -Errno.EINVAL;
  if (kernel.costs.attachCall > 0) yield kernel.costs.attachCall;
  const refused = checkAttach(kernel.profile, info, domain);
  if (refused !== 0) return refused;
  const did = domain.attachUnit(unit);
  if (did < 0) return did;
  assignTags(info, domain, did, pasid);
  const words = tableEntry(info, domain);
  const error = typeof words === 'number' ? words : yield* installEntry(kernel, info, pasid, words, old !== undefined);
  if (error !== 0) {
    unassignTags(info, domain, did, pasid);
    domain.detachUnit(unit);
    return error;
  }
  forgetPasid(info, pasid);
  info.pasids.set(pasid, { domain });
  domain.pasidUsers.unshift({ info, pasid });
  return 0;
}

/** Pass-through at a PASID (7.3). Errors: EOPNOTSUPP, EBUSY, EINVAL. */
export function* attachPasidIdentity(
  kernel: Kernel,
  info: DeviceInfo,
  pasid: number,
  domain: IommuDomain,
  old: IommuDomain | undefined,
): KernelTask<number> {
  const { caps } = info.unit;
  if (!caps.pasid || info.pasidBits === 0) return -Errno.EOPNOTSUPP;
  const words = passThroughEntry(PASS_THROUGH_DID, caps.levels, caps.walkCoherent);
  const error = yield* installEntry(kernel, info, pasid, words, old !== undefined);
  if (error !== 0) return error;
  forgetPasid(info, pasid);
  info.pasids.set(pasid, { domain });
  return 0;
}

/** Blocks a PASID: tears its entry down and drops tags and domain id; in 6.12 tags and id go first. */
export function* detachPasid(kernel: Kernel, info: DeviceInfo, pasid: number): KernelTask<number> {
  const tagsFirst = !atLeast(kernel.profile, 'L615');
  if (tagsFirst) forgetPasid(info, pasid);
  yield* tearDownPasidEntry(info, pasid);
  if (!tagsFirst) forgetPasid(info, pasid);
  return 0;
}

function* installEntry(
  kernel: Kernel,
  info: DeviceInfo,
  pasid: number,
  words: PasidEntryWords,
  replace: boolean,
): KernelTask<number> {
  if (!replace) return yield* setupPasidEntry(info, pasid, words);
  return yield* replacePresentEntry(kernel.profile.behaviours.pasidReplace, info, pasid, words);
}

function forgetPasid(info: DeviceInfo, pasid: number): void {
  const domain = info.pasids.get(pasid)?.domain;
  info.pasids.delete(pasid);
  if (!isTableDomain(domain)) return;
  unassignTags(info, domain, domain.domainId(info.unit), pasid);
  const index = domain.pasidUsers.findIndex((user) => user.info === info && user.pasid === pasid);
  domain.pasidUsers.splice(index, 1);
  domain.detachUnit(info.unit);
}
