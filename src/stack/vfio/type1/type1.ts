/**
 * State of the type1 backend of a container (struct vfio_iommu of Linux drivers/vfio/vfio_iommu_type1.c): domains, the
 * groups in them, mappings, and the devices to be told before memory goes away.
 */
import { PAGE_SIZE, U64_MAX } from '../../../address.ts';
import type { PagingDomain } from '../../iommu/ops.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { Mutex } from '../../kernel/locks.ts';
import type { VfioDevice } from '../device.ts';
import type { VfioGroup } from '../group-state.ts';
import type { VfioProfile } from '../profile.ts';
import { DmaSet } from './dma-set.ts';
import type { GroupTarget } from './group-target.ts';
import { IovaList } from './iova-list.ts';
import type { MediatedRules } from './mediated-target.ts';

/** A group in the container (struct vfio_iommu_group). */
export interface Type1Group {
  readonly group: VfioGroup;
  /** What its domain is attached to; undefined for groups without translation. */
  readonly target: GroupTarget | undefined;
  /** It pins what it uses, so that only pinned pages can be dirty. */
  pinnedPageDirtyScope: boolean;
}

/** A domain and the groups attached to it (struct vfio_domain). */
export interface Type1Domain {
  readonly domain: PagingDomain;
  /** Newest first. */
  readonly groups: Type1Group[];
  /** The domain guarantees coherent DMA; decides which domains groups can share. */
  enforcesCoherency: boolean;
  /** The driver splits super pages by itself, so that unmapping page by page costs nothing (until Linux 6.15). */
  fineGrainedSuperPages: boolean;
}

/** Module parameters of vfio_iommu_type1. */
export interface Type1Parameters {
  readonly allowUnsafeInterrupts: boolean;
  /** Mappings a container may have. */
  readonly dmaEntryLimit: number;
  readonly disableHugePages: boolean;
  /** How mediated devices are attached (Linux 5.2 .. 5.15); undefined = they never are. */
  readonly mediated?: MediatedRules;
}

/** The parameters' defaults. */
export const TYPE1_DEFAULTS: Type1Parameters = {
  allowUnsafeInterrupts: false,
  dmaEntryLimit: 65535,
  disableHugePages: false,
};

/** What VFIO_SET_IOMMU chose. */
export interface Type1Variant {
  /** Unmaps may not cut mappings (VFIO_TYPE1v2_IOMMU). */
  readonly v2: boolean;
  readonly nesting: boolean;
}

const PAGE_MASK = U64_MAX - BigInt(PAGE_SIZE - 1);

/** One instance. The functions of this folder act on it; {@link lock} guards all of it. */
export class Type1 {
  readonly kernel: Kernel;
  readonly profile: VfioProfile;
  readonly parameters: Type1Parameters;
  readonly variant: Type1Variant;
  readonly lock: Mutex;
  /** Newest first. */
  readonly domains: Type1Domain[] = [];
  readonly emulatedGroups: Type1Group[] = [];
  iovaList = new IovaList();
  readonly dmas: DmaSet;
  /** Mappings that can still be made. */
  dmaAvailable: number;
  /** Mappings whose user address was given up. */
  vaddrInvalidCount = 0;
  /** Bit k set: pages of 2^k bytes in every domain. */
  pageSizeBitmap = PAGE_MASK;
  /** Groups that may dirty memory without pinning it first. */
  nonPinnedGroupCount = 0;
  dirtyTracking = false;
  /** Open devices whose drivers pin, newest first. */
  readonly notifyDevices: VfioDevice[] = [];

  constructor(kernel: Kernel, profile: VfioProfile, parameters: Type1Parameters, variant: Type1Variant) {
    this.kernel = kernel;
    this.profile = profile;
    this.parameters = parameters;
    this.variant = variant;
    this.dmaAvailable = parameters.dmaEntryLimit;
    this.dmas = new DmaSet(profile.overflow);
    this.lock = new Mutex(kernel.timeline, 'type1');
  }

  /** [bytes] Smallest page every domain has: granularity of mappings and of dirty bits. */
  get pageSize(): bigint {
    return this.pageSizeBitmap & -this.pageSizeBitmap;
  }

  /** The group's entry, with its domain unless it is emulated. */
  find(group: VfioGroup): { readonly entry: Type1Group; readonly domain: Type1Domain | undefined } | undefined {
    for (const domain of this.domains) {
      const entry = domain.groups.find((each) => each.group === group);
      if (entry !== undefined) return { entry, domain };
    }
    const entry = this.emulatedGroups.find((each) => each.group === group);
    return entry === undefined ? undefined : { entry, domain: undefined };
  }

  /** vfio_update_pgsize_bitmap: what all domains share; sizes below a page are shown as a page. */
  updatePageSizes(): void {
    let bitmap = U64_MAX;
    for (const { domain } of this.domains) bitmap &= domain.pageSizeBitmap;
    if ((bitmap & ~PAGE_MASK) !== 0n) bitmap = (bitmap & PAGE_MASK) | BigInt(PAGE_SIZE);
    this.pageSizeBitmap = bitmap;
  }
}
