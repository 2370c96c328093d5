/** The domain id that one domain has on each unit it is attached to (struct iommu_domain_info): counted, freed last. */
import { assert } from '../../../assert.ts';
import type { IntelUnit } from './intel-unit.ts';

/** Domain ids of one domain. */
export class UnitDomainIds {
  readonly #ids = new Map<IntelUnit, { readonly did: number; users: number }>();

  /** Takes the id on `unit`, a new one at the first use; -ENOSPC when none is left. */
  take(unit: IntelUnit): number {
    const known = this.#ids.get(unit);
    if (known !== undefined) {
      known.users++;
      return known.did;
    }
    const did = unit.allocDomainId();
    if (did >= 0) this.#ids.set(unit, { did, users: 1 });
    return did;
  }

  /** Gives one use back; the last one frees the id. */
  give(unit: IntelUnit): void {
    const known = this.#ids.get(unit);
    assert(known !== undefined, 'domain detached from a unit it is not on');
    known.users--;
    if (known.users > 0) return;
    this.#ids.delete(unit);
    unit.freeDomainId(known.did);
  }

  /** The id on `unit`; there must be one. */
  of(unit: IntelUnit): number {
    const known = this.#ids.get(unit);
    assert(known !== undefined, 'domain has no id on this unit');
    return known.did;
  }

  /** Units the domain is attached to. */
  get units(): readonly IntelUnit[] {
    return [...this.#ids.keys()];
  }
}
