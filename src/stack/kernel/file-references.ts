/** Reference count of an open file (struct file): descriptors and in-kernel holders; the last one releases it. */
import { assert } from '../../assert.ts';
import type { KernelTask } from './task.ts';

/** Counts holders of one open file. Starts with the opener's reference. */
export class FileReferences {
  #count = 1;
  readonly #release: () => KernelTask<unknown>;

  /** `release` runs when the last holder is gone (fput). */
  constructor(release: () => KernelTask<unknown>) {
    this.#release = release;
  }

  /** Number of holders. */
  get count(): number {
    return this.#count;
  }

  /** Takes a reference (get_file). */
  get(): void {
    assert(this.#count > 0, 'reference taken on a released file');
    this.#count++;
  }

  /** Drops a reference; runs the release when it was the last. */
  *put(): KernelTask<void> {
    assert(this.#count > 0, 'reference dropped on a released file');
    this.#count--;
    if (this.#count === 0) yield* this.#release();
  }
}
