/** File descriptors of a process (struct files_struct). */
import { Errno } from '../../errno.ts';
import type { FileReferences } from './file-references.ts';
import type { KernelTask } from './task.ts';

/** What a descriptor names. Other rooms attach their own state and recognise it by class (`instanceof`). */
export interface OpenFile {
  /** Holders of the open file; the last one releases it. */
  readonly file: FileReferences;
  /** read(): bytes read or a negative errno; absent = EINVAL. */
  read?(lengthBytes: number): number;
}

/** 0, 1 and 2 are the standard streams. */
const FIRST_FD = 3;

/** Lowest free descriptor first, as get_unused_fd_flags. */
export class FileTable {
  readonly #files = new Map<number, OpenFile>();
  /** Number of descriptors a process may have (RLIMIT_NOFILE). */
  limit = 1024;

  /** Installs a file whose opener's reference passes to the descriptor. Returns the descriptor or -EMFILE. */
  install(file: OpenFile): number {
    const fd = this.#lowestFree();
    if (fd >= this.limit) return -Errno.EMFILE;
    this.#files.set(fd, file);
    return fd;
  }

  /** True when no descriptor is free: {@link install} would be -EMFILE. */
  get isFull(): boolean {
    return this.#lowestFree() >= this.limit;
  }

  /** Installs a file at a free descriptor of the caller's choice: standard streams. */
  installAt(fd: number, file: OpenFile): void {
    this.#files.set(fd, file);
  }

  /** fork(): the same open files at the same descriptors. */
  fork(): FileTable {
    const child = new FileTable();
    child.limit = this.limit;
    for (const [fd, file] of this.#files) {
      file.file.get();
      child.#files.set(fd, file);
    }
    return child;
  }

  /** The open file behind `fd`, without taking a reference; undefined = EBADF. */
  get(fd: number): OpenFile | undefined {
    return this.#files.get(fd);
  }

  /** The open file behind `fd` if it is of that class. */
  getAs<T extends OpenFile>(fd: number, kind: abstract new (...parameters: never[]) => T): T | undefined {
    const file = this.#files.get(fd);
    return file instanceof kind ? file : undefined;
  }

  /** dup(): a second descriptor on the same open file. Returns it, -EBADF or -EMFILE. */
  duplicate(fd: number): number {
    const file = this.#files.get(fd);
    if (file === undefined) return -Errno.EBADF;
    const copy = this.install(file);
    if (copy >= 0) file.file.get();
    return copy;
  }

  /** close(): 0 or -EBADF. */
  *close(fd: number): KernelTask<number> {
    const file = this.#files.get(fd);
    if (file === undefined) return -Errno.EBADF;
    this.#files.delete(fd);
    yield* file.file.put();
    return 0;
  }

  /** Exit of the process: closes every descriptor in ascending order (exit_files). */
  *closeAll(): KernelTask<void> {
    for (const fd of [...this.#files.keys()].sort((a, b) => a - b)) yield* this.close(fd);
  }

  #lowestFree(): number {
    let fd = FIRST_FD;
    while (this.#files.has(fd)) fd++;
    return fd;
  }
}
