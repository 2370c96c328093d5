/**
 * One open of /dev/iommu (struct iommufd_ctx): the object table and what is global to it. Source: Linux
 * drivers/iommu/iommufd/main.c and iommufd_private.h.
 */
import { FileReferences } from '../kernel/file-references.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { Ioas } from './ioas.ts';
import { ObjectTable } from './object-table.ts';
import type { IommufdProfile } from './profile.ts';

/** How pinned pages are charged against RLIMIT_MEMLOCK (IOMMU_OPTION_RLIMIT_MODE). */
export type AccountMode = 'none' | 'user' | 'mm';

/** An iommufd context. The DMA owner token of its devices is the context itself. */
export class IommufdContext {
  readonly profile: IommufdProfile;
  readonly objects = new ObjectTable();
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

  constructor(profile: IommufdProfile) {
    this.profile = profile;
  }

  /** Destroys every object (iommufd_fops_release); returns the number of leaked objects. */
  *release(): KernelTask<number> {
    return yield* this.objects.releaseAll();
  }
}
