/**
 * The user process behind a system call: its memory, its files and its limits (struct task_struct, mm_struct,
 * user_struct, rlimit), reduced to what vfio and iommufd look at.
 */
import type { AddressSpace } from './address-space.ts';
import { FileTable } from './file-table.ts';

/** Per-user counters shared by all processes of one user id (struct user_struct). */
export class UserAccount {
  /** [4 KiB pages] Locked by pinning in account mode USER (user_struct.locked_vm). */
  lockedVm = 0;
}

/** [4 KiB pages] RLIM_INFINITY >> PAGE_SHIFT. */
export const UNLIMITED_PAGES = Number.POSITIVE_INFINITY;

/** A process with its own memory. Threads of a process share it. */
export class Process {
  readonly name: string;
  readonly memory: AddressSpace;
  readonly user: UserAccount;
  readonly files: FileTable;
  /** [4 KiB pages] RLIMIT_MEMLOCK. */
  memlockLimit: number = UNLIMITED_PAGES;
  /** CAP_IPC_LOCK: page sources it creates are not limited. */
  canLockMemory = true;
  /** CAP_SYS_RESOURCE: may set the account mode. */
  canSetResources = true;
  /** CAP_SYS_RAWIO: may use devices without IOMMU. */
  canUseRawIo = true;

  constructor(name: string, memory: AddressSpace, user: UserAccount, files: FileTable = new FileTable()) {
    this.name = name;
    this.memory = memory;
    this.user = user;
    this.files = files;
  }
}
