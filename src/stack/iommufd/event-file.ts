/**
 * Files through which user space reads events of an iommufd object: fault queues and virtual event queues (struct
 * iommufd_eventq). Open files hold a user on their object and a reference on the context's file.
 */
import { FileReferences } from '../kernel/file-references.ts';
import type { FileTable, OpenFile } from '../kernel/file-table.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import type { IommufdObject } from './object-table.ts';

/** The object behind an event file. */
export interface EventSource extends IommufdObject {
  /** Bytes of whole events, oldest first, or a negative errno. */
  read(countBytes: number): Uint8Array | number;
  /** Bytes consumed or a negative errno. */
  write(bytes: Uint8Array): number;
  /** True when a read would return an event. */
  readonly readable: boolean;
}

/** An open event file. Not seekable: any position but 0 is ESPIPE at the caller. */
export class EventFile implements OpenFile {
  readonly file: FileReferences;
  readonly source: EventSource;

  constructor(context: IommufdContext, source: EventSource) {
    this.source = source;
    source.users++;
    context.file.get();
    this.file = new FileReferences(() => this.#release(context));
  }

  *#release(context: IommufdContext): KernelTask<void> {
    this.source.users--;
    yield* context.file.put();
  }
}

/** Opens `source` in `files`; the descriptor or -EMFILE, then with nothing left behind. */
export function* openEventFile(context: IommufdContext, source: EventSource, files: FileTable): KernelTask<number> {
  const file = new EventFile(context, source);
  const fd = files.install(file);
  if (fd < 0) yield* file.file.put();
  return fd;
}
