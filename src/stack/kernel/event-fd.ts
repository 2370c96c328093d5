/** An eventfd: a counter that the kernel raises to tell user space about something (fs/eventfd.c). */
import { FileReferences } from './file-references.ts';
import type { OpenFile } from './file-table.ts';
import type { KernelTask } from './task.ts';

/** The open file. */
export class EventFd implements OpenFile {
  readonly file = new FileReferences(nothing);
  /** Signals so far; reading is not modelled. */
  count = 0;

  /** eventfd_signal. */
  signal(): void {
    this.count++;
  }
}

function* nothing(): KernelTask<void> {}
