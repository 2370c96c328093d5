/**
 * May a device use a domain that was allocated for another (Linux prepare_domain_attach_device in 6.12,
 * paging_domain_compatible from 6.13 on)? 0 or -EINVAL; no side effect.
 */
import { Errno } from '../../../errno.ts';
import { atLeast, type KernelProfile } from '../../kernel/profile.ts';
import type { UnitCapabilities } from './capabilities.ts';
import type { IntelPagingDomain } from './domain.ts';

/** Checks `domain` against the unit of the device it is to be attached to. */
export function checkCompatible(profile: KernelProfile, domain: IntelPagingDomain, caps: UnitCapabilities): number {
  const compatible = atLeast(profile, 'L73')
    ? compatibleByStage(domain, caps)
    : compatibleCommon(domain, caps) && (!atLeast(profile, 'L615') || compatibleByEquality(domain, caps));
  return compatible ? 0 : -Errno.EINVAL;
}

function compatibleCommon(domain: IntelPagingDomain, caps: UnitCapabilities): boolean {
  if (domain.forceSnoop && !caps.snoopControl) return false;
  if (domain.dirty !== undefined && !caps.dirtyTracking) return false;
  return domain.addressWidth <= caps.addressWidth;
}

/** 6.13 .. 6.17: coherency and superpages as the domain was made for. */
function compatibleByEquality(domain: IntelPagingDomain, caps: UnitCapabilities): boolean {
  if (domain.walkCoherent !== caps.walkCoherent) return false;
  if (domain.stage === 'first' && !caps.firstStage) return false;
  return domain.stage === 'first' || domain.table.maxLeafLevel === maxSecondStageLeaf(caps);
}

function compatibleByStage(domain: IntelPagingDomain, caps: UnitCapabilities): boolean {
  if (domain.walkCoherent !== caps.walkCoherent) return false;
  if (domain.stage === 'first') {
    return caps.firstStage && domain.table.levels <= caps.levels && (domain.table.maxLeafLevel < 3 || caps.fs1Gib);
  }
  if (domain.dirty !== undefined && !caps.dirtyTracking) return false;
  if (domain.nestParent && !caps.nest) return false;
  if (!caps.secondStage || domain.addressWidth > caps.addressWidth || domain.table.levels > caps.levels) return false;
  if (domain.table.maxLeafLevel > maxSecondStageLeaf(caps)) return false;
  if (caps.cachingMode && !domain.cachingMode) return false;
  return !domain.forceSnoop || caps.snoopControl;
}

function maxSecondStageLeaf(caps: UnitCapabilities): number {
  if (!caps.ss2Mib) return 1;
  return caps.ss1Gib ? 3 : 2;
}
