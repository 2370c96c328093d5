/**
 * Dirty tracking of second-stage domains: the SSADE bit of PASID entries, and reading the D bits of leaves (Linux
 * device_set_dirty_tracking, intel_iommu_read_and_clear_dirty; VT-d spec 3.6.2).
 */
import { pfnFromAddress } from '../../../address.ts';
import { Errno } from '../../../errno.ts';
import { PagingType } from '../../../hw/vtd/layout.ts';
import { gatherRange } from '../../iommu/gather.ts';
import type { DirtyOps } from '../../iommu/ops.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { atLeast } from '../../kernel/profile.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { isPresent } from './context-table.ts';
import type { DeviceInfo } from './device-info.ts';
import type { IntelPagingDomain } from './domain.ts';
import {
  chargeEntryWrite,
  setDirtyEnable,
  submitDeviceTlb,
  submitIotlbDomain,
  submitPasidCache,
} from './pasid-entry-ops.ts';
import { pasidDomainId, pasidPagingType, pasidPlace, readPasidEntry } from './pasid-table.ts';

/** The dirty operations of `domain`. */
export function domainDirtyOps(kernel: Kernel, domain: IntelPagingDomain): DirtyOps {
  return {
    setTracking: (enable) => setTracking(kernel, domain, enable),

    *readAndClear(iova, lengthBytes, noClear, gather, record) {
      const firstPfn = pfnFromAddress(iova);
      const lastPfn = pfnFromAddress(iova + lengthBytes - 1n);
      let visited = 0;
      domain.table.forEachLeaf(firstPfn, lastPfn, (leafPfn, pageCount, wordIndex) => {
        visited++;
        if (!domain.table.testDirty(wordIndex, !noClear)) return;
        const leafIova = BigInt(leafPfn) << 12n;
        const leafBytes = BigInt(pageCount) << 12n;
        record(leafIova, leafBytes);
        if (!noClear) gatherRange(gather, leafIova, leafBytes);
      });
      const deltaTicks = Math.round(visited * kernel.costs.unmapLeaf);
      if (deltaTicks > 0) yield { deltaTicks, bucket: 'table' };
      return 0;
    },
  };
}

/**
 * Each user of the domain in turn, RIDs first, then PASIDs, then the users of nested domains on it; on failure those
 * already switched go back.
 */
function* setTracking(kernel: Kernel, domain: IntelPagingDomain, enable: boolean): KernelTask<number> {
  if (domain.dirtyEnabled === enable) return 0;
  const users: { info: DeviceInfo; pasid: number }[] = [];
  for (const each of [domain, ...domain.children]) {
    users.push(...each.devices.map((info) => ({ info, pasid: 0 })));
    // Before 6.15 PASID attachments of a domain with dirty tracking were refused, so there are none.
    if (atLeast(kernel.profile, 'L615')) users.push(...each.pasidUsers);
  }
  for (let index = 0; index < users.length; index++) {
    const user = users[index] as { info: DeviceInfo; pasid: number };
    const error = yield* setEntryTracking(user.info, user.pasid, enable);
    if (error === 0) continue;
    for (const undo of users.slice(0, index)) yield* setEntryTracking(undo.info, undo.pasid, domain.dirtyEnabled);
    return error;
  }
  domain.dirtyEnabled = enable;
  return 0;
}

/** Flips SSADE in one live entry and flushes what cached the old one (intel_pasid_setup_dirty_tracking). */
function* setEntryTracking(info: DeviceInfo, pasid: number, enable: boolean): KernelTask<number> {
  const place = pasidPlace(info, pasid);
  if (place === undefined || !isPresent(info.unit.memory, place)) return -Errno.ENODEV;
  const words = readPasidEntry(info, place);
  const type = pasidPagingType(words);
  if (type !== PagingType.secondStage && type !== PagingType.nested) return -Errno.EOPNOTSUPP;
  if (!setDirtyEnable(info, place, enable)) return 0;
  const did = pasidDomainId(words);
  yield* chargeEntryWrite(info.unit);
  yield* submitPasidCache(info.unit, did, pasid);
  yield* submitIotlbDomain(info.unit, did);
  yield* submitDeviceTlb(info, pasid);
  return 0;
}
