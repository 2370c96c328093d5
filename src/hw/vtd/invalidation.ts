/**
 * What each invalidation descriptor does to the caches (VT-d spec 6.5.2; codes as in Linux drivers/iommu/intel/iommu.h).
 *
 * - context cache: drops context entries; translations stay in the IOTLB.
 * - PASID cache: drops PASID entries; translations stay in the IOTLB.
 * - IOTLB global: drops all translations, paging-structure and PASID-cache entries.
 * - IOTLB domain-selective, P_IOTLB PASID-selective: translations and paging-structure entries of the tag.
 * - page-selective: translations overlapping the range and, unless the invalidation hint (IH) says leaf only,
 *   paging-structure entries covering it. The second-stage form drops entries tagged without PASID, and all entries of
 *   the domain that went through both stages.
 *
 * Device-TLB and page-group descriptors concern endpoints only (device-invalidations.ts, page-requests.ts). APPROX:
 * interrupt-entry descriptors have no effect.
 */
import type { AddressSpaces } from './address-spaces.ts';
import { NO_PASID_TAG } from './address-spaces.ts';
import type { Bindings } from './binding.ts';
import {
  ContextGranularity,
  Descriptor,
  DescriptorType,
  GRANULARITY_MASK,
  GRANULARITY_SHIFT,
  IotlbGranularity,
  PasidCacheGranularity,
  PasidIotlbGranularity,
} from './layout.ts';
import type { Translator } from './translator.ts';

/** What a descriptor is; `invalid`: unknown type or granularity. See descriptor-check.ts for what stops the queue (IQE). */
export type DescriptorKind =
  | 'context_global'
  | 'context_domain'
  | 'context_device'
  | 'iotlb_global'
  | 'iotlb_domain'
  | 'iotlb_pages'
  | 'pasid_iotlb'
  | 'pasid_iotlb_pages'
  | 'pasid_cache_domain'
  | 'pasid_cache_pasid'
  | 'pasid_cache_global'
  | 'device_tlb'
  | 'interrupt_entry'
  | 'page_response'
  | 'wait'
  | 'invalid';

const CONTEXT_KINDS = new Map<number, DescriptorKind>([
  [ContextGranularity.global, 'context_global'],
  [ContextGranularity.domain, 'context_domain'],
  [ContextGranularity.device, 'context_device'],
]);
const IOTLB_KINDS = new Map<number, DescriptorKind>([
  [IotlbGranularity.global, 'iotlb_global'],
  [IotlbGranularity.domain, 'iotlb_domain'],
  [IotlbGranularity.page, 'iotlb_pages'],
]);
const PASID_IOTLB_KINDS = new Map<number, DescriptorKind>([
  [PasidIotlbGranularity.pasid, 'pasid_iotlb'],
  [PasidIotlbGranularity.page, 'pasid_iotlb_pages'],
]);
const PASID_CACHE_KINDS = new Map<number, DescriptorKind>([
  [PasidCacheGranularity.domain, 'pasid_cache_domain'],
  [PasidCacheGranularity.pasid, 'pasid_cache_pasid'],
  [PasidCacheGranularity.global, 'pasid_cache_global'],
]);

/** Kind of the descriptor with first word `word0`. */
export function descriptorKind(word0: number): DescriptorKind {
  const granularity = (word0 >>> GRANULARITY_SHIFT) & GRANULARITY_MASK;
  switch (word0 & 0xf) {
    case DescriptorType.contextCache:
      return CONTEXT_KINDS.get(granularity) ?? 'invalid';
    case DescriptorType.iotlb:
      return IOTLB_KINDS.get(granularity) ?? 'invalid';
    case DescriptorType.pasidIotlb:
      return PASID_IOTLB_KINDS.get(granularity) ?? 'invalid';
    case DescriptorType.pasidCache:
      return PASID_CACHE_KINDS.get(granularity) ?? 'invalid';
    case DescriptorType.deviceTlb:
    case DescriptorType.pasidDeviceTlb:
      return 'device_tlb';
    case DescriptorType.interruptEntryCache:
      return 'interrupt_entry';
    case DescriptorType.pageGroupResponse:
      return 'page_response';
    case DescriptorType.wait:
      return 'wait';
    default:
      return 'invalid';
  }
}

/** Executes descriptors on the caches of a unit. */
export class InvalidationExecutor {
  /** Translations dropped by invalidations so far are counted by the caches themselves (`evictedByInvalidation`). */
  readonly #translator: Translator;
  readonly #spaces: AddressSpaces;
  readonly #bindings: Bindings;

  constructor(translator: Translator) {
    this.#translator = translator;
    this.#spaces = translator.spaces;
    this.#bindings = translator.bindings;
  }

  /**
   * Executes one descriptor of words `w0` .. `w3`. Returns the last tick at which DMA translated by what it drops
   * reached memory, if it asks for draining; else 0.
   */
  execute(w0: number, w1: number, w2: number, w3: number): number {
    const domainId = w0 >>> Descriptor.didShift;
    const pasid = w1 & Descriptor.pasidMask;
    switch (descriptorKind(w0)) {
      case 'context_global':
        this.#translator.resolver.contexts.invalidateAll();
        this.#bindings.dropAll();
        return 0;
      case 'context_domain':
        this.#contextDomain(domainId);
        return 0;
      case 'context_device':
        this.#contextDevice(w1 & 0xffff, (w1 >>> Descriptor.ccFunctionMaskShift) & 3);
        return 0;
      case 'iotlb_global':
        return this.#iotlbGlobal(w0);
      case 'iotlb_domain':
        return this.#iotlbDomain(w0, domainId);
      case 'iotlb_pages':
        return this.#pages(w0, w2, w3, domainId, NO_PASID_TAG);
      case 'pasid_iotlb':
        return this.#pasidIotlb(domainId, pasid);
      case 'pasid_iotlb_pages':
        return this.#pages(0, w2, w3, domainId, pasid);
      case 'pasid_cache_domain':
        this.#pasidCache(domainId, -1);
        return 0;
      case 'pasid_cache_pasid':
        this.#pasidCache(domainId, pasid);
        return 0;
      case 'pasid_cache_global':
        this.#pasidCache(-1, -1);
        return 0;
      default:
        return 0;
    }
  }

  #contextDevice(sourceId: number, functionMask: number): void {
    // FM masks function-number bits, most significant first: 0, bit 2, bits 2:1, bits 2:0.
    const ignored = [0, 4, 6, 7][functionMask]!;
    const { sourceIds } = this.#bindings;
    for (let requester = 0; requester < sourceIds.length; requester++) {
      if ((sourceIds[requester]! | ignored) === (sourceId | ignored)) this.#dropContext(requester);
    }
  }

  #contextDomain(domainId: number): void {
    const { contexts, scalable } = this.#translator.resolver;
    const { sourceIds } = this.#bindings;
    for (let requester = 0; requester < sourceIds.length; requester++) {
      // In scalable mode the context entry has no domain: the hardware drops all.
      if (scalable || contexts.cachedDomain(sourceIds[requester]!) === domainId) this.#dropContext(requester);
    }
  }

  #dropContext(requester: number): void {
    this.#translator.resolver.contexts.invalidate(this.#bindings.sourceIds[requester]!);
    this.#bindings.dropRequester(requester);
  }

  #iotlbGlobal(w0: number): number {
    const { iotlb, ssPaging, fsPaging } = this.#translator;
    iotlb.invalidateAll();
    ssPaging.invalidateAll();
    fsPaging.invalidateAll();
    this.#pasidCache(-1, -1);
    let drained = 0;
    for (let space = 0; space < this.#spaces.count; space++) drained = Math.max(drained, this.#spaces.lastUse[space]!);
    return drains(w0) ? drained : 0;
  }

  #iotlbDomain(w0: number, domainId: number): number {
    const { iotlb, ssPaging, fsPaging } = this.#translator;
    iotlb.invalidateDomain(domainId);
    let drained = 0;
    for (const space of this.#spaces.ofDomain(domainId)) {
      ssPaging.invalidateSpace(space);
      fsPaging.invalidateSpace(space);
      drained = Math.max(drained, this.#spaces.lastUse[space]!);
    }
    return drains(w0) ? drained : 0;
  }

  /** A PASID-based invalidation always drains (VT-d spec 6.5.2.4). */
  #pasidIotlb(domainId: number, pasid: number): number {
    const { iotlb, fsPaging } = this.#translator;
    iotlb.invalidatePasid(domainId, pasid);
    const space = this.#spaces.peek(domainId, pasid);
    if (space < 0) return 0;
    fsPaging.invalidateSpace(space);
    return this.#spaces.lastUse[space]!;
  }

  #pages(w0: number, w2: number, w3: number, domainId: number, pasidTag: number): number {
    const addressMask = w2 & Descriptor.addressMaskMask;
    const low = (w2 >>> 12) | (w3 << 20);
    const high = w3 >>> 12;
    this.#translator.iotlb.invalidatePages(domainId, pasidTag, low, high, addressMask);
    const space = this.#spaces.peek(domainId, pasidTag);
    if (space < 0) return 0;
    const throughBoth = pasidTag === NO_PASID_TAG ? this.#nestedEntries(domainId) : 0;
    if ((w2 & Descriptor.invalidationHint) === 0) {
      const page = high * 4294967296 + (low >>> 0);
      const count = 2 ** addressMask;
      const paging = pasidTag === NO_PASID_TAG ? this.#translator.ssPaging : this.#translator.fsPaging;
      paging.invalidateRange(space, page - (page % count), count);
    }
    if (pasidTag === NO_PASID_TAG && !drains(w0)) return 0;
    return Math.max(this.#spaces.lastUse[space]!, throughBoth);
  }

  /**
   * Drops what was cached through both stages: entries do not know which second-stage pages they went through, so a
   * page-selective invalidation of the second stage takes all of the domain. Returns the last use.
   */
  #nestedEntries(domainId: number): number {
    const { iotlb, fsPaging } = this.#translator;
    let lastUse = 0;
    if (this.#spaces.nested.size === 0) return 0;
    for (const space of this.#spaces.ofDomain(domainId)) {
      if (!this.#spaces.nested.has(space)) continue;
      iotlb.invalidatePasid(domainId, this.#spaces.pasids[space]!);
      fsPaging.invalidateSpace(space);
      lastUse = Math.max(lastUse, this.#spaces.lastUse[space]!);
    }
    return lastUse;
  }

  #pasidCache(domainId: number, pasid: number): void {
    const { resolver } = this.#translator;
    resolver.pasids.invalidate(domainId, pasid, (sourceId, cachedPasid) => resolver.dropPasid(sourceId, cachedPasid));
  }
}

function drains(w0: number): boolean {
  return (w0 & (Descriptor.iotlbDrainRead | Descriptor.iotlbDrainWrite)) !== 0;
}

/** Physical page number in the address words of a wait descriptor. */
export function statusPage(w2: number, w3: number): number {
  return w3 * 1048576 + (w2 >>> 12);
}
