/**
 * A nested domain: the user's first stage on a second-stage parent (Linux drivers/iommu/intel/nested.c). It has a domain
 * id and cache tags of its own; the parent carries tags with the same id, so that a change of the parent's mappings
 * flushes what was cached through both stages.
 */
import { addressHigh, addressLow, pfnFromAddress } from '../../../address.ts';
import { assert } from '../../../assert.ts';
import { Errno } from '../../../errno.ts';
import { PagingType, PasidEntry, PRESENT } from '../../../hw/vtd/layout.ts';
import type { IommuDriver, NestedDomain, UserInvalidation } from '../../iommu/ops.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { CacheTags } from './cache-tags.ts';
import type { DeviceInfo } from './device-info.ts';
import type { IntelPagingDomain } from './domain.ts';
import type { IntelUnit } from './intel-unit.ts';
import { readVtdS1Invalidation, VTD_S1_INVALIDATE_TYPE, type VtdS1Config, VtdS1Flag } from './nested-user-data.ts';
import type { PasidEntryWords } from './pasid-table.ts';
import { UnitDomainIds } from './unit-domain-ids.ts';

/** [bits] ADDR_WIDTH_4LEVEL, ADDR_WIDTH_5LEVEL. */
const FOUR_LEVEL_WIDTH = 48;
const FIVE_LEVEL_WIDTH = 57;

/** A first stage given by user data. */
export class IntelNestedDomain implements NestedDomain {
  readonly type = 'nested';
  readonly driver: IommuDriver;
  readonly parent: IntelPagingDomain;
  readonly config: VtdS1Config;
  readonly ids: UnitDomainIds;
  readonly tags: CacheTags;
  /** Users, as those of a paging domain: the latest first. */
  readonly devices: DeviceInfo[] = [];
  readonly pasidUsers: { readonly info: DeviceInfo; readonly pasid: number }[] = [];
  faultCapable = false;

  constructor(driver: IommuDriver, kernel: Kernel, parent: IntelPagingDomain, config: VtdS1Config) {
    this.driver = driver;
    this.parent = parent;
    this.config = config;
    const sharesIds = kernel.profile.behaviours.nestedDomainIds === 'shared';
    this.ids = sharesIds ? parent.childIds : new UnitDomainIds();
    this.tags = new CacheTags(kernel, true);
    parent.children.unshift(this);
  }

  /** [4 KiB pages] Top table of the first stage, in the parent's address space. */
  get firstPage(): number {
    return pfnFromAddress(this.config.tableAddress);
  }

  /** Levels of the first stage. */
  get levels(): number {
    return this.config.addressWidth === FIVE_LEVEL_WIDTH ? 5 : 4;
  }

  attachUnit(unit: IntelUnit): number {
    return this.ids.take(unit);
  }

  detachUnit(unit: IntelUnit): void {
    this.ids.give(unit);
  }

  domainId(unit: IntelUnit): number {
    return this.ids.of(unit);
  }

  /**
   * Words of the PASID entry on the device's unit (intel_pasid_setup_nested). Errors: EINVAL for an address width that is
   * neither 4 nor 5 levels, 5 levels, supervisor requests or extended access flags without hardware for it.
   */
  entryWords(info: DeviceInfo): PasidEntryWords | number {
    const { caps } = info.unit;
    const { config, parent } = this;
    const has = (flag: number): boolean => (config.flags & BigInt(flag)) !== 0n;
    const fiveLevel = config.addressWidth === FIVE_LEVEL_WIDTH;
    if (!fiveLevel && config.addressWidth !== FOUR_LEVEL_WIDTH) return -Errno.EINVAL;
    if (fiveLevel && !caps.fs5Level) return -Errno.EINVAL;
    if (has(VtdS1Flag.sre) && !caps.supervisorRequests) return -Errno.EINVAL;
    if (has(VtdS1Flag.eafe) && !caps.extendedAccess) return -Errno.EINVAL;
    const words = new Uint32Array(PasidEntry.words);
    const { root, levels } = parent.table;
    words[0] =
      addressLow(root) |
      ((levels - 2) << PasidEntry.awShift) |
      (PagingType.nested << PasidEntry.pgttShift) |
      (parent.dirtyEnabled ? PasidEntry.ssade : 0) |
      PRESENT;
    words[1] = addressHigh(root);
    words[2] =
      this.domainId(info.unit) |
      (caps.walkCoherent ? PasidEntry.pwsnp : 0) |
      (parent.forceSnoop ? PasidEntry.pgsnp : 0);
    const table = this.firstPage;
    words[4] =
      addressLow(table) |
      ((fiveLevel ? 1 : 0) << PasidEntry.fspmShift) |
      (has(VtdS1Flag.sre) ? PasidEntry.sre : 0) |
      (has(VtdS1Flag.sre) && has(VtdS1Flag.wpe) ? PasidEntry.wpe : 0) |
      (has(VtdS1Flag.eafe) ? PasidEntry.eafe : 0);
    words[5] = addressHigh(table);
    return words;
  }

  /**
   * Flushes what the user changed in its tables (intel_nested_cache_invalidate_user): each entry is one flush of the
   * domain's own tags. Errors: EINVAL type, what reading an entry answers; entries before it are done.
   */
  *invalidateUser(request: UserInvalidation): KernelTask<number> {
    if (request.type !== VTD_S1_INVALIDATE_TYPE) return -Errno.EINVAL;
    for (let index = 0; index < request.entryCount; index++) {
      const range = readVtdS1Invalidation(request, index);
      if (typeof range === 'number') return range;
      if (range.everything) yield* this.tags.flushAll();
      else yield* this.tags.flushRange(range.firstPfn, range.lastPfn, range.leafOnly);
      request.done++;
    }
    return 0;
  }

  *free(): KernelTask<number> {
    yield 0;
    assert(this.devices.length + this.pasidUsers.length === 0, 'nested domain freed while attached');
    const { children } = this.parent;
    children.splice(children.indexOf(this), 1);
    return 0;
  }
}
