/** Numbers pairs of numbers, so that a map needs no text as key: a bundle has a pair for each DMA. */

/** Equal pairs get equal keys, from 0 on in order of first appearance. */
export class PairKeys<T extends number | bigint> {
  readonly #keys = new Map<T, Map<T, number>>();
  #count = 0;

  /** Key of a pair. */
  of(first: T, second: T): number {
    let seconds = this.#keys.get(first);
    if (seconds === undefined) {
      seconds = new Map();
      this.#keys.set(first, seconds);
    }
    let key = seconds.get(second);
    if (key === undefined) {
      key = this.#count++;
      seconds.set(second, key);
    }
    return key;
  }
}
