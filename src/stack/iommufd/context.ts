/**
 * One open of /dev/iommu (struct iommufd_ctx): the object table and what is global to it. Source: Linux
 * drivers/iommu/iommufd/main.c and iommufd_private.h.
 */
import type { IommuGroup } from '../iommu/group.ts';
import { FileReferences } from '../kernel/file-references.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdGroup } from './igroup.ts';
import type { Ioas } from './ioas.ts';
import { MmapTable } from './mmap-table.ts';
import { ObjectTable } from './object-table.ts';
import type { IommufdProfile } from './profile.ts';

/** How pinned pages are charged against RLIMIT_MEMLOCK (IOMMU_OPTION_RLIMIT_MODE). */
export type AccountMode = 'none' | 'user' | 'mm';

/** An iommufd context. The DMA owner token of its devices is the context itself. */
export class IommufdContext {
  readonly kernel: Kernel;
  readonly profile: IommufdProfile;
  readonly objects: ObjectTable;
  /** Groups with a bound device. */
  readonly groups = new Map<IommuGroup, IommufdGroup>();
  /** Regions user space may map through the file. */
  readonly mmaps = new MmapTable();
  /**
   * References on the *file*: the user's descriptors, bound devices, accesses and event-queue files. The last one
   * destroys every object.
   */
  readonly file: FileReferences = new FileReferences(() => this.release());
  /** Mode of page sources created from now on, unless the creator may lock memory freely. */
  accountMode: 'user' | 'mm' = 'user';
  /** The IOAS the VFIO-compatible ioctls work on. */
  vfioIoas: Ioas | undefined;
  /** Set once a no-IOMMU group used the compatible container. */
  noIommuMode = false;

  constructor(kernel: Kernel, profile: IommufdProfile) {
    this.kernel = kernel;
    this.profile = profile;
    this.objects = new ObjectTable(kernel.timeline);
  }

  /** Destroys every object (iommufd_fops_release); returns the number of leaked objects. */
  *release(): KernelTask<number> {
    return yield* this.objects.releaseAll();
  }
}
