/** Memory of a user process (struct mm_struct): regions, page frames and locked-page counters. */

/** An address space. */
export class AddressSpace {
  /** [4 KiB pages] Locked in account mode MM and by mlock (mm->locked_vm, VmLck). */
  lockedVm = 0;
  /** [4 KiB pages] Pinned by drivers (mm->pinned_vm, VmPin). */
  pinnedVm = 0;
}
