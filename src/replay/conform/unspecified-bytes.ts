/**
 * Bytes of memory whose value a transcript does not determine: what a device wrote from a part of its buffer that holds
 * leftovers of earlier sequences. A byte counts only while it still has the value the model gave it.
 */
export class UnspecifiedBytes {
  readonly #values = new Map<number, number>();

  mark(pfn: number, offset: number, value: number): void {
    this.#values.set(pfn * 4096 + offset, value);
  }

  clear(pfn: number, offset: number): void {
    this.#values.delete(pfn * 4096 + offset);
  }

  /** True when the byte, which reads as `value` now, is one of them. */
  has(pfn: number, offset: number, value: number): boolean {
    return this.#values.get(pfn * 4096 + offset) === value;
  }
}
