/** What software's tables say about a page of a domain, as they stand: the oracle for what hardware still caches. */
import { addressFromPfn, pfnFromAddress } from '../address.ts';
import type { PhysicalMemory } from '../hw/memory.ts';
import { readNestedFrame } from '../hw/vtd/nested-reader.ts';
import { IntelNestedDomain } from '../stack/drivers/intel/nested-domain.ts';
import type { IommuDomain, PagingDomain } from '../stack/iommu/ops.ts';

/** [4 KiB pages] Frame behind an IOVA page; -1 = not mapped, or no domain with tables. */
export function frameBehind(memory: PhysicalMemory, domain: IommuDomain | undefined, iovaPfn: number): number {
  if (domain instanceof IntelNestedDomain) {
    const { parent, levels, firstPage } = domain;
    return readNestedFrame(memory, firstPage, levels, iovaPfn, (page) => frameBehind(memory, parent, page));
  }
  if (domain?.type !== 'paging' && domain?.type !== 'dma' && domain?.type !== 'dma-fq') return -1;
  const address = (domain as PagingDomain).iovaToPhys(addressFromPfn(iovaPfn));
  return address === undefined ? -1 : pfnFromAddress(address);
}
