/** What attaching needs of a domain with tables, paging or nested: tags, entry words, compatibility. */
import { Errno } from '../../../errno.ts';
import type { IommuDomain } from '../../iommu/ops.ts';
import { atLeast, type KernelProfile } from '../../kernel/profile.ts';
import { checkCompatible } from './compatibility.ts';
import type { DeviceInfo } from './device-info.ts';
import { IntelPagingDomain } from './domain.ts';
import { IntelNestedDomain } from './nested-domain.ts';
import { firstStageEntry, type PasidEntryWords, secondStageEntry } from './pasid-table.ts';

/** A domain with tables. */
export type TableDomain = IntelPagingDomain | IntelNestedDomain;

/** Whether a domain of this driver has tables; blocked and identity ones have none. */
export function isTableDomain(domain: IommuDomain | undefined): domain is TableDomain {
  return domain instanceof IntelPagingDomain || domain instanceof IntelNestedDomain;
}

/**
 * May the device use the domain? A nested one by its parent; 6.12 compares the parent's width first (ENODEV). Errors:
 * EINVAL incompatible, ENODEV.
 */
export function checkAttach(profile: KernelProfile, info: DeviceInfo, domain: TableDomain): number {
  const { caps } = info.unit;
  if (domain instanceof IntelPagingDomain) return checkCompatible(profile, domain, caps);
  if (!atLeast(profile, 'L615') && caps.levels < domain.parent.table.levels) return -Errno.ENODEV;
  const incompatible = checkCompatible(profile, domain.parent, caps);
  if (incompatible !== 0) return incompatible;
  return caps.scalable ? 0 : -Errno.ENODEV;
}

/** Words of the PASID entry that makes a device of `info`'s unit use `domain`; EINVAL when it has no such hardware. */
export function tableEntry(info: DeviceInfo, domain: TableDomain): PasidEntryWords | number {
  if (domain instanceof IntelNestedDomain) return domain.entryWords(info);
  const { caps } = info.unit;
  if (!stageSupported(info, domain)) return -Errno.EINVAL;
  const did = domain.domainId(info.unit);
  const { root, levels } = domain.table;
  if (domain.stage === 'first') {
    return firstStageEntry(did, root, levels, caps.levels, domain.forceSnoop, caps.walkCoherent);
  }
  return secondStageEntry(did, root, levels, domain.dirtyEnabled, caps.walkCoherent);
}

/** Whether the device's unit has hardware for the stage. */
export function stageSupported(info: DeviceInfo, domain: IntelPagingDomain): boolean {
  const { caps } = info.unit;
  return domain.stage === 'first' ? caps.firstStage : caps.secondStage;
}

/** Puts the tags of an attachment on the domain, and those of its parent (cache_tag_assign_domain). */
export function assignTags(info: DeviceInfo, domain: TableDomain, did: number, pasid: number): void {
  domain.tags.assign(info, did, pasid);
  if (domain instanceof IntelNestedDomain) domain.parent.tags.assign(info, did, pasid, true);
}

/** Takes them off again (cache_tag_unassign_domain). */
export function unassignTags(info: DeviceInfo, domain: TableDomain, did: number, pasid: number): void {
  domain.tags.unassign(info, did, pasid);
  if (domain instanceof IntelNestedDomain) domain.parent.tags.unassign(info, did, pasid, true);
}
